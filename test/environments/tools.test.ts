/** Tools of a module and of MCP servers, well and badly behaved. Programs run on this Node. */
import { mkdtempSync, realpathSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, describe, expect, test } from 'vitest';
import type { RuntimeSettings, ToolSettings } from '../../src/config/types.ts';
import type { ToolSession } from '../../src/environments/index.ts';
import { openToolbox } from '../../src/environments/tools/open.ts';

const folder = realpathSync(mkdtempSync(join(tmpdir(), 'rlrun-tools-')));
afterAll(() => rmSync(folder, { recursive: true, force: true }));
const patient = 20_000;
const runtime: RuntimeSettings = { kind: 'local', command: [], cwd: folder, env: [], concurrency: 2, setupTimeoutMs: patient, scoreTimeoutMs: patient, rolloutTimeoutMs: 2 * patient, memoryMb: 256 };
const all = { include: null, exclude: [], timeoutMs: patient };
const { signal } = new AbortController();

async function boxOf(settings: ToolSettings) {
  const loaded = await openToolbox(settings, { runtime });
  if (!loaded.ok) throw new Error(`${loaded.error.message} ${loaded.error.fix}`);
  return loaded.toolbox;
}

async function sessionOf(box: Awaited<ReturnType<typeof boxOf>>): Promise<ToolSession> {
  const opened = await box.open(signal);
  if (!opened.ok) throw new Error(opened.failure.message);
  return opened.value;
}

const call = (session: ToolSession, name: string, args: Record<string, unknown> = {}) => session.call({ id: 'call-1', name, arguments: args }, signal);

function written(name: string, text: string): string {
  const path = join(folder, name);
  writeFileSync(path, text);
  return path;
}

describe('a module', () => {
  const path = written('tools.mjs', `
    const number = { type: 'number' };
    export const tools = {
      add: { description: 'Adds.', parameters: { type: 'object', properties: { a: number, b: number }, required: ['a', 'b'], additionalProperties: false }, run: ({ a, b }) => a + b },
      tell: Object.assign(() => ({ list: [1, 2] }), { description: 'Tells.' }),
      bytes: { description: 'Gives bytes.', run: () => new Uint8Array(300) },
      throws: { description: 'Throws.', run() { throw new Error('no luck'); } },
      loops: { description: 'Loops.', run() { for (;;); } },
    };`);

  test('tells its tools and runs them', async () => {
    await using box = await boxOf({ kind: 'module', path, ...all, exclude: ['loops'] });
    await using session = await sessionOf(box);
    expect(session.tools.map(({ name }) => name)).toEqual(['add', 'tell', 'bytes', 'throws']);
    expect(await call(session, 'add', { a: 2, b: 3 })).toEqual({ text: '5' });
    expect(await call(session, 'tell')).toEqual({ text: '{"list":[1,2]}' });
    expect(await call(session, 'bytes')).toEqual({ text: '[300 bytes that are no text]' });
    expect(box.files).toEqual([path]);
  });

  test('what goes wrong in a call is told to the model, and the next call works', async () => {
    await using box = await boxOf({ kind: 'module', path, ...all, timeoutMs: 1000 });
    await using session = await sessionOf(box);
    expect(await call(session, 'add', { a: 'two', c: 1 })).toEqual({ text: expect.stringMatching(/^Error: the arguments of add do not fit: .*required property 'b'.*must NOT have additional properties.*a must be number/), failure: 'invalid_arguments' });
    expect(await call(session, 'throws')).toMatchObject({ text: expect.stringMatching(/^Error: no luck/), failure: 'error' });
    expect(await call(session, 'loops')).toMatchObject({ text: expect.stringMatching(/no answer within 1 s/), failure: 'timeout' });
    expect(await call(session, 'add', { a: 2, b: 3 })).toEqual({ text: '5' });
  });

  test.each([
    ['exports none', 'export default 1;', /exports no `tools`/],
    ['has a tool without a description', 'export const tools = { f: { run() {} } };', /tool f has no description/],
    ['has a tool that does nothing', 'export const tools = { f: { description: "f" } };', /tool f has no function `run`/],
    ['has a schema that is none', 'export const tools = { f: { description: "f", parameters: { type: "thing" }, run() {} } };', /parameters of its tool f are no JSON Schema/],
    ['has a name that no model can call', 'export const tools = { "a b": { description: "f", run() {} } };', /name that models cannot call/],
  ])('one that %s is refused when it is loaded', async (name, text, says) => {
    const loaded = await openToolbox({ kind: 'module', path: written(`${name.replaceAll(' ', '-')}.mjs`, text), ...all }, { runtime });
    expect(loaded).toMatchObject({ ok: false, error: { key: 'path', message: expect.stringMatching(says) } });
  });
});

describe('an MCP server', () => {
  const everything = fileURLToPath(import.meta.resolve('@modelcontextprotocol/server-everything/dist/index.js'));

  test('server-everything, started for the rollout', async () => {
    await using box = await boxOf({ kind: 'mcp', command: [process.execPath, everything, 'stdio'], cwd: folder, ...all });
    await using session = await sessionOf(box);
    expect(session.tools.map(({ name }) => name)).toEqual(expect.arrayContaining(['echo', 'get-sum', 'get-tiny-image']));
    expect(await call(session, 'echo', { message: 'hello' })).toEqual({ text: 'Echo: hello' });
    expect(await call(session, 'get-sum', { a: 2, b: 3 })).toEqual({ text: 'The sum of 2 and 3 is 5.' });
    expect(await call(session, 'get-sum', { a: 2 })).toMatchObject({ failure: 'invalid_arguments', text: expect.stringMatching(/must have required property 'b'/) });
    expect((await call(session, 'get-tiny-image')).text).toMatch(/\[image\/png, \d+ bytes that are no text\]/);
  });

  /** Speaks just enough of the protocol; `attack` is what a call does. */
  const server = (attack: string) => written(`server-${Math.abs([...attack].reduce((sum, letter) => (sum * 31 + letter.charCodeAt(0)) | 0, 7))}.cjs`, `
    const reply = (id, result) => process.stdout.write(JSON.stringify({ jsonrpc: '2.0', id, result }) + '\\n');
    require('readline').createInterface({ input: process.stdin }).on('line', (line) => {
      const { id, method, params } = JSON.parse(line);
      if (method === 'initialize') return reply(id, { protocolVersion: params.protocolVersion, capabilities: { tools: {} }, serverInfo: { name: 's', version: '1' } });
      if (method === 'tools/list') return reply(id, { tools: ['calm', 'attack'].map((name) => ({ name, inputSchema: { type: 'object' } })) });
      if (method === 'tools/call' && params.name === 'calm') return reply(id, { content: [{ type: 'text', text: 'calm' }] });
      if (method === 'tools/call') { ${attack} }
    });`);

  test.each([
    ['dies', 'process.exit(3);', 'error', /ended with exit code 3/, false],
    ['hangs', '', 'timeout', /attack gave no answer within 1 s/, true],
    ['floods its output', 'const chunk = "x".repeat(1 << 20); const flood = () => { while (process.stdout.write(chunk)); process.stdout.once("drain", flood); }; flood();', 'error', /wrote a line of more than/, false],
    ['prints a great deal besides', 'for (let i = 0; i < 1e5; i++) console.log("noise"); reply(id, { content: [] });', undefined, /^$/, true],
    ['answers with an error', 'process.stdout.write(JSON.stringify({ jsonrpc: "2.0", id, error: { code: -32000, message: "no luck" } }) + "\\n");', 'error', /no luck/, true],
    ['says that it failed', 'reply(id, { isError: true, content: [{ type: "text", text: "no luck" }] });', 'error', /no luck/, true],
    ['answers with something else', 'reply(id, { content: "text" });', 'error', /./, true],
  ])('one that %s costs that call', async (_name, attack, failure, says, goesOn) => {
    await using box = await boxOf({ kind: 'mcp', command: [process.execPath, server(attack)], cwd: folder, ...all, timeoutMs: failure === 'timeout' ? 1000 : patient });
    await using session = await sessionOf(box);
    const result = await call(session, 'attack');
    expect(result.failure).toBe(failure);
    expect(result.text).toMatch(says);
    const next = await call(session, 'calm');
    expect(next).toEqual(goesOn ? { text: 'calm' } : { text: expect.stringMatching(/^Error: /), failure: 'error' });
    // The next rollout has a server of its own.
    await using other = await sessionOf(box);
    expect(await call(other, 'calm')).toEqual({ text: 'calm' });
  });

  test('one that never begins is an error of the rollout', async () => {
    const loaded = await openToolbox({ kind: 'mcp', command: [process.execPath, '-e', 'setInterval(() => {}, 1000)'], cwd: folder, ...all }, { runtime: { ...runtime, setupTimeoutMs: 500 } });
    if (!loaded.ok) throw new Error(loaded.error.message);
    await using box = loaded.toolbox;
    expect(await box.open(signal)).toMatchObject({ ok: false, failure: { type: 'timeout', message: expect.stringMatching(/did not begin a session within 500 ms/) } });
  });

  test('a program that is not there is found before anything runs', async () => {
    expect(await openToolbox({ kind: 'mcp', command: ['no-such-program'], cwd: folder, ...all }, { runtime })).toMatchObject({ ok: false, error: { key: 'command.0' } });
  });
});
