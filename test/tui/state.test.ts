import { describe, expect, test } from 'vitest';
import type { JobEvent } from '../../src/events.ts';
import { applyEvent } from '../../src/tui/apply.ts';
import { History } from '../../src/tui/history.ts';
import { plainText } from '../../src/tui/line.ts';
import { rewardTitle } from '../../src/tui/panels/reward-chart.ts';
import { bestCheckpoint, remainingMs } from '../../src/tui/state.ts';
import { createStore } from '../../src/tui/store.ts';
import { summary } from '../../src/tui/summary.ts';
import { arithJob } from './fixtures.ts';
import { modelOf, stateAfter, untilStep } from './model.ts';

const small = { tasks: 8, group: 4, steps: 12, collapseAt: null };

describe('the state', () => {
  test('holds the newest steps with their texts, and every metric of all steps', () => {
    const state = stateAfter(arithJob(small));
    expect(state.steps.map((view) => view.step)).toEqual([5, 6, 7, 8, 9, 10, 11, 12]);
    expect(state.histories.get('reward')!.values.length).toBe(12);
    expect(state.evaluations.map(({ step, baseline }) => [step, baseline])).toEqual([
      [0, true],
      [10, false],
      [12, false],
    ]);
    expect(state.checkpoints.length).toBe(12);
    expect(state.state).toBe('finished');
  });

  test('advantages reach the attempts they belong to', () => {
    const state = stateAfter(untilStep(3, small));
    for (const group of state.steps.at(-1)!.groups.filter((entry) => entry.spread === 'mixed')) {
      for (const rollout of group.rollouts) expect(rollout!.advantage).toBeCloseTo(rollout!.reward! - group.mean!, 12);
    }
  });

  test('does not grow with the length of the job', () => {
    const state = stateAfter(arithJob({ tasks: 2, group: 2, steps: 2600, collapseAt: null, evalEvery: 1000 }));
    const points = [...state.histories.values()].map((history) => history.points.length);
    expect(Math.max(...points)).toBeLessThanOrEqual(2048);
    expect(state.band.length).toBeLessThanOrEqual(1024);
    expect([state.steps.length, state.log.length]).toEqual([8, 500]);
  });

  test('the remaining time follows the pace of the steps; a pause does not count', () => {
    const state = stateAfter(untilStep(6, small));
    const before = remainingMs(state)!;
    expect(before).toBeCloseTo(6 * state.stepDurationMs!, 6);
    const time = state.stepFinishedAt!;
    applyEvent(state, { type: 'job-paused', time, step: 6 });
    expect(state.state).toBe('paused');
    applyEvent(state, { type: 'job-continued', time: time + 3_600_000, step: 6 });
    const next = [...untilStep(7, small)].find((event) => event.type === 'step-finished' && event.step === 7)! as JobEvent<'step-finished'>;
    applyEvent(state, { ...next, time: time + 3_600_000 + (next.time - time) });
    expect(state.stepDurationMs!).toBeLessThan(5000);
  });

  test('a rollback moves the head, marks the step, and drops findings about the weights that are gone', () => {
    const state = stateAfter(untilStep(10, { ...small, collapseAt: 8 }));
    expect(state.checkpoints.find((checkpoint) => checkpoint.id === state.head)!.step).toBe(6);
    expect(state.marks.get(10)).toBe('rolled-back');
    expect(state.findings).toEqual([]);
  });

  test('a new job of a watch session begins new curves and keeps the old one apart', () => {
    const first = [...arithJob(small)];
    const second = [...untilStep(2, { ...small, seed: 8, start: first.at(-1)!.time + 1000 })];
    const state = stateAfter([...first, ...second]);
    expect(state.histories.get('reward')!.values.length).toBe(2);
    expect(state.previousReward!.values.length).toBe(12);
    expect(state.result).toBeNull();
    expect(state.log.some((line) => line.text.startsWith('completed'))).toBe(true);
  });

  test('requests stand until they come true', () => {
    const state = stateAfter(untilStep(2, small));
    Object.assign(state.requests, { pause: true, evaluate: true, rollback: 'x' });
    applyEvent(state, { type: 'job-paused', time: 0, step: 2 });
    applyEvent(state, { type: 'eval-started', time: 0, step: 2, tasks: 5 });
    applyEvent(state, { type: 'rolled-back', time: 0, step: 2, from: 'a', to: 'x', head: 'x', reason: '' });
    expect(state.requests).toEqual({ pause: false, evaluate: false, checkpoint: false, rollback: null });
  });

  test('a rollback moves the head, unless a gate keeps it', () => {
    const state = stateAfter(untilStep(2, small));
    applyEvent(state, { type: 'rolled-back', time: 0, step: 2, from: 'a', to: 'x', head: 'x', reason: '' });
    expect(state.head).toBe('x');
    applyEvent(state, { type: 'rolled-back', time: 0, step: 2, from: 'a', to: 'y', head: 'x', reason: '' });
    expect(state.head).toBe('x');
  });

  test('the best checkpoint is the one with the best held-out score', () => {
    const state = stateAfter(arithJob(small));
    const evaluated = state.checkpoints.filter((checkpoint) => checkpoint.evalReward !== null);
    expect(bestCheckpoint(state)!.evalReward).toBe(Math.max(...evaluated.map((checkpoint) => checkpoint.evalReward!)));
  });

  test('events of steps that it has forgotten are no trouble', () => {
    const state = stateAfter(untilStep(2, small));
    const event = [...untilStep(1, small)].find((entry) => entry.type === 'rollout-finished')!;
    expect(() => applyEvent(state, { ...event, step: 99 } as JobEvent)).not.toThrow();
  });
});

describe('History', () => {
  test('thins a long series, keeping its first value, its extremes and its end', () => {
    const history = new History();
    for (let x = 0; x < 10_000; x++) history.push(x, x === 5000 ? 99 : Math.sin(x / 50));
    expect(history.points.length).toBeLessThanOrEqual(2048);
    expect(history.values[0]).toBe(0);
    expect(Math.max(...history.values)).toBe(99);
    expect(history.points.at(-1)!.x).toBe(9999);
    const places = history.points.map((point) => point.x);
    expect(places).toEqual([...places].sort((a, b) => a - b));
  });
  test('a second value at a step replaces the first', () => {
    const history = new History();
    history.push(1, 5);
    history.push(1, 6);
    expect(history.points).toEqual([{ x: 1, y: 6 }]);
    expect(history.values).toEqual([6]);
  });
});

describe('the store', () => {
  test('tells the screen once for many events, and at once for a key', () => {
    const timers: (() => void)[] = [];
    const store = createStore({
      intervalMs: 250,
      setTimer: (callback) => {
        timers.push(callback);
        return { cancel: () => void timers.splice(timers.indexOf(callback), 1) };
      },
    });
    let told = 0;
    store.subscribe(() => told++);
    for (const event of untilStep(1, small)) store.apply(event);
    expect([told, timers.length]).toEqual([0, 1]);
    timers[0]!();
    expect(told).toBe(1);
    store.touch((state) => void (state.requests.pause = true));
    expect([told, timers.length]).toEqual([2, 0]);
  });
});

describe('summary', () => {
  test('says how it ended, what changed, where the model is and what to type next', () => {
    const text = summary(stateAfter(arithJob({ steps: 20, tasks: 16, collapseAt: null })));
    expect(text).toMatch(/^arith: completed, all steps done \(20 of 20 steps in \d/);
    expect(text).toMatch(/reward {4}0\.\d+ → 0\.\d+ {2}[▁-█]+/);
    expect(text).toMatch(/held-out {2}0\.\d+ → 0\.\d+ {2}\[/);
    expect(text).toContain('model     arith-rl, head at step-000020');
    expect(text.trimEnd().split('\n').at(-1)).toBe('  report    rlrun report arith-20260105-093000-7c1e');
  });
  test('a stopped job ends with the command that resumes it', () => {
    const state = stateAfter(untilStep(3, small));
    applyEvent(state, { type: 'job-finished', time: 0, status: 'stopped', reason: 'after step 3, as asked', steps: 3, head: state.head, before: null, after: null, durationMs: 4100, resumeCommand: 'rlrun pipelines/arith.yaml --resume' });
    expect(summary(state)).toContain('arith: stopped, after step 3, as asked (3 of 12 steps in 4.1s)');
    expect(summary(state).trimEnd().split('\n').at(-1)).toBe('  resume    rlrun pipelines/arith.yaml --resume');
  });
  test('a job that ended on a rollback tells the score of its head; one that is left while it runs, the last', () => {
    const state = stateAfter(untilStep(11, small));
    const measured = (value: number) => ({ 'eval/reward': value, 'eval/reward_low': value - 0.03, 'eval/reward_high': value + 0.03 });
    applyEvent(state, { type: 'eval-finished', time: 0, step: 12, metrics: measured(0.1), tasks: 500, interval: [0.07, 0.13], baseline: false });
    expect(summary(state)).toMatch(/held-out {2}0\.\d+ → 0\.10 {2}\[0\.070, 0\.13\]/);
    applyEvent(state, { type: 'rolled-back', time: 0, step: 12, from: 'x', to: 'y', head: 'y', reason: 'the held-out score fell' });
    applyEvent(state, { type: 'job-finished', time: 0, status: 'completed', reason: 'all steps done', steps: 12, head: 'y', before: measured(0.5), after: measured(0.7), durationMs: 1, resumeCommand: null });
    expect(summary(state)).toContain('held-out  0.50 → 0.70  [0.67, 0.73]');
    expect(plainText(rewardTitle(modelOf(state), 120))).toContain('held-out 0.70');
  });
  test('has no escape sequences and nothing to say before the job begins', () => {
    expect(summary(stateAfter(arithJob(small)))).not.toContain('\u001b');
    expect(summary(stateAfter([]))).toBe('');
  });
});
