/** @file Every gradient rule against PyTorch (fixtures made by fixtures/make_ops.py). */
import { describe, expect, test } from 'vitest';
import { Builder, differentiate, gradientRules } from '../../src/onnx/index.ts';
import { errorsOf, feedsOf, gradientModel, operatorCases } from './cases.ts';
import { caseModel, hostTensor, numbersOf, relativeError, runOnce, testDevice, tolerance } from './support.ts';

describe('gradients agree with PyTorch', () => {
  test.each(operatorCases)('%s', async (_, fixture) => {
    const model = gradientModel(fixture);
    if (model === null) return;
    expect(errorsOf(await runOnce(model, feedsOf(model, fixture), testDevice), fixture)).toEqual([]);
  });

  test('of a graph of an older opset, as it is', async () => {
    const fixture = operatorCases.map(([, each]) => each).find(({ op, opset, inputs: [x] }) => op === 'Softmax' && opset < 13 && x!.shape.length > 2)!;
    const [{ name: x, grad }, { name: y, shape, dy }] = [fixture.inputs[0]!, fixture.outputs[0]!];
    const model = differentiate(caseModel(fixture), { output: y, wrt: [x], cotangent: 'dy' });
    const results = await runOnce(model, { ...feedsOf(caseModel(fixture), fixture), dy: hostTensor('float32', shape, dy!) }, testDevice);
    expect(relativeError(numbersOf(results[`grad.${x}`]!), grad!)).toBeLessThanOrEqual(tolerance);
  });

  /** x = [−1.5, 0, 3] as halves, gathered twice at 2 and once at 0, with weights that halves hold exactly. */
  test('of halves that are read several times', async () => {
    const b = new Builder();
    const read = b.gatherElements(b.cast(b.input('x', 'float32', [3]), 'float16'), b.int64([2, 0, 2]), 0);
    b.output('y', b.sum(b.mul(b.cast(read, 'float32'), b.constant('float32', [3], [0.5, 2, 4]))));
    const results = await runOnce(differentiate(b.build(), { output: 'y', wrt: ['x'] }), { x: hostTensor('float32', [3], [-1.5, 0, 3]) }, testDevice);
    expect(numbersOf(results['grad.x']!)).toEqual([2, 0, 4.5]);
  });

  test.runIf(testDevice === 'cpu')('of a power whose exponent has a type of its own', async () => {
    const b = new Builder();
    b.output('y', b.sum(b.op('Pow', [b.input('x', 'float32', [2]), b.input('p', 'float64', [2])])));
    const results = await runOnce(differentiate(b.build(), { output: 'y', wrt: ['x', 'p'] }), { x: hostTensor('float32', [2], [3, 2]), p: hostTensor('float64', [2], [1, 3]) });
    expect(results['grad.p']!.dataType).toBe('float64');
    expect(relativeError(numbersOf(results['grad.p']!), [3 * Math.log(3), 8 * Math.log(2)])).toBeLessThan(1e-6);
    expect(numbersOf(results['grad.x']!)).toEqual([1, 12]);
  });

  test('every operator with a rule has a fixture', () => {
    const seen = new Set(operatorCases.flatMap(([, fixture]) => fixture.nodes?.map(({ op }) => op) ?? [fixture.op]));
    expect(Object.keys(gradientRules).filter((op) => !seen.has(op))).toEqual([]);
  });
});
