/** @file The fixtures of single operators and small graphs (fixtures/make_ops.py), as gradient graphs to run. */
import { readFileSync, readdirSync } from 'node:fs';
import { expect } from 'vitest';
import { Builder, OnnxError, canonicalize, differentiate, type HostTensor, type Model } from '../../src/onnx/index.ts';
import { caseModel, hostTensor, numbersOf, relativeError, tolerance, type FixtureCase } from './support.ts';

const folder = new URL('./fixtures/', import.meta.url);
const read = (path: string): FixtureCase[] => (JSON.parse(readFileSync(new URL(path, folder), 'utf8')) as { cases: FixtureCase[] }).cases;

/** All fixtures, each with a title. */
export const operatorCases: readonly (readonly [title: string, fixture: FixtureCase])[] = [...readdirSync(new URL('ops/', folder)).toSorted().map((file) => `ops/${file}`), 'graphs.json']
  .flatMap((file) => read(file).map((fixture) => [`${fixture.op ?? 'graph'} ${fixture.name}`, fixture] as const));

/** loss = Σ dy·y over all outputs that have a cotangent. */
function withLoss(model: Model, fixture: FixtureCase): Model {
  const b = new Builder(model);
  const parts = fixture.outputs.filter(({ dy }) => dy !== undefined).map(({ name, dy, shape }) => b.sum(b.mul(b.cast(b.value(name), 'float32'), b.constant('float32', shape, dy!))));
  const loss = parts.reduce((sum, part) => b.add(sum, part));
  for (const { name } of model.outputs) b.output(name, b.value(name));
  b.output('loss', loss);
  return b.build();
}

const wrtOf = (fixture: FixtureCase): string[] => fixture.inputs.filter(({ grad }) => grad !== undefined).map(({ name }) => name);

/** The gradient graph of a fixture; null for a corner without a rule, which must say so. */
export function gradientModel(fixture: FixtureCase): Model | null {
  const derive = (): Model => differentiate(withLoss(canonicalize(caseModel(fixture)), fixture), { output: 'loss', wrt: wrtOf(fixture) });
  if (fixture.may_refuse !== true) return derive();
  try {
    return derive();
  } catch (error) {
    expect(error).toBeInstanceOf(OnnxError);
    expect((error as OnnxError).message).toContain(fixture.op);
    return null;
  }
}

export const feedsOf = (model: Model, fixture: FixtureCase): Record<string, HostTensor> =>
  Object.fromEntries(model.inputs.map(({ name }) => { const { dtype, shape, data } = fixture.inputs.find((input) => input.name === name)!; return [name, hostTensor(dtype, shape, data)]; }));

/** Outputs and gradients that are not PyTorch's, with how far they are off. */
export function errorsOf(results: Readonly<Record<string, HostTensor>>, fixture: FixtureCase, allowed = tolerance): [what: string, error: number][] {
  const compared: [string, number][] = [
    ...fixture.outputs.filter(({ data }) => data !== undefined).map(({ name, data }): [string, number] => [`output ${name}`, relativeError(numbersOf(results[name]!), data)]),
    ...fixture.inputs.filter(({ grad }) => grad !== undefined).map(({ name, grad }): [string, number] => [`gradient of ${name}`, relativeError(numbersOf(results[`grad.${name}`]!), grad!)]),
  ];
  return compared.filter(([, error]) => !(error <= allowed));
}
