/** @file Whole decoders of two exporters: loss and every parameter gradient against PyTorch (fixtures/make_decoders.py). */
import { describe, expect, test } from 'vitest';
import { decoderCases, decoderErrors } from './decoders.ts';
import { runOnce, testDevice } from './support.ts';

describe.each(decoderCases)('$title', (decoder) => {
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
