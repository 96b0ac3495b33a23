/** @file A job's metrics as curves over its steps. */
import type { MetricsRow } from '../events.ts';
import type { BandPoint, Point } from '../plot/index.ts';
import { finiteOrNull, mean } from '../util/statistics.ts';

/** Where a curve is interrupted: the stage changed, or other weights came back. */
function breaksBefore(row: MetricsRow, previous: MetricsRow | undefined, rolledBack: boolean): boolean {
  return previous !== undefined && (rolledBack || (row.stage !== previous.stage && previous.kind !== 'baseline'));
}

/** Rows that have what `pick` looks for, with a gap (null) wherever two of them must not be joined. */
function collect<T>(rows: readonly MetricsRow[], pick: (row: MetricsRow) => T | null): ({ row: MetricsRow; value: T } | { row: MetricsRow; value: null })[] {
  const found: ({ row: MetricsRow; value: T } | { row: MetricsRow; value: null })[] = [];
  let previous: MetricsRow | undefined;
  let rolledBack = false;
  for (const row of rows) {
    if (row.kind === 'rollback') rolledBack = true;
    const value = row.kind === 'rollback' ? null : pick(row);
    if (value === null) continue;
    if (breaksBefore(row, previous, rolledBack)) found.push({ row, value: null });
    found.push({ row, value });
    previous = row;
    rolledBack = false;
  }
  return found;
}

/** Steps without a value are passed over; a curve breaks where the stage changes and where weights were rolled back. */
export const curve = (rows: readonly MetricsRow[], metric: string): Point[] =>
  collect(rows, ({ metrics }) => finiteOrNull(metrics[metric])).map(({ row, value }) => ({ x: row.step, y: value }));

/** Values without the gaps, oldest first. */
export const values = (rows: readonly MetricsRow[], metric: string): number[] => curve(rows, metric).flatMap(({ y }) => y ?? []);

export type BandOf = (metrics: MetricsRow['metrics']) => readonly [low: number | undefined, high: number | undefined];

export const band = (rows: readonly MetricsRow[], bandOf: BandOf): BandPoint[] =>
  collect(rows, ({ metrics }) => {
    const [low, high] = bandOf(metrics).map(finiteOrNull);
    return low === null || low === undefined || high === null || high === undefined ? null : { low, high };
  }).map(({ row, value }) => ({ x: row.step, low: value?.low ?? null, high: value?.high ?? null }));

/** `reward ± within_group_reward_std`, but no further than some rollout of the step got. */
export const spreadOfReward: BandOf = ({ reward, within_group_reward_std: spread, reward_min: low = -Infinity, reward_max: high = Infinity }) =>
  reward === undefined || spread === undefined ? [undefined, undefined] : [Math.max(low, reward - spread), Math.min(high, reward + spread)];

/** The mean of several curves and the area from the lowest to the highest, at the steps where every one of them has a value. */
export function meanOf(curves: readonly (readonly Point[])[]): { middle: Point[]; area: BandPoint[] } {
  const known = curves.map((points) => new Map(points.flatMap(({ x, y }) => (y === null ? [] : [[x, y] as const]))));
  const steps = [...(known[0]?.keys() ?? [])].filter((step) => known.every((values) => values.has(step)));
  const slices = steps.map((step) => ({ step, values: known.map((values) => values.get(step)!) }));
  return {
    middle: slices.map(({ step, values }) => ({ x: step, y: mean(values) })),
    area: slices.map(({ step, values }) => ({ x: step, low: Math.min(...values), high: Math.max(...values) })),
  };
}

/** What became of the head after a step. */
export type Fate = 'promoted' | 'held' | 'skipped' | 'rolled-back';

/** Runs of equal fate along the steps, and each rollback as a place of its own. */
export function fates(rows: readonly MetricsRow[]): { fate: Fate; from: number; to: number; reason: string | null }[] {
  const runs: { fate: Fate; from: number; to: number; reason: string | null }[] = [];
  for (const { kind, step, promoted, reason = null } of rows) {
    const fate: Fate | null = kind === 'rollback' ? 'rolled-back' : kind === 'skipped' ? 'skipped' : kind === 'step' ? (promoted === false ? 'held' : 'promoted') : null;
    if (fate === null) continue;
    const last = runs.at(-1);
    if (last && last.fate === fate && fate !== 'rolled-back' && step === last.to + 1) last.to = step;
    else runs.push({ fate, from: step, to: step, reason });
  }
  return runs;
}
