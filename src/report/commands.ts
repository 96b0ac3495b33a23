/** @file What to type next: do it again, go on, use the model. */
import type { ReportJob } from './read-job.ts';
import { bestCheckpoint, headOf } from './checkpoints.ts';
import { evaluations } from '../util/held-out.ts';
import { quoted } from '../util/words.ts';

export interface Command {
  label: string;
  words: string;
}

const typed = (words: readonly string[]): string => words.map(quoted).join(' ');

/** The flags that only concerned that one run. */
const passing = new Set(['--resume', '--watch', '-w', '--json', '--quiet', '-q', '--no-tui', '--tui']);

/**
 * The command that repeats the job, with the place where it has to begin: without it, a second run would go on from the head.
 */
export function reproduceCommand({ meta }: ReportJob): string {
  const words = meta.argv.filter((word) => !passing.has(word));
  // A job that followed an edit began somewhere else than its command says.
  const begins = words.some((word) => word === '--from' || word.startsWith('--from='));
  if (begins && meta.parent === null) return typed(words);
  return typed([...withoutFrom(words), '--from', meta.start.checkpoint ?? 'base']);
}

/** Goes on where a job stopped; null for one that is complete or still runs. */
export function resumeCommand({ meta }: ReportJob): string | null {
  if (meta.status === 'completed' || meta.status === 'running') return null;
  return typed([...withoutFrom(meta.argv.filter((word) => !passing.has(word))), '--resume']);
}

const withoutFrom = (words: readonly string[]): string[] => words.filter((word, index) => word !== '--from' && words[index - 1] !== '--from' && !word.startsWith('--from='));

/** A prompt that is fit to be typed into a shell. */
const isTypable = (prompt: string): boolean => /^[\x20-\x7e]{1,60}$/.test(prompt);

/** Everything that one may want to do after this job, most wanted first. `prompts`: some that the model has answered. */
export function nextCommands(job: ReportJob, prompts: readonly string[]): Command[] {
  const { meta, checkpoints } = job;
  const [head, best] = [headOf(job), bestCheckpoint(checkpoints)];
  const start = evaluations(job.rows).find(({ isBaseline }) => isBaseline);
  const headScore = checkpoints.find(({ id }) => id === head)?.evalReward;
  // The highest score that is not the head's: a checkpoint's, or that of the model as the job found it.
  const isKnown = headScore !== null && headScore !== undefined;
  const isBelowBest = isKnown && best !== null && headScore < best.evalReward!;
  const isBelowStart = isKnown && start !== undefined && headScore < start.value && (best === null || start.value > best.evalReward!);
  const better = isBelowStart ? (meta.start.checkpoint ?? 'base') : isBelowBest ? best.name : null;
  const resume = resumeCommand(job);
  const isCompletion = job.pipeline?.stages.at(-1)?.agent.kind === 'completion';
  const prompt = (isCompletion ? prompts.find(isTypable) : undefined) ?? 'your prompt';
  return [
    ...(resume === null ? [] : [{ label: 'Go on', words: resume }]),
    { label: 'Use the model', words: typed(['rlrun', 'sample', meta.model, prompt]) },
    ...(better === null ? [] : [{ label: 'Move to the best', words: typed(['rlrun', 'models', 'head', meta.model, '--set', better]) }]),
    { label: 'Export it', words: typed(['rlrun', 'models', 'export', meta.model, '--out', `./${meta.model}`]) },
    { label: 'Run it again', words: reproduceCommand(job) },
  ];
}
