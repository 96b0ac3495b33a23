import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { canonicalize } from '../../../src/onnx/passes/canonicalize.ts';
import { distributeMatMul } from '../../../src/onnx/passes/distribute-matmul.ts';
import { exposeCache } from '../../../src/onnx/passes/expose-cache.ts';
import { foldShapes } from '../../../src/onnx/passes/fold-shapes.ts';
import { readModel } from '../../../src/onnx/read-model.ts';
import type { Model } from '../../../src/onnx/ir.ts';
import type { HostTensor } from '../../../src/onnx/session.ts';
import { Builder, type Value } from '../../../src/onnx/builder.ts';
import { decoderFeeds, difference, floats, ints64, operators, run, tinyLlama, type Feeds } from './graphs.ts';

/** The last `rows` of axis 2 of [B, heads, T, d]. */
function lastRows({ data, dims }: HostTensor, rows: number): HostTensor {
  const [batch, heads, total, depth] = dims as [number, number, number, number];
  const kept: number[] = [];
  for (let block = 0; block < batch * heads; block++) kept.push(...(data as Float32Array).subarray((block * total + total - rows) * depth, (block + 1) * total * depth));
  return { dataType: 'float32', dims: [batch, heads, rows, depth], data: Float32Array.from(kept) };
}

/** A prompt, then two more tokens on its cache: the rows that the graph gives are appended here, outside. */
async function expectSameSteps(before: Model, vocabulary: number): Promise<Model> {
  const after = exposeCache(before);
  const feeds: Feeds = decoderFeeds(before, [5, 5], { vocabulary });
  const first = [await run(before, feeds), await run(after, feeds)] as const;
  expect(difference(first[1]['logits']!, first[0]['logits']!)).toBeLessThan(2e-6);
  const past = Object.fromEntries(Object.entries(first[0]).filter(([name]) => name !== 'logits').map(([name, tensor]) => [name.replace('present', 'past_key_values'), tensor]));
  const next: Feeds = { input_ids: ints64([2, 2], [3, 4, 5, 6]), attention_mask: ints64([2, 7], Array<number>(14).fill(1)), position_ids: ints64([2, 2], [5, 6, 5, 6]), ...past };
  const second = [await run(before, next), await run(after, next)] as const;
  for (const [name, whole] of Object.entries(second[0])) expect(difference(second[1][name]!, name === 'logits' ? whole : lastRows(whole, 2)), name).toBeLessThan(2e-6);
  return after;
}

describe('exposeCache', () => {
  it('gives new rows only, the same logits, and puts no cache together', async () => {
    const before = tinyLlama();
    const after = await expectSameSteps(before, 29);
    expect(after.outputs[1]).toEqual({ name: 'present.0.key', dataType: 'float32', shape: ['batch_size', 2, 'sequence_length', 8] });
    const past = new Set(after.inputs.filter(({ name }) => name.startsWith('past')).map(({ name }) => name));
    expect(after.nodes.filter(({ op, inputs }) => op === 'Concat' && inputs.some((name) => past.has(name)))).toEqual([]);
    expect(operators(after)['MatMul']! - operators(before)['MatMul']!).toBe(4);
  });

  it('goes through the heads that PyTorch repeats', async () => {
    const after = await expectSameSteps(foldShapes(canonicalize(readModel('test/onnx/fixtures/decoders/llama-traced.onnx'))), 97);
    const past = new Set(after.inputs.filter(({ name }) => name.startsWith('past')).map(({ name }) => name));
    expect(after.nodes.filter(({ op, inputs }) => op === 'Concat' && inputs.some((name) => past.has(name)))).toEqual([]);
  });

  it('says what makes a present that it cannot expose', () => {
    const b = new Builder();
    const past = b.input('past_key_values.0.key', 'float32', ['b', 1, 'p', 4]);
    b.output('present.0.key', b.concat([b.tanh(past), past], 2));
    expect(() => exposeCache(b.build())).toThrow('"present.0.key" is not past and new rows put together by a Concat along axis 2, but made by Concat "Concat"');
  });
});

describe('distributeMatMul', () => {
  const compare = async (feeds: Feeds, body: (b: Builder, v: Record<string, Value>) => Value, concats = 0): Promise<void> => {
    const b = new Builder();
    const values = Object.fromEntries(Object.entries(feeds).map(([name, { dataType, dims }]) => [name, b.input(name, dataType, dims.map((dim, axis) => (axis === dims.length - 1 && dims.length > 2 ? dim : `${name}${axis}of${dim}`)))]));
    b.output('out', body(b, values));
    const before = b.build(), after = distributeMatMul(before);
    expect(operators(after)['Concat'] ?? 0).toBe(concats);
    expect(difference((await run(after, feeds))['out']!, (await run(before, feeds))['out']!)).toBeLessThan(2e-6);
  };
  const size = fc.integer({ min: 1, max: 4 });

  it('along a free axis: [a·x a·y]', () => fc.assert(fc.asyncProperty(size, size, size, size, size, fc.boolean(), async (batch, rows, inner, x, y, transposed) => {
    const feeds = transposed ? { a: floats([batch, rows, inner]), x: floats([batch, x, inner], 2), y: floats([batch, y, inner], 3) } : { a: floats([batch, rows, inner]), x: floats([batch, inner, x], 2), y: floats([batch, inner, y], 3) };
    await compare(feeds, (b, v) => b.matmul(v['a']!, transposed ? b.transpose(b.concat([v['x']!, v['y']!], 1), [0, 2, 1]) : b.op('Concat', [v['x']!, v['y']!], { axis: { kind: 'int', value: -1 } })), 1);
  }), { numRuns: 15 }));

  it('along the contracted axis: p·x + q·y, on either side', () => fc.assert(fc.asyncProperty(size, size, size, fc.integer({ min: 0, max: 3 }), size, fc.boolean(), async (batch, rows, columns, x, y, left) => {
    const feeds = left
      ? { x: floats([batch, rows, x]), y: floats([batch, rows, y], 2), a: floats([batch, x + y, columns], 3) }
      : { a: floats([batch, rows, x + y]), x: floats([batch, x, columns], 2), y: floats([batch, y, columns], 3) };
    const b = new Builder();
    const v = Object.fromEntries(Object.entries(feeds).map(([name, { dims }]) => [name, b.input(name, 'float32', dims.map((_, axis) => `${name}${axis}`))]));
    const whole = b.concat([v['x']!, v['y']!], left ? 2 : 1);
    b.output('out', left ? b.matmul(whole, v['a']!) : b.matmul(v['a']!, whole));
    const before = b.build(), after = distributeMatMul(before);
    expect(operators(after)).toMatchObject({ MatMul: 2, Split: 1, Add: 1 });
    // The Concat of the two lengths is all that is left.
    expect(operators(after)['Concat']).toBe(1);
    expect(difference((await run(after, feeds))['out']!, (await run(before, feeds))['out']!)).toBeLessThan(2e-6);
  }), { numRuns: 15 }));

  it('leaves a product over a batch axis, and what else reads the whole, alone', async () => {
    const feeds = { a: floats([2, 2, 3]), x: floats([1, 3, 4], 2), y: floats([1, 3, 4], 3) };
    await compare(feeds, (b, v) => b.matmul(v['a']!, b.concat([v['x']!, v['y']!], 0)), 1);
    await compare({ a: floats([1, 2, 4]), x: floats([1, 2, 4], 2), y: floats([1, 3, 4], 3) }, (b, v) => {
      const whole = b.concat([v['x']!, v['y']!], 1);
      return b.mul(b.matmul(v['a']!, b.transpose(whole, [0, 2, 1])), b.transpose(b.mean(whole, [-1], { keepDims: true }), [0, 2, 1]));
    }, 2);
  });

  it('reads the shape of the whole from its pieces', async () => {
    await compare({ a: floats([1, 2, 4]), x: floats([1, 2, 4], 2), y: floats([1, 3, 4], 3) }, (b, v) => {
      const whole = b.concat([v['x']!, v['y']!], 1);
      return b.add(b.matmul(v['a']!, b.transpose(whole, [0, 2, 1])), b.cast(b.gather(b.shape(whole), b.scalar(1, 'int64')), 'float32'));
    }, 2);
  });
});
