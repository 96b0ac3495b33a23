/** Going on with a job that was interrupted: which one, and by what command. */
import { type ResolvedPipeline, type Secrets, HIDDEN, concealer, concealSet, diffPipelines } from '../config/index.ts';
import { type Materials, type StoredJob, readResolved, scanJobs } from '../pipeline/index.ts';
import { quoted } from '../util/words.ts';
import { CommandError } from './exit-codes.ts';

/** What has to be as it was. */
interface Resumable {
  pipeline: ResolvedPipeline;
  /** The same without secrets, and what they are. */
  shown: ResolvedPipeline;
  secrets: Secrets;
  materials: Materials;
}

/**
 * The last job of this pipeline, if it can be resumed: it was interrupted, and nothing that it is made of has changed since. `file` is the
 * pipeline's as the user wrote it, in the command `argv`.
 */
export async function interruptedJob({ pipeline, shown, secrets, materials }: Resumable, { root, file, argv }: { root: string; file: string; argv: readonly string[] }): Promise<StoredJob> {
  const begin = command(toldArgv(argv, secrets).filter((word) => word !== '--resume'));
  const { jobs, problems } = await scanJobs(root);
  const last = jobs.find((job) => job.file === pipeline.file && job.model === pipeline.model.name);
  // Ids of one pipeline sort by time. An older job must not be taken for the last one because nobody can read that.
  const unreadable = problems.find(({ id }) => isOfPipeline(id, pipeline.name) && (!last || id > last.id));
  if (unreadable) throw new CommandError('failure', `The last job of ${file} cannot be resumed: ${unreadable.error.message}.`, `Restore the file from a backup, or begin a new job, which goes on from the head: ${begin}`);
  if (!last) throw new CommandError('notFound', `No job of ${file} has run here, so there is none to resume.`, `Begin one: ${begin}`);
  if (last.status === 'completed') throw new CommandError('notFound', `The last job of ${file} (${last.id}) is complete; there is nothing to resume.`, `Begin another one, which goes on from the head: ${begin}`);
  if (last.status === 'running') throw new CommandError('conflict', `Job ${last.id} is still running (process ${last.pid}).`, 'Stop it first.');
  const differing = (['config', 'taskset', 'reward'] as const).filter((part) => last.hashes[part] !== materials.hashes[part]);
  if (differing.length > 0) {
    const before = await readResolved(last.directory).catch(() => null);
    const changes = (before === null ? [] : diffPipelines(before, shown)).map(({ path, before: old, after }) => `${path} ${old ?? '–'} → ${after ?? '–'}`);
    // All of a job's hashes change with a secret, and the pipeline as it was written down does not show it.
    const hidden = differing.length === 3 && secrets.size > 0 ? `the value of ${[...new Set(secrets.values())].map((each) => (each === HIDDEN ? 'a secret that --set gives' : each)).join(' or ')}` : null;
    const what = changes.length > 0 ? changes.join(', ') : (hidden ?? `its ${differing.map((part) => (part === 'config' ? 'loss' : part)).join(' and ')}`);
    throw new CommandError('conflict', `The pipeline has changed since job ${last.id} began: ${what}.`, `Take the change back, or begin a new job, which goes on from the head: ${begin}`);
  }
  return last;
}

/** `<name>-<yyyymmdd-hhmmss>-<4 hex>` */
const isOfPipeline = (id: string, name: string): boolean => id.startsWith(`${name}-`) && /^\d{8}-\d{6}-[0-9a-f]{4,}$/.test(id.slice(name.length + 1));

/** The same command with `--resume`: the overrides of the interrupted job have to be given again. */
export function resumeCommand(argv: readonly string[]): string {
  return command([...argv.filter((word) => word !== '--resume' && word !== '--watch' && word !== '-w'), '--resume']);
}

/** The command line without secrets: it is printed, kept and handed on. */
export const toldArgv = (argv: readonly string[], secrets: Secrets): string[] => argv.map((word) => concealer(secrets)(concealSet(word)));

const command = (argv: readonly string[]): string => ['rlrun', ...argv.map(quoted)].join(' ');
