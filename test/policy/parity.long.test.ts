import { join } from 'node:path';
import { test } from 'vitest';
import { architectures, expectGreedyParity, expectGreedyParityOfBase } from './parity.ts';
import { temporaryDirectory } from './support.ts';

test.each(Object.entries(architectures))("a %s's greedy tokens on 200 prompts are those of stock transformers.js", async (name, config) => {
  await using scratch = await temporaryDirectory();
  await expectGreedyParity(join(scratch.path, name), { config, count: 200 });
});

test("the embedded base's greedy tokens on 200 prompts are those of stock transformers.js", () => expectGreedyParityOfBase(200));
