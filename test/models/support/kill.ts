/** Killing a committer at random moments, and what must hold afterwards. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { expect } from 'vitest';
import { readSafetensors } from '../../../src/models/index.ts';
import { uniform } from '../../../src/util/random.ts';
import { draft, writeState, type Project } from './tiny.ts';

/**
 * Starts a committer, waits for a few commits, then for a random fraction of a commit's time, and kills it with SIGKILL.
 * The head must be the last commit that was reported or the one after it, whole, with all its ancestors; and the next
 * writer must get the model at once and leave no litter.
 */
export async function killAndCheck(project: Project, slug: string, attempt: number): Promise<void> {
  const script = new URL('./committer.ts', import.meta.url).pathname;
  const child = spawn(process.execPath, ['--no-warnings', script, project.root, join(project.directory, 'builtins'), slug], { stdio: ['ignore', 'pipe', 'inherit'] });
  const closed = once(child, 'close');
  let reported = 0;
  let seen = 0;
  const commits = 1 + Math.floor(uniform([1, attempt], 0) * 3);
  for await (const line of createInterface({ input: child.stdout })) {
    reported = Number(line);
    if (++seen === commits) setTimeout(() => child.kill('SIGKILL'), uniform([1, attempt], 1) * 25);
  }
  await closed;

  const model = await project.store.model(slug);
  const head = (await model.head())!;
  expect([reported, reported + 1]).toContain(head.step);
  const directory = await model.verifiedDirectory(head.id);
  expect((await readSafetensors(join(directory, 'weights.safetensors'))).tensors.get('w')!.data[0]).toBe(head.step);
  const { checkpoints, problems } = await model.scan();
  expect(problems).toEqual([]);
  for (const checkpoint of checkpoints) await model.verifiedDirectory(checkpoint.id);

  const next = await model.commit(draft(head.step + 1, head.id), { promote: true, write: writeState(head.step + 1) });
  expect((await model.head())!.id).toBe(next.id);
  expect((await readdir(join(model.directory, 'checkpoints'))).filter((name) => name.startsWith('.'))).toEqual([]);
}
