import { describe, expect, test } from 'vitest';
import { noticesOf, renderNotices, sharedNotices } from '../../src/report/notices.ts';
import { event, held, job, meta, row } from './support.ts';

const said = (...args: Parameters<typeof job>) => noticesOf(job(...args)).map(({ level, message, when }) => [level, message, when]);
const warning = (step: number | null, code: string, message: string) => event('warning', { step, code, message, fix: 'do this' });

describe('notices', () => {
  test('a sound job has none', () => {
    expect(said({ rows: [row(0, held(0.2)), row(1, { reward: 0.5 })] })).toEqual([]);
    expect(renderNotices([]).markup).toContain('No warnings.');
  });

  test('a warning is told once, with all its steps; what is still out of range comes in its last words', () => {
    const events = { warning: [warning(2, 'kl', 'kl is 2.2'), warning(5, 'kl', 'kl is 2.5'), warning(null, 'disk', 'little room')] };
    expect(said({ events, rows: [row(6, { kl: 3 })] })).toEqual([
      ['bad', expect.stringMatching(/\b3\b/), 'step 2, 5, and still at the end'],
      ['warn', 'little room', ''],
    ]);
  });

  test('what is out of range at the end is told even if nobody said it, except how fast the last step was', () => {
    const rows = Array.from({ length: 8 }, (_, step) => row(step + 1, { tokens_per_second: step === 7 ? 10 : 1000, 'completions/clipped_ratio': 0.9 }));
    expect(said({ rows })).toEqual([['bad', expect.stringContaining('90 %'), 'step 8, the last']]);
  });

  test('the failure comes first; rollbacks for one reason are one notice; many skipped steps are told', () => {
    const back = (step: number) => row(step, {}, { kind: 'rollback', reason: 'entropy fell', checkpoint: null });
    const skipped = (step: number) => row(step, {}, { kind: 'skipped', reason: 'no spread' });
    expect(said({ meta: { status: 'failed', reason: 'disk full', steps: 3 }, rows: [row(1, { reward: 1 }), back(1), skipped(2), back(2), skipped(3)] })).toEqual([
      ['bad', 'the job failed: disk full', 'after step 3'],
      ['warn', 'rolled back to the start 2 times: entropy fell', 'step 1, 2'],
      ['warn', '2 of 3 steps had nothing to learn from; the last because no spread', 'steps 2 to 3'],
    ]);
  });

  test('a job that follows an edited reward says so on its first screen', () => {
    const parent = { id: 'before', pipeline: null, hashes: { ...meta().hashes, reward: 'another' } };
    expect(said({ parent })).toEqual([['warn', 'the reward is another one than that of before, so their scores and curves cannot be compared', 'since the edit']]);
    expect(said({ parent: { ...parent, hashes: meta().hashes } })).toEqual([]);
  });
});

test('several jobs: one notice per cause, and whose it is', () => {
  const of = (name: string, ...codes: string[]) => ({ name, notices: noticesOf(job({ events: { warning: codes.map((code) => warning(1, code, `${code} in ${name}`)) } })) });
  expect(sharedNotices([of('a', 'x', 'y'), of('b', 'x'), of('c', 'x', 'z'), of('d', 'x', 'z')]).map(({ message, when }) => [message, when])).toEqual([
    ['x in a', 'all 4 jobs'],
    ['y in a', 'a, step 1'],
    ['z in c', 'c, d'],
  ]);
});
