/**
 * Where an interrupted job stands. Its rows and checkpoints say it together, as far as they are whole: from the first damage on, what follows
 * is done again, which leads to the same weights.
 */
import { count } from '../util/words.ts';
import { checkpointsOfRows, keptRows, type History, type Start } from './history.ts';
import type { JobFiles } from './job-files.ts';
import type { ModelLine } from './loop.ts';

/** No state that the job was ever in can be read any more. */
export class BeyondRecovery extends Error {
  readonly kind = 'invalid';
  readonly fix: string;

  constructor(message: string, fix: string) {
    super(message);
    this.fix = fix;
  }
}

export interface RecoverOptions {
  jobId: string;
  start: Start;
  files: JobFiles;
  model: ModelLine;
}

/** Fills the history with what is left. Returns what was damaged and what follows from it, in words; null if all was whole. */
export async function recover(history: History, { files, model, jobId, start }: RecoverOptions): Promise<string | null> {
  const { rows, damaged, isClean } = await files.readMetrics();
  const { checkpoints: all, problems } = await model.scan();
  const checkpoints = all.filter((checkpoint) => checkpoint.jobId === jobId);
  const made = checkpointsOfRows(rows, checkpoints, start);
  const kept = keptRows(rows, made);
  const damages = damaged.map(({ line, problem }) => `line ${line} of metrics.jsonl ${problem}`);
  const [told, saved] = [last(rows), last(checkpoints) - start.step];
  // The row of a step is on the disk before its checkpoint is.
  if (damages.length === 0 && saved > told) damages.push(`metrics.jsonl ends with step ${told}, though step ${saved} was saved`);

  if (kept.length < rows.length) damages.push(...problems.map(({ name, problem }) => `checkpoint ${name} is damaged: ${problem}`));

  const readable = rememberingFaults(model);
  for (let first = true; ; first = false) {
    history.take(kept, made);
    const { weights, head } = history.standing();
    const fault = (await readable(weights)) ?? (await readable(head));
    if (fault === null) break;
    if (kept.length === 0) throw new BeyondRecovery(`job ${jobId} cannot be resumed: ${fault.message}`, `${fault.fix}; then begin a new job, without --resume.`);
    // Further back, weights that were deleted to make room are no news.
    if (first || fault.kind === 'invalid') damages.push(fault.message);
    kept.pop();
  }
  if (!isClean || kept.length < rows.length) await files.replaceMetrics(kept);
  for (const { line, problem } of await files.mendEvents()) damages.push(`line ${line} of events.jsonl ${problem} and is taken out`);

  if (damages.length === 0) return null;
  const lost = Math.max(told, saved) - history.step;
  const again = lost > 0 ? `: the job goes on after step ${history.step}, ${count(lost, 'step')} to be done again` : '';
  return `${[...new Set(damages)].join('; ')}${again}`;
}

const last = (steps: readonly { step: number }[]): number => steps.reduce((most, { step }) => Math.max(most, step), 0);

/** What the store says of weights that cannot be read. */
type Fault = Error & { kind: string; fix: string };

/** Why the weights of a checkpoint cannot be read; null if they can. Each is looked at once. */
function rememberingFaults(model: ModelLine): (id: string | null) => Promise<Fault | null> {
  const known = new Map<string | null, Fault | null>([[null, null]]);
  return async (id) => {
    if (!known.has(id)) known.set(id, await model.verifiedDirectory(id!).then(() => null, (error: Fault) => error));
    return known.get(id)!;
  };
}
