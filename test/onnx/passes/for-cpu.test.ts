import { describe, expect, test } from 'vitest';
import { Builder, createSession, forCpu, type Model } from '../../../src/onnx/index.ts';
import { hostTensor, numbersOf, relativeError } from '../support.ts';

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
    const z = await run(model, { x: values(left), y: values(right) });
    const at = (dims: readonly number[], row: number, column: number, batch = 0): number => Math.tanh(Math.sin(1.3 * ((batch * dims.at(-2)! + row) * dims.at(-1)! + column)));
    const vector = Array.from({ length: 3 }, (_each, k) => Math.tanh(Math.sin(1.3 * k))), matrix = left.length > 1 ? left : right, inFront = left.length > 1;
    const expected = Array.from({ length: matrix.length > 2 ? matrix[0]! : 1 }, (_each, batch) => Array.from({ length: inFront ? matrix.at(-1)! : matrix.at(-2)! }, (_other, n) =>
      vector.reduce((sum, v, k) => sum + v * (inFront ? at(matrix, k, n, batch) : at(matrix, n, k, batch)), 0))).flat();
    expect(relativeError(z, expected)).toBeLessThan(1e-6);
  });
});

describe('a product of transposed operands becomes one FusedMatMul', () => {
  test.each(shapes)('%s', async (title, left, right) => {
    const b = new Builder();
    const x = b.tanh(b.input('x', 'float32', left)), y = b.tanh(b.input('y', 'float32', right));
    b.output('z', b.matmul(title.startsWith('aᵀ') ? b.transpose(x, swap(left.length)) : x, title === 'aᵀ·b' ? y : b.transpose(y, swap(right.length))));
    const model = b.build(), fused = forCpu(model);
    // Nothing is left of the transposes: ONNX Runtime would run them, after everything else.
    expect(fused.nodes.map(({ op }) => op).filter((op) => op !== 'Tanh' && op !== 'Identity')).toEqual(['FusedMatMul']);
    const feeds = { x: values(left), y: values(right) };
    // In double precision forCpu leaves products alone.
    const expected = await run(inDouble(model), { x: doubles(left), y: doubles(right) }), actual = await run(fused, feeds);
    expect(relativeError(actual, expected)).toBeLessThan(1e-6);
  });

  test('what is fed on its side stays, as the keys of a cache are', () => {
    const b = new Builder();
    b.output('z', b.matmul(b.tanh(b.input('x', 'float32', [2, 3, 1, 5])), b.transpose(b.input('past', 'float32', [2, 3, 6, 5]), [0, 1, 3, 2])));
    const model = b.build();
    expect(forCpu(model)).toBe(model);
  });

  test('weights on their side and other permutations stay', () => {
    const b = new Builder();
    const x = b.input('x', 'float32', [4, 5]), q = b.tanh(b.input('q', 'float32', [2, 6, 3, 5])), k = b.tanh(b.input('k', 'float32', [2, 6, 3, 5]));
    b.output('tied', b.matmul(x, b.transpose(b.input('w', 'float32', [7, 5]), [1, 0])));
    b.output('heads', b.matmul(b.transpose(q, [0, 2, 1, 3]), b.transpose(k, [0, 2, 3, 1])));
    const model = b.build();
    expect(forCpu(model)).toBe(model);
  });
});

const numbers = (dims: readonly number[]): number[] => Array.from({ length: dims.reduce((product, size) => product * size, 1) }, (_, at) => Math.sin(at * 1.3));
const values = (dims: readonly number[]) => hostTensor('float32', dims, numbers(dims));
const doubles = (dims: readonly number[]) => hostTensor('float64', dims, numbers(dims));
const inDouble = (model: Model): Model => ({ ...model, valueInfo: new Map(), inputs: model.inputs.map((info) => ({ ...info, dataType: 'float64' })), outputs: model.outputs.map((info) => ({ ...info, dataType: 'float64' })) });

async function run(model: Model, feeds: Parameters<Awaited<ReturnType<typeof createSession>>['run']>[0]): Promise<number[]> {
  const session = await createSession(model, { threads: 1 });
  const { z } = await session.run(feeds);
  await session.dispose();
  return numbersOf(z!);
}
