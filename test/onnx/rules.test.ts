/** @file Every gradient rule against PyTorch (fixtures made by fixtures/make_ops.py). */
import { describe, expect, test } from 'vitest';
import { gradientRules } from '../../src/onnx/index.ts';
import { errorsOf, feedsOf, gradientModel, operatorCases } from './cases.ts';
import { runOnce, testDevice } from './support.ts';

describe('gradients agree with PyTorch', () => {
  test.each(operatorCases)('%s', async (_, fixture) => {
    const model = gradientModel(fixture);
    if (model === null) return;
    expect(errorsOf(await runOnce(model, feedsOf(model, fixture), testDevice), fixture)).toEqual([]);
  });

  test('every operator with a rule has a fixture', () => {
    const seen = new Set(operatorCases.flatMap(([, fixture]) => fixture.nodes?.map(({ op }) => op) ?? [fixture.op]));
    expect(Object.keys(gradientRules).filter((op) => !seen.has(op))).toEqual([]);
  });
});
