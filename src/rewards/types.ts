import type { RewardSettings } from '../config/types.ts';
import type { Conversation, RolloutError, StopReason, Subscore } from '../events.ts';
import type { Task } from '../tasks/types.ts';

export type RewardKind = RewardSettings['kind'];
/** The settings of one kind; kinds that share a shape are told apart by the intersection. */
export type SettingsOf<K extends RewardKind> = RewardSettings & { readonly kind: K };

/** What a grader sees. */
export interface ScoreRequest {
  task: Task;
  completion: string;
  completionTokens: number;
  truncated: boolean;
  /** Of agents that take turns: all that was said after the prompt, and why it ended. `completion` is the last answer. */
  conversation?: Conversation;
  stopReason?: StopReason;
}

/** The combined reward and its named, weighted parts. Null: one of the parts abstained. */
export interface Score {
  reward: number | null;
  subscores: Subscore[];
}

/** Errors are values: a grader that fails has given no verdict. */
export type ScoreOutcome = { ok: true; score: Score } | { ok: false; error: RolloutError };

/** Loaded graders of one `reward:` list. */
export interface Scorer extends AsyncDisposable {
  /** At once if every grader can. As many calls as there are completions may be under way: what runs user code lets `runtime.concurrency` of them in. */
  score(request: ScoreRequest, signal?: AbortSignal): ScoreOutcome | Promise<ScoreOutcome>;
  /** Why nothing can be compared with a task's gold answer; null if something can. Quick: no user code is asked. */
  refuses(task: Task): string | null;
  /** Hash of the reward code and settings: stored on checkpoints. */
  readonly hash: string;
  /** Files that were really read (modules and their imports), for the watcher. */
  readonly files: readonly string[];
}
