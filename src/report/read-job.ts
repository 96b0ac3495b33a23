/** @file What a job left on disk, as far as a report tells it. */
import { createReadStream } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { createInterface } from 'node:readline';
import type { ResolvedPipeline } from '../config/types.ts';
import type { CheckpointSummary, EventType, JobEvent, MetricsRow } from '../events.ts';
import { type JobMeta, type StoredJob, readJobMetrics } from '../pipeline/index.ts';

/** The events that a report tells. */
export const toldTypes = [
  'job-started', 'job-finished', 'warning', 'eval-finished', 'checkpoint-saved', 'promoted', 'rolled-back', 'exported',
] as const satisfies readonly EventType[];

type Told = (typeof toldTypes)[number];
export type ToldEvents = { [K in Told]: JobEvent<K>[] };

export interface ReportJob {
  meta: StoredJob;
  /** The pipeline file, byte for byte. */
  source: string;
  /** Null when the file is gone or unreadable. */
  pipeline: ResolvedPipeline | null;
  /** The job before it, in watch mode, as far as it is still there. */
  parent: { id: string; pipeline: ResolvedPipeline | null; hashes: JobMeta['hashes'] | null } | null;
  /** In order of steps. */
  rows: MetricsRow[];
  events: ToldEvents;
  /** Made by this job, oldest first. */
  checkpoints: CheckpointSummary[];
}

export async function readReportJob(meta: StoredJob): Promise<ReportJob> {
  const { directory } = meta;
  const [source, pipeline, rows, events] = await Promise.all([
    readFile(join(directory, 'pipeline.yaml'), 'utf8').catch(() => ''),
    readJson<ResolvedPipeline>(join(directory, 'resolved.json')),
    readJobMetrics(meta),
    readEvents(join(directory, 'events.jsonl')),
  ]);
  const checkpoints = [...new Map(events['checkpoint-saved'].map(({ checkpoint }) => [checkpoint.id, checkpoint])).values()];
  return { meta, source, pipeline, parent: await readParent(meta), rows, events, checkpoints };
}

async function readParent({ parent, directory }: StoredJob): Promise<ReportJob['parent']> {
  // The id is a word in a file; it may name a neighbour and nothing else.
  if (parent === null || parent !== basename(parent)) return null;
  const beside = join(dirname(directory), parent);
  const [pipeline, meta] = await Promise.all([readJson<ResolvedPipeline>(join(beside, 'resolved.json')), readJson<JobMeta>(join(beside, 'meta.json'))]);
  return { id: parent, pipeline, hashes: meta?.hashes ?? null };
}

async function readJson<T>(path: string): Promise<T | null> {
  try {
    return JSON.parse(await readFile(path, 'utf8')) as T;
  } catch {
    return null;
  }
}

/** Line by line: the file of a long job does not fit into a string. Torn lines are passed over. */
async function readEvents(path: string): Promise<ToldEvents> {
  const events = Object.fromEntries(toldTypes.map((type) => [type, []])) as unknown as Record<Told, JobEvent[]>;
  const pattern = new RegExp(`^\\{"type":"(${toldTypes.join('|')})"`);
  const file = createReadStream(path, 'utf8');
  try {
    for await (const line of createInterface({ input: file, crlfDelay: Infinity })) {
      const type = pattern.exec(line)?.[1] as Told | undefined;
      if (type) events[type].push(...parsed(line));
    }
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
  }
  return events as ToldEvents;
}

function parsed(line: string): JobEvent[] {
  try {
    return [JSON.parse(line) as JobEvent];
  } catch {
    return [];
  }
}
