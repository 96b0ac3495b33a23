import type { Message } from '../events.ts';

/** One thing to attempt. `answer` is the gold answer that built-in rewards compare with. */
export interface Task {
  /** Unique inside the taskset; HUD's slug rule when the source gives none. */
  id: string;
  prompt: string | ChatMessage[];
  answer: string | null;
  args: Record<string, unknown>;
  /**
   * What grades the task under `reward: { kind: task }`: a generator (`builtin:arith`), a two-yield template of a module (its
   * absolute path) or of the runtime's program (`runtime`).
   */
  template?: { id: string; source: string };
}

export type ChatMessage = Message;

/** Train and eval are disjoint. */
export interface Taskset {
  name: string;
  train: readonly Task[];
  eval: readonly Task[];
  /** Hash of everything that made the tasks: stored on checkpoints. */
  hash: string;
  /** Files that were really read, for the watcher. */
  files: readonly string[];
}
