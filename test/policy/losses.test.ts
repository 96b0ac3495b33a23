import { readFile } from 'node:fs/promises';
import { describe, expect, test } from 'vitest';
import { lossPresets } from '../../src/config/loss-presets.ts';
import { Builder, createSession, differentiate, f32, i64, type HostTensor, type Value } from '../../src/onnx/index.ts';
import { klTerms, lossTerms, type LossFunction, type LossTensors } from '../../src/policy/losses/terms.ts';
import { tokenWeight } from '../../src/policy/losses/weights.ts';
import { TRAINING_INPUTS, trainingGraph } from '../../src/policy/training-graph.ts';
import type { Loss } from '../../src/policy/types.ts';
import { relativeDistance } from './support.ts';

const termOf = (loss: Loss): LossFunction => (lossTerms[loss.kind as keyof typeof lossTerms] as (loss: Loss) => LossFunction)(loss);
const column = (values: readonly number[]): HostTensor => f32(Float32Array.from(values), [values.length]);
const indices = (values: readonly number[]): HostTensor => i64(BigInt64Array.from(values, BigInt), [values.length]);
/** [2, 4] → [0, 0, 1, 1, 1, 1] */
const rolloutOf = (lengths: readonly number[]): number[] => lengths.flatMap((length, rollout) => Array.from({ length }, () => rollout));

async function run(model: Parameters<typeof createSession>[0], feeds: Record<string, HostTensor>): Promise<Record<string, HostTensor>> {
  const session = await createSession(model, { threads: 1 });
  try { return await session.run(feeds); } finally { await session.dispose(); }
}

// ---- the table of published losses: value and ∂L/∂(log-probability) ------------------------------------------------------

const lengths = [2, 4, 3, 1];
const now = [-0.5, -1, -0.2, -2, -0.7, -0.1, -1.5, -0.3, -0.9, -0.4];
const old = [-0.9, -0.8, -0.2, -1.4, -1.2, -0.1, -1.1, -0.6, -0.9, -0.4];
const ref = [-0.6, -1.1, -0.3, -1.5, -0.7, -0.2, -1.5, -0.5, -1, -0.3];
const mu = [-1, -0.9, -0.3, -1.2, -1.3, -0.1, -2.1, -0.5, -1, -0.4];
const standard = [0.783186, -1.30531, -0.261062, 0.783186], centred = [0.375, -0.625, -0.125, 0.375], population = [0.904316, -1.507193, -0.301439, 0.904316];

const clip = { kind: 'ppo', ratio: 'token', clipLowThreshold: 0.8, clipHighThreshold: 1.2 } as const;
const grpo = { ...clip, reduction: 'sequence_mean' } as const;
const dapo = { ...clip, clipHighThreshold: 1.28, reduction: 'token_mean' } as const;
const gspo = { ...clip, ratio: 'sequence', reduction: 'sequence_mean' } as const;

interface Row { name: string; loss: Loss; advantages?: readonly number[]; sampling?: readonly number[]; value: number; gradient: readonly number[] }
const grpoGradient = [0, -0.080152, 0.081582, 0, 0.134506, 0.081582, 0, 0.029366, 0.021755, -0.195796];
const table: Row[] = [
  { name: 'GRPO', loss: grpo, value: 0.038034, gradient: grpoGradient },
  { name: 'GRPO with β k3', loss: { ...grpo, kl: { coefficient: 0.04, estimator: 'k3' } }, value: 0.038609, gradient: [0.000476, -0.079676, 0.08182, -0.001622, 0.134506, 0.08182, 0, 0.029971, 0.022072, -0.196848] },
  { name: 'GRPO with the population deviation', loss: grpo, advantages: population, value: 0.043916, gradient: [0, -0.092549, 0.0942, 0, 0.155309, 0.0942, 0, 0.033908, 0.02512, -0.226079] },
  { name: 'GRPO with a dual clip', loss: { ...grpo, dualClip: 1.5 }, value: 0.025901, gradient: grpoGradient.with(4, 0) },
  { name: 'GRPO with a dual clip that is never reached', loss: { ...grpo, dualClip: 3 }, value: 0.038034, gradient: grpoGradient },
  { name: 'DAPO', loss: dapo, value: 0.420239, gradient: [0, -0.064122, 0.130531, 0, 0.215209, 0.130531, 0, 0.03524, 0.026106, -0.078319] },
  { name: 'DAPO against the sampler', loss: dapo, sampling: mu, value: 0.475932, gradient: [0, -0.070866, 0.144259, 0, 0.237843, 0.130531, 0.047569, 0.031886, 0.028852, -0.078319] },
  { name: 'Dr.GRPO', loss: { ...clip, reduction: 'constant', constantLength: 8 }, advantages: centred, value: 0.063817, gradient: [0, -0.009595, 0.019531, 0, 0.032202, 0.019531, 0, 0.005273, 0.003906, -0.011719] },
  { name: 'GSPO', loss: { ...gspo, clipLowThreshold: 0.9997, clipHighThreshold: 1.0004 }, value: -0.000196, gradient: [0, 0, 0, 0, 0, 0, 0, 0, 0, -0.195796] },
  { name: 'GSPO with wide bounds', loss: { ...gspo, clipHighThreshold: 1.28 }, value: -0.030789, gradient: [-0.108194, -0.108194, 0.079568, 0.079568, 0.079568, 0.079568, 0.021042, 0.021042, 0.021042, -0.195796] },
  { name: 'CISPO, cap 5', loss: { kind: 'cispo', clipLowThreshold: 0, clipHighThreshold: 5, reduction: 'token_mean' }, value: -0.239528, gradient: [-0.116838, -0.064122, 0.130531, 0.071637, 0.215209, 0.130531, 0.0175, 0.03524, 0.026106, -0.078319] },
  { name: 'CISPO, cap 1.272', loss: { kind: 'cispo', clipLowThreshold: 0, clipHighThreshold: 1.272, reduction: 'token_mean' }, value: -0.213105, gradient: [-0.099621, -0.064122, 0.130531, 0.071637, 0.166035, 0.130531, 0.0175, 0.033207, 0.026106, -0.078319] },
  { name: 'CISPO, cap .2', loss: { kind: 'cispo', clipLowThreshold: 0, clipHighThreshold: 0.2, reduction: 'token_mean' }, value: -0.062655, gradient: [-0.015664, -0.015664, 0.026106, 0.026106, 0.026106, 0.026106, 0.005221, 0.005221, 0.005221, -0.015664] },
  { name: 'importance sampling', loss: { kind: 'importance_sampling', reduction: 'sum' }, advantages: centred, value: 1.759522, gradient: [-0.559434, -0.307024, 0.625, 0.343007, 1.030451, 0.625, 0.08379, 0.168732, 0.125, -0.375] },
  { name: 'PPO, summed', loss: { ...clip, reduction: 'sum' }, advantages: centred, value: 2.042159, gradient: [0, -0.307024, 0.625, 0, 1.030451, 0.625, 0, 0.168732, 0.125, -0.375] },
  { name: 'CISPO, summed', loss: { kind: 'cispo', clipLowThreshold: 0.8, clipHighThreshold: 1.2, reduction: 'sum' }, advantages: centred, value: -1.337976, gradient: [-0.45, -0.307024, 0.625, 0.5, 0.75, 0.625, 0.1, 0.15, 0.125, -0.375] },
  { name: 'DRO', loss: { kind: 'dro', beta: 0.05, reduction: 'sum' }, advantages: centred, value: -1.4735, gradient: [-0.355, -0.385, 0.625, 0.595, 0.65, 0.625, 0.105, 0.14, 0.125, -0.375] },
  { name: 'cross entropy', loss: { kind: 'cross_entropy', reduction: 'sum' }, advantages: [1, 1, 1, 1], value: 7.6, gradient: now.map(() => -1) },
];
const klRows = [
  { estimator: 'k1', value: 0.01, gradient: now.map(() => 0.1) },
  { estimator: 'k2', value: 0.0175, gradient: [0.01, 0.01, 0.01, -0.05, 0, 0.01, 0, 0.02, 0.01, -0.01] },
  { estimator: 'k3', value: 0.019681, gradient: [0.009516, 0.009516, 0.009516, -0.064872, 0, 0.009516, 0, 0.018127, 0.009516, -0.010517] },
] as const;

/** Σ weight · term over log-probabilities that are an input, and its gradient. */
async function lossOf({ loss, advantages = standard, sampling = old }: Row): Promise<{ value: number; gradient: Float32Array }> {
  const b = new Builder();
  const stop: string[] = [];
  const vector = (name: string): Value => b.input(name, 'float32', ['tokens']);
  const logprobs = vector('logprobs');
  const tensors: LossTensors = {
    logprobs, samplingLogprobs: vector('sampling'), advantages: vector('advantages'), entropy: vector('entropy'),
    sequence: b.input('sequence', 'int64', ['tokens']), inverseLengths: b.input('inverseLengths', 'float32', ['rollouts']),
  };
  let term = termOf(loss)(tensors, { b, stopGradient: (value) => { stop.push(value.name); return value; } });
  if (loss.kl) term = b.add(term, b.mul(klTerms[loss.kl.estimator](b.sub(logprobs, vector('reference')), b), loss.kl.coefficient));
  b.output('loss', b.sum(b.mul(term, vector('weights'))));
  const rollouts = rolloutOf(lengths), totals = { sequences: lengths.length, tokens: now.length };
  const outputs = await run(differentiate(b.build(), { output: 'loss', wrt: ['logprobs'], stop }), {
    logprobs: column(now), sampling: column(sampling), reference: column(ref), advantages: column(rollouts.map((rollout) => advantages[rollout]!)), entropy: column(now.map(() => 0)),
    sequence: indices(rollouts), inverseLengths: column(lengths.map((length) => 1 / length)), weights: column(rollouts.map((rollout) => tokenWeight(loss, lengths[rollout]!, totals))),
  });
  return { value: Number(outputs['loss']!.data[0]), gradient: outputs['grad.logprobs']!.data as Float32Array };
}

function expectClose(actual: ArrayLike<number>, expected: readonly number[], tolerance: number): void {
  expect(actual.length).toBe(expected.length);
  expected.forEach((value, index) => expect(Math.abs(actual[index]! - value), `entry ${index}: ${actual[index]} instead of ${value}`).toBeLessThan(tolerance));
}

describe('a published loss has its value and its gradient', () => {
  test.each(table)('$name', async (row) => {
    const { value, gradient } = await lossOf(row);
    expectClose([value], [row.value], 2e-6);
    expectClose(gradient, row.gradient, 2e-6);
  });

  test.each(klRows)('KL estimator $estimator', async ({ estimator, value, gradient }) => {
    // An importance-sampled loss without advantages leaves the KL term alone.
    const row = await lossOf({ name: estimator, loss: { kind: 'importance_sampling', reduction: 'token_mean', kl: { coefficient: 1, estimator } }, advantages: [0, 0, 0, 0], value, gradient });
    expectClose([row.value], [value], 2e-6);
    expectClose(row.gradient, gradient, 2e-6);
  });
});

describe('a preset means the loss of its paper', () => {
  const named: Record<keyof typeof lossPresets, string> = {
    grpo: 'GRPO', dapo: 'DAPO', gspo: 'GSPO', cispo: 'CISPO, cap 5', dr_grpo: 'Dr.GRPO',
    importance_sampling: 'importance sampling', ppo: 'PPO, summed', dro: 'DRO', cross_entropy: 'cross entropy',
  };
  const camel = (key: string): string => key.replace(/_(\w)/g, (_, letter: string) => letter.toUpperCase());
  test.each(Object.entries(named))('%s', (preset, name) => {
    const { loss } = table.find((row) => row.name === name)!;
    const fields = Object.fromEntries(Object.entries(lossPresets[preset as keyof typeof lossPresets].loss).map(([key, value]) => [camel(key), value]));
    const { constantLength: _, ...expected } = loss;
    expect(fields).toEqual(expected);
  });
});

// ---- the whole training graph, from logits ---------------------------------------------------------------------------------

interface Fixture {
  lengths: number[]; vocabulary: number; logits: number[]; targets: number[]; temperatures: number[]; advantages: number[]; sampling: number[]; reference: number[];
  cases: { loss: Loss; value: number; gradient: number[]; entropy: number[]; logprobs: number[] }[];
}
const fixture = JSON.parse(await readFile(new URL('fixtures/losses.json', import.meta.url), 'utf8')) as Fixture;

/** A decoder whose only parameter is its logits. */
function logitsAsParameter(vocabulary: number): ReturnType<Builder['build']> {
  const b = new Builder();
  b.output('logits', b.mul(b.input('theta', 'float32', ['scored', vocabulary]), 1));
  return b.build();
}

describe("from logits to gradients, the training graph agrees with PyTorch's float64", () => {
  test.each(fixture.cases.map((expected) => ({ name: JSON.stringify(expected.loss), expected })))('$name', async ({ expected: { loss, value, gradient, entropy, logprobs } }) => {
    const { lengths: of, vocabulary } = fixture;
    const rollouts = rolloutOf(of), count = rollouts.length;
    const totals = { sequences: of.length, tokens: count };
    const outputs = await run(trainingGraph(logitsAsParameter(vocabulary), { loss, parameters: ['theta'] }), {
      theta: f32(Float32Array.from(fixture.logits), [count, vocabulary]),
      [TRAINING_INPUTS.targets]: indices(fixture.targets), [TRAINING_INPUTS.sequence]: indices(rollouts),
      [TRAINING_INPUTS.inverseTemperature]: f32(Float32Array.from(fixture.temperatures, (temperature) => 1 / temperature), [count, 1]),
      [TRAINING_INPUTS.samplingLogprobs]: column(fixture.sampling), [TRAINING_INPUTS.referenceLogprobs]: column(fixture.reference),
      [TRAINING_INPUTS.advantages]: column(fixture.advantages), [TRAINING_INPUTS.inverseLengths]: column(of.map((length) => 1 / length)),
      [TRAINING_INPUTS.weights]: column(rollouts.map((rollout) => tokenWeight(loss, of[rollout]!, totals))),
    });
    expectClose(outputs['logprobs']!.data as Float32Array, logprobs, 1e-5);
    expectClose(outputs['entropy']!.data as Float32Array, entropy, 1e-5);
    expect(Math.abs(Number(outputs['loss']!.data[0]) - value) / Math.abs(value)).toBeLessThan(1e-5);
    expect(relativeDistance(outputs['grad.theta']!.data as Float32Array, gradient)).toBeLessThan(1e-5);
  });
});
