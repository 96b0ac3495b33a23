/** `rlrun report JOB…`: one HTML page, and TensorBoard event files if asked for. */
import { mkdir } from 'node:fs/promises';
import { dirname, join, resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import { type StoredJob, findJob, openProjectStore } from '../../pipeline/index.ts';
import { formatBytes } from '../../plot/index.ts';
import { writeReport, writeTensorboard } from '../../report/index.ts';
import type { Handler, Invocation } from '../commands.ts';
import { CommandError } from '../exit-codes.ts';
import { rootOf, shorten } from '../paths.ts';

export const report: Handler = async ({ args, flags, io }) => {
  const jobs = await findJobs(args, io);
  const output = resolve(io.cwd, flags.out ?? (jobs.length === 1 ? join(jobs[0]!.directory, 'report.html') : 'report.html'));
  await mkdir(dirname(output), { recursive: true });
  const bytes = await writeReport({ jobs, output, decoder: (job) => decoderOf(job, io), now: () => new Date() });
  const events = flags.tensorboard === undefined ? [] : await Promise.all(jobs.map((job) => writeTensorboard(job, resolve(io.cwd, flags.tensorboard!))));
  if (flags.json) {
    io.json({ type: 'report', jobs: jobs.map(({ id }) => id), path: output, bytes, tensorboard: events });
    return 'ok';
  }
  io.print(shorten(output, io));
  io.say(`${formatBytes(bytes)}; open it at ${pathToFileURL(output).href}`);
  if (events.length > 0) io.say(`TensorBoard events in ${flags.tensorboard}; look at them with: tensorboard --logdir ${flags.tensorboard}`);
  return 'ok';
};

/** Each job once, in the order given. */
async function findJobs(ids: readonly string[], io: Invocation['io']): Promise<StoredJob[]> {
  const jobs = new Map<string, StoredJob>();
  for (const id of ids) {
    const job = await findJob(rootOf(io), id);
    if (!job) throw new CommandError('notFound', id === 'latest' ? 'There are no jobs here yet.' : `There is no job "${id}" here.`, 'rlrun jobs lists them.');
    jobs.set(job.id, job);
  }
  return [...jobs.values()];
}

/** A model or a tokenizer that is gone by now makes a report poorer, not impossible: it shows no tokens then. */
async function decoderOf(job: StoredJob, io: Invocation['io']): Promise<((ids: readonly number[]) => string) | null> {
  try {
    const { record } = await (await openProjectStore(rootOf(io), io.cwd)).model(job.model);
    const { loadTokenizer } = await import('../../policy/index.ts');
    const tokenizer = await loadTokenizer(record.baseDirectory);
    return (ids) => tokenizer.decode(ids);
  } catch {
    return null;
  }
}
