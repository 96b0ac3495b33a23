/** Programs that speak JSON lines, well and badly. They run on this Node, so that no other interpreter is needed. */
import { mkdtempSync, realpathSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import type { RuntimeSettings } from '../../src/config/types.ts';
import { openEnvironment, PROGRAM } from '../../src/environments/index.ts';

const folder = realpathSync(mkdtempSync(join(tmpdir(), 'rlrun-environment-')));
afterAll(() => rmSync(folder, { recursive: true, force: true }));
const patient = 20_000;
const base: RuntimeSettings = { kind: 'subprocess', command: [], cwd: folder, env: [], concurrency: 2, setupTimeoutMs: patient, scoreTimeoutMs: patient, rolloutTimeoutMs: 2 * patient, memoryMb: 256 };

/** A program that answers well until a completion names an attack; `grade` is the body of what it does then. */
async function program(attack: string, more: Partial<RuntimeSettings> = {}) {
  const code = `
    let word = null;
    const reply = (message) => process.stdout.write(JSON.stringify(message) + "\\n");
    require("readline").createInterface({ input: process.stdin }).on("line", (line) => {
      const { id, method, params } = JSON.parse(line);
      if (method === "setup") { word = params.args.word; console.log("a line that is no reply"); return reply({ id, result: { prompt: "say " + word } }); }
      if (params.completion !== "attack") return reply({ id, result: { reward: params.completion === word, info: { word } } });
      ${attack}
    });`;
  const file = join(folder, 'program.cjs');
  writeFileSync(file, code);
  const opened = await openEnvironment({ source: PROGRAM, runtime: { ...base, command: [process.execPath, file], ...more } });
  if (!opened.ok) throw new Error(opened.failure.message);
  return opened.environment;
}

const said = (content: string) => ({ content, toolCalls: [] });
const task = { template: 'say', args: { word: 'yes' }, prompt: 'say yes' };

test('sets up and grades, with what else it prints left aside', async () => {
  await using environment = await program('');
  expect(await environment.setup(task)).toEqual({ ok: true, value: 'say yes' });
  expect(await environment.grade(task, [said('yes')])).toEqual({ ok: true, value: 1, info: { word: 'yes' } });
  expect(await environment.grade(task, [said('no')])).toMatchObject({ ok: true, value: 0 });
  expect(environment.files).toEqual([join(folder, 'program.cjs')]);
});

test('a prompt that changed since the tasks were loaded is an error, not another task', async () => {
  await using environment = await program('');
  expect(await environment.grade({ ...task, prompt: 'say no' }, [said('yes')])).toMatchObject({ ok: false, failure: { message: expect.stringMatching(/gave another prompt than before/) } });
});

describe('each attack costs its own rollout', () => {
  test.each<[string, string, string, RegExp, Partial<RuntimeSettings>?]>([
    ['hangs', 'return;', 'timeout', /gave no answer within 1\.5 s/, { scoreTimeoutMs: 1500 }],
    ['loops', 'for (;;);', 'timeout', /gave no answer within 1\.5 s/, { scoreTimeoutMs: 1500 }],
    ['is late for the whole rollout', 'return;', 'timeout', /gave no answer within/, { rolloutTimeoutMs: 3000 }],
    ['exits', 'console.error("out of paper"); process.exit(4);', 'exit', /ended with exit code 4; it said: out of paper/],
    ['is killed', 'process.kill(process.pid, "SIGKILL");', 'exit', /ended by SIGKILL/],
    ['fills memory', 'const hoard = []; setInterval(() => hoard.push(Buffer.alloc(3e7, 1)), 5);', 'memory', /used more than 256 MB of memory/],
    ['writes a line without end', 'setInterval(() => process.stdout.write("x".repeat(65536)), 0);', 'protocol', /wrote a line of more than 1048576 bytes/],
    ['writes half a line and hangs', 'process.stdout.write(\'{"id":\' + id + \',"resu\');', 'timeout', /gave no answer within 1\.5 s/, { scoreTimeoutMs: 1500 }],
    ['writes half a line and exits', 'process.stdout.write(\'{"id":\' + id + \',"resu\', () => process.exit(0));', 'exit', /ended with exit code 0/],
    ['floods stderr and hangs', 'setInterval(() => process.stderr.write("x".repeat(65536)), 0);', 'timeout', /gave no answer within 1\.5 s/, { scoreTimeoutMs: 1500 }],
    ['answers another call', 'reply({ id: 99, result: 1 });', 'protocol', /answered call 99/],
    ['answers without an id', 'reply({ reward: 1 });', 'protocol', /something that is no reply: \{"reward":1\}/],
    ['reports an error', 'reply({ id, error: { message: "the compiler is missing" } });', 'exception', /^the compiler is missing$/],
    ['writes NaN', 'process.stdout.write(`{"id": ${id}, "result": {"reward": NaN}}\\n`);', 'protocol', /^answered with a line that is no JSON \(JSON has no NaN\): \{"id"/],
    ['writes what is no JSON', "process.stdout.write(`{'id': ${id}, 'result': 1}\\n`);", 'protocol', /^answered with a line that is no JSON/],
    ['gives 1e308', 'reply({ id, result: 1e308 });', 'invalid_reward', /must lie between/],
    ['gives a text', 'reply({ id, result: { reward: "1" } });', 'invalid_reward', /gave the text "1" as `reward`/],
  ])('%s', async (_name, attack, type, says, more) => {
    await using environment = await program(attack, more);
    const verdicts = await Promise.all(['yes', 'yes', 'attack', 'yes', 'yes'].map((completion) => environment.grade(task, [said(completion)])));
    const [attacked] = verdicts.splice(2, 1);
    for (const verdict of verdicts) expect(verdict, JSON.stringify(verdict)).toMatchObject({ ok: true, value: 1 });
    expect(attacked).toMatchObject({ ok: false, failure: { type, message: expect.stringMatching(says) } });
  });
});

test('null is no verdict, and so is NaN, which JSON writes as null', async () => {
  for (const result of ['null', '{ reward: null }', '{ score: NaN }']) {
    await using environment = await program(`reply({ id, result: ${result} });`);
    expect(await environment.grade(task, [said('attack')])).toEqual({ ok: true, value: null });
    expect(await environment.grade(task, [said('yes')])).toMatchObject({ ok: true, value: 1 });
  }
});

test('a program that prints a great deal on stderr, and its answer in pieces, is only slow', async () => {
  await using environment = await program(`
    const text = JSON.stringify({ id, result: 0.5 }) + "\\n";
    let left = 300;
    const spew = () => (left-- > 0 ? process.stderr.write("x".repeat(65536), spew) : pieces(0));
    const pieces = (at) => { process.stdout.write(text.slice(at, at + 3)); if (at + 3 < text.length) setTimeout(() => pieces(at + 3), 5); };
    spew();
    return;`);
  expect(await environment.grade(task, [said('attack')])).toEqual({ ok: true, value: 0.5 });
  expect(await environment.grade(task, [said('yes')])).toMatchObject({ ok: true, value: 1 });
});

test('a leak is paid for by the call in which it runs over; a fresh program takes the next one', async () => {
  const leak = '(globalThis.hoard ??= []).push(Buffer.alloc(6e7, 1)); return setTimeout(() => reply({ id, result: hoard.length / 100 }), 300);';
  await using environment = await program(leak, { concurrency: 1 });
  const verdicts = [];
  for (let call = 0; call < 8; call++) verdicts.push(await environment.grade(task, [said('attack')]));
  const counts = verdicts.map((verdict) => (verdict.ok ? Math.round(verdict.value! * 100) : null));
  expect(counts.slice(0, 2)).toEqual([1, 2]);
  const first = counts.indexOf(null);
  expect(verdicts[first], JSON.stringify(verdicts)).toMatchObject({ ok: false, failure: { type: 'memory', message: expect.stringMatching(/used more than 256 MB of memory/) } });
  expect(counts.slice(first, first + 2)).toEqual([null, 1]);
});

test.each([
  ['a program that does not exist', { command: ['no-such-program'] }, /could not be started: there is no program no-such-program/],
  ['a folder that does not exist', { command: ['node'], cwd: join(folder, 'gone') }, /could not be started: its working folder .*gone is gone/],
])('%s is an error of every call, and nothing else', async (_name, more, says) => {
  const opened = await openEnvironment({ source: PROGRAM, runtime: { ...base, ...more } });
  if (!opened.ok) throw new Error(opened.failure.message);
  await using environment = opened.environment;
  for (let call = 0; call < 3; call++) {
    expect(await environment.setup(task)).toMatchObject({ ok: false, failure: { type: 'exit', message: expect.stringMatching(says) } });
  }
});

describe('a program that wants every answer', () => {
  /** Counts down from a number; `says` is the body of its `step`. */
  async function stepping(says: string, more: Partial<RuntimeSettings> = {}) {
    const file = join(folder, `stepping-${Math.abs([...says].reduce((sum, letter) => (sum * 31 + letter.charCodeAt(0)) | 0, 7))}.cjs`);
    writeFileSync(file, `
      let [left, heard] = [0, []];
      const reply = (id, result) => process.stdout.write(JSON.stringify({ id, result }) + "\\n");
      require("readline").createInterface({ input: process.stdin }).on("line", (line) => {
        const { id, method, params } = JSON.parse(line);
        if (method === "setup") { [left, heard] = [params.args.turns, []]; return reply(id, { prompt: "go", steps: true }); }
        if (method === "grade") return reply(id, { reward: 0.5, info: { heard } });
        heard.push(params.completion);
        left--;
        ${says}
      });`);
    const opened = await openEnvironment({ source: PROGRAM, runtime: { ...base, command: [process.execPath, file], concurrency: 1, ...more } });
    if (!opened.ok) throw new Error(opened.failure.message);
    return opened.environment;
  }
  const counting = { template: 'count', args: { turns: 3 }, prompt: 'go' };
  const { signal } = new AbortController();

  async function begun(environment: Awaited<ReturnType<typeof stepping>>, task = counting) {
    const episode = await environment.begin(task, signal);
    if (!episode.ok) throw new Error(episode.failure.message);
    return episode.value;
  }

  test('says it in its setup, replies to each, and judges at the end', async () => {
    await using environment = await stepping('reply(id, left > 0 ? { messages: "left: " + left } : { reward: 1, info: { heard } });');
    await using episode = await begun(environment);
    expect(await episode.reply(said('a'), signal)).toMatchObject({ ok: true, value: { done: false, messages: [{ role: 'user', content: 'left: 2' }] } });
    expect(await episode.reply(said('b'), signal)).toMatchObject({ ok: true, value: { done: false } });
    const verdict = { ok: true, value: 1, info: { heard: ['a', 'b', 'c'] } };
    expect(await episode.reply(said('c'), signal)).toEqual({ ok: true, value: { done: true, verdict } });
  });

  test('may be done and leave the judging to `grade`; what its steps gave is added', async () => {
    await using environment = await stepping('reply(id, left > 0 ? { messages: "more", reward: 0.25 } : { done: true });');
    const verdict = { ok: true, value: 1, info: { heard: ['a', 'b', 'c'], steps_reward: 0.5, final_reward: 0.5 } };
    {
      await using episode = await begun(environment);
      for (const answer of ['a', 'b']) expect(await episode.reply(said(answer), signal)).toMatchObject({ ok: true, value: { done: false, reward: 0.25 } });
      expect(await episode.reply(said('c'), signal)).toEqual({ ok: true, value: { done: true, verdict } });
    }
    expect(await environment.grade(counting, ['a', 'b', 'c'].map(said))).toEqual(verdict);
  });

  test('is worth what its steps gave when the agent has no more turns', async () => {
    await using environment = await stepping('reply(id, { messages: "more", reward: 0.25 });');
    await using episode = await begun(environment);
    await episode.reply(said('a'), signal);
    expect(await episode.conclude(said('a'), signal)).toEqual({ ok: true, value: { ok: true, value: 0.25, info: { unfinished: true } } });
  });

  test.each<[string, string, string, RegExp, Partial<RuntimeSettings>?]>([
    ['dies in a turn', 'process.exit(4);', 'exit', /ended with exit code 4/],
    ['hangs in a turn', 'return;', 'timeout', /gave no answer within 1\.5 s/, { scoreTimeoutMs: 1500 }],
    ['says what is neither a turn nor a verdict', 'reply(id, { messages: 7 });', 'invalid_reward', /./],
  ])('that %s costs its rollout, and the next has a fresh one', async (_name, says, type, message, more) => {
    await using environment = await stepping(`if (left < 2) { ${says} } else reply(id, { messages: "more" });`, more);
    {
      await using episode = await begun(environment);
      await episode.reply(said('a'), signal);
      expect(await episode.reply(said('b'), signal)).toMatchObject({ ok: false, failure: { type, message: expect.stringMatching(message) } });
    }
    await using next = await begun(environment);
    expect(await next.reply(said('a'), signal)).toMatchObject({ ok: true, value: { done: false } });
  });

  test('does not say so and is asked to grade the first answer, as ever', async () => {
    await using environment = await program('');
    const episode = await environment.begin(task, signal);
    if (!episode.ok) throw new Error(episode.failure.message);
    await using begunOne = episode.value;
    expect(await begunOne.reply(said('yes'), signal)).toEqual({ ok: true, value: { done: true, verdict: { ok: true, value: 1, info: { word: 'yes' } } } });
  });
});

describe('templates', () => {
  test.each([
    ['ends without a second yield', 'yield "p";', 'invalid_reward', /ended without another yield, so it gave no reward/],
    ['yields nothing', 'yield "p"; yield;', 'invalid_reward', /gave no reward \(undefined\)/],
    ['throws at the answer', 'yield "p"; throw new Error("hm");', 'exception', /^hm \(template-\d\.mjs:1:\d+\)$/],
    ['makes up a prompt every time', 'yield Math.random() < 2 ? "p" + performance.now() : ""; yield 1;', 'exception', /another prompt than before/],
  ].map((row, index) => [...row, index] as [string, string, string, RegExp, number]))('a template that %s gives no reward', async (_name, body, type, says, index) => {
    const source = join(folder, `template-${index}.mjs`);
    writeFileSync(source, `export const templates = { async *t() { ${body} } };`);
    const opened = await openEnvironment({ source, runtime: { ...base, kind: 'local' } });
    if (!opened.ok) throw new Error(opened.failure.message);
    await using environment = opened.environment;
    expect(await environment.grade({ template: 't', args: {}, prompt: 'p' }, [said('x')])).toMatchObject({ ok: false, failure: { type, message: expect.stringMatching(says) } });
  });

  test('a template cleans up after itself when it is done, and when another task takes its place', async () => {
    const source = join(folder, 'tidy.mjs');
    writeFileSync(source, 'let open = 0; export const templates = { *t() { open++; try { yield "p"; yield open; } finally { open--; } } };');
    const opened = await openEnvironment({ source, runtime: { ...base, kind: 'local', concurrency: 1 } });
    if (!opened.ok) throw new Error(opened.failure.message);
    await using environment = opened.environment;
    await environment.setup({ template: 't', args: {} });
    for (let call = 0; call < 2; call++) expect(await environment.grade({ template: 't', args: {}, prompt: 'p' }, [said('')])).toEqual({ ok: true, value: 1 });
  });
});
