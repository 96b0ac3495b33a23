/** @file Every gradient rule against PyTorch (fixtures made by fixtures/make_ops.py). */
import { readFileSync, readdirSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { Builder, OnnxError, canonicalize, differentiate, gradientRules, type Model } from '../../src/onnx/index.ts';
import { caseModel, hostTensor, numbersOf, relativeError, runOnce, testDevice, tolerance, type FixtureCase } from './support.ts';

const folder = new URL('./fixtures/', import.meta.url);
const read = (path: string): FixtureCase[] => (JSON.parse(readFileSync(new URL(path, folder), 'utf8')) as { cases: FixtureCase[] }).cases;
const cases: [string, FixtureCase][] = [...readdirSync(new URL('ops/', folder)).toSorted().map((file) => `ops/${file}`), 'graphs.json']
  .flatMap((file) => read(file).map((fixture): [string, FixtureCase] => [`${fixture.op ?? 'graph'} ${fixture.name}`, fixture]));

/** loss = Σ dy·y over all outputs that have a cotangent. */
function withLoss(model: Model, fixture: FixtureCase): Model {
  const b = new Builder(model);
  const parts = fixture.outputs.filter(({ dy }) => dy !== undefined).map(({ name, dy, shape }) => b.sum(b.mul(b.cast(b.value(name), 'float32'), b.constant('float32', shape, dy!))));
  const loss = parts.reduce((sum, part) => b.add(sum, part));
  for (const { name } of model.outputs) b.output(name, b.value(name));
  b.output('loss', loss);
  return b.build();
}

describe('gradients agree with PyTorch', () => {
  test.each(cases)('%s', async (_, fixture) => {
    const model = caseModel(fixture);
    const wrt = fixture.inputs.filter(({ grad }) => grad !== undefined).map(({ name }) => name);
    const feeds = Object.fromEntries(model.inputs.map(({ name }) => { const { dtype, shape, data } = fixture.inputs.find((input) => input.name === name)!; return [name, hostTensor(dtype, shape, data)]; }));
    const derive = (): Model => differentiate(withLoss(canonicalize(model), fixture), { output: 'loss', wrt });
    if (fixture.may_refuse === true) {
      // A corner without a rule must say so; one with a rule must be right.
      try { derive(); } catch (error) {
        expect(error).toBeInstanceOf(OnnxError);
        expect((error as OnnxError).message).toContain(fixture.op);
        return;
      }
    }
    const results = await runOnce(derive(), feeds, testDevice);
    for (const { name, data } of fixture.outputs) {
      if (data !== undefined) expect(relativeError(numbersOf(results[name]!), data), `output ${name}`).toBeLessThanOrEqual(tolerance);
    }
    for (const name of wrt) {
      const { grad } = fixture.inputs.find((input) => input.name === name)!;
      expect(relativeError(numbersOf(results[`grad.${name}`]!), grad!), `gradient of ${name}`).toBeLessThanOrEqual(tolerance);
    }
  });

  test('every operator with a rule has a fixture', () => {
    const seen = new Set(cases.flatMap(([, fixture]) => fixture.nodes?.map(({ op }) => op) ?? [fixture.op]));
    expect(Object.keys(gradientRules).filter((op) => !seen.has(op))).toEqual([]);
  });
});
