/** Signals end rlrun, and with it whatever it started. */
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { beforeAll, expect, test } from 'vitest';
import { build, workspace } from './binary.ts';
import { writeTinyProject } from './tiny-model.ts';

beforeAll(() => build(), 180_000);

/** Resolves once the program has said so. */
function said(child: ReturnType<Awaited<ReturnType<typeof workspace>>['start']>, text: RegExp): Promise<void> {
  let all = '';
  return new Promise((resolve) => child.stderr!.on('data', (chunk: Buffer) => text.test((all += chunk.toString())) && resolve()));
}

const isAlive = (pid: number): boolean => {
  try {
    return process.kill(pid, 0);
  } catch {
    return false;
  }
};

test('a second Ctrl-C ends it even while a loss loops in the engine', async () => {
  await using folder = await workspace();
  await writeTinyProject(folder.cwd, { sft: 0, grpo: 4 });
  // Where it is tried it behaves; where it counts it does not.
  await writeFile(join(folder.cwd, 'loss.ts'), "import { isMainThread } from 'node:worker_threads';\nexport default ({ logprobs }: any, { b }: any) => { while (!isMainThread); return b.neg(logprobs); };\n");
  const child = folder.start(['tiny.yaml', '--no-tui', '--set', 'steps=4', '--set', 'train.loss={ kind: module, path: ./loss.ts }']);
  await said(child, /eval before the first step/);
  child.kill('SIGINT');
  await said(child, /Finishing this step/);
  child.kill('SIGINT');
  const { exitCode, signal, stderr } = await child;
  expect(stderr).toMatch(/Stopping now\./);
  // On a busy machine tidying up may take longer than it has time for; the shell is told the same.
  expect(exitCode ?? signal).toBeOneOf([130, 'SIGINT']);
});

test.each(['SIGHUP', 'SIGKILL'] as const)('%s leaves no program of the user behind', { skip: process.platform === 'win32' }, async (signal) => {
  await using folder = await workspace();
  await writeTinyProject(folder.cwd, { sft: 0, grpo: 4 });
  await writeFile(join(folder.cwd, 'rewards', 'digits.ts'), "export default () => { console.log(`pid ${process.pid}.`); return new Promise((resolve) => setTimeout(() => { for (;;); }, 10)); };\n");
  const child = folder.start(['tiny.yaml', '--no-tui', '--verbose', '--set', 'steps=4', '--set', 'runtime.kind=subprocess', '--set', 'eval.baseline=false']);
  let all = '';
  const pid = await new Promise<number>((resolve) => child.stderr!.on('data', (chunk: Buffer) => {
    const told = /pid (\d+)\./.exec((all += chunk.toString()))?.[1];
    if (told) resolve(Number(told));
  }));
  child.kill(signal);
  const { exitCode } = await child;
  expect(exitCode).toBe(signal === 'SIGHUP' ? 143 : undefined);
  while (isAlive(pid)) await new Promise((resolve) => setTimeout(resolve, 20));
});
