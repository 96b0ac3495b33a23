import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';
import { openEnvironment, PROGRAM } from '../../src/environments/index.ts';

const cwd = fileURLToPath(new URL('../../examples/environments/', import.meta.url));
const hasPython = spawnSync('python3', ['--version']).status === 0;
const said = (content: string) => ({ content, toolCalls: [] });

test.skipIf(!hasPython)('guess.py is played in steps', async () => {
  const runtime = { kind: 'subprocess', command: ['python3', 'guess.py'], cwd, concurrency: 1, env: [], setupTimeoutMs: 20_000, scoreTimeoutMs: 20_000, rolloutTimeoutMs: 40_000, memoryMb: 256 } as const;
  const opened = await openEnvironment({ source: PROGRAM, runtime });
  if (!opened.ok) throw new Error(opened.failure.message);
  await using environment = opened.environment;
  const task = { template: 'guess', args: { first: 'a', last: 'e', hidden: 'd', tries: 3 }, prompt: 'a-e:' };
  const begun = await environment.begin(task, new AbortController().signal);
  if (!begun.ok) throw new Error(begun.failure.message);
  expect(await begun.value.reply(said('c'), new AbortController().signal)).toMatchObject({ ok: true, value: { done: false, messages: [{ role: 'user', content: '>' }] } });
  await begun.value[Symbol.asyncDispose]();
  expect(await environment.grade(task, [said('e'), said('d')])).toMatchObject({ ok: true, value: 1, info: { tries: 2 } });
  expect(await environment.grade(task, [said('e')])).toMatchObject({ ok: true, value: 0, info: { unfinished: true } });
});
