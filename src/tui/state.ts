/**
 * @file What the dashboard knows: the job so far, built from its events alone. Memory is bounded: curves are thinned,
 * texts belong to the last steps, lists are rings.
 */
import type {
  Change,
  CheckpointSummary,
  EventData,
  JobStatus,
  Message,
  Metrics,
  Phase,
  PhaseTimes,
  RescoredRollout,
  RolloutError,
  StageKind,
  StopReason,
  Subscore,
} from '../events.ts';
import { findings, type Finding, type HealthContext } from '../health/index.ts';
import { heldOut, type Score } from '../util/held-out.ts';
import { History } from './history.ts';

export interface RolloutView {
  id: string;
  completion: string;
  /** Of agents that take turns. */
  messages: Pick<Message, 'role' | 'content'>[] | null;
  stopReason: StopReason;
  reward: number | null;
  subscores: Subscore[];
  tokens: number;
  error: RolloutError | null;
  advantage: number | null;
}

export interface GroupView {
  id: string;
  taskId: string;
  prompt: string;
  /** One slot per attempt; null until its verdict is there. */
  rollouts: (RolloutView | null)[];
  spread: 'pending' | 'mixed' | 'all-good' | 'all-bad' | 'dropped';
  mean: number | null;
  std: number | null;
}

export interface StepView {
  step: number;
  stage: string;
  groups: GroupView[];
  byId: Map<string, GroupView>;
}

export interface Evaluation {
  step: number;
  reward: number;
  interval: readonly [low: number, high: number];
  baseline: boolean;
}

/** Why the head is where it is after a step: drawn on the axis of the reward curve. */
export type StepMark = 'promoted' | 'held' | 'skipped' | 'rolled-back';

export type LogLevel = 'info' | 'good' | 'warn' | 'bad' | 'muted';

export interface LogLine {
  time: number;
  level: LogLevel;
  text: string;
}

export interface Warning {
  step: number | null;
  code: string;
  message: string;
  fix: string;
}

export interface WatchView {
  on: boolean;
  files: string[];
  last: { time: number; file: string; kind: EventData['watch-changed']['kind']; changes: Change[]; message: string } | null;
  rescored: { file: string; step: number; rollouts: RescoredRollout[]; durationMs: number } | null;
  decision: EventData['watch-decision'] | null;
}

/** What was asked for and has not happened yet. */
export interface Requests {
  pause: boolean;
  evaluate: boolean;
  checkpoint: boolean;
  rollback: string | null;
}

export type RunState = 'starting' | 'running' | 'paused' | 'finishing' | 'stopping' | 'finished';

export interface DashboardState {
  job: EventData['job-started'] | null;
  state: RunState;
  startedAt: number | null;
  stage: { name: string; kind: StageKind; index: number } | null;
  /** The step under way, or the last one. */
  step: number;
  /** Steps that are over, for the progress bar and the remaining time. */
  finishedSteps: number;
  /** Milliseconds from one finished step to the next, averaged over the last ones; pauses do not count. */
  stepDurationMs: number | null;
  stepFinishedAt: number | null;
  phase: Phase | null;
  phaseSince: number;
  progress: { finished: number; total: number; tokensPerSecond: number } | null;
  /** The steps whose rollouts can be read, the newest last. */
  steps: StepView[];
  histories: Map<string, History>;
  metrics: Metrics;
  band: { x: number; low: number; high: number }[];
  /** Rewards seen so far: the scale of the colours. */
  rewardRange: [low: number, high: number];
  evaluations: Evaluation[];
  marks: Map<number, StepMark>;
  /** The reward curve of the job before, when a change started a new one: never joined to this one. */
  previousReward: History | null;
  times: PhaseTimes | null;
  checkpoints: CheckpointSummary[];
  /** Checkpoints without weights: nobody can go back to them. */
  pruned: Set<string>;
  head: string | null;
  findings: Finding[];
  warnings: Warning[];
  log: LogLine[];
  watch: WatchView;
  requests: Requests;
  result: (EventData['job-finished'] & { status: JobStatus }) | null;
}

export const initialState = (): DashboardState => ({
  job: null,
  state: 'starting',
  startedAt: null,
  stage: null,
  step: 0,
  finishedSteps: 0,
  stepDurationMs: null,
  stepFinishedAt: null,
  phase: null,
  phaseSince: 0,
  progress: null,
  steps: [],
  histories: new Map(),
  metrics: {},
  band: [],
  rewardRange: [0, 1],
  evaluations: [],
  marks: new Map(),
  previousReward: null,
  times: null,
  checkpoints: [],
  pruned: new Set(),
  head: null,
  findings: [],
  warnings: [],
  log: [],
  watch: { on: false, files: [], last: null, rescored: null, decision: null },
  requests: { pause: false, evaluate: false, checkpoint: false, rollback: null },
  result: null,
});

export const history = (state: DashboardState, metric: string): History | undefined => state.histories.get(metric);

export const currentStep = (state: DashboardState): StepView | undefined => state.steps.at(-1);

export const healthContext = (state: DashboardState): HealthContext => ({
  step: state.step,
  history: (metric) => state.histories.get(metric)?.values ?? [],
});

/** Notes the newest metrics of a step and judges them. */
export function keepMetrics(state: DashboardState, step: number, metrics: Metrics): void {
  for (const [name, value] of Object.entries(metrics)) {
    let series = state.histories.get(name);
    if (!series) state.histories.set(name, (series = new History()));
    series.push(step, value);
  }
  Object.assign(state.metrics, metrics);
  state.findings = findings(state.metrics, healthContext(state));
}

/** Milliseconds until the last step, or null while nobody can tell. */
export function remainingMs(state: DashboardState): number | null {
  if (state.stepDurationMs === null || !state.job || state.result) return null;
  return Math.max(0, state.job.totalSteps - state.finishedSteps) * state.stepDurationMs;
}

/** Held-out scores before and after, as the job tells them at its end; until then the first and the last. */
export const scores = ({ result, evaluations }: DashboardState): { before: Score | null; after: Score | null } =>
  heldOut(result ?? { status: 'running' }, evaluations.map(({ step, reward, interval: [low, high], baseline }) => ({ step, value: reward, low, high, isBaseline: baseline })));

/** The checkpoint with the best held-out score, by training reward where there is none. */
export function bestCheckpoint(state: DashboardState): CheckpointSummary | null {
  const evaluated = state.checkpoints.filter((checkpoint) => checkpoint.evalReward !== null);
  const score = (checkpoint: CheckpointSummary): number => (evaluated.length > 0 ? checkpoint.evalReward : checkpoint.meanReward) ?? -Infinity;
  const candidates = evaluated.length > 0 ? evaluated : state.checkpoints;
  return candidates.reduce<CheckpointSummary | null>((best, checkpoint) => (best === null || score(checkpoint) > score(best) ? checkpoint : best), null);
}
