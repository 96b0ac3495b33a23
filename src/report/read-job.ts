/** @file What a job left on disk, as far as a report tells it. */
import { basename, dirname, join } from 'node:path';
import type { ResolvedPipeline } from '../config/types.ts';
import type { CheckpointSummary, EventType, JobEvent, MetricsRow } from '../events.ts';
import { type JobMeta, type StoredJob, openJobFiles, readJobMeta, readResolved } from '../pipeline/index.ts';
import { count } from '../util/words.ts';
import { readRegularFile } from '../util/regular-file.ts';
import { checkedLines } from '../util/stored-lines.ts';

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
  /** What of its files is not as it was written, in words. */
  damage: string[];
}

export async function readReportJob(meta: StoredJob): Promise<ReportJob> {
  const { directory } = meta;
  const [source, pipeline, { rows, damaged }, told] = await Promise.all([
    readRegularFile(join(directory, 'pipeline.yaml')).catch(() => ''),
    readResolved(directory).catch(() => null),
    openJobFiles(directory).readMetrics(),
    readEvents(join(directory, 'events.jsonl')),
  ]);
  const { events } = told;
  const checkpoints = [...new Map(events['checkpoint-saved'].map(({ checkpoint }) => [checkpoint.id, checkpoint])).values()];
  const damage = [
    ...damaged.map(({ line }) => `line ${line} of metrics.jsonl is damaged; the page shows what stands before it`),
    ...(told.damaged.length > 0 ? [`${count(told.damaged.length, 'line')} of events.jsonl ${told.damaged.length === 1 ? 'is' : 'are'} damaged and left out, the first of them line ${told.damaged[0]!}`] : []),
  ];
  return { meta, source, pipeline, parent: await readParent(meta), rows, events, checkpoints, damage };
}

async function readParent({ parent, directory }: StoredJob): Promise<ReportJob['parent']> {
  // The id is a word in a file; it may name a neighbour and nothing else.
  if (parent === null || parent !== basename(parent)) return null;
  const beside = join(dirname(directory), parent);
  const [pipeline, meta] = await Promise.all([readResolved(beside).catch(() => null), readJobMeta(beside).catch(() => null)]);
  return { id: parent, pipeline, hashes: meta?.hashes ?? null };
}

/** Line by line: the file of a long job does not fit into a string. */
async function readEvents(path: string): Promise<{ events: ToldEvents; damaged: number[] }> {
  const events = Object.fromEntries(toldTypes.map((type) => [type, []])) as unknown as Record<Told, JobEvent[]>;
  const damaged: number[] = [];
  const pattern = new RegExp(`^\\{"type":"(${toldTypes.join('|')})"`);
  for await (const checked of checkedLines(path)) {
    if (checked.state === 'damaged') damaged.push(checked.line);
    const type = checked.state === 'whole' ? (pattern.exec(checked.text)?.[1] as Told | undefined) : undefined;
    if (type && checked.state === 'whole') events[type].push(...parsed(checked.text));
  }
  return { events: events as ToldEvents, damaged };
}

function parsed(line: string): JobEvent[] {
  try {
    return [JSON.parse(line) as JobEvent];
  } catch {
    return [];
  }
}
