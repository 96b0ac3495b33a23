/** `rlrun report JOB…`: one self-contained HTML page about one job, or about several laid over each other. */
import { join, resolve } from 'node:path';
import { type StoredJob, findJob, openProjectStore } from '../../pipeline/index.ts';
import { formatBytes } from '../../plot/index.ts';
import { writeReport } from '../../report/index.ts';
import type { Handler } from '../commands.ts';
import { CommandError, exitOf } from '../exit-codes.ts';
import type { Io } from '../io.ts';
import { rootOf, shorten } from '../paths.ts';

export const report: Handler = async ({ args: ids, flags, io }) => {
  const jobs = await Promise.all(
    ids.map(async (id) => {
      const job = await findJob(rootOf(io), id);
      if (!job) throw new CommandError('notFound', `There is no job "${id}" here.`, 'rlrun jobs lists them.');
      return job;
    }),
  );
  const output = flags.out ? resolve(io.cwd, flags.out) : jobs.length === 1 ? join(jobs[0]!.directory, 'report.html') : join(io.cwd, 'report.html');
  const bytes = await writeReport({ jobs, output, decoder: decoderIn(io), now: () => new Date() });
  if (flags.json) io.json({ type: 'report', file: output, bytes, jobs: jobs.map(({ id }) => id) });
  io.say(`wrote ${shorten(output, io)} (${formatBytes(bytes)})`);
  return 'ok';
};

/** The tokenizer of a job's model; null when the model is gone, since the rest of the report can do without. */
const decoderIn = (io: Io) => async (job: StoredJob) => {
  const store = await openProjectStore(rootOf(io), io.cwd);
  const { loadTokenizer } = await import('../../policy/index.ts');
  try {
    const { record } = await store.model(job.model);
    const tokenizer = await loadTokenizer(record.baseDirectory);
    return (tokens: readonly number[]) => tokenizer.decode(tokens);
  } catch (error) {
    if (exitOf(error) === null) throw error;
    return null;
  }
};
