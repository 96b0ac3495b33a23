import { expect, test } from 'vitest';
import { tryMutants } from './mutants.ts';

test('10,000 mutated pipelines: each a diagnostic or a pipeline, never a throw', async () => {
  expect(await tryMutants(500, 10_500)).toBeGreaterThan(5_000);
});
