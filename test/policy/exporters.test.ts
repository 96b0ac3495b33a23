import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { exportedModel, expectSharedRows, expectSharedWeights } from './exporters.ts';
import { openCore, temporaryDirectory } from './support.ts';

let scratch: Awaited<ReturnType<typeof temporaryDirectory>>;
beforeAll(async () => { scratch = await temporaryDirectory(); });
afterAll(() => scratch[Symbol.asyncDispose]());

describe('one set of weights is sampled and trained in graphs of other exporters', () => {
  // Absolute positions · windows inside GroupQueryAttention · int4 weights under adapters.
  test.each(['gpt2-traced', 'gemma2-genai', 'llama-genai-int4'])('%s', async (name) => {
    await expectSharedWeights(await exportedModel(name, join(scratch.path, name)), name);
  });
});

test.each(['llama-traced', 'qwen3-traced'])('a group in one row or in several: %s', async (name) => {
  await expectSharedRows(await exportedModel(name, join(scratch.path, `${name}-rows`)), name);
});

test('a graph that counts columns instead of taking positions is refused', async () => {
  const directory = await exportedModel('gemma3-traced', join(scratch.path, 'gemma3'));
  await expect(openCore(directory)).rejects.toThrow('the graph has no input position_ids');
});

test('quantised weights cannot be moved themselves', async () => {
  const directory = await exportedModel('llama-genai-int4', join(scratch.path, 'int4'));
  await expect(openCore(directory, { train: { method: 'full' } })).rejects.toThrow(/lora/);
});
