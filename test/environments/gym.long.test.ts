/** A server of the real `openenv-core` package, where a Python has it. */
import { createServer } from 'node:net';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';
import type { RuntimeSettings } from '../../src/config/types.ts';
import { openEnvironment, PROGRAM } from '../../src/environments/index.ts';
import { pythonWith } from './python.ts';

const python = pythonWith('openenv.core');
if (python === null) console.log('no Python with openenv-core: its tests are skipped');
const patient = 60_000;
const said = (content: string) => ({ content, toolCalls: [] });

async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => { server.listen(0, '127.0.0.1', resolve); });
  const { port } = server.address() as { port: number };
  await new Promise((resolve) => { server.close(resolve); });
  return port;
}

test.skipIf(python === null).each([1, 3])('OpenEnv from PyPI, with %i sessions at a time', async (sessions) => {
  const port = await freePort();
  const runtime: RuntimeSettings = {
    kind: 'local', command: [python!, 'openenv_game.py', String(port), String(sessions)], cwd: fileURLToPath(new URL('./fixtures/', import.meta.url)),
    concurrency: 4, env: [], setupTimeoutMs: patient, scoreTimeoutMs: patient, rolloutTimeoutMs: 2 * patient, memoryMb: 1024,
    home: { kind: 'gym', url: `http://127.0.0.1:${port}`, startTimeoutMs: patient, actionField: null, promptField: null, observationField: null },
  };
  const opened = await openEnvironment({ source: PROGRAM, runtime });
  if (!opened.ok) throw new Error(opened.failure.message);
  await using environment = opened.environment;
  const task = { template: 'guess', args: { word: 'cat' }, prompt: 'guess a word of 3 letters' };
  expect(await environment.setup(task)).toEqual({ ok: true, value: task.prompt });
  expect(await environment.grade(task, [said('dog')])).toEqual({ ok: true, value: -0.25, info: { unfinished: true } });
  expect(await environment.grade(task, [said('crash')])).toMatchObject({ ok: false, failure: { type: 'exception', message: 'the environment failed: the board fell over' } });
  const verdicts = await Promise.all(Array.from({ length: 8 }, () => environment.grade(task, [said('dog'), said('cat')])));
  expect(verdicts).toEqual(verdicts.map(() => ({ ok: true, value: 0.75 })));
});
