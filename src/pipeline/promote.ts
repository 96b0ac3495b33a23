/**
 * The end of a step: measure if it is time to, write down what happened, save the weights, move the head.
 *
 * Saving waits for the disk and for nothing else, and the next step does not need what it leaves: it goes on meanwhile, and is over before
 * that step is saved in its turn.
 */
import type { Accounting, CheckpointSummary, Metrics, MetricsRow } from '../events.ts';
import type { Checkpoint } from '../models/types.ts';
import type { Learnt } from './learn.ts';
import type { Loop, StepPlace, Stopwatch } from './loop.ts';
import { type HeldOutMetrics, type MetricsFrom, together } from './metric-sources.ts';
import { timeMetrics } from './metrics.ts';
import type { BegunRollouts } from './rollout.ts';

/** What the job decides about a step. */
export interface StepOptions {
  learningRate: number;
  /** The step's rollouts, if they were begun while the step before was still being written down. */
  ahead: BegunRollouts | null;
  /** Called when the engine has been given its last update of the step: what is asked of it now finds the weights that the step makes. */
  onUpdating: () => void;
  /** Waits until the engine has been told to write the weights of the step before: what changes them must be asked for later. Rejects if that came to nothing. */
  captured: () => Promise<unknown>;
  /** Waits until the step before is saved for good. Rejects if it cannot be. */
  settled: () => Promise<void>;
  /** The checkpoint that the weights were before the step, once that is settled: the parent of what it makes. Null: as the model was forked. */
  parent: () => string | null;
  /** The checkpoint that was the head before the step, once that is settled. */
  head: () => string | null;
  /** Measures the weights as they are now; null when no evaluation is due. */
  evaluate: (() => Promise<HeldOutMetrics>) | null;
  /** Should the head move to what this step makes? */
  gate: (metrics: Metrics) => { promote: boolean; reason: string };
  /** Puts back the weights that the step began with. */
  restore: () => Promise<void>;
}

export interface StepResult {
  row: MetricsRow;
  /** Null when nothing was learnt. */
  saving: Saving | null;
}

export interface Saving {
  /** Resolves when the engine has been told to write the weights; it lets nothing change them before it has. */
  captured: Promise<unknown>;
  /** Resolves when it is on the disk and, if the gate says so, the head. */
  checkpoint: Promise<Checkpoint>;
}

export interface StepFindings {
  /** Of the rollouts. */
  metrics: MetricsFrom<'rollouts'>;
  accounting: Accounting;
  /** How long the sampler took; null if nothing was sampled. */
  samplingMs: number | null;
  learnt: Learnt;
  stopwatch: Stopwatch;
}

/**
 * The metrics line and the rollouts are on disk before the checkpoint is: a restart finds a checkpoint with its line, or a line whose
 * checkpoint is missing, which is a step to do again.
 */
export async function promote(place: StepPlace, findings: StepFindings, options: StepOptions, loop: Loop): Promise<StepResult> {
  const { stage, emit, clock, files, model } = loop;
  const { step } = place;
  const { learnt, stopwatch, accounting } = findings;
  if (!learnt.updated) emit('step-skipped', { step, reason: learnt.reason, message: learnt.message });

  if (options.evaluate) stopwatch.begin('eval');
  const heldOut = (await options.evaluate?.()) ?? {};

  stopwatch.begin('promote');
  const { metrics: rollouts, samplingMs } = findings;
  const metrics = together({
    rollouts,
    update: { ...learnt.metrics, learning_rate: options.learningRate },
    heldOut,
    time: timeMetrics(stopwatch.read(), { tokens: rollouts.num_tokens ?? 0, samplingMs }),
  });
  const gate = learnt.updated ? options.gate(metrics) : null;
  const outcome = learnt.updated ? { kind: 'step', promoted: gate!.promote } as const : { kind: 'skipped', reason: learnt.message } as const;
  const row: MetricsRow = { step, time: Math.round(clock()), stage: stage.name, ...outcome, metrics };

  stopwatch.begin('promote');
  await options.settled();
  await model.checkLock();
  files.appendMetrics(row);
  const saving = learnt.updated && gate ? save(place, { metrics, learnt, accounting, gate, options }, loop) : null;
  if (!saving) await files.durable();
  emit('step-finished', { step, stage: stage.name, metrics, times: stopwatch.read(), accounting });
  return { row, saving };
}

interface Save {
  metrics: Metrics;
  learnt: Learnt & { updated: true };
  accounting: Accounting;
  gate: { promote: boolean; reason: string };
  options: StepOptions;
}

function save(place: StepPlace, { metrics, learnt, accounting, gate, options }: Save, loop: Loop): Saving {
  const { stage, model, engine, files, emit } = loop;
  const { step } = place;
  const previous = options.head();
  const captured = Promise.withResolvers<void>();
  const committed = model.commit(
    {
      parent: options.parent(),
      step: place.ofModel,
      traces: accounting.generated,
      datums: learnt.sequences,
      tokens: learnt.tokens,
      meanReward: metrics['reward'] ?? null,
      learningRate: options.learningRate,
      loss: stage.train.lossName,
      metrics,
      jobId: loop.jobId,
      hashes: { config: loop.configHash, taskset: loop.taskset.hash, reward: loop.scorer.hash },
    },
    {
      promote: gate.promote,
      async write(directory) {
        const writing = engine.writeState(directory);
        captured.resolve();
        await writing;
        await files.durable();
      },
    },
  );
  const checkpoint = committed.then((made) => {
    emit('checkpoint-saved', { step, checkpoint: summarize(made) });
    if (gate.promote) emit('promoted', { step, checkpoint: made.id, previous, reason: gate.reason });
    else if (metrics['eval/reward'] !== undefined) emit('promotion-held', { step, checkpoint: made.id, head: previous, reason: gate.reason });
    return made;
  });
  return { captured: Promise.race([captured.promise, committed]), checkpoint };
}

export const summarize = ({ id, name, parent, step, meanReward, metrics }: Checkpoint): CheckpointSummary => ({
  id,
  name,
  parent,
  step,
  meanReward,
  evalReward: metrics['eval/reward'] ?? null,
});
