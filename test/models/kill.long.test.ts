import { test } from 'vitest';
import { killAndCheck } from './support/kill.ts';
import { createProject } from './support/tiny.ts';

test('100 times kill -9 while committing', { timeout: 600_000 }, async () => {
  await using project = await createProject();
  await project.store.fork({ source: 'builtin:tiny', slug: 'arith' });
  for (let attempt = 0; attempt < 100; attempt++) await killAndCheck(project, 'arith', attempt);
});
