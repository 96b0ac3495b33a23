import { expect, test } from 'vitest';
import { tryMutants } from './mutants.ts';

test('500 mutated pipelines: each a diagnostic or a pipeline, never a throw', async () => {
  expect(await tryMutants(0, 500)).toBeGreaterThan(250);
});
