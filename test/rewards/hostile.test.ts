/** Each attack costs exactly the rollout that it was made in; scoring goes on, before, beside and after it. */
import { mkdtempSync, realpathSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { RolloutError } from '../../src/events.ts';
import { createScorer, type Scorer } from '../../src/rewards/index.ts';
import { request, runtime } from './requests.ts';

const path = fileURLToPath(new URL('./fixtures/hostile.ts', import.meta.url));

/** What an attack is answered with: an error of this type whose message says this, or a reward after all. */
const expected: Record<string, [RolloutError['type'], RegExp] | number> = {
  'endless loop': ['timeout', /gave no answer within 1 s and was stopped/],
  throw: ['exception', /RangeError: no such word \(hostile\.ts:\d+:\d+\)/],
  'throw nothing': ['exception', /threw undefined/],
  exit: ['exit', /exit code 3/],
  'memory bomb': ['memory', /used more than 160 MB/],
  'memory bomb of buffers': ['memory', /used more than 160 MB/],
  NaN: ['invalid_reward', /gave NaN; a reward must be finite/],
  Infinity: ['invalid_reward', /gave -Infinity; a reward must be finite/],
  '1e308': ['invalid_reward', /gave 1e\+308; a reward must lie between/],
  text: ['invalid_reward', /gave the text "1"; a reward is a number/],
  nothing: ['invalid_reward', /gave no reward \(undefined\)/],
  'no score': ['invalid_reward', /without `reward` or `score`; its keys are points/],
  garbage: 0.5,
  '100 MB answer': ['invalid_reward', /gave a text of 100000000 characters/],
  '100 MB info': ['invalid_reward', /`info` of \d+ characters; the limit is/],
  'circular info': ['exception', /circular structure/],
  'a function as info': 1,
  'never settles': ['timeout', /gave no answer within 1 s/],
  'unhandled rejection': ['exception', /left a promise rejected that nobody handles: nobody looks/],
  'late throw': ['exception', /threw outside of its call: much later/],
  'deletes its cwd': 1,
  'closes its channel': ['timeout', /gave no answer within 1 s/],
};

describe.each(['local', 'subprocess'] as const)('in the %s runtime', (kind) => {
  /** Short of patience only where patience is what is attacked. */
  let scorers: Record<'patient' | 'hasty', Scorer>;
  const before = process.cwd();
  beforeAll(async () => {
    // The attacks may remove their folder; let it be one that nobody needs.
    const cwd = realpathSync(mkdtempSync(join(tmpdir(), 'rlrun-hostile-')));
    process.chdir(cwd);
    const open = async (scoreTimeoutMs: number) => {
      const settings = [{ kind: 'module', name: 'judge', weight: 1, path, args: {} }] as const;
      const loaded = await createScorer({ settings, runtime: { ...runtime, kind, cwd, scoreTimeoutMs, memoryMb: 160 } });
      if (!loaded.ok) throw new Error(loaded.error.message);
      return loaded.scorer;
    };
    scorers = { patient: await open(runtime.scoreTimeoutMs), hasty: await open(1000) };
  });
  afterAll(async () => {
    process.chdir(before);
    for (const scorer of Object.values(scorers)) await scorer[Symbol.asyncDispose]();
  });

  test.each(Object.entries(expected))('%s', async (attack, outcome) => {
    const scorer = Array.isArray(outcome) && outcome[0] === 'timeout' ? scorers.hasty : scorers.patient;
    const completions = ['fine', 'fine', attack, 'fine', 'fine', 'fine'];
    const scores = await Promise.all(completions.map((completion) => scorer.score(request(completion, null))));
    const [attacked] = scores.splice(2, 1);
    for (const score of scores) expect(score, JSON.stringify(score)).toMatchObject({ ok: true, score: { reward: 1 } });
    if (typeof outcome === 'number') {
      expect(attacked).toMatchObject({ ok: true, score: { reward: outcome } });
    } else {
      const [type, says] = outcome;
      expect(attacked).toMatchObject({ ok: false, error: { phase: 'scoring', type, message: expect.stringMatching(says) } });
      expect(attacked).toMatchObject({ error: { message: expect.stringMatching(/^reward judge on task task-1: /) } });
    }
  });

  test('flaky: the bad half of the calls is lost, the good half counts', async () => {
    const scores = [];
    for (let call = 0; call < 8; call++) scores.push(await scorers.patient.score(request('flaky', null)));
    const lost = scores.filter((score) => !score.ok);
    expect(lost.length).toBeGreaterThan(0);
    expect(lost.length).toBeLessThan(8);
    for (const score of lost) expect(score).toMatchObject({ error: { type: 'exception', message: expect.stringContaining('the weather is bad') } });
  });
});
