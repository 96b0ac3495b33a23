/** A job's held-out scores before and after: told alike by everybody who tells them. */
import type { JobStatus, Metrics, MetricsRow } from '../events.ts';
import { finiteOrNull } from './statistics.ts';

/** With its interval, where one was computed. */
export interface Score {
  value: number;
  low: number | null;
  high: number | null;
}

/** What a job says of itself: at its end in `job-finished`, and from then on in `meta.json`. */
export interface OwnWords {
  status: JobStatus | 'running' | 'interrupted';
  /** Of the model as the job found it, and of its head. */
  before?: Metrics | null;
  after?: Metrics | null;
}

/** Null where the score was not measured. */
export function scoreOf(metrics: Metrics | null | undefined, name = 'eval/reward'): Score | null {
  const value = finiteOrNull(metrics?.[name]);
  return value === null ? null : { value, low: finiteOrNull(metrics?.[`${name}_low`]), high: finiteOrNull(metrics?.[`${name}_high`]) };
}

export interface Evaluated extends Score {
  step: number;
  isBaseline: boolean;
}

/** Every measurement of a held-out score, with its interval where one was computed. */
export function evaluations(rows: readonly MetricsRow[], metric = 'eval/reward'): Evaluated[] {
  return rows.flatMap(({ step, kind, metrics }) => {
    const score = scoreOf(metrics, metric);
    return score ? [{ step, ...score, isBaseline: kind === 'baseline' }] : [];
  });
}

/** Has the job not come to its end, so that only its rows tell how far it is? */
export const isOpen = ({ status }: Pick<OwnWords, 'status'>): boolean => status === 'running' || status === 'interrupted';

/**
 * A job that is over says it itself: the weights that were measured last need not be its head, which a rollback or a gate may have left
 * elsewhere. Of an open one (and of one from before jobs said it) the first and the last measurement are told.
 */
export function heldOut(job: OwnWords, measured: readonly Evaluated[]): { before: Score | null; after: Score | null } {
  if (!isOpen(job) && job.after !== undefined) return { before: scoreOf(job.before), after: scoreOf(job.after) };
  return {
    before: measured.find(({ isBaseline }) => isBaseline) ?? null,
    after: measured.findLast(({ isBaseline }) => !isBaseline) ?? null,
  };
}
