import { describe, expect, test } from 'vitest';
import type { Metrics, MetricsRow } from '../../src/events.ts';
import { gateAfter } from '../../src/pipeline/gate.ts';
import type { Checkpoint } from '../../src/models/types.ts';
import { judge } from '../../src/pipeline/guards.ts';
import { keptRows } from '../../src/pipeline/history.ts';
import { stage } from './fakes.ts';

const row = (step: number, metrics: Metrics, more: Partial<MetricsRow> = {}): MetricsRow => ({ step, time: 0, stage: 'grpo', kind: 'step', metrics, ...more });
const rows = (...metrics: Metrics[]) => metrics.map((each, index) => row(index + 1, each));
const evaluated = (score: number, half = 0.02): Metrics => ({ 'eval/reward': score, 'eval/reward_low': score - half, 'eval/reward_high': score + half });
const { guard } = stage();

describe('a guard', () => {
  test('sees a policy that repeats itself while its reward is gone', () => {
    const collapsing = rows(...[0.9, 0.8, 0.6, 0.05, 0.04, 0.03].map((entropy, step) => ({ entropy, reward: step < 3 ? 0.5 : 0.02 })));
    expect(judge(collapsing, guard)).toEqual({
      action: 'rollback',
      code: 'entropy_collapse',
      reason: 'entropy fell from 0.90 to 0.040, below 10 % of its first value: the policy repeats itself',
    });
  });

  test('does not take a policy that has learnt its task for one that has collapsed', () => {
    const learnt = rows(...[0.9, 0.4, 0.1, 0.05, 0.04, 0.03].map((entropy, step) => ({ entropy, reward: 0.4 + 0.1 * step })));
    expect(judge(learnt, guard)).toEqual({ action: 'continue' });
  });

  test('lets supervised steps make the policy sure of itself', () => {
    expect(judge(rows(...[4, 2, 1, 0.3, 0.2, 0.1].map((entropy) => ({ entropy }))), guard)).toEqual({ action: 'continue' });
  });

  test('sees a policy that has forgotten how to stop, but not one that never knew', () => {
    const truncated = (...shares: number[]) => rows(...shares.map((share) => ({ 'completions/clipped_ratio': share })));
    expect(judge(truncated(0.1, 0.5, 0.95, 1, 1), guard)).toMatchObject({ action: 'rollback', code: 'truncation_collapse' });
    expect(judge(truncated(1, 1, 1, 1, 0.98), guard)).toEqual({ action: 'continue' });
  });

  test('ends a stage whose rewards never give a verdict, and not one with a bad moment', () => {
    const silent = (step: number) => row(step, { 'rollouts/error_ratio': 1 }, { kind: 'skipped', reason: 'there is no program judge' });
    expect(judge([silent(1), silent(2), silent(3)], guard)).toEqual({
      action: 'stop',
      failed: true,
      reason: 'no rollout of the last 3 steps got a verdict: there is no program judge',
    });
    expect(judge([silent(1), row(2, {}), silent(3)], guard)).toEqual({ action: 'continue' });
    expect(keptRows([row(1, {}), silent(2), row(3, {}), silent(4), silent(5)], new Map([1, 3].map((step) => [step, {} as Checkpoint])))).toHaveLength(3);
  });

  test('sees a held-out score that falls beyond both intervals, and forgives noise', () => {
    expect(judge(rows(evaluated(0.6), {}, evaluated(0.3)), guard)).toMatchObject({
      action: 'rollback',
      code: 'held_out_collapse',
      reason: 'the held-out score fell from 0.600 (step 1) to 0.300, beyond both confidence intervals',
    });
    expect(judge(rows(evaluated(0.6), evaluated(0.54)), guard)).toEqual({ action: 'continue' });
    expect(judge(rows(evaluated(0.6, 0.2), evaluated(0.3, 0.2)), guard)).toEqual({ action: 'continue' });
  });

  test('sees updates refused three times in a row', () => {
    const refused = (step: number) => row(step, { 'update/refused': 1 }, { kind: 'skipped' });
    expect(judge([refused(1), refused(2)], guard)).toEqual({ action: 'continue' });
    expect(judge([refused(1), refused(2), refused(3)], guard)).toMatchObject({ action: 'rollback', code: 'non_finite' });
  });

  test('forgets what was measured before a rollback, and gives up after three', () => {
    const fallen = [...rows(evaluated(0.6), evaluated(0.1))];
    const back = row(2, {}, { kind: 'rollback', checkpoint: null });
    expect(judge([...fallen, back], guard)).toEqual({ action: 'continue' });
    expect(judge([...fallen, back, back, back, ...fallen], guard)).toMatchObject({ action: 'stop', failed: true, reason: expect.stringMatching(/after 3 rollbacks$/) });
  });

  test('after a rollback, holds what follows against the weights that were put back', () => {
    const [best, fallen] = [row(0, evaluated(0.6), { kind: 'baseline' }), row(5, evaluated(0.3))];
    const history = [best, row(1, evaluated(0.1)), row(1, {}, { kind: 'rollback', checkpoint: null }), fallen];
    expect(judge(history, guard)).toEqual({ action: 'continue' });
    expect(judge(history, guard, best)).toMatchObject({ action: 'rollback', code: 'held_out_collapse', reason: expect.stringContaining('from 0.600 (step 0) to 0.300') });
  });

  test('without guard.rollback only stops for target and patience', () => {
    expect(judge(rows(evaluated(0.6), evaluated(0.1)), { ...guard, rollback: false })).toEqual({ action: 'continue' });
  });
});

describe('a run ends early', () => {
  test('when its target is reached', () => {
    expect(judge(rows(evaluated(0.5), evaluated(0.9)), { ...guard, target: 0.9 })).toEqual({ action: 'stop', failed: false, reason: 'the held-out score reached 0.900; the target was 0.9' });
    expect(judge(rows(evaluated(0.9), {}), { ...guard, target: 0.9 })).toEqual({ action: 'continue' });
  });

  test('when its patience is over', () => {
    const patient = { ...guard, patience: 2 };
    expect(judge(rows(evaluated(0.5), evaluated(0.6), evaluated(0.59)), patient)).toEqual({ action: 'continue' });
    expect(judge(rows(evaluated(0.5), evaluated(0.6), evaluated(0.59), evaluated(0.6)), patient)).toEqual({ action: 'stop', failed: false, reason: 'no better held-out score in 2 evaluations' });
  });
});

describe('the gate', () => {
  const better = { when: 'better', metric: 'eval/reward', confidence: 0.95 } as const;

  test('always opens, or only to a score above the interval of the head', () => {
    expect(gateAfter([], { ...better, when: 'always' })({}).promote).toBe(true);
    const history = [row(0, evaluated(0.4), { kind: 'baseline' }), row(1, evaluated(0.5), { promoted: true }), row(2, evaluated(0.51), { promoted: false })];
    expect(gateAfter(history, better)(evaluated(0.515))).toEqual({ promote: false, reason: "not better: eval/reward 0.515 against the head's 0.500, whose interval ends at 0.520" });
    expect(gateAfter(history, better)(evaluated(0.53)).promote).toBe(true);
    expect(gateAfter(history, better)({})).toEqual({ promote: false, reason: 'eval/reward was not measured at this step' });
    expect(gateAfter([], better)(evaluated(0.1)).promote).toBe(true);
  });
});
