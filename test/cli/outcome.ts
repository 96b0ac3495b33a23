/** What a tiny job comes to: all that has to be equal where two of them are to end alike. */
import { existsSync } from 'node:fs';
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';

/** Those that got as far as saying what they are: a job that is killed before that leaves an empty directory. */
export async function jobsOf(cwd: string): Promise<string[]> {
  const jobs = join(cwd, '.rlrun', 'jobs');
  const names = await readdir(jobs).catch(() => []);
  return names.filter((name) => existsSync(join(jobs, name, 'meta.json')));
}

/** Times, and log-probabilities as the sampler had them: the last bits of a conversation's depend on its company, and are not learnt from. */
const PASSING = /^time\/|_time$|per_second$|seconds$|sampling_logprob/;

/** Every checkpoint's weights and moments, and the metrics that do not pass. */
export async function outcome(cwd: string) {
  const checkpoints = join(cwd, '.rlrun', 'models', 'tiny-rl', 'checkpoints');
  const names = (await readdir(checkpoints)).sort();
  const files = await Promise.all(names.flatMap((name) => ['weights.safetensors', 'optimizer.safetensors'].map((file) => readFile(join(checkpoints, name, file), 'base64'))));
  const [job] = await jobsOf(cwd);
  const rows = (await readFile(join(cwd, '.rlrun', 'jobs', job!, 'metrics.jsonl'), 'utf8')).trim().split('\n').map((line) => JSON.parse(line) as { step: number; kind: string; metrics: Record<string, number> });
  const metrics = rows.map(({ step, kind, metrics }) => [step, kind, Object.entries(metrics).filter(([name]) => !PASSING.test(name))]);
  const head = (await readFile(join(cwd, '.rlrun', 'models', 'tiny-rl', 'head'), 'utf8')).trim().split(' ').at(-1);
  return { names, files, metrics, head };
}
