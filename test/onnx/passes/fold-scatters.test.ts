import { expect, test } from 'vitest';
import { Builder, differentiate, foldScatters, type Model } from '../../../src/onnx/index.ts';
import { hostTensor, numbersOf, runOnce } from '../support.ts';

const feeds = { x: hostTensor('float32', [2, 3], [1, 2, 3, 4, 5, 6]), g: hostTensor('float32', [2, 2], [10, 20, 30, 40]) };

function graph(filler: number): Model {
  const b = new Builder();
  const x = b.input('x', 'float32', [2, 3]);
  const scattered = b.scatterElements(b.full(b.shape(x), filler, 'float32'), b.constant('int64', [2, 2], [1, 1, 0, 2]), b.input('g', 'float32', [2, 2]), { axis: 1, reduction: 'add' });
  b.output('y', b.add(scattered, b.mul(x, 2)));
  return b.build();
}

test('zeros with a few sums in them are not made only to be added', async () => {
  const model = graph(0), folded = foldScatters(model);
  expect(folded.nodes.map(({ op }) => op)).toEqual(['Mul', 'ScatterElements', 'Identity']);
  // Both updates of the first row go to one element.
  expect(numbersOf((await runOnce(folded, feeds))['y']!)).toEqual([2, 34, 6, 38, 10, 52]);
  expect(numbersOf((await runOnce(model, feeds))['y']!)).toEqual([2, 34, 6, 38, 10, 52]);
});

test('what begins at another number is', () => {
  const model = graph(1);
  expect(foldScatters(model)).toBe(model);
});

test('what an Add repeats to the size of the zeros is not scattered into: the gradient of a table that is summed and read', async () => {
  const b = new Builder(), table = b.input('table', 'float32', [3, 2]);
  const read = b.sum(b.gather(table, b.int64([1, 1])));
  b.output('y', b.add(b.add(b.sum(table), b.mul(b.sum(b.square(b.sum(table, [0]))), 0.5)), read));
  const gradients = differentiate(b.build(), { output: 'y', wrt: ['table'] });
  const results = await runOnce(gradients, { table: hostTensor('float32', [3, 2], [1, 2, 3, 4, 5, 6]) });
  // 1 each, the sums of the columns, and 2 where the row was read.
  expect(numbersOf(results['grad.table']!)).toEqual([10, 13, 12, 15, 10, 13]);
});
