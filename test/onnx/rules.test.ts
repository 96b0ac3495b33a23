/** @file Every gradient rule against PyTorch (fixtures made by fixtures/make_ops.py). */
import { describe, expect, test } from 'vitest';
import { differentiate, gradientRules } from '../../src/onnx/index.ts';
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

  test('every operator with a rule has a fixture', () => {
    const seen = new Set(operatorCases.flatMap(([, fixture]) => fixture.nodes?.map(({ op }) => op) ?? [fixture.op]));
    expect(Object.keys(gradientRules).filter((op) => !seen.has(op))).toEqual([]);
  });
});
