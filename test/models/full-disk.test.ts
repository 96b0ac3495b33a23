import { existsSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { expect, test, vi } from 'vitest';
import { createProject, draft, writeState } from './support/tiny.ts';

// There is room for the description of a checkpoint only once its weights are gone.
vi.mock('write-file-atomic', async (original) => {
  const actual = (await original<{ default: (path: string, text: string) => Promise<void> }>()).default;
  return {
    default: async (path: string, text: string) => {
      if (disk.isFull && existsSync(join(dirname(path), 'weights.safetensors'))) throw Object.assign(new Error('ENOSPC: no space left on device'), { code: 'ENOSPC' });
      return actual(path, text);
    },
  };
});
const disk = { isFull: false };

test('a full disk is freed: what is pruned is deleted first and noted then', async () => {
  await using project = await createProject();
  await project.store.fork({ source: 'builtin:tiny', slug: 'arith' });
  const model = await project.store.model('arith');
  for (const step of [1, 2, 3]) await model.commit(draft(step, null), { promote: true, write: writeState(step) });
  await using _ = await model.lock('a test');
  disk.isFull = true;
  expect((await model.prune({ keep: 1 })).pruned.map(({ name }) => name)).toEqual(['step-000001', 'step-000002']);
  disk.isFull = false;
  const { checkpoints, problems } = await (await project.store.model('arith')).scan();
  expect(problems).toEqual([]);
  expect(checkpoints.map(({ pruned }) => pruned)).toEqual([true, true, false]);
  expect(existsSync(join(model.directory, 'checkpoints', 'step-000001', 'weights.safetensors'))).toBe(false);
});
