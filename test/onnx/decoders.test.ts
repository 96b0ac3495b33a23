/** @file Whole decoders of two exporters: loss and every parameter gradient against PyTorch (fixtures/make_decoders.py). */
import { describe, expect, test } from 'vitest';
import { decoderCases, decoderErrors } from './decoders.ts';
import { runOnce, testDevice } from './support.ts';

test('the decoders are those that people train, of both exporters', () => {
  const titles = decoderCases.map(({ title }) => title.trim());
  for (const traced of ['llama', 'qwen2', 'qwen3', 'gemma2', 'gemma3', 'gpt2', 'gpt-neox', 'phi']) expect(titles).toContain(`${traced}-traced`);
  for (const built of ['llama', 'llama-genai-untied', 'llama-genai-int4', 'qwen2', 'qwen3', 'gemma2', 'phi']) expect(titles).toContain(built.includes('genai') ? built : `${built}-genai`);
});

describe.each(decoderCases)('$title', (decoder) => {
  test('every weight of the graph has a gradient of PyTorch to be compared with', () => {
    expect([...decoder.wrt].toSorted()).toEqual(decoder.weights().toSorted());
  });

  test('logits, loss and every parameter gradient agree with PyTorch', async () => {
    expect(decoder.wrt.length).toBeGreaterThan(0);
    const { model, feeds } = decoder.whole();
    const results = await runOnce(model, feeds, testDevice);
    expect(results['logits']!.dims).toEqual(decoder.expected.get('logits')!.dims);
    expect(decoderErrors(results, decoder)).toEqual([]);
  });

  test('so do they when weights are inputs and only scored rows have logits', async () => {
    const { model, feeds } = decoder.training();
    expect(decoderErrors(await runOnce(model, feeds, testDevice), decoder)).toEqual([]);
  });
});
