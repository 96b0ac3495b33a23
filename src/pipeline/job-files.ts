/**
 * The directory of one job, `.rlrun/jobs/<id>/`. Lines are appended whole, everything else is written beside and renamed, so a reader (or
 * a restart) finds either the old file or the new one.
 */
import { mkdirSync } from 'node:fs';
import { readdir, rename, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setImmediate as nextTick } from 'node:timers/promises';
import writeFileAtomic from 'write-file-atomic';
import type { JobEvent, MetricsRow, Rollout } from '../events.ts';
import { misfit, type Shape } from '../util/shape.ts';
import { storedJson } from '../util/stored-json.ts';
import { type DamagedLine, type StoredLines, lineSealer, mendLines, readStoredLines } from '../util/stored-lines.ts';
import { eventText } from './event-text.ts';
import { type JobMeta, readJobMeta } from './job-meta.ts';
import { lineWriter } from './line-writer.ts';

const rowShape: Shape<MetricsRow> = {
  step: 'a whole number',
  time: 'a number',
  stage: 'a text',
  kind: 'a text',
  metrics: 'an object',
  reason: 'a text?',
  promoted: 'true or false?',
  checkpoint: 'a text or null?',
};

const rolloutShape: Shape<Rollout> = {
  id: 'a text',
  taskId: 'a text',
  groupId: 'a text',
  prompt: 'a text',
  completion: 'a text',
  turns: 'a list',
  status: 'a text',
  stopReason: 'a text',
  reward: 'a number or null',
  subscores: 'a list',
  advantage: 'a number?',
  conversation: 'an object?', error: 'an object?',
};

export interface JobFiles {
  readonly directory: string;
  readMeta(): Promise<JobMeta>;
  writeMeta(meta: JobMeta): Promise<void>;
  writeText(name: string, text: string): Promise<void>;
  // What is written must not change any more: it becomes text once its tick is over.
  appendEvent(event: JobEvent): void;
  appendLog(line: string): void;
  appendMetrics(row: MetricsRow): void;
  /** Up to the first line that is damaged. */
  readMetrics(): Promise<StoredLines<MetricsRow>>;
  replaceMetrics(rows: readonly MetricsRow[]): Promise<void>;
  writeRollouts(step: number, rollouts: readonly Rollout[]): void;
  readRollouts(step: number): Promise<Rollout[]>;
  /** Takes out of the events what is damaged or stands there twice; tells what was damaged. */
  mendEvents(): Promise<DamagedLine[]>;
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
  const events = lineWriter(path('events.jsonl'), { sealed: true });
  const log = lineWriter(path('log.txt'));
  const metrics = lineWriter(path('metrics.jsonl'), { sealed: true });
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
    readMeta: () => readJobMeta(directory),
    writeMeta: (meta) => write('meta.json', storedJson(meta)),
    writeText: write,
    appendEvent: (event) => events.append(() => eventText(event)),
    appendLog: (line) => log.append(() => line),
    appendMetrics(row) {
      metrics.append(() => JSON.stringify(row));
      begin(() => metrics.sync());
    },
    readMetrics: () => readStoredLines(path('metrics.jsonl'), { misfit: (value) => misfit(value, rowShape), untilDamaged: true }),
    async replaceMetrics(rows) {
      metrics.close();
      await write('metrics.jsonl', jsonLines(rows));
    },
    writeRollouts: (step, rollouts) => begin(() => writeOnce(path(rolloutsName(step)), jsonLines(rollouts))),
    readRollouts: async (step) => (await readStoredLines<Rollout>(path(rolloutsName(step)), { misfit: (value) => misfit(value, rolloutShape) })).rows,
    mendEvents() {
      events.close();
      return mendLines(path('events.jsonl'));
    },
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

function jsonLines(rows: readonly unknown[]): string {
  const seal = lineSealer();
  return rows.map((row) => `${seal(JSON.stringify(row))}\n`).join('');
}
