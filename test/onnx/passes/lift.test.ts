import { describe, expect, it } from 'vitest';
import { OnnxError } from '../../../src/onnx/ir.ts';
import { bakeInputs, liftInitializers } from '../../../src/onnx/passes/lift.ts';
import { float32Tensor, floatValues } from '../../../src/onnx/tensor.ts';
import { decoderFeeds, difference, run, tinyLlama } from './graphs.ts';

const before = tinyLlama({ cache: false });
const feeds = decoderFeeds(before);

describe('liftInitializers', () => {
  it('feeds weights from outside, and a tied head follows its embedding', async () => {
    const { model, tensors } = liftInitializers(before, (name) => name.endsWith('.weight'));
    expect([...tensors.keys()]).toContain('model.embed_tokens.weight');
    expect(model.initializers.has('model.embed_tokens.weight')).toBe(false);
    const weights = Object.fromEntries([...tensors].map(([name, tensor]) => [name, { dataType: 'float32' as const, dims: tensor.dims, data: floatValues(tensor) }]));
    const expected = await run(before, feeds);
    expect(difference((await run(model, { ...feeds, ...weights }))['logits']!, expected['logits']!)).toBeLessThan(1e-6);

    // Doubling the word table of a tied model changes the input and the output side; doubling the head's would not.
    const doubled = { ...weights['model.embed_tokens.weight']!, data: floatValues(tensors.get('model.embed_tokens.weight')!).map((value) => 2 * value) };
    const twice = await run(model, { ...feeds, ...weights, 'model.embed_tokens.weight': doubled });
    expect(difference(twice['logits']!, expected['logits']!)).toBeGreaterThan(0.1);
  });

  it('is undone by bakeInputs, without copying a weight', async () => {
    const { model, tensors } = liftInitializers(before, ['model.norm.weight', 'model.embed_tokens.weight']);
    const baked = bakeInputs(model, tensors);
    expect(baked.inputs).toEqual(before.inputs);
    expect(baked.initializers.get('model.norm.weight')).toBe(before.initializers.get('model.norm.weight'));
    expect(difference((await run(baked, feeds))['logits']!, (await run(before, feeds))['logits']!)).toBe(0);
  });

  it('refuses names and shapes that do not fit', () => {
    expect(() => liftInitializers(before, ['model.norms.weight'])).toThrow(new OnnxError('cannot lift "model.norms.weight": it is no initializer of the graph'));
    const { model } = liftInitializers(before, ['model.norm.weight']);
    expect(() => bakeInputs(model, { 'model.norm.weight': float32Tensor([31], new Float32Array(31)) }))
      .toThrow('cannot bake "model.norm.weight": the graph wants float32[32], the tensor is float32[31]');
    expect(() => bakeInputs(model, { nothing: float32Tensor([], new Float32Array(1)) })).toThrow('"nothing": it is no input');
  });
});
