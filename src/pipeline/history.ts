/** What a job's metrics and its model's checkpoints say together: where it stands, what each row tells of, and what a restart may keep. */
import type { StageSettings } from '../config/types.ts';
import type { MetricsRow } from '../events.ts';
import { bestRow, gotNoVerdict, isMeasured } from './guards.ts';
import type { Checkpoint } from '../models/types.ts';

/** The checkpoint that a job began with and its step; null and 0 for the model as it was forked. */
export interface Start {
  checkpoint: string | null;
  step: number;
}

/** A job so far: its rows, and the checkpoints that its steps made. It grows as the job goes on; every question is answered from these alone. */
export class History {
  readonly rows: MetricsRow[] = [];
  /** By the job's step. */
  readonly made = new Map<number, Checkpoint>();
  private readonly start: Start;
  private readonly stages: readonly StageSettings[];

  constructor({ start, stages }: { start: Start; stages: readonly StageSettings[] }) {
    this.start = start;
    this.stages = stages;
  }

  /** Stands where these leave it, whatever it held before. */
  take(rows: readonly MetricsRow[], made: ReadonlyMap<number, Checkpoint>): void {
    this.rows.length = 0;
    for (const row of rows) this.rows.push(row);
    this.made.clear();
    for (const [step, checkpoint] of made) this.made.set(step, checkpoint);
  }

  /** The last step that is over. */
  get step(): number {
    return this.rows.at(-1)?.step ?? 0;
  }

  /** Are the weights those that the last step made? Not after a rollback, nor when an update was refused. */
  get stands(): boolean {
    return this.rows.findLast(({ kind }) => kind !== 'evaluation')?.kind === 'step';
  }

  /** Where the rows leave the job: the checkpoint that the weights are, and the one that others sample. */
  standing(): { weights: string | null; head: string | null } {
    const { start, rows, made } = this;
    const weights = rows.length > 0 ? this.weightsAfter().at(-1)! : start.checkpoint;
    const promoted = rows.findLast((row) => row.promoted || (row.kind === 'rollback' && row.promoted !== false));
    const head = !promoted ? start.checkpoint : promoted.kind === 'rollback' ? (promoted.checkpoint ?? null) : made.get(promoted.step)!.id;
    return { weights, head };
  }

  stepsDone(stage: StageSettings): number {
    return this.rows.filter((row) => row.stage === stage.name && (row.kind === 'step' || row.kind === 'skipped')).length;
  }

  /** Has the job gone past this stage already, before it was interrupted? */
  isBehind(index: number): boolean {
    const later = this.stages.slice(index + 1).map((stage) => stage.name);
    return this.rows.some((row) => row.kind !== 'baseline' && later.includes(row.stage));
  }

  /** The rows of a stage, after the baseline if there is one that measured the same: what its guards look at. */
  rowsOf(stage: StageSettings): MetricsRow[] {
    return this.comparable(stage).filter((row) => row.stage === stage.name || row.kind === 'baseline');
  }

  /** Rows of all stages that ask what this one asks: their held-out scores can be compared. */
  comparable(stage: StageSettings): MetricsRow[] {
    const alike = new Set(this.stages.filter((other) => measureAlike(stage, other)).map(({ name }) => name));
    return this.rows.filter((row) => alike.has(row.stage));
  }

  /**
   * The weights with the best held-out score so far; without any evaluation, those that drew the best-rewarded rollouts; without either, what the
   * job began with. `lost` can no longer be read; the model as it was forked always can.
   */
  bestWeights(stage: StageSettings, lost: ReadonlySet<string | null> = new Set()): string | null {
    const [measuredOn, before] = [this.weightsOfRows(), [this.start.checkpoint, ...this.weightsAfter()]];
    const drawnFrom = new Map(this.rows.map((row, index) => [row, before[index]!]));
    const best = (metric: string, weightsOf: ReadonlyMap<MetricsRow, string | null>): MetricsRow | null =>
      bestRow(this.comparable(stage).filter((row) => !lost.has(weightsOf.get(row)!)), metric);
    const measured = best('eval/reward', measuredOn);
    if (measured) return measuredOn.get(measured)!;
    const rewarded = best('reward', drawnFrom);
    if (rewarded) return drawnFrom.get(rewarded)!;
    return lost.has(this.start.checkpoint) ? null : this.start.checkpoint;
  }

  /** The held-out measurement of the weights that the last rollback put back, if this stage's question was asked of them. */
  restored(stage: StageSettings): MetricsRow | null {
    const back = this.rows.findLastIndex(({ kind }) => kind === 'rollback');
    if (back === -1) return null;
    const [weights, comparable] = [this.weightsOfRows(), new Set(this.comparable(stage))];
    const restored = weights.get(this.rows[back]!);
    return this.rows.slice(0, back).findLast((row) => comparable.has(row) && isMeasured(row) && weights.get(row) === restored) ?? null;
  }

  /** For each row the checkpoint that it tells of: what was measured, or made. */
  weightsOfRows(): ReadonlyMap<MetricsRow, string | null> {
    const after = this.weightsAfter();
    return new Map(this.rows.map((row, index) => [row, row.kind === 'evaluation' && row.checkpoint !== undefined ? row.checkpoint : after[index]!]));
  }

  /** For each row, the checkpoint that the weights were after it. */
  private weightsAfter(): (string | null)[] {
    let weights = this.start.checkpoint;
    return this.rows.map((row) => {
      if (row.kind === 'step') weights = this.made.get(row.step)?.id ?? weights;
      if (row.kind === 'rollback') weights = row.checkpoint ?? null;
      return weights;
    });
  }
}

/** Do two stages put the same question to the model? Scores on other tasks, or by another reward, say nothing about each other. */
function measureAlike(a: StageSettings, b: StageSettings): boolean {
  const question = ({ taskset, reward, agent }: StageSettings): string => JSON.stringify([taskset, reward, agent]);
  return question(a) === question(b);
}

/**
 * The checkpoints that a job's steps made, by the job's step. A step that was done again, since what it had left was damaged, has two: its row
 * and its checkpoint hold the same numbers.
 */
export function checkpointsOfRows(rows: readonly MetricsRow[], ofJob: readonly Checkpoint[], start: Start): Map<number, Checkpoint> {
  const byStep = Map.groupBy(ofJob, ({ step }) => step - start.step);
  const numbers = ({ metrics }: Pick<MetricsRow, 'metrics'>): string => JSON.stringify(metrics);
  const made = rows.filter(({ kind }) => kind === 'step').flatMap((row): [number, Checkpoint][] => {
    const own = byStep.get(row.step)?.find((checkpoint) => numbers(checkpoint) === numbers(row));
    return own ? [[row.step, own]] : [];
  });
  return new Map(made);
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
