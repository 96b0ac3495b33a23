import { describe, expect, test } from 'vitest';
import { createPlainLog } from '../../src/cli/plain.ts';
import { clip, oneLine, table } from '../../src/cli/text.ts';
import type { EventData, EventType, JobEvent } from '../../src/events.ts';

function log() {
  const lines: string[] = [];
  const listen = createPlainLog({ write: (line) => lines.push(line), paint: (_, text) => text, shorten: (path) => path, nameOf: (id) => `name-of-${id}` });
  const tell = <K extends EventType>(type: K, data: EventData[K], time = 0) => listen({ type, time, ...data } as unknown as JobEvent);
  return { lines, tell };
}

const started: EventData['job-started'] = {
  ...{ jobId: 'arith-1', pipeline: 'arith', file: '/a.yaml', model: 'arith-rl', base: 'builtin:arith-tiny', device: 'cpu', seed: 7, loss: 'grpo' },
  ...{ stages: [{ name: 'grpo', kind: 'grpo', steps: 60 }], totalSteps: 60, parameters: 857344, trainableParameters: 857344, threads: 0 },
  ...{ parentJob: null, resumedFrom: null, head: null, directory: '.rlrun/jobs/arith-1' },
};
const accounting = { generated: 512, errored: 0, abstained: 0, droppedWithGroup: 0, truncated: 0, noSpreadGood: 0, noSpreadBad: 0, trained: 300, trainedTokens: 900 };
const times = { rollout: 0, reward: 0, step: 0, promote: 0, eval: 0 };

describe('the plain log', () => {
  test('opens with what runs where, and whence', () => {
    const { lines, tell } = log();
    tell('job-started', started);
    tell('job-started', { ...started, threads: 2, trainableParameters: 1000, head: 'x', parentJob: 'arith-0' });
    tell('job-started', { ...started, head: 'x', resumedFrom: 12 });
    expect(lines).toEqual([
      'arith  arith-rl from builtin:arith-tiny, 857,344 parameters, all trained  cpu  grpo  seed 7',
      'job arith-1 in .rlrun/jobs/arith-1',
      'arith  arith-rl from builtin:arith-tiny, 857,344 parameters, 1,000 trained  cpu, 2 threads  grpo  seed 7',
      'job arith-1 in .rlrun/jobs/arith-1, after arith-0',
      'arith-rl goes on from name-of-x, its head',
      'arith  arith-rl from builtin:arith-tiny, 857,344 parameters, all trained  cpu  grpo  seed 7',
      'job arith-1 in .rlrun/jobs/arith-1',
      'arith-rl resumed after step 12',
    ]);
  });

  test('has one line per step, with the time that is left', () => {
    const { lines, tell } = log();
    tell('job-started', started);
    tell('eval-finished', { step: 0, metrics: { 'eval/reward': 0.5, 'eval/accuracy': 0.4, 'eval/pass@1': 0.3, 'eval/pass@1_low': 0.2 }, tasks: 500, interval: [0.46, 0.54], baseline: true });
    tell('step-started', { step: 1, stage: 'grpo', tasks: [], group: 8 }, 1000);
    const metrics = { reward: 0.41, within_group_reward_std: 0.22, 'groups/mixed': 0.53, entropy: 0.4123, 'completions/clipped_ratio': 0.004, tokens_per_second: 4123.4 };
    tell('step-finished', { step: 1, stage: 'grpo', metrics, times, accounting: { ...accounting, errored: 2 } }, 4000);
    tell('step-skipped', { step: 2, reason: 'no_spread', message: 'no group has rewards that differ (64 all bad)' });
    tell('step-finished', { step: 2, stage: 'grpo', metrics, times, accounting: { ...accounting, trained: 0 } }, 5000);
    expect(lines.slice(2)).toEqual([
      'eval before the first step  reward 0.500 [0.460, 0.540]  accuracy 0.400  pass@1 0.300  500 held-out tasks',
      'step  1/60  reward 0.410 ±0.220  mixed 53 %  eval 0.500  entropy 0.412  truncated 0.4 %  errors 2  4,123 tok/s  eta 2m 57s',
      'step 2  skipped: no spread: no group has rewards that differ (64 all bad)',
    ]);
  });

  test('says once that old weights are deleted, and names those of earlier jobs each time', () => {
    const { lines, tell } = log();
    const pruned = { checkpoints: ['a'], earlier: [], bytes: 1e7, maxBytes: 1e9 };
    tell('checkpoints-pruned', { ...pruned, earlier: ['step-000001', 'step-000002'] });
    tell('checkpoints-pruned', pruned);
    tell('checkpoints-pruned', { ...pruned, earlier: Array.from({ length: 12 }, (_, index) => `s${index}`) });
    expect(lines).toEqual([
      'made room: a model keeps 1.0 GB of weights, so the oldest are deleted from here on; the head, the newest, the best and what the job began with stay',
      'deleted the weights of step-000001, step-000002, which earlier jobs made',
      'deleted the weights of s0, s1, s2, s3, s4, s5, s6, s7, s8, s9 and 2 more, which earlier jobs made',
    ]);
  });

  test('says what is wrong in words with the fix, and how it ended', () => {
    const { lines, tell } = log();
    tell('warning', { step: 9, code: 'kl', message: 'The policy has drifted.', fix: 'Roll back.' });
    tell('rolled-back', { step: 9, from: 'a', to: null, head: null, reason: 'entropy fell' });
    tell('promotion-held', { step: 10, checkpoint: 'b', head: null, reason: 'not better' });
    tell('job-finished', { status: 'stopped', reason: 'as asked', steps: 10, head: 'a', before: { 'eval/reward': 0.4 }, after: { 'eval/reward': 0.6, 'eval/reward_low': 0.55, 'eval/reward_high': 0.65 }, durationMs: 61_000, resumeCommand: 'rlrun a.yaml --resume' });
    expect(lines).toEqual([
      'warning at step 9: The policy has drifted.',
      '  Roll back.',
      'rolled back from name-of-a to the base: entropy fell; the learning rate is halved',
      'held: name-of-b is saved, the head stays at the base (not better)',
      'stopped: as asked  10 steps in 1m 01s',
      'held-out reward  0.400 → 0.600 [0.550, 0.650]',
      'head name-of-a',
      'resume with: rlrun a.yaml --resume',
    ]);
  });

  test('shows rescored rollouts by task: rewards and the signs of their advantages', () => {
    const { lines, tell } = log();
    const rollout = (groupId: string, before: number, after: number, mean: [number, number]) => ({ rolloutId: '', taskId: 't', groupId, prompt: `${groupId}=`, completion: '', before, after, advantageBefore: before - mean[0], advantageAfter: after - mean[1] });
    tell('rescored', { step: 3, file: 'r.ts', durationMs: 12, rollouts: [rollout('a', 1, 0, [0.5, 0.5]), rollout('a', 0, 1, [0.5, 0.5]), rollout('b', 1, 1, [1, 1]), rollout('b', 1, 1, [1, 1])] });
    expect(lines).toEqual(['scored again 4 rollouts of step 3 in 12ms: mean reward 0.750 → 0.750, spread within groups ±0.250 → ±0.250, 1 of 2 groups changed', '  a=  reward 0.500 → 0.500  advantages +− → −+']);
  });

  test('says of rescored rollouts that failed why they did, and has no number where there is none', () => {
    const { lines, tell } = log();
    const rollout = (before: number) => ({ rolloutId: '', taskId: 't', groupId: 'a', prompt: 'a=', completion: '', before, after: null, advantageBefore: before - 0.5, advantageAfter: null, error: 'reward on task t: oops (reward.ts:1:30)' });
    tell('rescored', { step: 3, file: 'r.ts', durationMs: 12, rollouts: [rollout(1), rollout(0)] });
    expect(lines).toEqual([
      'scored again 2 rollouts of step 3 in 12ms: mean reward 0.500 → –, spread within groups ±0.500 → –, 1 of 1 group changed',
      '  no verdict on 2 of them, for example: reward on task t: oops (reward.ts:1:30)',
      '  a=  reward 0.500 → –  advantages +− → ??',
    ]);
  });

  test('says that it stays when a watched job is over, unless another follows or somebody leaves', () => {
    const { lines, tell } = log();
    const finish = () => tell('job-finished', { status: 'completed', reason: 'all steps done', steps: 1, head: null, before: null, after: null, durationMs: 1, resumeCommand: null });
    const said = () => lines.splice(0).at(-1);
    finish();
    expect(said()).toMatch(/^completed/);
    tell('watch-started', { files: ['a'] });
    tell('job-started', started);
    finish();
    expect(said()).toBe('waiting for an edit; Ctrl-C ends');
    tell('job-started', started);
    tell('watch-decision', { action: 'drain', from: null, reason: 'x' });
    finish();
    expect(said()).toMatch(/^completed/);
    tell('watch-decision', { action: 'rerun', from: null, reason: 'x' });
    tell('job-started', started);
    finish();
    expect(said()).toBe('waiting for an edit; Ctrl-C ends');
    tell('job-started', started);
    tell('stop-requested', { mode: 'finish' });
    finish();
    expect(said()).toMatch(/^completed/);
  });

  test('counts the time that is left from the job that runs, not from the one before it', () => {
    const { lines, tell } = log();
    for (const from of [0, 3_600_000]) {
      tell('job-started', { ...started, totalSteps: 2 }, from);
      tell('step-started', { step: 1, stage: 'grpo', tasks: [], group: 8 }, from);
      tell('step-finished', { step: 1, stage: 'grpo', metrics: { reward: 0.5, within_group_reward_std: 0 }, times, accounting }, from + 3000);
    }
    expect(lines.filter((line) => line.startsWith('step'))).toEqual(['step 1/2  reward 0.500 ±0.000  eta 3.0s', 'step 1/2  reward 0.500 ±0.000  eta 3.0s']);
  });

  test('shows no score of the stage before, which may have been asked something else', () => {
    const { lines, tell } = log();
    const stages = [{ name: 'easy', kind: 'grpo' as const, steps: 1 }, { name: 'hard', kind: 'grpo' as const, steps: 1 }];
    const step = (number: number, stage: string) => tell('step-finished', { step: number, stage, metrics: { reward: 0.5, within_group_reward_std: 0 }, times, accounting });
    tell('job-started', { ...started, stages, totalSteps: 2 });
    tell('stage-started', { index: 0, ...stages[0]! });
    tell('eval-finished', { step: 0, metrics: { 'eval/reward': 0.9, 'eval/accuracy': 0.9 }, tasks: 20, interval: [0.8, 1], baseline: true });
    step(1, 'easy');
    tell('stage-started', { index: 1, ...stages[1]! });
    step(2, 'hard');
    expect(lines.filter((line) => line.startsWith('step'))).toEqual(['step 1/2  reward 0.500 ±0.000  eval 0.900  eta 0ms', 'step 2/2  reward 0.500 ±0.000']);
  });

  test('claims no interval for a score that nobody gave', () => {
    const { lines, tell } = log();
    tell('eval-finished', { step: 0, metrics: { 'eval/error_ratio': 1 }, tasks: 200, interval: [0, 1], baseline: true });
    expect(lines).toEqual(['eval before the first step  no verdict on any of 200 held-out tasks']);
  });

  test('lets no text of a model move the cursor', () => {
    const { lines, tell } = log();
    tell('warning', { step: null, code: 'x', message: 'a\u001B[2Jb\u0007c\nd', fix: 'e' });
    expect(lines).toEqual(['warning: abc⏎d', '  e']);
  });
});

test('text is clipped and aligned by the columns that it takes', () => {
  expect(clip('日本語テキスト', 7)).toBe('日本語…');
  expect(clip('short', 7)).toBe('short');
  expect(oneLine('a\tb\r\nc')).toBe('a b⏎c');
  expect(table([{ title: 'A' }, { title: 'B', align: 'right' }], [['日', '1'], ['x', '22']])).toBe('A    B\n日   1\nx   22');
});
