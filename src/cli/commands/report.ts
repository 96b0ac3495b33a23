/** `rlrun report JOB…`: one HTML page, and TensorBoard event files if asked for. */
import { open } from 'node:fs/promises';
import { dirname, join, resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import { formatBytes } from '../../plot/index.ts';
import { isReport, writeReport, writeTensorboard } from '../../report/index.ts';
import { expandHome } from '../../util/home.ts';
import { makeFolder } from '../../util/make-folder.ts';
import type { Handler } from '../types.ts';
import { CommandError } from '../exit-codes.ts';
import type { Io } from '../io.ts';
import { shorten } from '../paths.ts';
import { decoderOf, namedJob } from '../stored-jobs.ts';

/** A slip of the hand with --out is not to cost anybody a file: only reports are written over. */
async function refuseToReplace(path: string, io: Io): Promise<void> {
  const there = await open(path).catch((error: NodeJS.ErrnoException) => (error.code === 'ENOENT' ? null : Promise.reject(error)));
  if (there === null) return;
  await using file = there;
  // A folder, or a device: whoever writes will say it.
  if (!(await file.stat()).isFile()) return;
  const { buffer, bytesRead } = await file.read(Buffer.alloc(1024));
  if (bytesRead > 0 && !isReport(buffer.toString('utf8', 0, bytesRead))) throw new CommandError('conflict', `${shorten(path, io)} exists and is no report of rlrun, so it is not replaced.`, 'Choose another name.');
}

export const report: Handler = async ({ args, flags, io }) => {
  // Each job once, in the order given.
  const found = await Promise.all(args.map((id) => namedJob(id, io)));
  const jobs = [...new Map(found.map((job) => [job.id, job])).values()];
  const output = resolve(io.cwd, flags.out !== undefined ? expandHome(flags.out) : (jobs.length === 1 ? join(jobs[0]!.directory, 'report.html') : 'report.html'));
  await refuseToReplace(output, io);
  await makeFolder(dirname(output));
  const bytes = await writeReport({ jobs, output, decoder: (job) => decoderOf(job, io), now: () => new Date() });
  const events = flags.tensorboard === undefined ? [] : await Promise.all(jobs.map((job) => writeTensorboard(job, resolve(io.cwd, expandHome(flags.tensorboard!)))));
  if (flags.json) {
    io.json({ type: 'report', jobs: jobs.map(({ id }) => id), path: output, bytes, tensorboard: events });
    return 'ok';
  }
  io.print(shorten(output, io));
  io.say(`${formatBytes(bytes)}; open it at ${pathToFileURL(output).href}`);
  if (events.length > 0) io.say(`TensorBoard events in ${flags.tensorboard}; look at them with: tensorboard --logdir ${flags.tensorboard}`);
  return 'ok';
};
