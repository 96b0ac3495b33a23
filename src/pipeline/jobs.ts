/** The jobs of a project: `.rlrun/jobs`. */
import { mkdir, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import writeFileAtomic from 'write-file-atomic';
import { jobId, openJobFiles } from './job-files.ts';
import { type JobMeta, readJobMeta } from './job-meta.ts';
import type { MetricsRow, Rollout } from '../events.ts';
import { type FileLock, holderOf, takeLock } from '../util/file-lock.ts';
import { makeFolder } from '../util/make-folder.ts';
import { isOpen } from '../util/held-out.ts';
import { readRegularFile } from '../util/regular-file.ts';

export const jobsDirectory = (root: string): string => join(root, 'jobs');

/** A job on disk. `interrupted`: it says that it is running, but nobody holds its lock. */
export interface StoredJob extends Omit<JobMeta, 'status'> {
  status: JobMeta['status'] | 'interrupted';
  directory: string;
}

/** Jobs that began in the same millisecond are told apart by their ids, as long as these begin alike. */
const newestFirst = (a: StoredJob, b: StoredJob): number => compareText(b.startedAt, a.startedAt) || compareText(b.id, a.id);

const compareText = (a: string, b: string): number => (a < b ? -1 : Number(a > b));

const PARTS_OF_A_SECOND = 0x10000;

/**
 * A new id and its directory. The last four digits say when within its second the job began, so that ids sort by time; of two that began at
 * once, the one that came to its directory second takes the next number.
 */
export async function claimJobId(root: string, name: string, time: number): Promise<string> {
  await makeFolder(jobsDirectory(root));
  for (let turn = 0; ; turn++) {
    const id = jobId(name, time, Math.floor(((time % 1000) / 1000) * PARTS_OF_A_SECOND) + turn);
    try {
      await mkdir(join(jobsDirectory(root), id));
      return id;
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EEXIST' || turn > PARTS_OF_A_SECOND) throw error;
    }
  }
}

export interface JobsScan {
  /** Newest first. */
  jobs: StoredJob[];
  /** Directories whose description cannot be read. */
  problems: { id: string; error: Error }[];
}

export async function scanJobs(root: string): Promise<JobsScan> {
  const names = await readdir(jobsDirectory(root), { withFileTypes: true }).catch(() => []);
  const scan: JobsScan = { jobs: [], problems: [] };
  for (const { name: id } of names.filter((entry) => entry.isDirectory())) {
    try {
      const job = await readJob(root, id);
      if (job) scan.jobs.push(job);
    } catch (error) {
      scan.problems.push({ id, error: error as Error });
    }
  }
  scan.jobs.sort(newestFirst);
  return scan;
}

/** Newest first, without those that cannot be read. */
export const listJobs = async (root: string): Promise<StoredJob[]> => (await scanJobs(root)).jobs;

/** Null where there is no job: one that was killed before it had said what it is leaves an empty directory. */
async function readJob(root: string, id: string): Promise<StoredJob | null> {
  const directory = join(jobsDirectory(root), id);
  try {
    const meta = await readJobMeta(directory);
    if (meta.id !== id) return null;
    return { ...meta, directory, status: meta.status === 'running' && !(await isRunning(directory)) ? 'interrupted' : meta.status };
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return null;
    throw error;
  }
}

const lockPath = (directory: string): string => join(directory, 'lock');

const isRunning = async (directory: string): Promise<boolean> => (await holderOf(lockPath(directory)))?.isThere ?? false;

/** Held for as long as a process runs the job: the number in `meta.json` may be another one's by now. Null: someone else runs it. */
export async function lockJob(directory: string): Promise<FileLock | null> {
  const taken = await takeLock(lockPath(directory));
  return 'lock' in taken ? taken.lock : null;
}

/** A job by its id, by an unambiguous beginning of it, or `latest`. Throws if that one cannot be read. */
export async function findJob(root: string, id: string): Promise<StoredJob | null> {
  if (id === 'latest') {
    const latest = (await readRegularFile(join(jobsDirectory(root), 'latest')).catch(() => '')).trim();
    return (/^[\w.-]+$/.test(latest) ? await readJob(root, latest) : null) ?? (await listJobs(root))[0] ?? null;
  }
  const { jobs, problems } = await scanJobs(root);
  const named = [...jobs, ...problems].filter((job) => job.id.startsWith(id));
  const found = named.find((job) => job.id === id) ?? (named.length === 1 ? named[0]! : null);
  if (found !== null && 'error' in found) throw found.error;
  return found;
}

/** A plain file and no link: links need rights on Windows. */
export const markLatest = (root: string, id: string): Promise<void> => writeFileAtomic(join(jobsDirectory(root), 'latest'), `${id}\n`);

export const readJobMetrics = async ({ directory }: Pick<StoredJob, 'directory'>): Promise<MetricsRow[]> => (await openJobFiles(directory).readMetrics()).rows;

/** Steps that a job has done: what it said at its end; until then, and if it never got there, what it wrote down. */
export const stepsDone = (job: StoredJob, rows: readonly MetricsRow[]): number =>
  isOpen(job) ? rows.reduce((last, { step }) => Math.max(last, step), 0) : job.steps;

/** How long a job ran, or has run by the last line it wrote; null before that. */
export function ranFor({ startedAt, endedAt }: StoredJob, rows: readonly MetricsRow[]): number | null {
  const end = endedAt === null ? rows.at(-1)?.time : Date.parse(endedAt);
  return end === undefined ? null : Math.max(0, end - Date.parse(startedAt));
}

/** One rollout by its id, whose first part is the step. */
export async function findRollout({ directory }: StoredJob, id: string): Promise<{ rollout: Rollout; group: Rollout[] } | null> {
  const step = Number(id.split('-')[0]);
  if (!Number.isSafeInteger(step)) return null;
  const all = await openJobFiles(directory).readRollouts(step);
  const rollout = all.find((other) => other.id === id);
  return rollout ? { rollout, group: all.filter(({ groupId }) => groupId === rollout.groupId) } : null;
}

/** Rollouts of a job's last step. */
export async function lastRollouts({ directory }: Pick<StoredJob, 'directory'>): Promise<{ step: number; rollouts: Rollout[] }> {
  const files = openJobFiles(directory);
  const step = (await files.rolloutSteps()).at(-1) ?? 0;
  return { step, rollouts: step === 0 ? [] : await files.readRollouts(step) };
}
