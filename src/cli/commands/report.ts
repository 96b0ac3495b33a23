/** `rlrun report JOB…`: one HTML page, and TensorBoard event files if asked for. */
import { mkdir } from 'node:fs/promises';
import { dirname, join, resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import { formatBytes } from '../../plot/index.ts';
import { writeReport, writeTensorboard } from '../../report/index.ts';
import type { Handler } from '../types.ts';
import { shorten } from '../paths.ts';
import { decoderOf, namedJob } from '../stored-jobs.ts';

export const report: Handler = async ({ args, flags, io }) => {
  // Each job once, in the order given.
  const found = await Promise.all(args.map((id) => namedJob(id, io)));
  const jobs = [...new Map(found.map((job) => [job.id, job])).values()];
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
