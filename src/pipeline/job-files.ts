/**
 * The directory of one job, `.rlrun/jobs/<id>/`. Lines are appended whole, everything else is written beside and renamed, so a reader (or
 * a restart) finds either the old file or the new one.
 */
import { closeSync, fstatSync, fsync, mkdirSync, openSync, readSync, writeSync } from 'node:fs';
import { readFile, readdir, rename, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setImmediate as nextTick } from 'node:timers/promises';
import { promisify } from 'node:util';
import writeFileAtomic from 'write-file-atomic';
import type { JobEvent, JobStatus, Metrics, MetricsRow, Rollout } from '../events.ts';

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

export interface JobFiles {
  readonly directory: string;
  readMeta(): Promise<JobMeta>;
  writeMeta(meta: JobMeta): Promise<void>;
  writeText(name: string, text: string): Promise<void>;
  // What is written must not change any more: it becomes text once its tick is over.
  appendEvent(event: JobEvent): void;
  appendLog(line: string): void;
  appendMetrics(row: MetricsRow): void;
  readMetrics(): Promise<MetricsRow[]>;
  replaceMetrics(rows: readonly MetricsRow[]): Promise<void>;
  writeRollouts(step: number, rollouts: readonly Rollout[]): void;
  readRollouts(step: number): Promise<Rollout[]>;
  /** Steps whose rollouts are on disk, in order. */
  rolloutSteps(): Promise<number[]>;
  /** Resolves once all metrics and rollouts so far are durable: a checkpoint may follow. Rejects with what went wrong since it was asked last. */
  durable(): Promise<void>;
  close(): void;
}

export const rolloutsName = (step: number): string => join('rollouts', `step-${String(step).padStart(6, '0')}.jsonl`);

/** `<name>-<yyyymmdd-hhmmss>-<4 hex>`, in UTC: ids of one pipeline sort by time. */
export function jobId(name: string, time: number, suffix: number): string {
  const stamp = new Date(time).toISOString().replaceAll(/[-:]/g, '').replace('T', '-').slice(0, 15);
  return `${name}-${stamp}-${(suffix & 0xffff).toString(16).padStart(4, '0')}`;
}

/** Opens the directory of a job; to write into it, it has to exist or be made. */
export function openJobFiles(directory: string, { create = false } = {}): JobFiles {
  if (create) mkdirSync(join(directory, 'rollouts'), { recursive: true });
  const path = (name: string) => join(directory, name);
  const events = lineWriter(path('events.jsonl'));
  const log = lineWriter(path('log.txt'));
  const metrics = lineWriter(path('metrics.jsonl'));
  const write = (name: string, text: string) => writeFileAtomic(path(name), text);
  const begun: Promise<unknown>[] = [];
  /** Once the tick is over. Nobody waits for it now; whoever asks for `durable` hears of a failure. */
  const begin = (work: () => Promise<unknown>) => {
    const done = nextTick().then(work);
    begun.push(done);
    done.catch(() => {});
  };
  return {
    directory,
    readMeta: async () => JSON.parse(await readFile(path('meta.json'), 'utf8')) as JobMeta,
    writeMeta: (meta) => write('meta.json', `${JSON.stringify(meta, null, 2)}\n`),
    writeText: write,
    appendEvent: (event) => events.append(() => JSON.stringify(event)),
    appendLog: (line) => log.append(() => line),
    appendMetrics(row) {
      metrics.append(() => JSON.stringify(row));
      begin(() => metrics.sync());
    },
    readMetrics: () => readJsonLines<MetricsRow>(path('metrics.jsonl')),
    async replaceMetrics(rows) {
      metrics.close();
      await write('metrics.jsonl', jsonLines(rows));
    },
    writeRollouts: (step, rollouts) => begin(() => writeOnce(path(rolloutsName(step)), jsonLines(rollouts))),
    readRollouts: (step) => readJsonLines<Rollout>(path(rolloutsName(step))),
    async rolloutSteps() {
      const names = await readdir(path('rollouts')).catch(() => []);
      return names.flatMap((name) => /^step-(\d+)\.jsonl$/.exec(name)?.[1] ?? []).map(Number).sort((a, b) => a - b);
    },
    async durable() {
      await Promise.all(begun.splice(0));
    },
    close() {
      for (const writer of [events, log, metrics]) writer.close();
    },
  };
}

/**
 * A file that nobody replaces later. The general way to write one looks at every folder above it first, which at each step of a job is
 * three times the calls.
 */
async function writeOnce(path: string, text: string): Promise<void> {
  const unfinished = `${path}.unfinished`;
  await writeFile(unfinished, text, { flush: true });
  await rename(unfinished, path);
}

const jsonLines = (rows: readonly unknown[]): string => rows.map((row) => `${JSON.stringify(row)}\n`).join('');

/** The lines of a file that is appended to; a line that was torn by a sudden end (or no file at all) is not there. */
export async function readJsonLines<T>(path: string): Promise<T[]> {
  const text = await readFile(path, 'utf8').catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return '';
    throw error;
  });
  return text.split('\n').flatMap((line) => {
    try {
      return line === '' ? [] : [JSON.parse(line) as T];
    } catch {
      return [];
    }
  });
}

/**
 * Appends lines; opens its file when the first one comes. What a tick appends becomes text and one write when the tick is over: by then the
 * loop has given the engine its next work and waits.
 */
function lineWriter(path: string) {
  let file: number | null = null;
  let waiting: (() => string)[] = [];
  // Events and log lines are for readers: when the disk is full they get lost. What the job needs is waited for, and fails then.
  let failure: { error: unknown } | null = null;
  const flush = (): void => {
    if (waiting.length === 0) return;
    const text = waiting.map((line) => `${line()}\n`).join('');
    waiting = [];
    try {
      file ??= openToAppend(path);
      writeSync(file, text);
    } catch (error) {
      failure = { error };
    }
  };
  return {
    append(line: () => string) {
      if (waiting.length === 0) setImmediate(flush);
      waiting.push(line);
    },
    /** Writes what is left; resolves when all is durable, rejects when a line was lost. */
    async sync() {
      flush();
      if (failure) throw failure.error;
      if (file !== null) await fsyncFile(file);
    },
    close() {
      flush();
      if (file !== null) closeSync(file);
      file = null;
    },
  };
}

const fsyncFile = promisify(fsync);

/** A line that was torn when its writer was killed is ended here, so that it spoils no other. */
function openToAppend(path: string): number {
  const file = openSync(path, 'a+');
  const { size } = fstatSync(file);
  const last = Buffer.alloc(1);
  if (size > 0 && readSync(file, last, 0, 1, size - 1) === 1 && last.toString() !== '\n') writeSync(file, '\n');
  return file;
}
