/** @file What a KL or an entropy term learns from groups whose rewards are all equal, against numbers that are computed here. */
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Rollout } from '../../src/events.ts';
import { formGroups } from '../../src/pipeline/groups.ts';
import { type Learnt, learnFromGroups } from '../../src/pipeline/learn.ts';
import type { Loop } from '../../src/pipeline/loop.ts';
import { mergeTurns } from '../../src/pipeline/batch.ts';
import { type Engine, openEngine } from '../../src/policy/index.ts';
import type { Loss } from '../../src/policy/types.ts';
import { sum } from '../../src/util/statistics.ts';
import { engineOptions, randomPrompt, request, temporaryDirectory, tinyModel } from '../policy/support.ts';
import { stage } from './fakes.ts';

const TEMPERATURE = 0.7;
const clipped = { kind: 'ppo', ratio: 'token', clipLowThreshold: 0.8, clipHighThreshold: 1.2, reduction: 'sequence_mean' } as const;

let scratch: Awaited<ReturnType<typeof temporaryDirectory>>;
let engine: Engine;
beforeAll(async () => {
  scratch = await temporaryDirectory();
  engine = await openEngine(engineOptions(await tinyModel(join(scratch.path, 'model')), { reference: true }));
});
afterAll(async () => {
  await engine?.close();
  await scratch?.[Symbol.asyncDispose]();
});

/** Groups of two rollouts each with these rewards, drawn by the weights as they are. */
async function draw(rewards: readonly (readonly (number | null)[])[]): Promise<Rollout[]> {
  const requests = rewards.flatMap((group, slot) => group.map((_, index) => request(2 * slot + index, randomPrompt(slot, 5), { temperature: TEMPERATURE, maxTokens: 4 + index })));
  const rollouts: Rollout[] = [];
  for await (const { id, outputTokenIds, outputLogprobs } of engine.sampler.sample(requests)) {
    const index = requests.findIndex((other) => other.id === id);
    const [groupId, reward] = [String(index >> 1), rewards[index >> 1]![index % 2]!];
    const turns = [{ promptTokenIds: [...requests[index]!.promptTokenIds], outputTokenIds, outputLogprobs }];
    rollouts.push({ id, taskId: groupId, groupId, prompt: '', completion: '', turns, status: reward === null ? 'error' : 'completed', stopReason: 'done', reward, subscores: [] });
  }
  return rollouts.sort((a, b) => (Number(a.id.slice(1)) < Number(b.id.slice(1)) ? -1 : 1));
}

const optionsOf = (loss: Loss) => stage({ train: { loss, learningRate: 1e-2 }, agent: { temperature: TEMPERATURE } });

function learn(rollouts: readonly Rollout[], loss: Loss): Promise<Learnt> {
  const settings = optionsOf(loss);
  const loop = { engine, stage: settings, emit: () => {}, signal: new AbortController().signal } as unknown as Loop;
  const options = { learningRate: 1e-2, restore: async () => {}, captured: async () => {}, onUpdating: () => {} };
  return learnFromGroups(formGroups(rollouts, settings.train), options, loop);
}

/** Σ over rollouts of the mean of `term` over its tokens, divided by the number of all rollouts: `sequence_mean`. */
async function meanOver(rollouts: readonly Rollout[], count: number, term: (logprob: number, at: { rollout: Rollout; index: number }) => number): Promise<number> {
  const { logprobs } = await engine.trainer.forward({ sequences: rollouts.flatMap((rollout) => mergeTurns(rollout.turns, 0, TEMPERATURE)) });
  const means = rollouts.map((rollout, row) => {
    const [turn] = rollout.turns;
    return sum(turn!.outputTokenIds.map((_, index) => term(logprobs[row]![turn!.promptTokenIds.length + index]!, { rollout, index }))) / turn!.outputTokenIds.length;
  });
  return sum(means) / count;
}

describe('groups without spread', () => {
  test('a KL term counts every rollout of every group with verdicts', async () => {
    await engine.reset();
    const rollouts = await draw([[1, 0], [1, 1], [0, 0]]);
    const references = new Map<Rollout, number[]>();
    await meanOver(rollouts, 1, (logprob, { rollout }) => (references.set(rollout, [...(references.get(rollout) ?? []), logprob]), 0));
    // Away from the reference, where the KL is not 0; the mixed group alone does that.
    for (let step = 0; step < 3; step++) await learn(rollouts, clipped);
    const k3 = await meanOver(rollouts, 6, (logprob, { rollout, index }) => {
      const d = logprob - references.get(rollout)![index]!;
      return Math.exp(-d) + d - 1;
    });
    const surrogate = await meanOver(rollouts.slice(0, 2), 6, (logprob, { rollout, index }) => {
      const ratio = Math.exp(logprob - rollout.turns[0]!.outputLogprobs[index]!);
      const advantage = rollout.advantage!;
      return -Math.min(ratio * advantage, Math.min(Math.max(ratio, 0.8), 1.2) * advantage);
    });
    expect(k3).toBeGreaterThan(1e-3);
    const learnt = await learn(rollouts, { ...clipped, kl: { coefficient: 0.5, estimator: 'k3' } });
    expect(learnt).toMatchObject({ updated: true, sequences: 6 });
    expect(learnt.metrics.policy_loss).toBeCloseTo(surrogate + 0.5 * k3, 5);
  });

  test('a step without any spread trains with a KL or an entropy term, and is skipped without', async () => {
    await engine.reset();
    const rollouts = await draw([[1, 1], [0, 0]]);
    expect(await learn(rollouts, clipped)).toMatchObject({ updated: false, reason: 'no_spread' });
    expect(await learn(rollouts, { ...clipped, kl: { coefficient: 0, estimator: 'k3' }, entropyBonus: 0 })).toMatchObject({ updated: false });
    const before = (await learn(rollouts, { ...clipped, entropyBonus: -0.1 })) as Learnt & { updated: true };
    expect(before).toMatchObject({ updated: true, sequences: 4 });
    expect(before.metrics.grad_norm).toBeGreaterThan(0);
    expect((await learn(rollouts, { ...clipped, kl: { coefficient: 0.1, estimator: 'k2' } })).metrics.grad_norm).toBeGreaterThan(0);
  });

  test('a group in which a rollout has no verdict is left out all the same', async () => {
    const rollouts = await draw([[1, 1], [null, 1]]);
    expect(await learn(rollouts, { ...clipped, entropyBonus: 0.1 })).toMatchObject({ updated: true, sequences: 2 });
    expect(await learn(await draw([[null, 1]]), { ...clipped, entropyBonus: 0.1 })).toMatchObject({ updated: false, reason: 'all_errored' });
  });
});
