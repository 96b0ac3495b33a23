import { test } from 'vitest';
import { killAndCheck } from './support/kill.ts';
import { createProject } from './support/tiny.ts';

test('kill -9 while committing leaves the old head or the new one', { timeout: 60_000 }, async () => {
  await using project = await createProject();
  await project.store.fork({ source: 'builtin:tiny', slug: 'arith' });
  for (let attempt = 0; attempt < 3; attempt++) await killAndCheck(project, 'arith', attempt);
});
