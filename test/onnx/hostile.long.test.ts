/** @file Five times as many broken files as hostile.test.ts has time for, and others. */
import { rmSync } from 'node:fs';
import { afterAll, beforeAll, test } from 'vitest';
import { expectOutcomes, outcomesOf, weightsDirectory } from './mutants.ts';

let directory: string;
beforeAll(() => { directory = weightsDirectory(); });
afterAll(() => { rmSync(directory, { recursive: true }); });

test.each([1000, 2000, 3000, 4000, 5000])('broken files %i and on: each is refused with an OnnxError, or works', (first) => {
  expectOutcomes(outcomesOf({ first, count: 1000, directory }));
});
