import { describe, expect, it } from 'vitest';
import { readModel } from '../../../src/onnx/read-model.ts';
import { canonicalize } from '../../../src/onnx/passes/canonicalize.ts';
import { stripCache } from '../../../src/onnx/passes/strip-cache.ts';
import { exposeCache } from '../../../src/onnx/passes/expose-cache.ts';
import { Builder } from '../../../src/onnx/builder.ts';
import { float32Tensor } from '../../../src/onnx/tensor.ts';
import { decoderFeeds, difference, ints64, operators, randomFloats, run, tinyLlama } from './graphs.ts';

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

  it('gives what still reads a past one of length zero', async () => {
    const before = tinyLlama(), feeds = decoderFeeds(before);
    const after = stripCache(exposeCache(before));
    expect(after.inputs).toHaveLength(3);
    expect(difference((await run(after, feeds))['logits']!, (await run(before, feeds))['logits']!)).toBeLessThan(2e-6);
  });

  it('keeps all logits where an input chooses among them', async () => {
    const b = new Builder(), x = b.input('input_ids', 'int64', ['batch', 'sequence']), kept = b.input('num_logits_to_keep', 'int64', []);
    const table = b.initializer('table', float32Tensor([5, 3], randomFloats([5, 3], 1)));
    b.output('logits', b.tanh(b.slice(b.gather(table, x), { axis: 1, start: b.unsqueeze(b.neg(kept), [0]) })));
    const before = b.build(), after = stripCache(before), feeds = { input_ids: ints64([2, 3], [0, 1, 2, 3, 4, 0]), num_logits_to_keep: ints64([], [0]) };
    expect(after.inputs.map(({ name }) => name)).toEqual(['input_ids']);
    expect(operators(after)).toEqual({ Gather: 1, Tanh: 1 });
    expect(difference((await run(after, feeds))['logits']!, (await run(before, feeds))['logits']!)).toBe(0);
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
