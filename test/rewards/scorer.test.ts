import { once } from 'node:events';
import { mkdirSync, mkdtempSync, realpathSync, rmSync, writeFileSync } from 'node:fs';
import { type AddressInfo, createServer, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import type { RewardSettings } from '../../src/config/types.ts';
import { createScorer, proveReward } from '../../src/rewards/index.ts';
import { similarity } from '../../src/rewards/similarity.ts';
import { opened, request, rewardOf, runtime } from './requests.ts';

const folder = realpathSync(mkdtempSync(join(tmpdir(), 'rlrun-rewards-')));
const close = opened();
afterAll(async () => {
  await close.all();
  rmSync(folder, { recursive: true, force: true });
});

let files = 0;
/** Writes a reward module and returns its settings. */
function module(code: string, more: Partial<RewardSettings> = {}): RewardSettings {
  const path = join(folder, `reward-${++files}.ts`);
  writeFileSync(path, code);
  return { kind: 'module', name: 'judge', weight: 1, path, args: {}, ...more } as RewardSettings;
}
const exact: RewardSettings = { kind: 'exact_match', name: 'exact', weight: 1 };
const length = (more: object): RewardSettings => ({ kind: 'length', name: 'length', weight: 1, min: 0, max: 4, unit: 'characters', ...more }) as RewardSettings;
const command = (words: readonly string[], more: object = {}): RewardSettings =>
  ({ kind: 'command', name: 'program', weight: 1, command: words, timeoutMs: 20_000, cwd: folder, score: 'stdout', ...more }) as RewardSettings;
const node = (code: string, more: object = {}) => command([process.execPath, '-e', code], more);

describe('weights', () => {
  test('positive weights share the reward, and every part is kept', async () => {
    const scorer = await close.open([{ ...exact, weight: 3 }, length({ weight: 1, max: 1 })]);
    expect(await scorer.score(request('46', '46'))).toEqual({
      ok: true,
      score: {
        reward: 0.875,
        subscores: [
          { name: 'exact', value: 1, weight: 0.75 },
          { name: 'length', value: 0.5, weight: 0.25 },
        ],
      },
    });
  });
  test('negative weights are penalties and stay as written', async () => {
    const scorer = await close.open([exact, { kind: 'contains', name: 'swears', weight: -0.5, value: 'damn' }]);
    expect(rewardOf(await scorer.score(request('damn', '46')))).toBe(-0.5);
    expect(rewardOf(await scorer.score(request('46', '46')))).toBe(1);
  });
  test('without a positive weight nothing can be earned', async () => {
    await expect(close.open([{ ...exact, weight: -1 }])).rejects.toThrow(/^No reward has a positive weight/);
    await expect(close.open([])).rejects.toThrow(/^No reward has a positive weight/);
  });
  test('a part that abstains leaves the whole without a verdict, unless its weight is 0', async () => {
    const silent = (weight: number) => module('export default (text: string) => (text === "?" ? null : { reward: 1, info: { read: true } });', { weight });
    const scorer = await close.open([exact, silent(0.5)]);
    expect(await scorer.score(request('?', '46'))).toMatchObject({ ok: true, score: { reward: null, subscores: [{ name: 'exact', value: 0 }, { name: 'judge', value: null }] } });
    expect(rewardOf(await scorer.score(request('46', '46')))).toBe(1);
    expect(rewardOf(await (await close.open([exact, silent(-0.5)])).score(request('?', '46')))).toBeNull();
    expect(rewardOf(await (await close.open([exact, silent(0)])).score(request('?', '46')))).toBe(0);
  });
  test('any passes over parts that abstain; all abstains with any of them', async () => {
    const rewards = [module('export default (text: string) => (text.startsWith("?") ? null : 0.5);'), length({ max: 1 }), module('export default (text: string) => (text.startsWith("?") ? null : 0.5);')];
    const any = await close.open([{ kind: 'any', name: 'either', weight: 1, rewards }]);
    const all = await close.open([{ kind: 'all', name: 'both', weight: 1, rewards }]);
    expect(rewardOf(await any.score(request('??', null)))).toBe(0.5);
    expect(rewardOf(await all.score(request('??', null)))).toBeNull();
    expect(rewardOf(await all.score(request('x', null)))).toBe(0.5);
    const silent = await close.open([{ kind: 'any', name: 'either', weight: 1, rewards: [rewards[0]!, rewards[2]!] }]);
    expect(await silent.score(request('?', null))).toMatchObject({ ok: true, score: { reward: null, subscores: [{ value: null, children: [{ value: null }, { value: null }] }] } });
  });
  test('a program and a template abstain with null too', async () => {
    expect(rewardOf(await (await close.open([node('console.log(null)')])).score(request('', null)))).toBeNull();
    expect(rewardOf(await (await close.open([node('console.log(JSON.stringify({ score: null, info: { why: "tie" } }))')])).score(request('', null)))).toBeNull();
    expect(rewardOf(await (await close.open([module('export default () => {};')])).score(request('', null)))).toMatch(/gave no reward \(undefined\).*null for no verdict/);
  });
  test('any takes the best part, all the worst, and both show them', async () => {
    const rewards = [exact, length({})];
    const any = await close.open([{ kind: 'any', name: 'either', weight: 1, rewards }]);
    const all = await close.open([{ kind: 'all', name: 'both', weight: 1, rewards }]);
    expect(rewardOf(await any.score(request('47', '46')))).toBe(1);
    expect(await all.score(request('47', '46'))).toEqual({
      ok: true,
      score: { reward: 0, subscores: [{ name: 'both', value: 0, weight: 1, children: [{ name: 'exact', value: 0, weight: 1 }, { name: 'length', value: 1, weight: 0 }] }] },
    });
    expect(rewardOf(await all.score(request('47', null)))).toBe('reward both on task task-1: exact: the task has no `answer` to compare with');
  });
});

test('length falls off outside its bounds, in tokens or characters', async () => {
  const characters = await close.open([length({ min: 2, max: 4 })]);
  const tokens = await close.open([length({ unit: 'tokens', max: 4 })]);
  for (const [text, expected] of [['', 0], ['a', 0.5], ['ab', 1], ['😀😀😀😀', 1], ['abcdefgh', 0.5]] as const) {
    expect(rewardOf(await characters.score(request(text, null)))).toBe(expected);
  }
  expect(rewardOf(await tokens.score(request('a', null, { completionTokens: 16 })))).toBe(0.25);
});

describe('regex', () => {
  const regex = (pattern: string, more: object = {}): RewardSettings => ({ kind: 'regex', name: 'form', weight: 1, pattern, flags: '', full: false, ...more }) as RewardSettings;

  test('searches, or matches the whole text', async () => {
    const search = await close.open([regex('\\d+|x')]);
    const whole = await close.open([regex('\\d+|x', { full: true, flags: 'g' })]);
    for (const scorer of [search, whole]) expect(rewardOf(await scorer.score(request('46', null)))).toBe(1);
    expect(rewardOf(await search.score(request('a46', null)))).toBe(1);
    expect(rewardOf(await whole.score(request('a46', null)))).toBe(0);
    expect(rewardOf(await whole.score(request(' 46\n', null)))).toBe(1);
    const lines = await close.open([regex('\\d+', { full: true, flags: 'm' })]);
    expect(rewardOf(await lines.score(request('a\n46', null)))).toBe(0);
  });
  test('catastrophic backtracking costs one rollout', async () => {
    const scorer = await close.open([regex('^(a+)+$')], { scoreTimeoutMs: 1000 });
    const texts = ['aaaa', `${'a'.repeat(40)}!`, 'aaab'];
    expect((await Promise.all(texts.map((text) => scorer.score(request(text, null))))).map(rewardOf)).toEqual([
      1,
      'reward form on task task-1: gave no answer within 1 s and was stopped',
      0,
    ]);
  });
  test('a broken pattern is refused when it is loaded', async () => {
    await expect(close.open([regex('(')])).rejects.toThrow(/^reward form: The pattern is no regular expression: .*Unterminated group/);
  });
});

describe('json_schema', () => {
  const schema = (value: object | boolean): RewardSettings => ({ kind: 'json_schema', name: 'form', weight: 1, schema: value }) as RewardSettings;
  const person = schema({ type: 'object', properties: { age: { type: 'integer' }, name: { pattern: '^(a+)+$' } }, required: ['age'] });

  test('tells what does not fit', async () => {
    const scorer = await close.open([person]);
    const problem = async (text: string) => {
      const verdict = await scorer.score(request(text, null));
      return verdict.ok ? (verdict.score.subscores[0]!.info?.['problem'] ?? verdict.score.reward) : verdict.error.message;
    };
    expect(await problem('{"age": 7}')).toBe(1);
    expect(await problem('```json\n{"age": 7}\n```')).toBe(1);
    expect(await problem('{"age": "7"}')).toBe('/age must be integer');
    expect(await problem('{}')).toBe("the value must have required property 'age'");
    expect(await problem('age: 7')).toMatch(/^not JSON: /);
    expect(await problem('')).toMatch(/^not JSON: /);
  });
  test('a pattern that backtracks without end costs one rollout', async () => {
    const scorer = await close.open([person], { scoreTimeoutMs: 1000 });
    expect(rewardOf(await scorer.score(request(`{"age": 7, "name": "${'a'.repeat(40)}!"}`, null)))).toMatch(/gave no answer within 1 s/);
    expect(rewardOf(await scorer.score(request('{"age": 7}', null)))).toBe(1);
  });
  test('a schema that is none is refused', async () => {
    await expect(close.open([schema({ type: 'objekt' })])).rejects.toThrow(/^reward form: The schema is no JSON Schema/);
    await expect(close.open([schema({ propertys: {} })])).rejects.toThrow(/unknown keyword: "propertys"/);
  });
  test('older drafts are read when they say so', async () => {
    const scorer = await close.open([schema({ $schema: 'http://json-schema.org/draft-07/schema#', items: [{ type: 'number' }] })]);
    expect(rewardOf(await scorer.score(request('["1"]', null)))).toBe(0);
  });
});

describe('command', () => {
  test('reads the call on stdin and gives the last line as score', async () => {
    const scorer = await close.open([node('let s="";process.stdin.on("data",d=>s+=d).on("end",()=>{const c=JSON.parse(s);console.log("thinking");console.log(JSON.stringify({reward:c.completion===c.task.answer?1:0,info:c.info}))})')]);
    expect(await scorer.score(request('46', '46'))).toMatchObject({ ok: true, score: { reward: 1, subscores: [{ info: { completionTokens: 2, truncated: false } }] } });
    expect(rewardOf(await scorer.score(request('47', '46')))).toBe(0);
  });
  test.each([
    ['exit code 0 is right', 'process.exit(0)', 1],
    ['exit code 1 is wrong', 'process.exit(1)', 0],
    ['any other is a fault', 'console.error("no compiler");process.exit(2)', 'reward program on task task-1: ended with exit code 2; it said: no compiler'],
    ['a signal is a fault', 'process.kill(process.pid,"SIGTERM")', 'reward program on task task-1: ended by SIGTERM'],
  ])('by exit code: %s', async (_name, code, expected) => {
    expect(rewardOf(await (await close.open([node(code, { score: 'exit_code' })])).score(request('46', '46')))).toBe(expected);
  });
  test.each([
    ['hangs', 'setInterval(()=>{},1000)', /gave no answer within 1 s and was stopped/],
    ['fails', 'console.log(1);process.exit(1)', /ended with exit code 1/],
    ['prints nothing', '', /printed nothing/],
    ['prints garbage', 'console.log("1 apple")', /printed "1 apple" as its last line/],
    ['prints NaN', 'console.log(NaN)', /printed "NaN"/],
    ['prints 1e999', 'console.log("1e999")', /gave Infinity; a reward must be finite/],
    ['prints without end', 'setInterval(()=>process.stdout.write("x".repeat(65536)),0)', /printed more than 1048576 bytes/],
    ['fills memory', 'const h=[];setInterval(()=>h.push(Buffer.alloc(5e7,1)),5)', /used more than 256 MB of memory/],
  ])('a program that %s costs one rollout', async (name, code, says) => {
    const scorer = await close.open([node(`if(require("fs").readFileSync(0,"utf8").includes("attack")){${code}}else console.log(1)`, name === 'hangs' ? { timeoutMs: 1000 } : {})]);
    const verdicts = await Promise.all(['fine', 'attack'].map((text) => scorer.score(request(text, null))));
    expect(verdicts.map(rewardOf)).toEqual([1, expect.stringMatching(says)]);
  });
  test('what a program started ends with it', async () => {
    const server = createServer().listen(0, '127.0.0.1');
    const connected = once(server, 'connection') as Promise<[Socket]>;
    await once(server, 'listening');
    const grandchild = `require("net").connect(${(server.address() as AddressInfo).port},"127.0.0.1")`;
    const scorer = await close.open([node(`require("child_process").spawn(process.execPath,["-e",${JSON.stringify(grandchild)}],{stdio:"ignore"});setInterval(()=>{},1000)`, { timeoutMs: 3000 })]);
    const verdict = scorer.score(request('', null));
    const [socket] = await connected;
    const ended = once(socket.on('error', () => {}), 'close');
    expect(rewardOf(await verdict)).toMatch(/gave no answer/);
    await ended;
    server.close();
  });
  test('a missing program and a missing folder are told apart', async () => {
    await expect(close.open([command(['no-such-program'])])).rejects.toThrow('reward program: There is no program no-such-program. It is looked for in the folders of PATH.');
    const gone = join(folder, 'gone');
    mkdirSync(gone);
    const scorer = await close.open([node('console.log(1)', { cwd: gone })]);
    expect(rewardOf(await scorer.score(request('', null)))).toBe(1);
    rmSync(gone, { recursive: true });
    expect(rewardOf(await scorer.score(request('', null)))).toBe(`reward program on task task-1: could not be started: its working folder ${gone} is gone`);
  });
});

describe('module', () => {
  test.each([
    ['does not exist', { path: join(folder, 'none.ts') }, /Cannot find module/],
    ['has no default export', module('export const reward = 1;'), /its default export is missing; expected a function/],
    ['does not parse', module('export default ('), /SyntaxError/, 1],
    ['throws while loading', module('throw new Error("no luck");'), /no luck/, 7],
    ['ends its process', module('process.exit(0);'), /ended its worker with exit code 0/],
    ['imports what is not there', module('import "./nothing.ts"; export default () => 1;'), /Cannot find module .*nothing\.ts/],
  ])('a file that %s is refused when it is loaded, with the file to watch', async (_name, settings, says, column?: number) => {
    const loaded = await createScorer({ settings: [{ ...module(''), ...settings } as RewardSettings], runtime });
    expect(loaded).toMatchObject({ ok: false, error: { message: expect.stringMatching(says), at: column === undefined ? null : { file: expect.stringContaining(folder), line: 1, column }, files: [expect.stringContaining(folder)] } });
  });

  test('a file that loads for ever is given up', async () => {
    const loaded = await createScorer({ settings: [module('for (;;);')], runtime: { ...runtime, setupTimeoutMs: 1000 } });
    expect(loaded).toMatchObject({ ok: false, error: { message: expect.stringMatching(/gave no answer within 1 s/) } });
  });

  test('its imports are read too, and all of its copies stay at the version that was loaded', async () => {
    writeFileSync(join(folder, 'part.ts'), 'export const part: number = 0.25;');
    const settings = module('import { part } from "./part.ts"; export default (text: string) => { if (text === "exit") process.exit(); return part; };');
    const scorer = await close.open([settings]);
    expect(scorer.files).toEqual([(settings as { path: string }).path, join(folder, 'part.ts')]);
    writeFileSync(join(folder, 'part.ts'), 'export const part: number = 0.75;');
    const texts = ['a', 'exit', 'exit', 'b', 'c', 'd'];
    const rewards = (await Promise.all(texts.map((text) => scorer.score(request(text, null))))).map(rewardOf);
    expect(rewards.filter((reward) => reward === 0.25)).toHaveLength(4);
    const edited = await close.open([settings]);
    expect(rewardOf(await edited.score(request('a', null)))).toBe(0.75);
    expect(edited.hash).not.toBe(scorer.hash);
  });

  test('comments and layout do not change the hash, code does', async () => {
    const hashOf = async (code: string) => (await close.open([module(code)])).hash;
    const plain = await hashOf('export default (text: string): number => text.length;');
    expect(await hashOf('// what it is\nexport default (text: string): number =>\n\n  /* how */ text.length;\n')).toBe(plain);
    expect(await hashOf('export default (text: string): number => text.length + 1;')).not.toBe(plain);
  });

  test('what it prints is handed on', async () => {
    let printed = '';
    const loaded = await createScorer({ settings: [module('export default () => { console.log("hello"); return 1; };')], runtime, onOutput: (text) => (printed += text) });
    if (!loaded.ok) throw new Error(loaded.error.message);
    await loaded.scorer.score(request('', null));
    await loaded.scorer[Symbol.asyncDispose]();
    expect(printed).toContain('hello\n');
  });

  test('cancelling ends the call and leaves the scorer usable', async () => {
    const scorer = await close.open([module('export default (text: string) => { if (text === "loop") for (;;); return 1; };')]);
    const controller = new AbortController();
    const looping = scorer.score(request('loop', null), controller.signal);
    controller.abort(new Error('enough'));
    await expect(looping).rejects.toThrow('enough');
    expect(rewardOf(await scorer.score(request('', null)))).toBe(1);
  });
});

test('a task without a grader of its own says so', async () => {
  const scorer = await close.open([{ kind: 'task', name: 'own', weight: 1 }]);
  expect(rewardOf(await scorer.score(request('', null)))).toMatch(/the task has no grader of its own/);
});

test('long texts are compared off the main thread, to the same number', async () => {
  const scorer = await close.open([{ kind: 'similarity', name: 'like', weight: 1 }]);
  const [a, b] = ['xyz'.repeat(300), 'xzy'.repeat(300)];
  expect(rewardOf(await scorer.score(request(a, b)))).toBe(similarity(a, b));
});

describe('proving a reward', () => {
  const tasks = ['46', '7'].map((answer, index) => ({ id: `task-${index}`, prompt: '', answer, args: {} }));
  const faultsOf = async (...settings: RewardSettings[]) =>
    (await proveReward({ scorer: await close.open(settings), tasks: tasks.slice(0, 1) })).flatMap(({ faults }) => faults.map(({ kind, message }) => `${kind}: ${message}`));

  test('a reward that abstains leaves a gap, and says where', async () => {
    expect(await faultsOf(module('export default () => null;'))).toEqual([
      'abstained: task task-0: judge gave no verdict (null) on an empty answer',
      'abstained: task task-0: judge gave no verdict (null) on the gold answer "46"',
    ]);
  });
  test('a good reward has no fault', async () => {
    expect(await proveReward({ scorer: await close.open([exact]), tasks })).toEqual(tasks.map(({ id }) => ({ taskId: id, gold: 1, again: 1, empty: 0, faults: [] })));
  });
  test.each([
    ['the gold answer is not worth all', [exact, length({ max: 1 })], ['gold_not_full: task task-0: the gold answer "46" earns 0.75 instead of 1 (length gave 0.5)']],
    ['silence is worth as much', [module('export default () => 1;')], ['empty_not_less: task task-0: an empty answer earns 1, as much as the gold answer']],
    [
      'it changes its mind',
      [module('let n = 0; export default (text: string) => (text === "" ? 0 : 1 / ++n);')],
      ['gold_not_full: task task-0: the gold answer "46" earns 0.5 instead of 1 (judge gave 0.5)', 'not_repeatable: task task-0: the same answer earned 1 and then 0.5'],
    ],
    ['it fails', [module('export default () => { throw new Error("no"); };')], [expect.stringMatching(/^error: reward judge on task task-0: no \(reward-\d+\.ts/)]],
  ])('%s', async (_name, settings, faults) => {
    expect(await faultsOf(...(settings as RewardSettings[]))).toEqual(faults);
  });
});
