import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, test } from 'vitest';
import { decoders, exportedModel, expectSharedRows, expectSharedWeights } from './exporters.ts';
import { temporaryDirectory } from './support.ts';

let scratch: Awaited<ReturnType<typeof temporaryDirectory>>;
beforeAll(async () => { scratch = await temporaryDirectory(); });
afterAll(() => scratch[Symbol.asyncDispose]());

describe('one set of weights is sampled and trained in every exported graph that takes positions', async () => {
  const names = (await readdir(decoders)).filter((name) => name.endsWith('.onnx')).map((name) => name.slice(0, -5)).filter((name) => !/^gemma\d-traced$/.test(name));
  test.each(names)('%s', async (name) => {
    await expectSharedWeights(await exportedModel(name, join(scratch.path, name)), name);
  });
  test.each(names)('%s, a group in one row or in several', async (name) => {
    await expectSharedRows(await exportedModel(name, join(scratch.path, `${name}-rows`)), name);
  });
});
