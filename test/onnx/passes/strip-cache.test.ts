import { describe, expect, it } from 'vitest';
import { readModel } from '../../../src/onnx/proto.ts';
import { canonicalize } from '../../../src/onnx/passes/canonicalize.ts';
import { stripCache } from '../../../src/onnx/passes/strip-cache.ts';
import { decoderFeeds, difference, operators, run, tinyLlama } from './graphs.ts';

describe('stripCache', () => {
  it('gives the logits of an empty cache, without cache inputs, outputs or Concats', async () => {
    const before = tinyLlama(), feeds = decoderFeeds(before);
    const after = stripCache(before);
    expect(after.inputs.map(({ name }) => name)).toEqual(['input_ids', 'attention_mask', 'position_ids']);
    expect(after.outputs.map(({ name }) => name)).toEqual(['logits']);
    expect(after.inputs[1]!.shape).toEqual(['batch_size', 'sequence_length']);
    expect(operators(before)['Concat']! - operators(after)['Concat']!).toBe(4);
    expect(difference((await run(after, feeds))['logits']!, (await run(before, feeds))['logits']!)).toBeLessThan(1e-6);
  });

  it('leaves a model without a cache alone', () => {
    const model = tinyLlama({ cache: false });
    expect(stripCache(model)).toBe(model);
  });

  it('strips a decoder that PyTorch traced', async () => {
    const before = canonicalize(readModel('test/onnx/fixtures/decoders/llama-traced.onnx')), feeds = decoderFeeds(before, [7, 7], { vocabulary: 97 });
    const after = stripCache(before);
    expect(after.inputs).toHaveLength(3);
    expect(after.nodes.length).toBeLessThan(before.nodes.length / 2);
    expect(difference((await run(after, feeds))['logits']!, (await run(before, feeds))['logits']!)).toBeLessThan(1e-6);
  });
});
