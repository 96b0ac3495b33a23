/** The real `hud` package, where a Python has it; and what takes a stand-in longer than a fast test may. */
import { spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { describe, expect, test } from 'vitest';
import type { EnvironmentHome, RuntimeSettings } from '../../src/config/types.ts';
import { type Environment, openEnvironment, PROGRAM } from '../../src/environments/index.ts';
import { pythonWith } from './python.ts';

const fixtures = fileURLToPath(new URL('./fixtures/', import.meta.url));
const patient = 60_000;
const base: RuntimeSettings = { kind: 'local', command: [], cwd: fixtures, concurrency: 2, env: [], setupTimeoutMs: patient, scoreTimeoutMs: patient, rolloutTimeoutMs: 2 * patient, memoryMb: 1024 };
const { signal } = new AbortController();
const said = (content: string) => ({ content, toolCalls: [] });

async function open(command: readonly string[], home: EnvironmentHome, more: Partial<RuntimeSettings> = {}): Promise<Environment> {
  const opened = await openEnvironment({ source: PROGRAM, runtime: { ...base, command, home, ...more } });
  if (!opened.ok) throw new Error(opened.failure.message);
  return opened.environment;
}

const started: EnvironmentHome = { kind: 'hud', startTimeoutMs: patient };

describe('a stand-in', () => {
  const odd = (grade: string) => ({ template: 'odd', args: { prompt: 'p', grade }, prompt: 'p' });

  test('that stands still is stopped, and takes nobody with it who did not do it', async () => {
    await using environment = await open([process.execPath, 'hud-server.mjs'], started, { scoreTimeoutMs: 3000 });
    const verdicts = await Promise.all(['none', 'stands still', 'none'].map((each) => environment.grade(odd(each), [said('yes')])));
    expect(verdicts).toMatchObject([{ ok: true, value: 1 }, { ok: false, failure: { type: 'timeout' } }, { ok: true, value: 1 }]);
  });

  test('that does not listen to SIGTERM is killed', async () => {
    const environment = await open(['/usr/bin/env', 'DEAF=1', process.execPath, 'hud-server.mjs'], started);
    await environment[Symbol.asyncDispose]();
  });
});

const python = pythonWith('hud');
if (python === null) console.log('no Python with hud: its tests are skipped');

const serve = (file: string) => [python!, '-m', 'hud.environment.server', file];

/** The environment as its two kinds of runtime reach it: started by us, and by somebody else. */
const kinds: [string, (file: string) => Promise<{ environment: Environment } & AsyncDisposable>][] = [
  ['hud', async (file) => {
    const environment = await open(serve(file), started);
    return { environment, [Symbol.asyncDispose]: () => environment[Symbol.asyncDispose]() };
  }],
  ['tcp', async (file) => {
    const [program, ...args] = serve(file) as [string, ...string[]];
    const child = spawn(program, args, { cwd: fixtures, stdio: ['ignore', 'pipe', 'ignore'] });
    const port = await new Promise<string>((resolve, reject) => {
      createInterface({ input: child.stdout }).on('line', (line) => { if (line.startsWith('HUD_SERVE_PORT=')) resolve(line.slice(15)); });
      child.once('exit', () => reject(new Error('it did not start')));
    });
    const environment = await open([], { kind: 'tcp', url: `tcp://127.0.0.1:${port}` });
    return { environment, [Symbol.asyncDispose]: async () => { await environment[Symbol.asyncDispose](); child.kill('SIGKILL'); } };
  }],
];

describe.skipIf(python === null).each(kinds)('hud from PyPI, runtime %s', (_kind, openAs) => {
  test('prompts, arguments and subscores', async () => {
    await using served = await openAs('hud_arith.py');
    const { environment } = served;
    const task = { template: 'add', args: { a: 2, b: 3 }, prompt: '2+3=' };
    expect(await environment.setup(task)).toEqual({ ok: true, value: '2+3=' });
    expect(await environment.setup({ template: 'add', args: { a: 'two', b: 3 } })).toMatchObject({ ok: false });
    expect(await environment.grade(task, [said('5')])).toEqual({
      ok: true, value: 0.9, info: { expected: 5, content: 'graded' }, children: [{ name: 'value', value: 1, weight: 0.9 }, { name: 'short', value: 0, weight: 0.1 }],
    });
    const total = await environment.setup({ template: 'total', args: { numbers: [1, 2] } });
    if (!total.ok) throw new Error(total.failure.message);
    expect(await environment.grade({ template: 'total', args: { numbers: [1, 2] }, prompt: total.value }, [said('{"total": 3}')])).toEqual({ ok: true, value: 1 });
  });

  test('what its templates do wrong is no grade, and what is odd is one', async () => {
    await using served = await openAs('hud_arith.py');
    const verdicts = Object.entries({
      string: { ok: false, failure: { type: 'exception', message: expect.stringMatching(/graded with str/) } },
      none: { ok: false, failure: { type: 'exception' } },
      dict: { ok: false, failure: { type: 'exception' } },
      nan: { ok: false, failure: { type: 'exception', message: expect.stringMatching(/non-finite/) } },
      raises: { ok: false, failure: { type: 'exception', message: 'no luck' } },
      error: { ok: false, failure: { type: 'exception', message: expect.stringMatching(/the judge is away/) } },
      huge: { ok: false, failure: { type: 'invalid_reward' } },
      'true': { ok: true, value: 1 },
      'true score': { ok: true, value: 1 },
      negative: { ok: true, value: -2.5 },
      'nan info': { ok: true, value: 0.5, info: { x: null, y: 'NaN' } },
      'no second yield': { ok: true, value: 0 },
    });
    for (const [kind, verdict] of verdicts) {
      expect(await served.environment.grade({ template: 'bad', args: { kind }, prompt: 'p' }, [said('yes')]), kind).toMatchObject(verdict);
    }
  });

  test('MCP tools through the tunnel', async () => {
    await using served = await openAs('hud_kv.py');
    const task = { template: 'copy', args: { old: 'alpha', new: 'gamma' }, prompt: 'Copy alpha to gamma, then say done.' };
    const begun = await served.environment.begin(task, signal);
    if (!begun.ok) throw new Error(begun.failure.message);
    await using episode = begun.value;
    const names = episode.tools!.tools.map(({ name }) => name);
    expect(names).toEqual(['kv_get', expect.stringMatching(/^calc_put_[0-9a-f]{8}$/)]);
    const call = (name: string, args: Record<string, unknown>) => episode.tools!.call({ id: '1', name, arguments: args }, signal);
    expect(await call('kv_get', { key: 'alpha' })).toEqual({ text: '17' });
    expect(await call('kv_get', { key: 'omega' })).toMatchObject({ text: expect.stringMatching(/no such key: omega/), failure: 'error' });
    expect(await call(names[1]!, { key: 'gamma', value: '17' })).toEqual({ text: 'ok' });
    expect(await episode.reply(said('done'), signal)).toEqual({ ok: true, value: { done: true, verdict: { ok: true, value: 1 } } });
  });
});

test.skipIf(python === null).each([
  ['sys.exit', /ended with exit code 3/],
  ['os._exit', /ended with exit code 4/],
])('a real process that ends by %s costs the rollout that did it', async (kind, says) => {
  await using environment = await open(serve('hud_arith.py'), started);
  const bad = (each: string) => environment.grade({ template: 'bad', args: { kind: each }, prompt: 'p' }, [said('yes')]);
  expect(await Promise.all([bad('ok'), bad(kind), bad('ok')])).toMatchObject([{ ok: true, value: 1 }, { ok: false, failure: { type: 'exit', message: expect.stringMatching(says) } }, { ok: true, value: 1 }]);
});
