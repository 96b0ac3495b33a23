/** What a program leaves behind holds nobody up, and does not stay. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { afterEach, expect, test } from 'vitest';
import { startChild } from '../../src/runtimes/child.ts';

const strays = new Set<number>();
afterEach(() => {
  for (const pid of strays) kill(pid, 'SIGKILL');
  strays.clear();
});

function kill(pid: number, signal: 'SIGKILL' | 0): boolean {
  try {
    return process.kill(pid, signal);
  } catch {
    return false;
  }
}

/** Resolves once there is no such process; a test that waits in vain fails by its time limit. */
async function gone(pid: number): Promise<void> {
  while (kill(pid, 0)) await new Promise((resolve) => setTimeout(resolve, 10));
}

/** A script that starts a grandchild which holds all of its pipes, and tells its number. */
const withGrandchild = (options: string, then: string) => `
  const { spawn } = require('node:child_process');
  const grandchild = spawn(process.execPath, ['-e', 'setInterval(() => {}, 1000)'], { stdio: 'inherit', ${options} });
  grandchild.unref();
  console.log(grandchild.pid);
  ${then}`;

const start = (script: string) => startChild({ command: [process.execPath, '-e', script], cwd: process.cwd(), env: process.env });

async function firstLine(stream: NodeJS.ReadableStream): Promise<number> {
  const pid = Number(String((await once(stream, 'data'))[0]).split('\n')[0]);
  strays.add(pid);
  return pid;
}

test('a grandchild in a session of its own, which holds the pipes, does not delay the end', async () => {
  const child = start(withGrandchild('detached: true', ''));
  const pid = await firstLine(child.stdout);
  expect(await child.ended).toEqual({ fault: null, exitCode: 0, signal: null });
  expect(kill(pid, 0)).toBe(true);
});

test('what a child wrote before its end is read, however much is under way', async () => {
  const child = start(withGrandchild('detached: true', "process.stdout.write('x'.repeat(300_000))"));
  let text = '';
  child.stdout.on('data', (chunk: Buffer) => (text += chunk.toString()));
  await child.ended;
  strays.add(Number(text.split('\n')[0]));
  expect(text.split('\n')[1]).toHaveLength(300_000);
});

test('a background child in the same group ends with the program that left it', async () => {
  const child = start(withGrandchild('detached: false', ''));
  const pid = await firstLine(child.stdout);
  await child.ended;
  await gone(pid);
});

test('killing it ends descendants that left its group as well', { skip: process.platform !== 'linux' }, async () => {
  const child = start(withGrandchild('detached: true', 'setInterval(() => {}, 1000)'));
  const pid = await firstLine(child.stdout);
  await child.kill();
  await gone(pid);
});

test('children end with a parent that is killed', { skip: process.platform === 'win32' }, async () => {
  const module = fileURLToPath(new URL('../../src/runtimes/child.ts', import.meta.url));
  const script = `
    import { startChild } from ${JSON.stringify(module)};
    const child = startChild({ command: [process.execPath, '-e', 'for (;;);'], cwd: process.cwd(), env: process.env });
    console.log(child.pid);`;
  const parent = spawn(process.execPath, ['--input-type=module', '-e', script], { stdio: ['ignore', 'pipe', 'inherit'] });
  const pid = await firstLine(parent.stdout);
  parent.kill('SIGKILL');
  await gone(pid);
});

test('a program that cannot be started says why', async () => {
  const child = startChild({ command: ['no-such-program'], cwd: process.cwd(), env: process.env });
  expect(await child.ended).toEqual({ fault: 'there is no program no-such-program' });
  await child.kill();
});
