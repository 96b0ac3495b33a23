/** Which tasks a step attempts, and how fast it learns: functions of the step's number alone. */
import type { TrainSettings } from '../config/types.ts';
import { permutation } from '../util/random.ts';

/** Second coordinate of random streams that belong to no step. */
export const STREAMS = { shuffle: 0xffff_fff0, evaluation: 0xffff_fff1, interval: 0xffff_fff2 } as const;

export interface TaskOrder {
  seed: number;
  /** Tasks in the training split. */
  count: number;
  /** Tasks per step. */
  batch: number;
}

/**
 * Indices of the tasks of a step (from 1). Each epoch visits every task once, in an order of its own; a step may straddle two epochs.
 */
export function tasksOfStep(step: number, { seed, count, batch }: TaskOrder): number[] {
  return Array.from({ length: batch }, (_, slot) => {
    const position = (step - 1) * batch + slot;
    return orderOf({ seed, epoch: Math.floor(position / count), count })[position % count]!;
  });
}

interface Epoch { seed: number; epoch: number; count: number }

/** Steps come one after another, so nearly all ask for the order that was asked for last. */
let last: Epoch & { order: readonly number[] } = { seed: 0, epoch: 0, count: 0, order: [] };

function orderOf({ seed, epoch, count }: Epoch): readonly number[] {
  const isLast = last.seed === seed && last.epoch === epoch && last.count === count;
  if (!isLast) last = { seed, epoch, count, order: permutation([seed, STREAMS.shuffle, epoch], count) };
  return last.order;
}

type Decay = (progress: number, final: number) => number;

const decays: { [K in TrainSettings['schedule']['kind']]: Decay } = {
  constant: () => 1,
  linear: (progress, final) => 1 + (final - 1) * progress,
  cosine: (progress, final) => final + (1 - final) * 0.5 * (1 + Math.cos(Math.PI * progress)),
};

/**
 * Learning rate of a step of a stage (`step` from 1 to `steps`): a linear warm-up over `warmup` steps, then from the full rate down to
 * `final` (a share of it), which the last step has.
 */
export function learningRate(train: TrainSettings, step: number, steps: number): number {
  const { kind, warmup, final } = train.schedule;
  if (step <= warmup) return (train.learningRate * step) / (warmup + 1);
  const progress = steps - warmup > 1 ? (step - warmup - 1) / (steps - warmup - 1) : 0;
  return train.learningRate * decays[kind](progress, final);
}
