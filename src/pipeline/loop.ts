/** What a step works with. The loop knows nothing of terminals, files of a model, tokenizers or ONNX: it is handed all of it. */
import type { Agent } from '../agents/index.ts';
import type { StageSettings } from '../config/types.ts';
import type { Surroundings } from '../environments/index.ts';
import type { Emit, Phase, PhaseTimes } from '../events.ts';
import type { Checkpoint, ModelRecord } from '../models/types.ts';
import type { Engine, Tokenizer } from '../policy/types.ts';
import type { Scorer } from '../rewards/types.ts';
import type { Taskset } from '../tasks/types.ts';
import type { JobFiles } from './job-files.ts';

/** Milliseconds since the epoch, never going backwards. */
export type Clock = () => number;

/** A checkpoint before the store has given it its id and name. */
export type CheckpointDraft = Omit<Checkpoint, 'id' | 'name' | 'createdAt'>;

/** The checkpoint tree of one model, as far as the loop needs it. */
export interface ModelLine {
  readonly record: ModelRecord;
  head(): Promise<Checkpoint | null>;
  /** Oldest first. */
  checkpoints(): Promise<readonly Checkpoint[]>;
  /** The same, and what is wrong with those whose description cannot be read. */
  scan(): Promise<{ checkpoints: readonly Checkpoint[]; problems: readonly { name: string; problem: string }[] }>;
  /** Has `write` fill a directory, makes it durable, then (with `promote`) moves the head to it: all of it or nothing. */
  commit(draft: CheckpointDraft, options: { promote: boolean; write: (directory: string) => Promise<void> }): Promise<Checkpoint>;
  setHead(id: string | null): Promise<void>;
  /** Rejects when another process may have taken the model over: then nothing of the job is written any more. */
  checkLock(): Promise<void>;
  /** Makes room: deletes the weights of the oldest checkpoints, apart from `spare`, the head and the newest. Their nodes stay in the tree. */
  pruneTo(options: { maxBytes: number; spare: () => ReadonlySet<string> }): Promise<{ pruned: readonly Checkpoint[]; bytes: number }>;
  /** Where `Engine.readState` finds the weights of a checkpoint, every byte of them as it was written; rejects with a message and its `fix` if not. */
  verifiedDirectory(id: string): Promise<string>;
}

/** What a stage's settings name, loaded. */
export interface StageMaterials {
  taskset: Taskset;
  scorer: Scorer;
  agent: Agent;
  /** What answers an agent that takes turns; null: it has one. */
  surroundings: Surroundings | null;
}

export interface Loop extends StageMaterials {
  stage: StageSettings;
  seed: number;
  jobId: string;
  /** Hash of the resolved pipeline. */
  configHash: string;
  engine: Engine;
  tokenizer: Tokenizer;
  model: ModelLine;
  files: JobFiles;
  emit: Emit;
  clock: Clock;
  signal: AbortSignal;
}

/** Which step this is: of the job (from 1), of its stage, and of the model's whole life (random streams and checkpoints). */
export interface StepPlace {
  step: number;
  ofStage: number;
  ofModel: number;
}

export interface Stopwatch {
  /** Ends the phase before and says so to the world. */
  begin(phase: Phase): void;
  /** Ends the last phase. Milliseconds by phase so far. */
  read(): PhaseTimes;
}

export function startStopwatch(step: number, { clock, emit }: Pick<Loop, 'clock' | 'emit'>): Stopwatch {
  const times: PhaseTimes = { rollout: 0, reward: 0, step: 0, promote: 0, eval: 0 };
  let current: { phase: Phase; since: number } | null = null;
  const lap = () => {
    if (current) times[current.phase] += clock() - current.since;
  };
  return {
    begin(phase) {
      lap();
      current = { phase, since: clock() };
      emit('phase-started', { step, phase });
    },
    read() {
      lap();
      current = null;
      return { ...times };
    },
  };
}
