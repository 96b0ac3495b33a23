/**
 * A job under way: its rows, where the weights are, and the moves between steps. All of it can be read back from the disk: a session that
 * is recovered knows what the interrupted one knew.
 */
import type { Emit, Metrics, MetricsRow } from '../events.ts';
import type { Engine, Tokenizer } from '../policy/types.ts';
import type { ResolvedPipeline, StageSettings } from '../config/types.ts';
import type { Checkpoint } from '../models/types.ts';
import type { ControlPanel } from './controls.ts';
import { evaluate } from './evaluate.ts';
import { bestRow, isMeasured } from './guards.ts';
import { type Start, checkpointsOfJob, keptRows, measureAlike, weightsAfter } from './history.ts';
import type { JobFiles } from './job-files.ts';
import type { Clock, Loop, ModelLine, StageMaterials } from './loop.ts';
import type { StepResult } from './promote.ts';
import { warnOfPrompts, warnOfUnknownText } from './prompts.ts';

/** What the checkpoints of a model may take on disk before the oldest lose their weights. */
const CHECKPOINT_BUDGET_BYTES = 1e9;

export interface SessionOptions {
  jobId: string;
  pipeline: ResolvedPipeline;
  /** One entry per stage. */
  materials: readonly StageMaterials[];
  configHash: string;
  start: Start;
  files: JobFiles;
  model: ModelLine;
  engine: Engine;
  tokenizer: Tokenizer;
  panel: ControlPanel;
  /** Bakes the weights of the session's model into a directory. */
  exportModel: (settings: NonNullable<StageSettings['export']>) => Promise<{ ok: true } | { ok: false; message: string }>;
  emit: Emit;
  clock: Clock;
  signal: AbortSignal;
}

export class Session {
  readonly rows: MetricsRow[] = [];
  /** The checkpoint that the weights are now; null: as the model was forked. */
  weights: string | null;
  /** The checkpoint that others sample. */
  head: string | null;
  private readonly made = new Map<number, Checkpoint>();
  private writing: Promise<unknown> = Promise.resolve();
  private saving: Promise<void> = Promise.resolve();
  private readonly said = new Set<string>();
  readonly options: SessionOptions;

  constructor(options: SessionOptions) {
    this.options = options;
    this.weights = options.start.checkpoint;
    this.head = options.start.checkpoint;
  }

  /** Takes up a job where its files say that it was; drops the rows of a step that was lost. Returns the step it stands at. */
  async recover(): Promise<number> {
    const { files, model, jobId, start } = this.options;
    const rows = await files.readMetrics();
    for (const [step, checkpoint] of checkpointsOfJob(await model.checkpoints(), jobId, start)) this.made.set(step, checkpoint);
    this.rows.push(...keptRows(rows, this.made));
    if (this.rows.length < rows.length) await files.replaceMetrics(this.rows);
    this.weights = weightsAfter(this.rows, this.made, start).at(-1) ?? start.checkpoint;
    const promoted = this.rows.findLast((row) => row.promoted || (row.kind === 'rollback' && row.promoted !== false));
    await this.moveHead(!promoted ? start.checkpoint : promoted.kind === 'rollback' ? (promoted.checkpoint ?? null) : this.made.get(promoted.step)!.id);
    return this.step;
  }

  /** The last step that is over. */
  get step(): number {
    return this.rows.at(-1)?.step ?? 0;
  }

  /** Are the weights those that the last step made? Not after a rollback, nor when an update was refused. */
  get stands(): boolean {
    return this.rows.findLast(({ kind }) => kind !== 'evaluation')?.kind === 'step';
  }

  /** The rows of a stage, after the baseline if there is one that measured the same: what its guards look at. */
  rowsOf(stage: StageSettings): MetricsRow[] {
    return this.comparable(stage).filter((row) => row.stage === stage.name || row.kind === 'baseline');
  }

  /** Rows of all stages that ask what this one asks: their held-out scores can be compared. */
  comparable(stage: StageSettings): MetricsRow[] {
    const alike = new Set(this.options.pipeline.stages.filter((other) => measureAlike(stage, other)).map(({ name }) => name));
    return this.rows.filter((row) => alike.has(row.stage));
  }

  /** Measures the weights before a stage's first step, unless they were when its question was asked last. */
  async measureBaseline(index: number): Promise<void> {
    const { pipeline, materials, panel } = this.options;
    const stage = pipeline.stages[index]!;
    const isKnown = this.comparable(stage).some(isMeasured);
    if (!stage.eval.baseline || isKnown || panel.finishing || materials[index]!.taskset.eval.length === 0) return;
    const metrics = await this.evaluate(index, { step: this.step, baseline: this.rows.length === 0 });
    await this.write({ step: this.step, stage: stage.name, kind: 'baseline', metrics });
  }

  /** Prompts that do not fit or cannot be read; stages that share them would say the same. */
  warnOfPrompts(index: number): void {
    const { taskset, agent, engine, tokenizer, stage, emit } = this.loopOf(index);
    const warnings = {
      context_overflow: warnOfPrompts(taskset.train, { agent, settings: stage.agent, contextLength: engine.info.contextLength, split: 'train' }),
      unknown_text: warnOfUnknownText(taskset.train, { agent, tokenizer }),
    };
    for (const [code, warning] of Object.entries(warnings)) {
      if (!warning || this.said.has(warning.message)) continue;
      this.said.add(warning.message);
      emit('warning', { step: null, code, ...warning });
    }
  }

  stepsDone(stage: StageSettings): number {
    return this.rows.filter((row) => row.stage === stage.name && (row.kind === 'step' || row.kind === 'skipped')).length;
  }

  /** Has the job gone past this stage already, before it was interrupted? */
  isBehind(index: number): boolean {
    const later = this.options.pipeline.stages.slice(index + 1).map((stage) => stage.name);
    return this.rows.some((row) => row.kind !== 'baseline' && later.includes(row.stage));
  }

  loopOf(index: number): Loop {
    const { pipeline, materials } = this.options;
    return { ...this.options, ...materials[index]!, stage: pipeline.stages[index]!, seed: pipeline.seed };
  }

  /** Keeps what a step left: its row, which is on disk already, and its checkpoint, which is on the way there. */
  keep({ row, saving }: StepResult): void {
    this.rows.push(row);
    if (!saving) return;
    this.writing = saving.written;
    this.saving = saving.checkpoint.then(async (saved) => {
      this.made.set(row.step, saved);
      this.weights = saved.id;
      if (row.promoted) this.head = saved.id;
      await this.makeRoom();
    });
    // Whoever needs the checkpoint hears of a failure when he waits for it.
    this.writing.catch(() => {});
    this.saving.catch(() => {});
  }

  /** Until this resolves, the weights must not change: they are still being written. */
  written(): Promise<unknown> {
    return this.writing;
  }

  /** Until this resolves, the last step's checkpoint is neither in the tree nor the head. */
  settled(): Promise<void> {
    return this.saving;
  }

  /**
   * Every step leaves a checkpoint, which for a large model fills any disk: beyond the budget the oldest weights go. Those that were measured
   * stay, since a rollback may want them.
   */
  private async makeRoom(): Promise<void> {
    const { model, start, emit } = this.options;
    const measured = this.rows.filter(isMeasured).flatMap((row) => this.made.get(row.step)?.id ?? []);
    const spare = new Set([...measured, ...(start.checkpoint ? [start.checkpoint] : [])]);
    const pruned = await model.pruneTo({ maxBytes: CHECKPOINT_BUDGET_BYTES, spare });
    if (pruned.length === 0) return;
    emit('checkpoints-pruned', { checkpoints: pruned.map(({ id }) => id) });
    emit('log', { level: 'debug', message: `Made room: the weights of ${pruned.map(({ name }) => name).join(', ')} were deleted.` });
  }

  async write(row: Omit<MetricsRow, 'time'>): Promise<void> {
    const { clock, files } = this.options;
    const complete = { ...row, time: Math.round(clock()) };
    files.appendMetrics(complete);
    this.rows.push(complete);
    await files.durable();
  }

  /** Loads the weights that the session stands at, or others for a while. */
  async restore(weights?: string | null): Promise<void> {
    await this.settled();
    const { engine, model } = this.options;
    const checkpoint = weights === undefined ? this.weights : weights;
    if (checkpoint === null) await engine.reset();
    else await engine.readState(model.stateDirectory(checkpoint));
  }

  /** Measures the weights as they are now on a stage's held-out tasks. */
  async evaluate(index: number, { step, baseline = false }: { step: number; baseline?: boolean }): Promise<Metrics> {
    const loop = this.loopOf(index);
    const { stage, taskset, engine, emit } = loop;
    emit('eval-started', { step, tasks: Math.min(stage.eval.tasks, taskset.eval.length) });
    const { metrics, tasks, interval } = await evaluate({
      ...loop,
      tasks: taskset.eval,
      settings: stage.eval,
      confidence: stage.promote.confidence,
      sampler: engine.sampler,
      agentSettings: stage.agent,
      runtime: stage.runtime,
    });
    emit('eval-finished', { step, metrics, tasks, interval, baseline });
    return metrics;
  }

  /** Measures what others see: the head, from whose weights the loop may be some steps away. The loop's own are back afterwards. */
  async evaluateHead(index: number): Promise<void> {
    const stage = this.options.pipeline.stages[index]!;
    const row = { step: this.step, stage: stage.name, kind: 'evaluation' } as const;
    if (this.weights === this.head) return this.write({ ...row, metrics: await this.evaluate(index, row) });
    await this.restore(this.head);
    await this.write({ ...row, metrics: await this.evaluate(index, row), checkpoint: this.head });
    await this.restore();
  }

  /** Puts earlier weights back and, if they are to be what others see, moves the head there too. */
  async rollBack(stage: StageSettings, to: string | null, reason: string): Promise<void> {
    const { emit } = this.options;
    const from = this.weights;
    const promoted = stage.promote.when === 'always';
    await this.write({ step: this.step, stage: stage.name, kind: 'rollback', metrics: {}, checkpoint: to, promoted, reason });
    this.weights = to;
    await this.restore();
    if (promoted) await this.moveHead(to);
    emit('rolled-back', { step: this.step, from: from ?? 'base', to, head: this.head, reason });
  }

  /** What people ask for may be impossible: the checkpoint is not there, or its weights were deleted. */
  private async rollBackAsAsked(stage: StageSettings, to: string): Promise<void> {
    try {
      this.options.model.stateDirectory(to);
    } catch (error) {
      const { message, fix = 'Choose another checkpoint.' } = error as Error & { fix?: string };
      this.options.emit('warning', { step: this.step, code: 'rollback_impossible', message: `no rollback: ${message}`, fix });
      return;
    }
    await this.rollBack(stage, to, 'asked for at the screen');
  }

  /** The weights with the best held-out score so far; without any evaluation, those that drew the best-rewarded rollouts. */
  bestWeights(stage: StageSettings): string | null {
    const measured = bestRow(this.comparable(stage));
    if (measured) return this.weightsOfRows().get(measured)!;
    const after = weightsAfter(this.rows, this.made, this.options.start);
    const rewarded = bestRow(this.comparable(stage), 'reward');
    return (rewarded && after[this.rows.indexOf(rewarded) - 1]) ?? this.options.start.checkpoint;
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
    const after = weightsAfter(this.rows, this.made, this.options.start);
    return new Map(this.rows.map((row, index) => [row, row.kind === 'evaluation' && row.checkpoint !== undefined ? row.checkpoint : after[index]!]));
  }

  private async moveHead(to: string | null): Promise<void> {
    await this.options.model.setHead(to);
    this.head = to;
  }

  /** Between two steps: waits while paused, then does what people asked for. */
  async atBoundary(index: number): Promise<void> {
    const { panel, emit, pipeline, signal } = this.options;
    const stage = pipeline.stages[index]!;
    if (panel.paused) {
      emit('job-paused', { step: this.step });
      await panel.whenResumed();
      signal.throwIfAborted();
      emit('job-continued', { step: this.step });
    }
    const requested = panel.takeRequests();
    if (requested.rollbackTo !== null || requested.evaluate || requested.checkpoint) await this.settled();
    if (requested.rollbackTo !== null) await this.rollBackAsAsked(stage, requested.rollbackTo);
    if (requested.evaluate) {
      const metrics = await this.evaluate(index, { step: this.step });
      await this.write({ step: this.step, stage: stage.name, kind: 'evaluation', metrics });
    }
    if (requested.checkpoint) {
      emit('log', { level: 'info', message: `Every step is saved; the weights are ${this.weights ?? 'those of the base'}.` });
    }
  }
}
