/**
 * Everything that happens in a job, as plain data.
 *
 * The loop emits these events; the terminal UI, the plain log, the JSON lines and the HTML report only consume them.
 * Events cross worker boundaries and go to `events.jsonl`, so they hold ids and numbers, never objects with methods.
 */

/** One model call of a rollout. Log-probabilities are natural logs under the distribution that was really sampled. */
export interface Turn {
  promptTokenIds: number[];
  outputTokenIds: number[];
  outputLogprobs: number[];
}

/** A call of a tool, as the model wrote it. The id ties its result to it. */
export interface ToolCall {
  id: string;
  name: string;
  arguments: Record<string, unknown>;
}

/** One message of a conversation, for people, graders and chat templates. Token ids in `turns` are the record. */
export interface Message {
  role: 'system' | 'user' | 'assistant' | 'tool';
  content: string;
  /** Of an answer: what the model thought before it, kept apart (`<think>`). */
  reasoning?: string;
  toolCalls?: ToolCall[];
  /** Of an answer: the environment was told it (and not a tool). */
  heard?: true;
  /** Of a tool's message: the call that it answers, and the tool. */
  toolCallId?: string;
  name?: string;
  /** Of a tool's message: why there is no result. */
  failure?: 'malformed' | 'unknown_tool' | 'invalid_arguments' | 'timeout' | 'error';
}

/** What became of a rollout of several turns, beside its ids. */
export interface Conversation {
  /** What came after the prompt: answers, results of tools, what the environment said. */
  messages: Message[];
  /** Milliseconds that the environment and the tools took. */
  environmentMs: number;
  /** What the environment itself said of it, if it did: `reward` is the sum of what it gave step by step and at the end. */
  verdict?: { reward: number | null; info?: Record<string, unknown>; subscores?: Subscore[] };
}

/** A named part of a reward. `value` is the grader's own number, or null where it abstained; `weight` its share in the reward. */
export interface Subscore {
  name: string;
  value: number | null;
  weight: number;
  children?: Subscore[];
  info?: Record<string, unknown>;
}

export type RolloutStatus = 'completed' | 'error' | 'cancelled';
export type StopReason = 'done' | 'length' | 'max_steps' | 'timeout' | 'malformed_tool_call';

/** Where in its life a rollout failed, and how. A failing rollout is data, never a crash. */
export interface RolloutError {
  phase: 'setup' | 'agent' | 'environment' | 'scoring';
  type: 'timeout' | 'exception' | 'exit' | 'memory' | 'invalid_reward' | 'context_overflow' | 'protocol';
  message: string;
}

/**
 * One attempt at one task. `reward` is null when there is no verdict (which is not the same as 0): something went wrong, as `status` and
 * `error` say, or the rollout is completed and its reward abstained.
 */
export interface Rollout {
  id: string;
  taskId: string;
  groupId: string;
  /** What the model saw and what it answered, as text, for people and graders. Token ids in `turns` are the record. */
  prompt: string;
  completion: string;
  turns: Turn[];
  /** Of agents that take turns. `completion` is then the last answer. */
  conversation?: Conversation;
  status: RolloutStatus;
  stopReason: StopReason;
  reward: number | null;
  subscores: Subscore[];
  /** Filled in once the whole group is scored. */
  advantage?: number;
  error?: RolloutError;
}

/** Metric name (facts of the field: TRL's names where it has one) → value. Non-finite values never appear here. */
export type Metrics = Record<string, number>;

/**
 * One line of a job's `metrics.jsonl`: the only truth for plots and for resuming. Step 0 is the model before the first step.
 * The line of a step is on disk before its checkpoint is, so a `step` line beyond the last checkpoint is a step that was lost.
 */
export interface MetricsRow {
  step: number;
  /** Milliseconds since the epoch. */
  time: number;
  stage: string;
  kind: 'baseline' | 'step' | 'skipped' | 'evaluation' | 'rollback';
  metrics: Metrics;
  /** Of skipped steps and rollbacks: the reason, in words. */
  reason?: string;
  /** Of steps: did the head move to the step's checkpoint? */
  promoted?: boolean;
  /** Of rollbacks: the checkpoint whose weights came back. Of evaluations: what was measured, if not the last step's. Null: the model as it was forked. */
  checkpoint?: string | null;
}

/** Milliseconds spent in each phase of a step. */
export interface PhaseTimes {
  rollout: number;
  reward: number;
  step: number;
  promote: number;
  eval: number;
}
export type Phase = keyof PhaseTimes;

/** What became of the rollouts of a step: each is errored, abstained on, dropped with its group, without spread, or trained. */
export interface Accounting {
  generated: number;
  /** Rollouts that failed, or whose reward did. */
  errored: number;
  /** Rollouts whose reward abstained: the others of their group are compared without them. */
  abstained: number;
  /** Rollouts with a verdict dropped because another one of their group failed. */
  droppedWithGroup: number;
  /** Rollouts that hit the token limit (they are trained on all the same). */
  truncated: number;
  /** Rollouts in groups whose rewards were all equal, split into those at the top and those at the bottom. */
  noSpreadGood: number;
  noSpreadBad: number;
  /** Rollouts with an advantage, and their tokens. A KL or an entropy term learns from those without spread as well. */
  trained: number;
  trainedTokens: number;
}

export interface TaskSummary {
  id: string;
  groupId: string;
  prompt: string;
}

/** A node of the checkpoint tree, as people see it. */
export interface CheckpointSummary {
  id: string;
  name: string;
  parent: string | null;
  step: number;
  meanReward: number | null;
  evalReward: number | null;
}

export type JobStatus = 'completed' | 'stopped' | 'failed';
export type StageKind = 'sft' | 'grpo' | 'eval' | 'export';

/** A changed value of the resolved pipeline or a changed file, as the watcher reports it. */
export interface Change {
  path: string;
  before: string | null;
  after: string | null;
}

/** A stored rollout that was scored again by an edited reward: no generation, only the new number. */
export interface RescoredRollout {
  rolloutId: string;
  taskId: string;
  groupId: string;
  prompt: string;
  completion: string;
  before: number | null;
  after: number | null;
  advantageBefore: number | null;
  advantageAfter: number | null;
  /** Why there is no verdict now. */
  error?: string;
}

/** Every event with its data. The key is the event's `type`; times are added on emission. */
export interface EventData {
  /** The pipeline is resolved, the model is open, nothing has been sampled yet. */
  'job-started': {
    jobId: string;
    pipeline: string;
    file: string;
    model: string;
    base: string;
    device: string;
    seed: number;
    loss: string;
    stages: { name: string; kind: StageKind; steps: number }[];
    totalSteps: number;
    parameters: number;
    trainableParameters: number;
    threads: number;
    parentJob: string | null;
    /** The step after which an interrupted job goes on; null for a fresh one. */
    resumedFrom: number | null;
    head: string | null;
    directory: string;
  };
  'stage-started': { index: number; name: string; kind: StageKind; steps: number };
  'stage-finished': { index: number; name: string; kind: StageKind };
  /** The tasks of a step are chosen; `group` rollouts of each will arrive. */
  'step-started': { step: number; stage: string; tasks: TaskSummary[]; group: number };
  /** The loop moved on to another of its four (five) parts. */
  'phase-started': { step: number; phase: Phase };
  /** Sampling goes on: how far this step's rollouts are. */
  'rollout-progress': { step: number; finished: number; total: number; tokens: number; tokensPerSecond: number };
  /** One rollout is scored (or has failed). Carries the text, for the eye; token ids are in the rollouts file. */
  'rollout-finished': {
    step: number;
    id: string;
    taskId: string;
    groupId: string;
    index: number;
    completion: string;
    /** Of agents that take turns: the last messages, calls among their texts, all of it cut short. */
    messages?: Pick<Message, 'role' | 'content'>[];
    status: RolloutStatus;
    stopReason: StopReason;
    reward: number | null;
    subscores: Subscore[];
    tokens: number;
    error: RolloutError | null;
  };
  /** The rollouts of a group are compared, or the group is dropped (`advantages` null): one of them failed, or all were abstained on. An advantage is null where its reward is. */
  'group-finished': {
    step: number;
    groupId: string;
    taskId: string;
    mean: number | null;
    std: number | null;
    spread: 'mixed' | 'all-good' | 'all-bad' | 'dropped';
    advantages: (number | null)[] | null;
  };
  /** The numbers of a step; its checkpoint follows. */
  'step-finished': { step: number; stage: string; metrics: Metrics; times: PhaseTimes; accounting: Accounting };
  /** Nothing to learn from this batch, or its update was refused; the head stays where it was. */
  'step-skipped': { step: number; reason: 'no_spread' | 'all_errored' | 'non_finite_gradient'; message: string };
  'eval-started': { step: number; tasks: number };
  /** `interval` is that of `eval/reward`; `baseline`: before the first step. */
  'eval-finished': { step: number; metrics: Metrics; tasks: number; interval: [low: number, high: number]; baseline: boolean };
  /** The weights of a step are on the disk. */
  'checkpoint-saved': { step: number; checkpoint: CheckpointSummary };
  /** A model had more than `maxBytes` of weights: these keep their place in the tree and their numbers, but there is no way back to their weights. `earlier` names those that earlier jobs made. */
  'checkpoints-pruned': { checkpoints: string[]; earlier: string[]; bytes: number; maxBytes: number };
  /** The head moved: the next batch samples this checkpoint. */
  'promoted': { step: number; checkpoint: string; previous: string | null; reason: string };
  /** A gate held the head back although a checkpoint was saved. */
  'promotion-held': { step: number; checkpoint: string; head: string | null; reason: string };
  /** Earlier weights are back (`to` null: as the model was forked), and the learning rate is halved. `head` is there too, unless a gate keeps it. */
  'rolled-back': { step: number; from: string; to: string | null; head: string | null; reason: string };
  'exported': { directory: string; format: string };
  /** Something is not as it should be: in words, with the fix. */
  'warning': { step: number | null; code: string; message: string; fix: string };
  'log': { level: 'info' | 'debug'; message: string };
  'job-paused': { step: number };
  'job-continued': { step: number };
  /** Someone asked the job to end after this step (`finish`) or at once (`stop`). */
  'stop-requested': { mode: 'finish' | 'stop' };
  /** `before` and `after` are held-out measurements, of the model as the job found it and of its head; `resumeCommand` is there when something is left to do. */
  'job-finished': {
    status: JobStatus;
    /** In words: all steps done, early stop, Ctrl-C, a non-finite loss … */
    reason: string;
    steps: number;
    head: string | null;
    before: Metrics | null;
    after: Metrics | null;
    durationMs: number;
    resumeCommand: string | null;
  };
  'watch-started': { files: string[] };
  /** A watched file was edited. `kind: none` means that only comments or spaces changed. */
  'watch-changed': { file: string; kind: 'none' | 'config' | 'taskset' | 'reward' | 'invalid'; changes: Change[]; message: string };
  /** The rollouts of the last step under an edited reward. */
  'rescored': { step: number; file: string; rollouts: RescoredRollout[]; durationMs: number };
  /** What follows from an edit: `rerun` begins at the checkpoint `from`, or at the head. */
  'watch-decision': { action: 'nothing' | 'drain' | 'rerun' | 'continue'; from: string | null; reason: string };
}

export type EventType = keyof EventData;

/** For those who watch it happen: how far sampling is, and rollouts, which the step's own file holds in full a moment later. No file keeps these events. */
export const liveEvents: ReadonlySet<EventType> = new Set(['rollout-progress', 'rollout-finished']);

/** One event: its type, its time (milliseconds since the epoch) and its data. */
export type JobEvent<K extends EventType = EventType> = {
  [P in K]: { type: P; time: number } & EventData[P];
}[K];

/** How the loop tells the world. A consumer may never slow or break it. */
export type Emit = <K extends EventType>(type: K, data: EventData[K]) => void;

/** What a person at the screen may ask a running job to do. All of it takes effect at the next step boundary, except `stop`. */
export interface JobControls {
  pause(): void;
  resume(): void;
  evaluateNow(): void;
  checkpointNow(): void;
  /** Move the head to this checkpoint before the next step. */
  rollbackTo(checkpointId: string): void;
  setWatch(on: boolean): void;
  /** End after this step; the job can be resumed. */
  finish(): void;
  /** End now; the step in flight is lost. */
  stop(): void;
}
