/** HUD environments over the wire: a server of the protocol, in this process or as a program, that does what real ones do. */
import { mkdtempSync, realpathSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, describe, expect, test } from 'vitest';
import type { RuntimeSettings } from '../../src/config/types.ts';
import { type Environment, openEnvironment, PROGRAM } from '../../src/environments/index.ts';
import { callableName } from '../../src/environments/hud/tool-names.ts';
import { serveHud } from './fixtures/hud-server.mjs';

const folder = realpathSync(mkdtempSync(join(tmpdir(), 'rlrun-hud-')));
afterAll(() => rmSync(folder, { recursive: true, force: true }));
const file = fileURLToPath(new URL('./fixtures/hud-server.mjs', import.meta.url));
const patient = 20_000;
const base: RuntimeSettings = { kind: 'local', command: [], cwd: folder, concurrency: 2, env: [], setupTimeoutMs: patient, scoreTimeoutMs: patient, rolloutTimeoutMs: 2 * patient, memoryMb: 256 };
const { signal } = new AbortController();
const said = (content: string) => ({ content, toolCalls: [] });

const opened = (runtime: Partial<RuntimeSettings>, onOutput?: (text: string) => void) => openEnvironment({ source: PROGRAM, runtime: { ...base, ...runtime }, onOutput });

async function open(...args: Parameters<typeof opened>): Promise<Environment> {
  const environment = await opened(...args);
  if (!environment.ok) throw new Error(environment.failure.message);
  return environment.environment;
}

/** Somebody else's environment, in this process. */
async function attached(offers = '', more: Partial<RuntimeSettings> = {}) {
  const server = await serveHud({ offers });
  const environment = await open({ ...more, home: { kind: 'tcp', url: `tcp://127.0.0.1:${server.port}` } });
  return { environment, seen: server.seen, [Symbol.asyncDispose]: async () => { await environment[Symbol.asyncDispose](); server.close(); } };
}

const program = (env: Record<string, string> = {}) => ['/usr/bin/env', ...Object.entries(env).map(([name, value]) => `${name}=${value}`), process.execPath, file];
const started = (env: Record<string, string> = {}, more: Partial<RuntimeSettings> = {}) => open({ command: program(env), home: { kind: 'hud', startTimeoutMs: patient }, ...more });

const sum = { template: 'add', args: { a: 2, b: 3 }, prompt: '2+3=' };
const odd = (grade: string) => ({ template: 'odd', args: { prompt: 'p', grade }, prompt: 'p' });

describe('prompts and grades', () => {
  test('a task is set up and graded, with its subscores', async () => {
    await using served = await attached();
    const { environment } = served;
    expect(await environment.setup(sum)).toEqual({ ok: true, value: '2+3=' });
    expect(await environment.grade(sum, [said('5')])).toEqual({ ok: true, value: 1 });
    expect(await environment.grade(sum, [said('6')])).toEqual({ ok: true, value: 0 });
    expect(await environment.grade({ template: 'subtract', args: { a: 9 }, prompt: '9-1=' }, [said('8')])).toEqual({
      ok: true, value: 0.9, info: { got: '8', content: 'got 8' }, children: [{ name: 'value', value: 1, weight: 0.9 }, { name: 'short', value: 0, weight: 0.1 }],
    });
  });

  test('messages and their blocks become messages, and an answer of some type is read by the environment', async () => {
    await using served = await attached();
    const task = { template: 'chat-sum', args: { numbers: [4, 5] } };
    const prompt = await served.environment.setup(task);
    expect(prompt).toEqual({ ok: true, value: [{ role: 'system', content: 'Reply as JSON.' }, { role: 'user', content: 'Add' }, { role: 'user', content: '4, 5' }] });
    expect(await served.environment.grade({ ...task, prompt: prompt.ok ? prompt.value : '' }, [said('{"total": 9}')])).toMatchObject({ ok: true, value: 1, info: { parsed: 9 } });
  });

  test.each<[string, { template: string; args: Record<string, unknown> }, string, RegExp]>([
    ['an unknown task', { template: 'multiply', args: {} }, 'exception', /^setup of multiply: there is no such task; the environment has add, subtract, chat-sum, odd$/],
    ['a missing argument', { template: 'add', args: { a: 2 } }, 'exception', /must have required property 'b'/],
    ['an argument too many', { template: 'add', args: { a: 2, b: 3, c: 4 } }, 'exception', /must NOT have additional properties/],
    ['an argument of another type', { template: 'add', args: { a: 'two', b: 3 } }, 'exception', /arguments\/a must be integer/],
    ['no prompt', { template: 'odd', args: {} }, 'protocol', /gave nothing as its prompt/],
    ['null as prompt', { template: 'odd', args: { prompt: null } }, 'protocol', /gave null as its prompt/],
    ['a number as prompt', { template: 'odd', args: { prompt: 42 } }, 'protocol', /gave a number as its prompt/],
    ['a picture in the prompt', { template: 'odd', args: { prompt: [{ role: 'user', content: { type: 'image', data: '' } }] } }, 'protocol', /has a block of type image in its prompt/],
    ['a template without a yield', { template: 'odd', args: { prompt: 'RAISES NOTHING' } }, 'exception', /a template that ends before it yields a prompt does that/],
  ])('%s is an error of the setup', async (_name, task, type, says) => {
    await using served = await attached();
    expect(await served.environment.setup(task)).toMatchObject({ ok: false, failure: { type, message: expect.stringMatching(says) } });
    expect(await served.environment.setup(sum)).toEqual({ ok: true, value: '2+3=' });
  });

  test('texts that hold the right numbers are arguments as they are in HUD', async () => {
    await using served = await attached();
    expect(await served.environment.setup({ template: 'add', args: { a: '2', b: 3 } })).toEqual({ ok: true, value: '2+3=' });
  });
});

describe('what an environment does wrong costs its rollout, and is never a 0', () => {
  test.each<[string, string, RegExp]>([
    ['a text', 'exception', /task graded with str/],
    ['raises', 'exception', /^no luck$/],
    ['raises nothing', 'exception', /failed without a message/],
    ['too large', 'invalid_reward', /must lie between/],
    ['an error', 'exception', /^the grader reported an error: the judge is away$/],
    ['NaN as score', 'invalid_reward', /gave null as `score`/],
    ['no score', 'invalid_reward', /gave no reward/],
    ['no object', 'invalid_reward', /gave an array of 1 as its grade/],
    ['not JSON', 'protocol', /something that is no reply: Traceback/],
    ['another id', 'protocol', /answered call 99, which nobody waits for/],
    ['no result', 'protocol', /something that is no reply/],
    ['too long for it', 'exception', /frame exceeds the limit/],
    ['never', 'timeout', /gave no answer to tasks.grade within 1 s/],
    ['hangs up', 'exit', /the environment hung up/],
  ])('%s', async (grade, type, says) => {
    await using served = await attached('', grade === 'never' ? { scoreTimeoutMs: 1000 } : {});
    const verdicts = await Promise.all(['none', grade, 'none'].map((each) => served.environment.grade(odd(each), [said('yes')])));
    expect(verdicts[1]).toMatchObject({ ok: false, failure: { type, message: expect.stringMatching(says) } });
    expect([verdicts[0], verdicts[2]]).toMatchObject([{ ok: true, value: 1 }, { ok: true, value: 1 }]);
  });

  test.each<[string, object]>([
    ['true', { value: 1 }],
    ['negative', { value: -2.5 }],
    ['large', { value: 1e6 }],
    ['NaN in info', { value: 0.5, info: { x: null, y: 'NaN', z: null } }],
    ['much info', { value: 0.5, info: { left_out: '20011 characters' } }],
    // Nothing on the wire tells it from a grade of 0.
    ['no second yield', { value: 0 }],
  ])('%s is a grade', async (grade, verdict) => {
    await using served = await attached();
    expect(await served.environment.grade(odd(grade), [said('yes')])).toMatchObject({ ok: true, ...verdict });
  });

  test('an answer that does not fit in a line is an error before it is sent', async () => {
    await using served = await attached();
    expect(await served.environment.grade(sum, [said('x'.repeat(17 * 2 ** 20))])).toMatchObject({ ok: false, failure: { type: 'protocol', message: expect.stringMatching(/the protocol allows 16777216/) } });
  });

  test('another prompt than when the tasks were loaded is an error', async () => {
    await using served = await attached();
    expect(await served.environment.grade({ ...sum, prompt: '3+2=' }, [said('5')])).toMatchObject({ ok: false, failure: { message: expect.stringMatching(/gave another prompt than before/) } });
  });
});

describe('connections', () => {
  test('a task whose connection broke while the model was writing is taken up by another', async () => {
    await using served = await attached();
    const begun = await served.environment.begin({ ...odd('none'), args: { prompt: 'DROP' }, prompt: 'DROP' }, signal);
    if (!begun.ok) throw new Error(begun.failure.message);
    await using episode = begun.value;
    await new Promise((resolve) => { setTimeout(resolve, 100); });
    expect(await episode.reply(said('yes'), signal)).toEqual({ ok: true, value: { done: true, verdict: { ok: true, value: 1 } } });
    expect(served.seen).toContain('resumed');
  });

  test('every session says goodbye, so that no task is left parked', async () => {
    const served = await attached();
    await served.environment.setup(sum);
    await served.environment.grade(sum, [said('5')]);
    await served.environment[Symbol.asyncDispose]();
    await expect.poll(() => served.seen.filter((event) => event === 'bye')).toHaveLength(3);
    await served[Symbol.asyncDispose]();
  });

  test('hundreds of rollouts share one process, however few calls it gets at a time', async () => {
    await using served = await attached();
    const begun = await Promise.all(Array.from({ length: 200 }, () => served.environment.begin(sum, signal)));
    const verdicts = await Promise.all(begun.map(async (episode) => episode.ok && (await episode.value.reply(said('5'), signal))));
    expect(verdicts.every((verdict) => verdict !== false && verdict.ok && verdict.value.done && verdict.value.verdict?.ok)).toBe(true);
    await Promise.all(begun.map((episode) => episode.ok && episode.value[Symbol.asyncDispose]()));
  });

  test('where nothing listens, that is what is said', async () => {
    const server = await serveHud();
    server.close();
    expect(await opened({ home: { kind: 'tcp', url: `tcp://127.0.0.1:${server.port}` } })).toMatchObject({ ok: false, failure: { type: 'exit', message: `nothing listens at tcp://127.0.0.1:${server.port}` } });
  });

  test('a run that is cancelled does not wait for its environment', async () => {
    await using served = await attached();
    const over = new AbortController();
    const grading = served.environment.grade(odd('never'), [said('x')], over.signal);
    setTimeout(() => over.abort(new Error('enough')), 50);
    await expect(grading).rejects.toThrow('enough');
  });
});

describe('capabilities', () => {
  test('MCP tools are called through the tunnel, with names that a model can write', async () => {
    await using served = await attached('mcp filetracking');
    const begun = await served.environment.begin(sum, signal);
    if (!begun.ok) throw new Error(begun.failure.message);
    const { tools, reply } = begun.value;
    expect(tools!.tools.map(({ name }) => name)).toEqual(['kv_get', 'calc_eval_e68a5652']);
    const call = (name: string, args: Record<string, unknown>) => tools!.call({ id: '1', name, arguments: args }, signal);
    expect(await call('kv_get', { key: 'alpha' })).toEqual({ text: '17' });
    expect(await call('calc_eval_e68a5652', { expression: '40+2' })).toEqual({ text: '42' });
    expect(await call('kv_get', { key: 'missing' })).toEqual({ text: "Error calling tool 'kv_get': no such key: missing", failure: 'error' });
    expect(await call('kv_get', { key: 5 })).toMatchObject({ failure: 'invalid_arguments' });
    expect(await reply(said('5'), signal)).toMatchObject({ ok: true, value: { done: true, verdict: { ok: true, value: 1 } } });
    await begun.value[Symbol.asyncDispose]();
    expect(served.seen).toContain('call calc.eval traced');
    expect(served.seen).toContain('session over');
  });

  test('two of them have their own names before those of their tools', async () => {
    await using served = await attached('mcp two');
    const begun = await served.environment.begin(sum, signal);
    if (!begun.ok) throw new Error(begun.failure.message);
    await using episode = begun.value;
    expect(episode.tools!.tools.map(({ name }) => name)).toEqual(['tools__kv_get', callableName('tools__calc.eval'), 'more__kv_get', callableName('more__calc.eval')]);
  });

  test('an environment that keeps something has one session at a time', async () => {
    await using served = await attached('mcp');
    const first = await served.environment.begin(sum, signal);
    let isSecond = false;
    const second = served.environment.begin(sum, signal).then((begun) => { isSecond = true; return begun; });
    await new Promise((resolve) => { setTimeout(resolve, 100); });
    expect(isSecond).toBe(false);
    if (first.ok) await first.value[Symbol.asyncDispose]();
    const begun = await second;
    if (begun.ok) await begun.value[Symbol.asyncDispose]();
    expect(begun.ok).toBe(true);
  });

  test('and cannot judge a stored rollout', async () => {
    await using served = await attached('mcp');
    expect(await served.environment.grade(sum, [said('5')])).toMatchObject({ ok: false, failure: { message: expect.stringMatching(/what it was then is gone/) } });
  });

  test.each([
    ['ssh', /offers shell \(ssh\/2\), and what is missing here is a shell: rlrun has no SSH client/],
    ['sse', /offers events by sse; rlrun speaks MCP by streamable-http/],
  ])('%s is refused before a rollout begins', async (offers, says) => {
    await expect(attached(offers)).rejects.toThrow(says);
  });
});

describe('a program that we start', () => {
  test('may print before and after it says where it listens', async () => {
    let printed = '';
    await using environment = await open({ command: program(), home: { kind: 'hud', startTimeoutMs: patient } }, (text) => { printed += text; });
    expect(await environment.grade(sum, [said('5')])).toEqual({ ok: true, value: 1 });
    expect(printed).toMatch(/a print before/);
    expect(environment.files).toContain(file);
  });

  test('that does not say it in time, or ends before, is an error with what it said last', async () => {
    expect(await opened({ command: program({ SILENT: '1' }), home: { kind: 'hud', startTimeoutMs: 1500 } })).toMatchObject({ ok: false, failure: { type: 'timeout', message: 'the environment did not say HUD_SERVE_PORT= within 1.5 s' } });
    expect(await opened({ command: [process.execPath, '-e', 'console.error("no module named env"); process.exit(2)'], home: { kind: 'hud', startTimeoutMs: patient } })).toMatchObject({ ok: false, failure: { type: 'exit', message: 'the environment ended with exit code 2; it said: no module named env' } });
    expect(await opened({ command: ['no-such-program'], home: { kind: 'hud', startTimeoutMs: patient } })).toMatchObject({ ok: false, failure: { message: expect.stringMatching(/there is no program no-such-program/) } });
  });

  test('and exits takes nobody with it who did not do it', async () => {
    await using environment = await started();
    const waiting = await environment.begin(sum, signal);
    const verdicts = await Promise.all(['none', 'exits', 'none'].map((each) => environment.grade(odd(each), [said('yes')])));
    expect(verdicts[1]).toMatchObject({ ok: false, failure: { type: 'exit', message: expect.stringMatching(/ended with exit code 4/) } });
    expect([verdicts[0], verdicts[2]]).toMatchObject([{ ok: true, value: 1 }, { ok: true, value: 1 }]);
    if (!waiting.ok) throw new Error(waiting.failure.message);
    expect(await waiting.value.reply(said('5'), signal)).toMatchObject({ ok: true, value: { done: true, verdict: { ok: true, value: 1 } } });
    await waiting.value[Symbol.asyncDispose]();
  });

  test('with tools runs as often as there are rollouts at a time; one that dies in the middle costs that rollout', async () => {
    await using environment = await started({ WITH: 'mcp' });
    const [dying, living] = await Promise.all([environment.begin(sum, signal), environment.begin(sum, signal)]);
    if (!dying.ok || !living.ok) throw new Error('neither may fail');
    const died = await dying.value.tools!.call({ id: '1', name: 'calc_eval_e68a5652', arguments: { expression: 'die' } }, signal);
    expect(died.failure).toBe('error');
    expect(await dying.value.reply(said('5'), signal)).toMatchObject({ ok: true, value: { done: true, verdict: { ok: false, failure: { type: 'exit', message: expect.stringMatching(/ended with exit code 5/) } } } });
    await dying.value[Symbol.asyncDispose]();
    expect(await living.value.reply(said('5'), signal)).toMatchObject({ ok: true, value: { verdict: { value: 1 } } });
    await living.value[Symbol.asyncDispose]();
    const next = await Promise.all([environment.begin(sum, signal), environment.begin(sum, signal)]);
    for (const begun of next) if (begun.ok) await begun.value[Symbol.asyncDispose]();
    expect(next.map(({ ok }) => ok)).toEqual([true, true]);
  });
});
