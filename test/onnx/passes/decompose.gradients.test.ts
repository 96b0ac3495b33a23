/** @file Gradients of decomposed operators against central differences of ONNX Runtime's own fused kernels. */
import { describe, expect, it } from 'vitest';
import { Builder, canonicalize, createSession, decompose, differentiate, readModel, type HostTensor, type Model } from '../../../src/onnx/index.ts';
import { numbersOf, testDevice } from '../support.ts';
import { contribFeeds, contribOperators, type ContribCase } from './contrib.ts';

const FOLDER = 'test/onnx/fixtures/contrib';
/** Kernels compute in float32: steps are large, and what is left of the curve is taken out by a second, larger step. */
const STEP = 0.02;

/** Σ cos(place)·y over the outputs that have a gradient: cosines of the places tell all elements apart. */
function withLoss(model: Model, outputs: readonly string[]): Model {
  const b = new Builder(model);
  const parts = outputs.map((name, index) => {
    const flat = b.reshape(b.value(name), [-1]), places = b.range(b.scalar(0, 'int64'), b.squeeze(b.shape(flat), [0]), b.scalar(1, 'int64'));
    return b.sum(b.mul(flat, b.cos(b.add(b.mul(b.cast(places, 'float32'), 1.7), 0.3 + index))));
  });
  b.output('the loss', parts.reduce((sum, part) => b.add(sum, part)));
  return b.build();
}

/** What is fed as float32, but for tables and masks, whose infinities take no steps. */
const variables = ({ inputs }: ContribCase, model: Model): string[] =>
  inputs.filter(({ name, dtype, data }) => dtype === 'float32' && data.every((value) => Math.abs(value) < 1e3) && model.inputs.some((input) => input.name === name)).map(({ name }) => name);

async function evaluate(model: Model, feeds: readonly Readonly<Record<string, HostTensor>>[]): Promise<number[]> {
  const session = await createSession(model, { threads: 1 });
  try {
    const losses: number[] = [];
    for (const feed of feeds) losses.push(Number((await session.run(feed))['the loss']!.data[0]));
    return losses;
  } finally { await session.dispose(); }
}

const cases = contribOperators.flatMap(({ operator, domain, cases: all }) => all.map((fixture) => ({ title: `${domain}.${operator} ${fixture.name}`, fixture })))
  // What stands behind a row's own length is not defined, so neither are its differences.
  .filter(({ fixture }) => fixture.outputs.every(({ lengths }) => lengths === undefined) && fixture.inputs.some(({ dtype }) => dtype === 'float32'));

describe('the gradient of a decomposed operator is that of the fused kernel', () => {
  it.each(cases)('$title', async ({ fixture }) => {
    const fused = readModel(`${FOLDER}/${fixture.file}`), model = canonicalize(fused);
    const wrt = variables(fixture, model);
    expect(wrt.length).toBeGreaterThan(0);
    const outputs = [fixture.outputs[0]!.name];
    const feeds = contribFeeds(fixture);
    const at = (step: number): Record<string, HostTensor> => ({
      ...feeds, ...Object.fromEntries(wrt.map((name, index) => [name, { ...feeds[name]!, data: Float32Array.from(feeds[name]!.data as Float32Array, (value, place) => value + step * Math.sin(2.3 * place + index + 1)) }])),
    });
    const [a, b, c, d] = await evaluate(withLoss(model, outputs), [at(STEP), at(-STEP), at(2 * STEP), at(-2 * STEP)]) as [number, number, number, number];
    const quotient = (8 * (a - b) - (c - d)) / (12 * STEP);
    const session = await createSession(differentiate(withLoss(decompose(model), outputs), { output: 'the loss', wrt }), { device: testDevice });
    const results = await session.run(feeds);
    await session.dispose();
    let slope = 0, scale = 0;
    wrt.forEach((name, index) => numbersOf(results[`grad.${name}`]!).forEach((value, place) => {
      const term = value * Math.sin(2.3 * place + index + 1);
      slope += term;
      scale += Math.abs(term);
    }));
    expect(Math.abs(slope - quotient) / (scale + 1e-3)).toBeLessThan(1e-3);
  });
});
