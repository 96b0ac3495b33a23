/** Going on with a job that was interrupted: which one, and by what command. */
import { readFile } from 'node:fs/promises';
import { type ResolvedPipeline, diffPipelines } from '../config/index.ts';
import { type Materials, type StoredJob, listJobs } from '../pipeline/index.ts';
import { quoted } from '../util/words.ts';
import { CommandError } from './exit-codes.ts';

/**
 * The last job of this pipeline, if it can be resumed: it was interrupted, and nothing that it is made of has changed since. `file` is the
 * pipeline's as the user wrote it, in the command `argv`.
 */
export async function interruptedJob({ pipeline, materials }: { pipeline: ResolvedPipeline; materials: Materials }, { root, file, argv }: { root: string; file: string; argv: readonly string[] }): Promise<StoredJob> {
  const begin = command(argv.filter((word) => word !== '--resume'));
  const last = (await listJobs(root)).find((job) => job.file === pipeline.file && job.model === pipeline.model.name);
  if (!last) throw new CommandError('notFound', `No job of ${file} has run here, so there is none to resume.`, `Begin one: ${begin}`);
  if (last.status === 'completed') throw new CommandError('notFound', `The last job of ${file} (${last.id}) is complete; there is nothing to resume.`, `Begin another one, which goes on from the head: ${begin}`);
  if (last.status === 'running') throw new CommandError('conflict', `Job ${last.id} is still running (process ${last.pid}).`, 'Stop it first.');
  const differing = (['config', 'taskset', 'reward'] as const).filter((part) => last.hashes[part] !== materials.hashes[part]);
  if (differing.length > 0) {
    const before = JSON.parse(await readFile(`${last.directory}/resolved.json`, 'utf8')) as ResolvedPipeline;
    const changes = diffPipelines(before, pipeline).map(({ path, before: old, after }) => `${path} ${old ?? '–'} → ${after ?? '–'}`);
    const what = changes.length > 0 ? changes.join(', ') : `its ${differing.map((part) => (part === 'config' ? 'loss' : part)).join(' and ')}`;
    throw new CommandError('conflict', `The pipeline has changed since job ${last.id} began: ${what}.`, `Take the change back, or begin a new job, which goes on from the head: ${begin}`);
  }
  return last;
}

/** The same command with `--resume`: the overrides of the interrupted job have to be given again. */
export function resumeCommand(argv: readonly string[]): string {
  return command([...argv.filter((word) => word !== '--resume' && word !== '--watch' && word !== '-w'), '--resume']);
}

const command = (argv: readonly string[]): string => ['rlrun', ...argv.map(quoted)].join(' ');
