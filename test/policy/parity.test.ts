import { join } from 'node:path';
import { test } from 'vitest';
import { architectures, expectGreedyParity, expectGreedyParityOfBase } from './parity.ts';
import { temporaryDirectory } from './support.ts';

test.each(Object.entries(architectures))("a %s's greedy tokens are those of stock transformers.js", async (name, config) => {
  await using scratch = await temporaryDirectory();
  await expectGreedyParity(join(scratch.path, name), { config, count: 15 });
});

test("the embedded base's greedy tokens are those of stock transformers.js", () => expectGreedyParityOfBase(30));
