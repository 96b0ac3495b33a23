/** Every example does what its comment says. */
import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { afterAll, describe, expect, test } from 'vitest';
import { proveReward } from '../../src/rewards/index.ts';
import { loadTaskset, type Taskset } from '../../src/tasks/index.ts';
import { opened, request, rewardOf, runtime } from './requests.ts';

const example = (path: string) => fileURLToPath(new URL(`../../examples/${path}`, import.meta.url));
const hasPython = spawnSync('python3', ['--version']).status === 0;
const close = opened();
afterAll(close.all);

async function load(source: string, split: { train: number; eval: number }, { args = {}, where = runtime } = {}): Promise<Taskset> {
  const loaded = await loadTaskset({ settings: { source: example(source), args, split, seed: 7 }, runtime: where });
  if (!loaded.ok) throw new Error(`${loaded.error.message} ${loaded.error.fix}`);
  return loaded.taskset;
}

describe('a reward in TypeScript', () => {
  test('counts what stands around the answer', async () => {
    const scorer = await close.open([{ kind: 'module', name: 'brevity', weight: 1, path: example('rewards/brevity.ts'), args: { per_character: 0.25 } }]);
    expect(rewardOf(await scorer.score(request('46', '46')))).toBe(1);
    expect(rewardOf(await scorer.score(request('46!!', '46')))).toBe(0.5);
    expect(rewardOf(await scorer.score(request('46', '46', { truncated: true })))).toBe(0);
    expect(await scorer.score(request('47', '46'))).toMatchObject({ ok: true, score: { reward: 0, subscores: [{ name: 'brevity', value: 0, info: { found: false, excess: 0 } }] } });
    expect(scorer.files).toEqual([example('rewards/brevity.ts')]);
  });
});

describe.skipIf(!hasPython)('a reward in Python', () => {
  test('gives every right digit its share', async () => {
    const settings = { kind: 'command', name: 'digits', weight: 1, command: ['python3', example('rewards/digits.py')], timeoutMs: 20_000, cwd: example('.'), score: 'stdout' } as const;
    const scorer = await close.open([settings]);
    expect(rewardOf(await scorer.score(request('146', '146')))).toBe(1);
    expect(rewardOf(await scorer.score(request('46', '146')))).toBeCloseTo(2 / 3);
    expect(rewardOf(await scorer.score(request('', '146')))).toBe(0);
    expect(scorer.files).toEqual([example('rewards/digits.py')]);
  });
});

describe('a taskset in TypeScript', () => {
  test('makes as many tasks as its argument says', async () => {
    const { train, eval: held, files } = await load('tasksets/roman.ts', { train: 80, eval: 20 }, { args: { largest: 100 } });
    expect(train).toContainEqual(expect.objectContaining({ prompt: 'XLIX=', answer: '49' }));
    expect(new Set([...train, ...held].map(({ answer }) => Number(answer)))).toEqual(new Set(Array.from({ length: 100 }, (_, index) => index + 1)));
    expect(files).toEqual([example('tasksets/roman.ts')]);
  });
  test('says how many there are when the split asks for more', async () => {
    await expect(load('tasksets/roman.ts', { train: 80, eval: 21 }, { args: { largest: 100 } })).rejects.toThrow(/has 100 tasks; the split asks for 80 to train and 21 to evaluate/);
  });
});

describe('a two-yield template', () => {
  test.each(['local', 'subprocess'] as const)('makes its prompts and judges completions (%s)', async (kind) => {
    const { train } = await load('tasksets/between.ts', { train: 400, eval: 50 });
    const scorer = await close.open([{ kind: 'task', name: 'inside', weight: 1 }], { kind });
    const task = train.find(({ args }) => args['low'] === 4 && args['high'] === 6)!;
    expect(task).toMatchObject({ id: expect.stringMatching(/^between-[0-9a-f]{8}$/), prompt: '4<?<6:', answer: null });
    for (const [completion, reward] of [['5', 1], [' 5\n', 1], ['6', 0], ['4.5', 0], ['', 0]] as const) {
      expect(rewardOf(await scorer.score(request(completion, null, { task })))).toBe(reward);
    }
  });
});

describe.skipIf(!hasPython)('an environment in Python', () => {
  const where = { ...runtime, kind: 'subprocess', command: ['python3', example('environments/brackets.py')], cwd: example('environments') } as const;

  test('makes its prompts and judges completions', async () => {
    const { train, eval: held, files } = await load('environments/brackets.jsonl', { train: 42, eval: 8 }, { where });
    expect(files).toEqual([example('environments/brackets.jsonl'), example('environments/brackets.py')]);
    const scorer = await close.open([{ kind: 'task', name: 'closed', weight: 1 }], where);
    const tasks = [...train, ...held];
    const closing: Record<string, string> = { '(': ')', '[': ']', '{': '}' };
    const verdicts = await Promise.all(
      tasks.map((task) => {
        const expected = [...String(task.args['open'])].reverse().map((bracket) => closing[bracket]).join('');
        return scorer.score(request(expected, null, { task }));
      }),
    );
    expect(verdicts.map(rewardOf)).toEqual(tasks.map(() => 1));
    const wrong = tasks.find(({ prompt }) => prompt === 'close [(:')!;
    expect(await scorer.score(request(')(', null, { task: wrong }))).toMatchObject({ ok: true, score: { reward: 0.5, subscores: [{ info: { right: 1 } }] } });
    const proofs = await proveReward({ scorer, tasks: tasks.slice(0, 5) });
    expect(proofs.flatMap(({ faults }) => faults.map(({ kind }) => kind))).toEqual(Array(5).fill('no_answer'));
  });
});
