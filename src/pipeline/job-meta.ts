/** What a job says of itself: `meta.json`, and the pipeline as it was when it began. */
import { join } from 'node:path';
import type { ResolvedPipeline } from '../config/types.ts';
import type { JobStatus, Metrics } from '../events.ts';
import type { Shape } from '../util/shape.ts';
import { readStored } from '../util/stored-json.ts';

/** `meta.json`: what somebody needs to know about a job without reading its events. */
export interface JobMeta {
  id: string;
  /** Of the process that runs it. */
  pid: number;
  pipeline: string;
  file: string;
  model: string;
  /** The checkpoint the job began with and its step: null and 0 for the model as it was forked. */
  start: { checkpoint: string | null; step: number };
  seed: number;
  device: string;
  /** The job that this one follows, in watch mode. */
  parent: string | null;
  hashes: { config: string; taskset: string; reward: string };
  argv: readonly string[];
  cwd: string;
  versions: Readonly<Record<string, string>>;
  git: { commit: string; dirty: boolean } | null;
  host: { platform: string; cpus: number; memoryGb: number };
  startedAt: string;
  endedAt: string | null;
  status: JobStatus | 'running';
  reason: string | null;
  steps: number;
  totalSteps: number;
  /** Held-out measurements of the model as the job found it and of its head: null until it is over, missing where jobs did not say it yet. */
  before?: Metrics | null;
  after?: Metrics | null;
}

const metaShape: Shape<JobMeta> = {
  id: 'a text',
  pid: 'a whole number',
  pipeline: 'a text',
  file: 'a text',
  model: 'a text',
  start: { checkpoint: 'a text or null', step: 'a whole number' },
  seed: 'a whole number',
  device: 'a text',
  parent: 'a text or null',
  hashes: { config: 'a text', taskset: 'a text', reward: 'a text' },
  argv: 'a list',
  cwd: 'a text',
  versions: 'an object',
  git: 'an object or null',
  host: 'an object',
  startedAt: 'a date',
  endedAt: 'a date or null',
  status: 'a text',
  reason: 'a text or null',
  steps: 'a whole number',
  totalSteps: 'a whole number',
  before: 'an object or null?',
  after: 'an object or null?',
};

const wayOut = { fix: 'Restore the file from a backup, or begin a new job.' };

/** `meta.json`. Throws a `DamagedFile`, or as `node:fs` does. */
export const readJobMeta = (directory: string): Promise<JobMeta> => readStored(join(directory, 'meta.json'), metaShape, wayOut);

/** `resolved.json`: the pipeline as it was when the job began. Throws as `readJobMeta` does. */
export async function readResolved(directory: string): Promise<ResolvedPipeline> {
  const told: Shape<Pick<ResolvedPipeline, 'name' | 'file' | 'stages'>> = { name: 'a text', file: 'a text', stages: 'a list' };
  return (await readStored(join(directory, 'resolved.json'), told, wayOut)) as ResolvedPipeline;
}
