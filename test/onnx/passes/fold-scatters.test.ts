import { expect, test } from 'vitest';
import { Builder, foldScatters, type Model } from '../../../src/onnx/index.ts';
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
