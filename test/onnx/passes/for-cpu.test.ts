import { InferenceSession, Tensor } from 'onnxruntime-node';
import { describe, expect, test } from 'vitest';
import { Builder, OPSET, differentiate, float, forCpu, int, writeModel, type Dim, type Model, type Value } from '../../../src/onnx/index.ts';
import { hostTensor, numbersOf, relativeError, runOnce } from '../support.ts';

const shapes: readonly (readonly [string, readonly number[], readonly number[]])[] = [
  ['a·bᵀ', [2, 3, 4, 5], [2, 3, 6, 5]], ['aᵀ·b', [2, 3, 5, 4], [2, 3, 5, 6]], ['aᵀ·bᵀ', [2, 5, 4], [2, 6, 5]], ['batches that broadcast', [2, 1, 4, 5], [3, 6, 5]],
];
const swap = (rank: number): number[] => [...Array(rank - 2).keys(), rank - 1, rank - 2];

describe('a product with a vector is computed right', () => {
  const cases: readonly (readonly [string, readonly number[], readonly number[], opset: number])[] = [
    ['aᵀ·v', [3, 2], [3], 21], ['v·bᵀ', [3], [4, 3], 21], ['aᵀ·v of a batch', [2, 3, 4], [3], 21], ['v·bᵀ of a batch', [3], [2, 4, 3], 21], ['aᵀ·v in an old opset', [3, 2], [3], 11],
  ];
  test.each(cases)('%s', async (_, left, right, opset) => {
    const b = new Builder();
    const turned = (name: string, dims: readonly number[]) => { const x = b.tanh(b.input(name, 'float32', dims)); return dims.length > 1 ? b.transpose(x, swap(dims.length)) : x; };
    b.output('z', b.matmul(turned('x', left), turned('y', right)));
    const model = { ...b.build(), opsets: new Map([['', opset]]) };
    const { z } = await runOnce(model, { x: hostTensor('float32', left, numbers(left, 0)), y: hostTensor('float32', right, numbers(right, 0)) });
    const at = (dims: readonly number[], row: number, column: number, batch = 0): number => Math.tanh(Math.sin(1.3 * ((batch * dims.at(-2)! + row) * dims.at(-1)! + column)));
    const vector = Array.from({ length: 3 }, (_each, k) => Math.tanh(Math.sin(1.3 * k))), matrix = left.length > 1 ? left : right, inFront = left.length > 1;
    const expected = Array.from({ length: matrix.length > 2 ? matrix[0]! : 1 }, (_each, batch) => Array.from({ length: inFront ? matrix.at(-1)! : matrix.at(-2)! }, (_other, n) =>
      vector.reduce((sum, v, k) => sum + v * (inFront ? at(matrix, k, n, batch) : at(matrix, n, k, batch)), 0))).flat();
    expect(relativeError(numbersOf(z!), expected)).toBeLessThan(1e-6);
  });
});

describe('a product of transposed operands becomes one FusedMatMul', () => {
  test.each(shapes)('%s', async (title, left, right) => {
    const b = new Builder();
    const x = b.tanh(b.input('x', 'float32', left)), y = b.tanh(b.input('y', 'float32', right));
    b.output('z', b.matmul(title.startsWith('aᵀ') ? b.transpose(x, swap(left.length)) : x, title === 'aᵀ·b' ? y : b.transpose(y, swap(right.length))));
    await same(b.build(), { x: left, y: right }, { FusedMatMul: 1, Transpose: 0 });
  });

  test('and a transposed product one of transposed operands', async () => {
    const b = new Builder();
    const q = b.tanh(b.input('q', 'float32', [2, 3, 4, 5])), k = b.tanh(b.input('k', 'float32', [2, 3, 4, 6]));
    b.output('z', b.transpose(b.matmul(b.transpose(q, swap(4)), k), swap(4)));
    await same(b.build(), { q: [2, 3, 4, 5], k: [2, 3, 4, 6] }, { FusedMatMul: 1, Transpose: 0 });
  });

  test('unless the product is read the other way round as well', async () => {
    const b = new Builder();
    const product = b.matmul(b.tanh(b.input('q', 'float32', [2, 3, 4])), b.tanh(b.input('k', 'float32', [2, 4, 3])));
    b.output('z', b.add(product, b.transpose(product, swap(3))));
    await same(b.build(), { q: [2, 3, 4], k: [2, 4, 3] }, { MatMul: 1, Transpose: 1 });
  });

  test('what is fed on its side stays, as the keys of a cache are', () => {
    const b = new Builder();
    b.output('z', b.matmul(b.tanh(b.input('x', 'float32', [2, 3, 1, 5])), b.transpose(b.input('past', 'float32', [2, 3, 6, 5]), [0, 1, 3, 2])));
    expectOperators(forCpu(b.build()), { FusedMatMul: 0, Transpose: 1 });
  });

  test('weights on their side and other permutations stay', () => {
    const b = new Builder();
    const x = b.input('x', 'float32', [4, 5]), q = b.tanh(b.input('q', 'float32', [2, 6, 3, 5])), k = b.tanh(b.input('k', 'float32', [2, 6, 3, 5]));
    b.output('tied', b.matmul(x, b.transpose(b.input('w', 'float32', [7, 5]), [1, 0])));
    b.output('heads', b.matmul(b.transpose(q, [0, 2, 1, 3]), b.transpose(k, [0, 2, 3, 1])));
    expectOperators(forCpu(b.build()), { FusedMatMul: 0, Transpose: 3 });
  });
});

describe('sums of products are added up inside the products', () => {
  const rows = ['batch', 'sequence'];

  test('a weight and its adapter, in a batch of unknown size', async () => {
    const b = new Builder();
    const x = b.input('x', 'float32', [...rows, 4]), weight = b.input('w', 'float32', [4, 6]);
    b.output('z', b.add(b.matmul(x, weight), b.matmul(b.matmul(x, b.input('a', 'float32', [4, 2])), b.input('c', 'float32', [2, 6]))));
    await same(b.build(), { x: [2, 3, 4], w: [4, 6], a: [4, 2], c: [2, 6] }, { FusedConv: 1, Add: 0 });
  });

  test('with a residual, and more than two of them', async () => {
    const b = new Builder();
    const x = b.input('x', 'float32', [...rows, 4]), h = b.tanh(x);
    const part = (name: string): Value => b.matmul(h, b.input(name, 'float32', [4, 4]));
    b.output('z', b.add(b.add(x, part('w')), b.add(part('v'), part('u'))));
    await same(b.build(), { x: [2, 3, 4], u: [4, 4], v: [4, 4], w: [4, 4] }, { FusedConv: 2, Add: 1 });
  });

  test('the gradients of a value with several readers, whose weights are read on their side', async () => {
    const b = new Builder();
    const x = b.tanh(b.input('x', 'float32', [...rows, 4]));
    const y = b.mul(b.mul(b.sigmoid(b.matmul(x, b.input('q', 'float32', [4, 5]))), b.matmul(x, b.input('k', 'float32', [4, 5]))), b.tanh(b.matmul(x, b.input('v', 'float32', [4, 5]))));
    b.output('z', b.sum(y));
    await same(differentiate(b.build(), { output: 'z', wrt: ['x', 'q'] }), { x: [2, 3, 4], q: [4, 5], k: [4, 5], v: [4, 5] }, { FusedConv: 2 });
  });

  test('plain rows of a known number', async () => {
    const b = new Builder();
    const x = b.input('x', 'float32', [3, 4]);
    b.output('z', b.add(b.gemm(x, b.input('w', 'float32', [5, 4]), null, { transB: true }), b.matmul(x, b.input('v', 'float32', [4, 5]))));
    await same(b.build(), { x: [3, 4], w: [5, 4], v: [4, 5] }, { FusedConv: 1, Add: 0 });
  });

  test('what is read elsewhere, scaled, transposed or broadcast stays a sum', async () => {
    const b = new Builder();
    const x = b.input('x', 'float32', [3, 3]), w = b.input('w', 'float32', [3, 3]);
    const twice = b.matmul(x, w);
    b.output('read', b.sum(twice));
    b.output('z', b.add(b.add(b.matmul(w, x), twice), b.add(b.gemm(x, w, null, { transA: true }), b.gemm(x, w, null, { alpha: 0.5 }))));
    b.output('broadcast', b.add(b.matmul(b.slice(x, { axis: 0, start: 0, end: 1 }), w), b.matmul(w, x)));
    await same(b.build(), { x: [3, 3], w: [3, 3] }, { FusedConv: 0, Add: 4 });
  });
});

describe('a rotation of halves becomes one RotaryEmbedding', () => {
  const rotated = (b: Builder, x: Value, cos: Value, sin: Value): Value => {
    const [l, r] = b.split(x, [2, 2], 3) as [Value, Value];
    return b.concat([b.sub(b.mul(l, cos), b.mul(r, sin)), b.add(b.mul(r, cos), b.mul(l, sin))], 3);
  };
  const tables = (b: Builder, batch: Dim = 'batch'): [Value, Value] => {
    const angles = b.input('angles', 'float32', [batch, 1, 'sequence', 2]);
    return [b.cos(angles), b.sin(angles)];
  };

  test('and its gradient another, which turns back', async () => {
    const b = new Builder();
    const x = b.tanh(b.input('x', 'float32', ['batch', 3, 'sequence', 4]));
    b.output('z', b.sum(b.square(b.sigmoid(rotated(b, x, ...tables(b))))));
    await same(differentiate(b.build(), { output: 'z', wrt: ['x'] }), { x: [2, 3, 5, 4], angles: [2, 1, 5, 2] }, { RotaryEmbedding: 2, Split: 0, Concat: 0 });
  });

  test('tables for all rows together stay as they are', async () => {
    const b = new Builder();
    b.output('z', rotated(b, b.tanh(b.input('x', 'float32', ['batch', 3, 'sequence', 4])), ...tables(b, 1)));
    await same(b.build(), { x: [2, 3, 5, 4], angles: [1, 1, 5, 2] }, { RotaryEmbedding: 0, Concat: 1 });
  });

  test('what is no rotation stays: both sines of one sign', async () => {
    const b = new Builder();
    const [l, r] = b.split(b.tanh(b.input('x', 'float32', ['batch', 3, 'sequence', 4])), [2, 2], 3) as [Value, Value], [cos, sin] = tables(b);
    b.output('z', b.concat([b.add(b.mul(l, cos), b.mul(r, sin)), b.add(b.mul(r, cos), b.mul(l, sin))], 3));
    await same(b.build(), { x: [2, 3, 5, 4], angles: [2, 1, 5, 2] }, { RotaryEmbedding: 0, Concat: 1 });
  });
});

describe('a norm and its gradient share one pass', () => {
  test('over the data', async () => {
    const b = new Builder();
    b.output('z', b.sum(b.tanh(b.rmsNorm(b.input('x', 'float32', ['rows', 6]), b.input('w', 'float32', [6]), 1e-5))));
    const model = differentiate(b.build(), { output: 'z', wrt: ['x', 'w'] });
    expectOperators(model, { SimplifiedLayerNormalization: 2 });
    await same(model, { x: [4, 6], w: [6] }, { SimplifiedLayerNormalization: 1 });
  });

  test('unless another epsilon asks for another deviation', async () => {
    const b = new Builder();
    const x = b.input('x', 'float32', ['rows', 6]), w = b.input('w', 'float32', [6]);
    const deviation = b.ops('SimplifiedLayerNormalization', [x, w], { axis: int(-1), epsilon: float(0.5) }, { outputs: 2 })[1]!;
    b.output('z', b.mul(b.rmsNorm(x, w, 1e-5), deviation));
    await same(b.build(), { x: [4, 6], w: [6] }, { SimplifiedLayerNormalization: 2 });
  });

  test('and what a control-flow body reads of one stays', () => {
    const b = new Builder(), [x, w] = [b.input('x', 'float32', ['rows', 6]), b.input('w', 'float32', [6])];
    const deviation = b.ops('SimplifiedLayerNormalization', [x, w], { axis: int(-1) }, { outputs: 2 })[1]!;
    const captured = b.op('SimplifiedLayerNormalization', [x, w], { axis: int(-1) });
    b.output('z', b.add(b.op('If', [b.input('chosen', 'bool', [])], { then_branch: { kind: 'graph', value: null, captures: [captured.name] } }), deviation));
    expect(forCpu(b.build()).nodes.flatMap(({ outputs }) => outputs)).toEqual(expect.arrayContaining([captured.name, deviation.name]));
  });
});

test('an older graph keeps its own forms', () => {
  const b = new Builder();
  const x = b.input('x', 'float32', [3, 3]);
  b.output('z', b.add(b.matmul(x, x), b.matmul(x, b.tanh(x))));
  const model = b.build();
  expectOperators(forCpu(model), { FusedConv: 1 });
  expectOperators(forCpu({ ...model, opsets: new Map([['', OPSET - 4]]) }), { FusedConv: 0 });
});

const numbers = (dims: readonly number[], phase: number): number[] => Array.from({ length: dims.reduce((product, size) => product * size, 1) }, (_, at) => Math.sin(at * 1.3 + phase));
const countOf = (model: Model, operator: string): number => model.nodes.filter(({ op }) => op === operator).length;
function expectOperators(model: Model, operators: Readonly<Record<string, number>>): void {
  expect(Object.fromEntries(Object.keys(operators).map((op) => [op, countOf(model, op)]))).toEqual(operators);
}

/** `forCpu` gives these operators, and they the numbers of the graph as it was written, run without any optimization. */
async function same(model: Model, dims: Readonly<Record<string, readonly number[]>>, operators: Readonly<Record<string, number>>): Promise<void> {
  const fused = forCpu(model);
  expectOperators(fused, operators);
  const feeds = Object.fromEntries(Object.entries(dims).map(([name, shape], index) => [name, hostTensor('float32', shape, numbers(shape, index))]));
  const plain = await InferenceSession.create(writeModel(model), { graphOptimizationLevel: 'disabled', intraOpNumThreads: 1 });
  const expected = await plain.run(Object.fromEntries(Object.entries(feeds).map(([name, { data, dims: shape }]) => [name, new Tensor('float32', data as Float32Array, shape)])));
  await plain.release();
  const actual = await runOnce(fused, feeds);
  for (const [name, { data }] of Object.entries(expected)) expect(relativeError(numbersOf(actual[name]!), data as Float32Array), name).toBeLessThan(1e-5);
}
