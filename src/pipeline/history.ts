/** What a job's metrics and its model's checkpoints say together: where it stands, and what a restart may keep. */
import type { StageSettings } from '../config/types.ts';
import type { MetricsRow } from '../events.ts';
import { gotNoVerdict } from './guards.ts';
import type { Checkpoint } from '../models/types.ts';

/** The checkpoint that a job began with and its step; null and 0 for the model as it was forked. */
export interface Start {
  checkpoint: string | null;
  step: number;
}

/** Do two stages put the same question to the model? Scores on other tasks, or by another reward, say nothing about each other. */
export function measureAlike(a: StageSettings, b: StageSettings): boolean {
  const question = ({ taskset, reward, agent }: StageSettings): string => JSON.stringify([taskset, reward, agent]);
  return question(a) === question(b);
}

/** Checkpoints that a job made, by the job's step. */
export function checkpointsOfJob(checkpoints: readonly Checkpoint[], jobId: string, start: Start): Map<number, Checkpoint> {
  return new Map(checkpoints.filter((checkpoint) => checkpoint.jobId === jobId).map((checkpoint) => [checkpoint.step - start.step, checkpoint]));
}

/**
 * The rows that a restart goes on from: all up to the first step whose checkpoint never made it to the disk. Steps that were skipped need
 * none; but those at the end that got no verdict at all are done again, since what was broken may have been mended.
 */
export function keptRows(rows: readonly MetricsRow[], made: ReadonlyMap<number, Checkpoint>): MetricsRow[] {
  const lost = rows.findIndex((row) => row.kind === 'step' && !made.has(row.step));
  const kept = rows.slice(0, lost === -1 ? rows.length : lost);
  return kept.slice(0, kept.findLastIndex((row) => !gotNoVerdict(row)) + 1);
}

/** For each row, the checkpoint that the weights were after it. */
export function weightsAfter(rows: readonly MetricsRow[], made: ReadonlyMap<number, Checkpoint>, start: Start): (string | null)[] {
  let weights = start.checkpoint;
  return rows.map((row) => {
    if (row.kind === 'step') weights = made.get(row.step)?.id ?? weights;
    if (row.kind === 'rollback') weights = row.checkpoint ?? null;
    return weights;
  });
}
