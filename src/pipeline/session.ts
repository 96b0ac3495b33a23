/**
 * A job under way: where the weights are, and the moves between steps. All of it can be read back from the disk: a session that is
 * recovered knows what the interrupted one knew.
 */
import { preparingOnce } from '../agents/index.ts';
import type { Emit, MetricsRow } from '../events.ts';
import type { Engine, Tokenizer } from '../policy/types.ts';
import type { ResolvedPipeline, StageSettings } from '../config/types.ts';
import type { ControlPanel } from './controls.ts';
import { type Evaluation, evaluate } from './evaluate.ts';
import { isMeasured } from './guards.ts';
import { silence } from './groups.ts';
import { History, type Start } from './history.ts';
import type { JobFiles } from './job-files.ts';
import type { Clock, Loop, ModelLine, StageMaterials } from './loop.ts';
import { makeRoom } from './make-room.ts';
import type { HeldOutMetrics } from './metric-sources.ts';
import type { StepResult } from './promote.ts';
import { promptWarnings } from './prompts.ts';
import { recover } from './recover.ts';

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
  readonly history: History;
  /** The checkpoint that the weights are now; null: as the model was forked. */
  weights: string | null;
  /** The checkpoint that others sample. */
  head: string | null;
  private capturing: Promise<unknown> = Promise.resolve();
  private saving: Promise<void> = Promise.resolve();
  private readonly said = new Set<string>();
  readonly options: SessionOptions;

  constructor(options: SessionOptions) {
    this.options = options;
    this.history = new History({ start: options.start, stages: options.pipeline.stages });
    this.weights = options.start.checkpoint;
    this.head = options.start.checkpoint;
  }

  /** Takes up a job where its files say that it was. Returns what of them was damaged, in words. */
  async recover(): Promise<string | null> {
    const damage = await recover(this.history, this.options);
    const { weights, head } = this.history.standing();
    this.weights = weights;
    await this.moveHead(head);
    return damage;
  }

  /**
   * Measures the weights before a stage's first step, unless they were when its question was asked last. Returns why there is no score if
   * no task got a verdict: what is broken then is not the model, and no step would mend it.
   */
  async measureBaseline(index: number): Promise<string | null> {
    const { history, options: { pipeline, materials, panel } } = this;
    const stage = pipeline.stages[index]!;
    const isKnown = history.comparable(stage).some(isMeasured);
    if (!stage.eval.baseline || isKnown || panel.finishing || materials[index]!.taskset.eval.length === 0) return null;
    const { metrics, rollouts } = await this.measure(index, { step: history.step, baseline: history.rows.length === 0 });
    if (rollouts.length > 0 && rollouts.every(({ reward }) => reward === null)) return silence(rollouts);
    await this.write({ step: history.step, stage: stage.name, kind: 'baseline', metrics });
    return null;
  }

  /** Prompts that do not fit or cannot be read; stages that share them would say the same. */
  warnOfPrompts(index: number, split: 'train' | 'eval'): void {
    const { taskset, engine, tokenizer, stage, emit, ...loop } = this.loopOf(index);
    const agent = preparingOnce(loop.agent);
    const tasks = split === 'eval' ? taskset.eval.slice(0, stage.eval.tasks) : taskset.train;
    const room = { settings: stage.agent, contextLength: engine.info.contextLength, split };
    for (const { code, message, fix } of promptWarnings(tasks, { ...room, agent, tokenizer, teaches: stage.kind === 'sft' })) {
      if (this.said.has(message)) continue;
      this.said.add(message);
      emit('warning', { step: null, code, message, fix });
    }
  }

  loopOf(index: number): Loop {
    const { pipeline, materials } = this.options;
    return { ...this.options, ...materials[index]!, stage: pipeline.stages[index]!, seed: pipeline.seed };
  }

  /** Keeps what a step left: its row, which is on disk already, and its checkpoint, which is on the way there. */
  keep({ row, saving }: StepResult): void {
    this.history.rows.push(row);
    if (!saving) return;
    this.capturing = saving.captured;
    this.saving = saving.checkpoint.then(async (saved) => {
      this.history.made.set(row.step, saved);
      this.weights = saved.id;
      if (row.promoted) this.head = saved.id;
      await makeRoom(this.history, this.options);
    });
    // Whoever needs the checkpoint hears of a failure when he waits for it.
    this.capturing.catch(() => {});
    this.saving.catch(() => {});
  }

  /** Until this resolves, the engine must not be asked to change the weights: it does not know yet that they are to be saved. */
  captured(): Promise<unknown> {
    return this.capturing;
  }

  /** Until this resolves, the last step's checkpoint is neither in the tree nor the head. Rejects if it cannot be saved. */
  settled(): Promise<void> {
    return this.saving;
  }

  async write(row: Omit<MetricsRow, 'time'>): Promise<void> {
    const { clock, files, model } = this.options;
    const complete = { ...row, time: Math.round(clock()) };
    await model.checkLock();
    files.appendMetrics(complete);
    this.history.rows.push(complete);
    await files.durable();
  }

  /** Loads the weights that the session stands at, or others for a while. */
  async restore(weights?: string | null): Promise<void> {
    await this.settled();
    const { engine, model } = this.options;
    const checkpoint = weights === undefined ? this.weights : weights;
    if (checkpoint === null) await engine.reset();
    else await engine.readState(await model.verifiedDirectory(checkpoint));
  }

  /** Measures the weights as they are now on a stage's held-out tasks. */
  async evaluate(index: number, at: { step: number }): Promise<HeldOutMetrics> {
    return (await this.measure(index, at)).metrics;
  }

  private async measure(index: number, { step, baseline = false }: { step: number; baseline?: boolean }): Promise<Evaluation> {
    const loop = this.loopOf(index);
    const { stage, taskset, engine, emit } = loop;
    emit('eval-started', { step, tasks: Math.min(stage.eval.tasks, taskset.eval.length) });
    const evaluation = await evaluate({
      ...loop,
      tasks: taskset.eval,
      settings: stage.eval,
      confidence: stage.promote.confidence,
      sampler: engine.sampler,
      agentSettings: stage.agent,
    });
    const { metrics, tasks, interval } = evaluation;
    emit('eval-finished', { step, metrics, tasks, interval, baseline });
    return evaluation;
  }

  /** Measures what others see: the head, from whose weights the loop may be some steps away. The loop's own are back afterwards. */
  async evaluateHead(index: number): Promise<void> {
    const stage = this.options.pipeline.stages[index]!;
    const row = { step: this.history.step, stage: stage.name, kind: 'evaluation' } as const;
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
    await this.write({ step: this.history.step, stage: stage.name, kind: 'rollback', metrics: {}, checkpoint: to, promoted, reason });
    this.weights = to;
    await this.restore();
    if (promoted) await this.moveHead(to);
    emit('rolled-back', { step: this.history.step, from: from ?? 'base', to, head: this.head, reason });
  }

  /** Puts the best weights back: the best of those that can still be read. */
  async rollBackToBest(stage: StageSettings, reason: string): Promise<void> {
    const lost = new Set<string | null>();
    for (;;) {
      const best = this.history.bestWeights(stage, lost);
      if (await this.isReadable(best)) return this.rollBack(stage, best, reason);
      lost.add(best);
    }
  }

  private async rollBackAsAsked(stage: StageSettings, to: string): Promise<void> {
    if (await this.isReadable(to)) await this.rollBack(stage, to, 'asked for at the screen');
  }

  /** What a rollback would go to may not be there any more, or have lost its weights. */
  private async isReadable(weights: string | null): Promise<boolean> {
    try {
      if (weights !== null) await this.options.model.verifiedDirectory(weights);
      return true;
    } catch (error) {
      const { message, fix = 'Choose another checkpoint.' } = error as Error & { fix?: string };
      this.options.emit('warning', { step: this.history.step, code: 'rollback_impossible', message: `no rollback: ${message}`, fix });
      return false;
    }
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
      emit('job-paused', { step: this.history.step });
      await panel.whenResumed();
      signal.throwIfAborted();
      emit('job-continued', { step: this.history.step });
    }
    const requested = panel.takeRequests();
    if (requested.rollbackTo !== null || requested.evaluate || requested.checkpoint) await this.settled();
    if (requested.rollbackTo !== null) await this.rollBackAsAsked(stage, requested.rollbackTo);
    if (requested.evaluate) {
      const metrics = await this.evaluate(index, { step: this.history.step });
      await this.write({ step: this.history.step, stage: stage.name, kind: 'evaluation', metrics });
    }
    if (requested.checkpoint) {
      emit('log', { level: 'info', message: `Every step is saved; the weights are ${this.weights ?? 'those of the base'}.` });
    }
  }
}
