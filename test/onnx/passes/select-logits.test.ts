import { describe, expect, it } from 'vitest';
import { Builder, type Value } from '../../../src/onnx/builder.ts';
import { float, int, type Model } from '../../../src/onnx/ir.ts';
import { readModel } from '../../../src/onnx/read-model.ts';
import { selectLogits } from '../../../src/onnx/passes/select-logits.ts';
import { canonicalize } from '../../../src/onnx/passes/canonicalize.ts';
import { stripCache } from '../../../src/onnx/passes/strip-cache.ts';
import { float32Tensor } from '../../../src/onnx/tensor.ts';
import type { HostTensor } from '../../../src/onnx/session.ts';
import { decoderFeeds, difference, floats, ints32, ints64, operators, randomFloats, run, tinyLlama, type Feeds } from './graphs.ts';

/** The rows of [B, S, V] logits that the positions name. */
function rows({ data, dims }: HostTensor, positions: readonly number[]): HostTensor {
  const width = dims.at(-1)!;
  return { dataType: 'float32', dims: [positions.length, width], data: Float32Array.from(positions.flatMap((at) => [...(data as Float32Array).subarray(at * width, (at + 1) * width)])) };
}

async function expectSelected(before: Model, feeds: Feeds, positions: readonly number[], selected = selectLogits(before)): Promise<void> {
  const full = await run(before, feeds);
  const some = await run(selected, { ...feeds, logit_positions: ints64([positions.length], positions) });
  expect(difference(some['logits']!, rows(full['logits']!, positions))).toBeLessThan(2e-6);
}

/** A head and what exporters put around it, on hidden states [B, S, 8]. */
const head = (body: (b: Builder, hidden: Value, weight: Value) => Value): Model => {
  const b = new Builder();
  const hidden = b.input('hidden', 'float32', ['batch', 'sequence', 8]);
  b.output('logits', body(b, b.tanh(hidden), b.initializer('head', float32Tensor([8, 11], randomFloats([8, 11], 2)))));
  return b.build();
};
const hidden = { hidden: floats([3, 4, 8], 7) };

describe('selectLogits', () => {
  it('computes the chosen rows of the logits, in the order given', async () => {
    const before = tinyLlama({ cache: false });
    const selected = selectLogits(before);
    expect(selected.outputs[0]!.shape).toEqual(['logits', 29]);
    expect(selected.inputs.at(-1)).toEqual({ name: 'logit_positions', dataType: 'int64', shape: ['logits'] });
    await expectSelected(before, decoderFeeds(before), [0, 17, 5, 5, 11], selected);
  });

  it('keeps the other outputs', async () => {
    const before = tinyLlama(), feeds = decoderFeeds(before);
    const selected = selectLogits(before, { dataType: 'int32', input: 'at' });
    const [full, some] = [await run(before, feeds), await run(selected, { ...feeds, at: ints32([1], [3]) })];
    for (const { name } of before.outputs.slice(1)) expect(difference(some[name]!, full[name]!)).toBe(0);
  });

  it.each<[string, (b: Builder, h: Value, w: Value) => Value]>([
    ['a softcap', (b, h, w) => b.mul(b.tanh(b.div(b.matmul(h, w), 3)), 3)],
    ['a bias and a scale', (b, h, w) => b.mul(b.add(b.matmul(h, w), b.initializer('bias', float32Tensor([11], randomFloats([11], 4)))), 0.5)],
    ['Gemm between two Reshapes', (b, h, w) => b.reshape(b.gemm(b.reshape(h, [-1, 8]), w), b.concat([b.shape(h, { start: 0, end: 2 }), b.int64([11])], 0))],
    ['a transposed head and Casts', (b, h, w) => b.cast(b.cast(b.matmul(h, b.transpose(b.transpose(w, [1, 0]), [1, 0])), 'float64'), 'float32')],
    ['FusedMatMul', (b, h, w) => b.contrib('FusedMatMul', [h, b.transpose(w, [1, 0])], { transB: int(1), alpha: float(0.5) })[0]!],
  ])('finds the head behind %s', async (_, body) => {
    const before = head(body);
    const selected = selectLogits(before);
    expect(selected.outputs[0]!.shape).toEqual(['logits', 11]);
    await expectSelected(before, hidden, [11, 2, 2, 0], selected);
  });

  it.each([false, true])('undoes a selection of the last positions and drops its input (norm between: %s)', async (norm) => {
    const model = (keep: boolean): Model => {
      const b = new Builder();
      const x = b.input('hidden', 'float32', ['batch', 'sequence', 8]);
      const n = b.input('num_logits_to_keep', 'int64', []);
      const weight = b.initializer('head', float32Tensor([8, 11], randomFloats([8, 11], 2)));
      const kept = keep ? b.slice(x, { axis: 1, start: b.unsqueeze(b.neg(n), [0]) }) : x;
      b.output('logits', b.matmul(norm ? b.rmsNorm(kept, b.initializer('norm', float32Tensor([8], randomFloats([8], 4))), 1e-5) : kept, weight));
      return b.build();
    };
    const selected = selectLogits(model(true));
    expect(selected.inputs.map(({ name }) => name)).toEqual(['hidden', 'logit_positions']);
    await expectSelected(model(false), { ...hidden, num_logits_to_keep: ints64([], [0]) }, [4, 9], selected);
  });

  it('works on a decoder that PyTorch traced', async () => {
    const before = stripCache(canonicalize(readModel('test/onnx/fixtures/decoders/llama-traced.onnx')));
    await expectSelected(before, decoderFeeds(before, [5, 3], { vocabulary: 97 }), [0, 4, 7]);
    expect(operators(selectLogits(before))['Gather']).toBe(operators(before)['Gather']! + 1);
  });

  it('says where the search for the head ended', () => {
    expect(() => selectLogits(head((b, h) => b.softmax(h)))).toThrow('cannot find the head that makes "logits": expected a MatMul, Gemm or MatMulNBits with a matrix of weights, but came to Softmax "Softmax"');
    expect(() => selectLogits(head((b, h, w) => b.matmul(b.transpose(h, [0, 2, 1]), b.matmul(h, w))))).toThrow('but came to MatMul "MatMul_1"');
    expect(() => selectLogits(tinyLlama(), { output: 'scores' })).toThrow('the model has no output "scores"; it has "logits"');
  });
});
