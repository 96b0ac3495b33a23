import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import type { EngineCore } from '../../src/policy/engine-core.ts';
import { LossMetricsSum } from '../../src/policy/metrics.ts';
import type { Loss, Sample, SampleRequest, TrainingBatch, TrainingSequence } from '../../src/policy/types.ts';
import { adam, drawAll, never, openCore, randomPrompt, relativeDistance, request, sequenceOf, takeGradients, temporaryDirectory, tinyModel, weightsOf, withoutSharing } from './support.ts';

let scratch: Awaited<ReturnType<typeof temporaryDirectory>>;
let model: string;
let engine: EngineCore;
let sequences: TrainingSequence[];
beforeAll(async () => {
  scratch = await temporaryDirectory();
  model = await tinyModel(join(scratch.path, 'model'), { sharpness: 6 });
  engine = await openCore(model, { reference: true });
  sequences = await rollouts(engine);
});
beforeEach(() => engine.reset());
afterAll(async () => {
  await engine.close();
  await scratch[Symbol.asyncDispose]();
});

/** Ragged rollouts of ragged prompts, with advantages of both signs and a sampler that was a little off. */
async function rollouts(from: EngineCore): Promise<TrainingSequence[]> {
  const requests = [3, 9, 5, 14, 2, 7, 11, 4].flatMap((length, prompt) =>
    [0, 1, 2].map((sample) => request(3 * prompt + sample, randomPrompt(prompt, length), { maxTokens: 1 + ((prompt + 3 * sample) % 9), temperature: sample === 2 ? 0.7 : 1 })));
  const samples = await drawAll(from, requests);
  return samples.map((sample, index) => {
    const exact = sequenceOf(requests[index]!, sample, ((index * 7) % 5) / 2 - 1);
    return { ...exact, samplingLogprobs: exact.samplingLogprobs.map((logprob, at) => (logprob === 0 ? 0 : logprob + 0.3 * Math.sin(at + index))) };
  });
}

const clip = { kind: 'ppo', clipLowThreshold: 0.8, clipHighThreshold: 1.2 } as const;
const losses: { name: string; loss: Loss }[] = [
  { name: 'grpo with KL', loss: { ...clip, ratio: 'token', reduction: 'sequence_mean', kl: { coefficient: 0.04, estimator: 'k3' } } },
  { name: 'gspo', loss: { ...clip, ratio: 'sequence', reduction: 'sequence_mean' } },
  { name: 'dapo', loss: { ...clip, ratio: 'token', reduction: 'token_mean', entropyBonus: 0.01 } },
  { name: 'dr_grpo', loss: { ...clip, ratio: 'token', reduction: 'constant', constantLength: 9 } },
  { name: 'importance_sampling', loss: { kind: 'importance_sampling', reduction: 'sum' } },
];

async function gradientsOf(from: EngineCore, batches: readonly TrainingBatch[], loss: Loss): Promise<{ gradients: Map<string, Float32Array>; metrics: Record<string, number>[] }> {
  const metrics = [];
  for (const batch of batches) metrics.push((await from.forwardBackward(batch, loss, never)).metrics);
  const gradients = await takeGradients(from);
  from.reset();
  return { gradients, metrics };
}

function expectSame(actual: ReadonlyMap<string, Float32Array>, expected: ReadonlyMap<string, Float32Array>): void {
  for (const [name, gradient] of expected) expect(relativeDistance(actual.get(name)!, gradient), name).toBeLessThan(1e-5);
}

describe('neither the split, nor the order, nor the padding of a batch changes the gradient', () => {
  let whole: EngineCore, narrow: EngineCore, single: EngineCore;
  beforeAll(async () => {
    [whole, narrow, single] = await Promise.all([1e6, 40, 1].map((microBatchTokens) => openCore(model, { microBatchTokens, reference: true }))) as [EngineCore, EngineCore, EngineCore];
  });
  afterAll(() => Promise.all([whole, narrow, single].map((each) => each.close())));

  test.each(losses)('$name', async ({ loss }) => {
    const expected = await gradientsOf(whole, [{ sequences }], loss);
    const total = expected.metrics[0]!;
    const shuffled = sequences.map((_, index) => sequences[(index * 7) % sequences.length]!);
    for (const [name, from, order] of [['narrow', narrow, sequences], ['one by one', single, sequences], ['shuffled', narrow, shuffled]] as const) {
      const actual = await gradientsOf(from, [{ sequences: order }], loss);
      expectSame(actual.gradients, expected.gradients);
      for (const [key, value] of Object.entries(total)) expect(Math.abs(actual.metrics[0]![key]! - value), `${name}: ${key}`).toBeLessThan(1e-5 * Math.max(1, Math.abs(value)));
    }
  });

  test.each(losses)('$name, accumulated over two calls that know the denominators of the whole', async ({ loss }) => {
    const expected = await gradientsOf(whole, [{ sequences }], loss);
    const tokenCount = sequences.reduce((sum, { actionMask }) => sum + actionMask.filter((mask) => mask === 1).length, 0);
    const halves = [sequences.slice(0, 11), sequences.slice(11)].map((part) => ({ sequences: part, sequenceCount: sequences.length, tokenCount }));
    const actual = await gradientsOf(narrow, halves, loss);
    expectSame(actual.gradients, expected.gradients);
    expect(actual.metrics.reduce((sum, metrics) => sum + metrics['loss:sum']!, 0)).toBeCloseTo(expected.metrics[0]!['loss:sum']!, 5);
  });
});

describe('rows that share beginnings give the gradient of rows that do not', () => {
  let apart: EngineCore;
  beforeAll(async () => { apart = await openCore(await withoutSharing(model), { reference: true }); });
  afterAll(() => apart.close());

  test.each(losses)('$name', async ({ loss }) => {
    const [actual, expected] = [await gradientsOf(engine, [{ sequences }], loss), await gradientsOf(apart, [{ sequences }], loss)];
    expectSame(actual.gradients, expected.gradients);
    for (const [key, value] of Object.entries(expected.metrics[0]!)) expect(Math.abs(actual.metrics[0]![key]! - value), key).toBeLessThan(1e-5 * Math.max(1, Math.abs(value)));
  });

  test('and the same scores', async () => {
    const [actual, expected] = [await engine.forward({ sequences }, never), await apart.forward({ sequences }, never)];
    expect(expected.logprobs.flat().some((value) => value < -1)).toBe(true);
    actual.logprobs.flat().forEach((value, at) => expect(value).toBeCloseTo(expected.logprobs.flat()[at]!, 5));
  });
});

test.each([['rows of one text', 1], ['rows that share beginnings', undefined]] as const)('layers computed a second time give the same gradient: %s', async (_, count) => {
  const some = sequences.slice(0, count);
  const again = await openCore(model, { recompute: 'layers' });
  const { loss } = losses.at(-1)!;
  const [actual, expected] = [await gradientsOf(again, [{ sequences: some }], loss), await gradientsOf(engine, [{ sequences: some }], loss)];
  expectSame(actual.gradients, expected.gradients);
  expect(actual.metrics).toEqual(expected.metrics);
  await again.close();
});

test('a rollout without advantage still counts in the denominators', async () => {
  const { loss } = losses[0]!;
  const flat = { ...sequences[0]!, advantages: sequences[0]!.advantages.map(() => 0) };
  const grpo = { ...loss, kl: { coefficient: 0, estimator: 'k3' } } as const;
  const without = await gradientsOf(engine, [{ sequences: sequences.slice(1), sequenceCount: sequences.length }], grpo);
  const withIt = await gradientsOf(engine, [{ sequences: [flat, ...sequences.slice(1)] }], grpo);
  expectSame(withIt.gradients, without.gradients);
});

test('tokens that the policy did not draw get no gradient: several turns in one sequence are scored as they would be apart', async () => {
  const { loss } = losses[4]!;
  const [a, b] = [randomPrompt(50, 12), [5, 9, 11]];
  const mask = a.map((_, position) => (position > 2 && position % 3 !== 0 ? 1 : 0));
  const turn = (actions: readonly number[], length: number): TrainingSequence => {
    const tokenIds = [...a, ...b].slice(0, length);
    return { tokenIds, temperature: 1, actionMask: tokenIds.map((_, at) => actions[at] ?? 0), samplingLogprobs: tokenIds.map((_, at) => (actions[at] ? -3 : 0)), advantages: tokenIds.map((_, at) => (actions[at] ? 0.5 : 0)) };
  };
  const merged = await gradientsOf(engine, [{ sequences: [turn(mask, 15)] }], loss);
  const first = mask.map((value, at) => (at < 6 ? value : 0)), second = mask.map((value, at) => (at < 6 ? 0 : value));
  const apart = await gradientsOf(engine, [{ sequences: [turn(first, 6), turn(second, 12)] }], loss);
  expectSame(merged.gradients, apart.gradients);
});

describe('a KL term', () => {
  test('is zero against the weights that the engine opened with, and grows as they move', async () => {
    const { loss } = losses[0]!;
    const first = await engine.forwardBackward({ sequences }, loss, never);
    expect(first.metrics['kl']).toBeCloseTo(0, 9);
    engine.update(adam({ learningRate: 1e-2 }));
    const second = await engine.forwardBackward({ sequences }, loss, never);
    expect(second.metrics['kl']).toBeGreaterThan(1e-3);
    engine.zeroGrad();
  });
});

test('log-probabilities under the current weights stand at the action tokens, at the sampling temperature', async () => {
  const requests = [0.5, 1, 1.7].map((temperature, index) => request(index, randomPrompt(index, 6), { temperature }));
  const exact = (await drawAll(engine, requests)).map((sample, index) => sequenceOf(requests[index]!, sample, 1));
  const { logprobs } = await engine.forward({ sequences: exact }, never);
  exact.forEach(({ samplingLogprobs }, index) => samplingLogprobs.forEach((logprob, at) => expect(logprobs[index]![at]).toBeCloseTo(logprob, 4)));
});

test('metrics are those of the published table', () => {
  const lengths = [2, 4, 3, 1], advantages = [0.8, -1.3, -0.3, 0.8];
  const now = [-0.5, -1, -0.2, -2, -0.7, -0.1, -1.5, -0.3, -0.9, -0.4], old = [-0.9, -0.8, -0.2, -1.4, -1.2, -0.1, -1.1, -0.6, -0.9, -0.4];
  let at = 0;
  const scored = lengths.map((length, index) => {
    const positions = Array.from({ length }, (_, position) => position + 1);
    const sampling = [0, ...old.slice(at, (at += length))];
    const sequence = { tokenIds: sampling.map(() => 0), actionMask: [0, ...positions.map(() => 1)], samplingLogprobs: sampling, advantages: sampling.map(() => advantages[index]!), temperature: 1 };
    return { sequence, index, positions };
  });
  const metricsOf = (loss: Loss): Record<string, number> => {
    const sum = new LossMetricsSum(loss);
    sum.add(scored, { loss: 0, logprobs: Float32Array.from(now), entropy: new Float32Array(now.length), reference: null });
    return sum.metrics();
  };
  const token = metricsOf({ ...clip, ratio: 'token', reduction: 'sequence_mean' });
  expect(token['sampling/logp_difference/mean']).toBeCloseTo(0.24, 6);
  expect(token['kl_sample_train/v1']).toBeCloseTo(0, 6);
  expect(token['kl_sample_train/v2']).toBeCloseTo(0.053, 6);
  expect(token['clip_ratio/low_mean']).toBeCloseTo(0.2, 6);
  expect(token['clip_ratio/high_mean']).toBeCloseTo(0.1, 6);
  expect(token['clip_ratio/region_mean']).toBeCloseTo(0.3, 6);
  // All but the last rollout leave the narrow band of ratios of whole sequences: 1.1052, .9753, .9672, 1.
  const sequence = metricsOf({ ...clip, ratio: 'sequence', clipLowThreshold: 0.9997, clipHighThreshold: 1.0004, reduction: 'sequence_mean' });
  expect(sequence['clip_ratio/low_mean']).toBeCloseTo(0.7, 6);
  expect(sequence['clip_ratio/high_mean']).toBeCloseTo(0.2, 6);
});

// ---- repeating and resuming ------------------------------------------------------------------------------------------------

interface StepTrace { samples: Sample[]; metrics: Record<string, number> }

/** Steps of sampling and training, as a job makes them. */
async function steps(from: EngineCore, first: number, count: number): Promise<StepTrace[]> {
  const traces: StepTrace[] = [];
  for (let step = first; step < first + count; step++) {
    const requests = [4, 8, 3].flatMap((length, task) => Array.from({ length: 4 }, (_, sample): SampleRequest =>
      request(4 * task + sample, randomPrompt(100 + task, length), { key: [3, step, task, sample], maxTokens: 6 })));
    const samples = await drawAll(from, requests);
    const batch = samples.map((sample, index) => sequenceOf(requests[index]!, sample, (sample.outputTokenIds.length % 3) - 1));
    const { metrics } = await from.forwardBackward({ sequences: batch }, { kind: 'importance_sampling', reduction: 'sum' }, never);
    from.update(adam({ learningRate: 3e-3, weightDecay: 0.01, maxGradNorm: 1 }));
    traces.push({ samples, metrics });
  }
  return traces;
}

describe('bit for bit', () => {
  test.each([1, 2])('two runs with the same seed are one, on %d threads', async (threads) => {
    const run = async (): Promise<{ traces: StepTrace[]; weights: Map<string, Float32Array> }> => {
      const fresh = await openCore(model, { threads, microBatchTokens: 64, maxRows: 5 });
      const traces = await steps(fresh, 0, 3), weights = await weightsOf(fresh);
      await fresh.close();
      return { traces, weights };
    };
    const [once, twice] = [await run(), await run()];
    expect(twice.traces).toEqual(once.traces);
    expect(twice.weights).toEqual(once.weights);
    expect(once.traces[2]!.samples).not.toEqual(once.traces[1]!.samples);
  });

  test.each([{ method: 'full' } as const, { method: 'lora', rank: 3, alpha: 6, targets: ['all-linear'], seed: 5 } as const])('resumed $method training is uninterrupted training', async (train) => {
    await using directory = await temporaryDirectory();
    const uninterrupted = await openCore(model, { train });
    const expected = await steps(uninterrupted, 0, 4);
    const before = await openCore(model, { train });
    await steps(before, 0, 2);
    await before.writeState(directory.path);
    await before.close();
    const after = await openCore(model, { train });
    await after.readState(directory.path);
    expect(await steps(after, 2, 2)).toEqual(expected.slice(2));
    expect(await weightsOf(after)).toEqual(await weightsOf(uninterrupted));
    await Promise.all([after.close(), uninterrupted.close()]);
  });

  test('reset brings back the weights and the moments of the beginning', async () => {
    const fresh = await openCore(model);
    const expected = await steps(fresh, 0, 2);
    fresh.reset();
    expect(await steps(fresh, 0, 2)).toEqual(expected);
    await fresh.close();
  });
});

test('adapters begin as the model that they adapt, with as many parameters as their shapes say', async () => {
  const adapted = await openCore(model, { train: { method: 'lora', rank: 2, alpha: 4, targets: ['q_proj', 'down_proj'], seed: 9 } });
  const requests = [0, 1, 2].map((index) => request(index, randomPrompt(index, 5)));
  const plain = await drawAll(engine, requests), samples = await drawAll(adapted, requests);
  expect(samples.map(({ outputTokenIds }) => outputTokenIds)).toEqual(plain.map(({ outputTokenIds }) => outputTokenIds));
  for (const [name, values] of await weightsOf(adapted)) {
    // PEFT: A uniform within ±1/√in, B zero.
    const bound = name.endsWith('lora_A') ? 1 / Math.sqrt(name.includes('down_proj') ? 48 : 32) : 0, most = Math.max(...values.map(Math.abs));
    expect(most).toBeLessThanOrEqual(bound);
    expect(most).toBeGreaterThanOrEqual(0.9 * bound);
  }
  expect(adapted.info.trainableParameters).toBe(2 * (2 * (32 + 32) + 2 * (48 + 32)));
  expect(adapted.info.parameters).toBe(engine.info.parameters + adapted.info.trainableParameters);
  await adapted.close();
});

test('the engine knows how large the model is', () => {
  const layer = 32 * 32 * 2 + 2 * 32 * 16 + 3 * 32 * 48 + 2 * 32;
  expect(engine.info).toMatchObject({ parameters: 59 * 32 + 2 * layer + 32, contextLength: 64, vocabularySize: 59 });
  expect(engine.info.trainableParameters).toBe(engine.info.parameters);
});
