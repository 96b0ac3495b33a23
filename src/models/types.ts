import type { Metrics } from '../events.ts';

/** A node of the checkpoint tree: HUD's `CheckpointResponse`, plus what made it. */
export interface Checkpoint {
  id: string;
  /** `step-000010` */
  name: string;
  parent: string | null;
  step: number;
  createdAt: string;
  traces: number;
  datums: number;
  tokens: number;
  meanReward: number | null;
  learningRate: number | null;
  loss: string | null;
  metrics: Metrics;
  jobId: string | null;
  /** sha-256 of the resolved config, the taskset and the reward code: curves across a change are never joined silently. */
  hashes: { config: string | null; taskset: string | null; reward: string | null };
}

/** A forked, trainable model on disk. */
export interface ModelRecord {
  slug: string;
  base: string;
  createdAt: string;
  /** The commit, where the base is a repository of the Hub. */
  baseRevision?: string;
  /** The transformers.js directory the graph comes from. */
  baseDirectory: string;
  train: { method: 'full' } | { method: 'lora'; rank: number; alpha: number; targets: readonly string[]; seed: number };
  /** Where the fork started when its source was another model's checkpoint. */
  source: { slug: string; checkpoint: string } | null;
}
