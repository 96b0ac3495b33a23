import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { openEngine } from '../../src/policy/index.ts';
import type { EngineCore } from '../../src/policy/engine-core.ts';
import type { Loss, TrainingSequence } from '../../src/policy/types.ts';
import { adam, drawAll, engineOptions, never, openCore, randomPrompt, relativeDistance, request, sequenceOf, takeGradients, temporaryDirectory, tinyModel } from './support.ts';

const sapo = fileURLToPath(new URL('../../examples/losses/sapo.ts', import.meta.url));

let scratch: Awaited<ReturnType<typeof temporaryDirectory>>;
let model: string;
let engine: EngineCore;
let sequences: TrainingSequence[];
beforeAll(async () => {
  scratch = await temporaryDirectory();
  model = await tinyModel(join(scratch.path, 'model'), { sharpness: 6 });
  engine = await openCore(model);
  const requests = Array.from({ length: 8 }, (_, index) => request(index, randomPrompt(index % 3, 4 + (index % 3)), { maxTokens: 5 }));
  sequences = (await drawAll(engine, requests)).map((sample, index) => {
    const exact = sequenceOf(requests[index]!, sample, (index % 5) / 2 - 1);
    return { ...exact, samplingLogprobs: exact.samplingLogprobs.map((logprob, at) => (logprob === 0 ? 0 : logprob + 0.5 * Math.sin(3 * at + index))) };
  });
});
afterAll(async () => {
  await engine.close();
  await scratch[Symbol.asyncDispose]();
});

const loss = (path: string, reduction: Loss['reduction'] = 'sequence_mean'): Loss => ({ kind: 'module', path, reduction });

async function lossFile(name: string, source: string): Promise<string> {
  const path = join(scratch.path, `${name}.ts`);
  await writeFile(path, source);
  return path;
}

describe('the example, SAPO', () => {
  test('has the value of its formula', async () => {
    const { logprobs } = await engine.forward({ sequences }, never);
    let expected = 0;
    sequences.forEach(({ actionMask, samplingLogprobs, advantages }, index) => {
      const positions = actionMask.flatMap((mask, at) => (mask === 1 ? [at] : []));
      for (const at of positions) {
        const ratio = Math.exp(logprobs[index]![at]! - samplingLogprobs[at]!), tau = advantages[at]! > 0 ? 1 : 1.05;
        expected -= (advantages[at]! * (4 / tau)) / (1 + Math.exp(-tau * (ratio - 1))) / (sequences.length * positions.length);
      }
    });
    const { metrics } = await engine.forwardBackward({ sequences }, loss(sapo), never);
    engine.zeroGrad();
    expect(metrics['loss:sum']).toBeCloseTo(expected, 5);
  });

  test('has the gradient of the policy-gradient loss where sampler and policy agree', async () => {
    const { logprobs } = await engine.forward({ sequences }, never);
    const onPolicy = sequences.map((sequence, index) => ({ ...sequence, samplingLogprobs: logprobs[index]! }));
    await engine.forwardBackward({ sequences: onPolicy }, loss(sapo), never);
    const own = await takeGradients(engine);
    engine.reset();
    await engine.forwardBackward({ sequences: onPolicy }, { kind: 'importance_sampling', reduction: 'sequence_mean' }, never);
    const reference = await takeGradients(engine);
    engine.reset();
    for (const [name, gradient] of reference) expect(relativeDistance(own.get(name)!, gradient), name).toBeLessThan(1e-4);
  });

  test('trains through the worker', async () => {
    await using remote = await openEngine(engineOptions(model));
    const before = await remote.trainer.forwardBackward({ sequences }, loss(sapo));
    await remote.trainer.update(adam({ learningRate: 1e-3 }));
    const after = await remote.trainer.forwardBackward({ sequences }, loss(sapo));
    expect(after.metrics['loss:sum']).toBeLessThan(before.metrics['loss:sum']!);
  });
});

test('a stopped gradient is a constant: −sg(π/μ)·A·log π has the gradient of −(π/μ)·A', async () => {
  const path = await lossFile('stopped', `export default ({ logprobs, samplingLogprobs, advantages }, { b, stopGradient }) =>
    b.neg(b.mul(b.mul(stopGradient(b.exp(b.sub(logprobs, samplingLogprobs))), advantages), logprobs));`);
  await engine.forwardBackward({ sequences }, loss(path, 'sum'), never);
  const own = await takeGradients(engine);
  engine.reset();
  await engine.forwardBackward({ sequences }, { kind: 'importance_sampling', reduction: 'sum' }, never);
  const reference = await takeGradients(engine);
  engine.reset();
  for (const [name, gradient] of reference) expect(relativeDistance(own.get(name)!, gradient), name).toBeLessThan(1e-5);
});

test('a loss may use the entropy, and whole rollouts', async () => {
  const path = await lossFile('whole', `export default ({ logprobs, entropy, advantages, sequence, inverseLengths }, { b }) => {
    const sums = b.scatterElements(b.mul(inverseLengths, 0), sequence, b.mul(logprobs, advantages), { axis: 0, reduction: 'add' });
    return b.sub(b.neg(b.mul(b.gather(sums, sequence), b.gather(inverseLengths, sequence))), b.mul(entropy, 0.01));
  };`);
  await engine.forwardBackward({ sequences }, loss(path, 'sum'), never);
  const own = await takeGradients(engine);
  engine.reset();
  await engine.forwardBackward({ sequences }, { kind: 'cross_entropy', reduction: 'sum', entropyBonus: 0.01 }, never);
  const reference = await takeGradients(engine);
  engine.reset();
  for (const [name, gradient] of reference) expect(relativeDistance(own.get(name)!, gradient), name).toBeLessThan(1e-5);
});

describe('a mistake in the file is named with the file', () => {
  test.each([
    ['missing', null, /missing\.ts: the custom loss cannot be loaded: .*missing\.ts/],
    ['syntax', 'export default (', /syntax\.ts: the custom loss cannot be loaded/],
    ['nothing', 'export const loss = 1;', /nothing\.ts: a custom loss exports a function as its default/],
    ['throws', "export default () => { throw new Error('not today'); };", /throws\.ts: the loss cannot be built: not today/],
    ['returns', 'export default () => undefined;', /returns\.ts: the loss returns no value of the graph; return one term per token/],
    ['promise', 'export default async ({ logprobs }) => logprobs;', /promise\.ts: the loss returns no value of the graph/],
    ['scalar', 'export default ({ logprobs }, { b }) => b.sum(logprobs);', /scalar\.ts: the loss returns float32 \[\], expected float32 with one term per token/],
    ['constant', 'export default ({ advantages }) => advantages;', /constant\.ts: the loss has no gradient: "loss" does not depend on/],
    ['integers', 'export default ({ sequence }) => sequence;', /integers\.ts: the loss returns int64 \[scored\], expected float32/],
  ])('%s', async (name, source, message) => {
    const path = source === null ? join(scratch.path, `${name}.ts`) : await lossFile(name, source);
    await expect(engine.forwardBackward({ sequences }, loss(path), never)).rejects.toThrow(message);
  });
});
