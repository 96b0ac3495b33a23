/** Jobs as a user names them, and the text of the tokens in their records. */
import { type StoredJob, findJob, listJobs } from '../pipeline/index.ts';
import { didYouMean } from '../util/did-you-mean.ts';
import { count } from '../util/words.ts';
import { CommandError } from './exit-codes.ts';
import type { Io } from './io.ts';
import { rootOf } from './paths.ts';
import { storeOf } from './store.ts';

/** By its id, by an unambiguous beginning of it, or `latest`; a message that helps where there is none. */
export async function namedJob(id: string, io: Io): Promise<StoredJob> {
  const root = rootOf(io);
  const job = await findJob(root, id);
  if (job) return job;
  const all = await listJobs(root);
  if (id === 'latest') throw new CommandError('notFound', 'There are no jobs here yet.', 'Begin one: rlrun PIPELINE');
  const matches = id === '' ? [] : all.filter((other) => other.id.startsWith(id));
  if (matches.length > 1) throw new CommandError('usage', `${count(matches.length, 'job')} begin with "${id}": ${matches.slice(0, 3).map((other) => other.id).join(', ')}${matches.length > 3 ? ', …' : ''}.`, 'Type more of the id.');
  throw new CommandError('notFound', `There is no job "${id}" here.`, `${didYouMean(id, ['latest', ...all.map((other) => other.id)])}rlrun jobs lists them.`);
}

/** What token ids say under a job's model; null for a model or a tokenizer that is gone by now. */
export async function decoderOf(job: StoredJob, io: Io): Promise<((ids: readonly number[]) => string) | null> {
  try {
    const { record } = await (await storeOf(io)).model(job.model);
    const { loadTokenizer } = await import('../policy/index.ts');
    const tokenizer = await loadTokenizer(record.baseDirectory);
    return (ids) => tokenizer.decode(ids);
  } catch {
    return null;
  }
}
