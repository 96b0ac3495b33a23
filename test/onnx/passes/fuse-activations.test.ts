import { expect, test } from 'vitest';
import { Builder, differentiate, fuseActivations, type Model, type Value } from '../../../src/onnx/index.ts';
import { hostTensor, numbersOf, relativeError, runOnce } from '../support.ts';

const points = [-40, -9, -3, -1.2, -0.4, 0, 0.3, 1, 2.5, 7, 40, 0.01];
const graph = (gated: (b: Builder, x: Value) => Value): Model => {
  const b = new Builder();
  const y = gated(b, b.input('x', 'float32', ['rows', 4]));
  b.output('y', y);
  b.output('loss', b.sum(b.square(y)));
  return b.build();
};
const run = (model: Model) => runOnce(differentiate(model, { output: 'loss', wrt: ['x'] }), { x: hostTensor('float32', [3, 4], points) });

test.each([['x·σ(x)', (b: Builder, x: Value) => b.mul(x, b.sigmoid(x))], ['σ(x)·x', (b: Builder, x: Value) => b.mul(b.sigmoid(x), x)]])('%s becomes one operator with the same values and gradients', async (_, gated) => {
  const model = graph(gated), fused = fuseActivations(model);
  expect(fused.nodes.map(({ op }) => op)).toEqual(['QuickGelu', 'Mul', 'ReduceSum']);
  const [expected, actual] = [await run(model), await run(fused)];
  for (const name of ['y', 'grad.x']) expect(relativeError(numbersOf(actual[name]!), numbersOf(expected[name]!)), name).toBeLessThan(1e-6);
});

test('the gradient is the slope of central differences', async () => {
  const silu = (x: number): number => x / (1 + Math.exp(-x)), step = 1e-5;
  const slopes = points.map((x) => (silu(x + step) ** 2 - silu(x - step) ** 2) / (2 * step));
  const { 'grad.x': gradient } = await run(fuseActivations(graph((b, x) => b.mul(x, b.sigmoid(x)))));
  expect(relativeError(numbersOf(gradient!), slopes)).toBeLessThan(1e-6);
});

test('a gate for something else stays', () => {
  const model = graph((b, x) => b.mul(b.tanh(x), b.sigmoid(x)));
  expect(fuseActivations(model)).toBe(model);
});
