/** The "step" of a step: gradients from scored groups, then optimizer updates. */
import type { EventData } from '../events.ts';
import type { AdamParams, Loss, TrainerMetric, TrainingBatch } from '../policy/types.ts';
import { sum } from '../util/statistics.ts';
import { isLearnable, shareOut, trainingBatch } from './batch.ts';
import { type Group, silence } from './groups.ts';
import type { Loop } from './loop.ts';
import type { MetricsFrom, MetricsOf } from './metric-sources.ts';
import { finite, mergeUpdates } from './metrics.ts';

export type Learnt =
  | { updated: true; metrics: MetricsFrom<'update'>; sequences: number; tokens: number }
  /** The weights are what they were. */
  | { updated: false; metrics: MetricsFrom<'update'>; reason: EventData['step-skipped']['reason']; message: string };

export interface LearnOptions {
  learningRate: number;
  /** Puts back the weights that the step began with: an update was refused after others had gone through. */
  restore: () => Promise<void>;
  /** Nothing that changes the weights may be asked for earlier. */
  captured: () => Promise<unknown>;
  onUpdating: () => void;
}

/** Learns from the groups that the loss has something to say about, in `train.updates` optimizer updates over equal shares of the batch. */
export async function learnFromGroups(groups: readonly Group[], options: LearnOptions, loop: Loop): Promise<Learnt> {
  const { train, agent } = loop.stage;
  const { loss } = train;
  if (!groups.some((group) => isLearnable(group, loss))) return nothingToLearn(groups);
  const batches = shareOut(groups, train.updates).map((share) => trainingBatch(share, { loss, temperature: agent.temperature }));
  return learn(loop.surroundings ? await rescored(batches, loop) : batches, loss, options, loop);
}

/**
 * The same batches with the log-probabilities that the trainer gives the tokens, before any update. Those of the sampler depend in their last
 * bits on what was decoded beside a conversation, and that on how long its environment took: a run would not repeat.
 */
async function rescored(batches: readonly TrainingBatch[], { engine, signal }: Loop): Promise<TrainingBatch[]> {
  const own: TrainingBatch[] = [];
  for (const batch of batches) {
    const { logprobs } = await engine.trainer.forward(batch, signal);
    own.push({ ...batch, sequences: batch.sequences.map((sequence, index) => ({ ...sequence, samplingLogprobs: logprobs[index]! })) });
  }
  return own;
}

/** One optimizer update per batch. A refused update undoes the ones before it, so that a step happens whole or not at all. */
export async function learn(
  batches: readonly TrainingBatch[],
  loss: Loss,
  { learningRate, restore, captured, onUpdating }: LearnOptions,
  { engine, stage, emit, signal }: Loop,
): Promise<Learnt> {
  const { beta1, beta2, eps, weightDecay, maxGradNorm } = stage.train;
  const adam: AdamParams = { learningRate, beta1, beta2, eps, weightDecay, maxGradNorm };
  const parts: { metrics: MetricsOf<TrainerMetric>; tokens: number; sequences: number }[] = [];
  const filled = batches.filter(({ sequences }) => sequences.length > 0);
  for (const batch of filled) {
    signal.throwIfAborted();
    const { metrics, tokens, sequences } = await engine.trainer.forwardBackward(batch, loss, signal);
    await captured();
    const updating = engine.trainer.update(adam);
    if (batch === filled.at(-1)) onUpdating();
    const update = await updating;
    if ('refused' in update) {
      if (parts.length > 0) await restore();
      return { updated: false, reason: 'non_finite_gradient', message: update.message, metrics: { 'update/refused': 1 } };
    }
    parts.push({ metrics: { ...metrics, ...update.metrics }, tokens, sequences });
  }
  const { metrics, dropped } = finite(mergeUpdates(parts));
  if (dropped.length > 0) {
    const message = `Not finite and left out of the metrics: ${dropped.join(', ')}.`;
    emit('warning', { step: null, code: 'non_finite_metric', message, fix: 'Lower train.learning_rate, or set train.max_grad_norm.' });
  }
  return {
    updated: true,
    metrics,
    sequences: sum(parts.map((part) => part.sequences)),
    tokens: sum(parts.map((part) => part.tokens)),
  };
}

function nothingToLearn(groups: readonly Group[]): Learnt {
  const count = (spread: Group['spread']) => groups.filter((group) => group.spread === spread).length;
  const [good, bad, dropped] = [count('all-good'), count('all-bad'), count('dropped')];
  if (dropped === groups.length) {
    const message = `every group has a rollout without a verdict, for example: ${silence(groups.flatMap((group) => group.rollouts))}`;
    return { updated: false, reason: 'all_errored', message, metrics: {} };
  }
  const parts = [good && `${good} all good`, bad && `${bad} all bad`, dropped && `${dropped} dropped`].filter(Boolean);
  return { updated: false, reason: 'no_spread', message: `no group has rewards that differ (${parts.join(', ')})`, metrics: {} };
}
