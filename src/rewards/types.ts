import type { Subscore } from '../events.ts';
import type { Task } from '../tasks/types.ts';

/** What a grader sees. */
export interface ScoreRequest {
  task: Task;
  completion: string;
  completionTokens: number;
  truncated: boolean;
}

/** The combined reward and its named, weighted parts. */
export interface Score {
  reward: number;
  subscores: Subscore[];
}

/** Loaded graders of one `reward:` list. Errors are values: a grader that fails has given no verdict. */
export interface Scorer extends AsyncDisposable {
  score(request: ScoreRequest, signal?: AbortSignal): Promise<{ ok: true; score: Score } | { ok: false; error: import('../events.ts').RolloutError }>;
  /** Hash of the reward code and settings: stored on checkpoints. */
  readonly hash: string;
  /** Files that were really read (modules and their imports), for the watcher. */
  readonly files: readonly string[];
}
