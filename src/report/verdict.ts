/** @file Did it get better, by how much, in what time? One sentence per job, from its held-out scores if it has any. */
import { headOf } from './checkpoints.ts';
import type { ReportJob } from './read-job.ts';
import { ranFor, stepsDone } from '../pipeline/index.ts';
import { formatDuration } from '../plot/index.ts';
import { type Evaluated, type Score, evaluations, heldOut } from '../util/held-out.ts';
import { mean } from '../util/statistics.ts';
import { count, formatScore } from '../util/words.ts';
import { values } from './series.ts';

export interface Verdict {
  /** `unclear`: the interval of the change holds 0, or nothing was measured. */
  outcome: 'better' | 'unclear' | 'worse';
  sentence: string;
  /** What stands behind it. */
  detail: string;
  before: Score | null;
  after: Score | null;
  best: Evaluated | null;
  change: Change | null;
}

/** A difference of two scores, with its interval where both have theirs. */
export interface Change {
  value: number;
  low: number | null;
  high: number | null;
}

/**
 * From one score to another. The interval is recovered from those of the two scores (Zou & Donner, Statistics in Medicine 27, 2008; Newcombe's
 * method 10 for proportions) as if they were independent. They share their tasks, so it is rather too wide than too narrow.
 */
export function changeOf(before: Score, after: Score): Change {
  const value = after.value - before.value;
  if (before.low === null || before.high === null || after.low === null || after.high === null) return { value, low: null, high: null };
  return {
    value,
    low: value - Math.hypot(after.value - after.low, before.high - before.value),
    high: value + Math.hypot(after.high - after.value, before.value - before.low),
  };
}

/** How many steps at each end are averaged when only the training reward tells. */
const WINDOW = 5;

export function verdictOf(job: ReportJob): Verdict {
  const measured = evaluations(job.rows);
  const { before, after } = heldOut(job.meta, measured);
  const best = measured.reduce<Evaluated | null>((top, entry) => (top === null || entry.value > top.value ? entry : top), null);
  const change = before && after ? changeOf(before, after) : null;
  const facts = { before, after, best, change };
  if (before && after && change) return { ...facts, ...judgeHeldOut(job, { before, after, best, change }) };
  if (after) return { ...facts, outcome: 'unclear', sentence: `The held-out reward is ${formatScore(after.value)}.`, detail: 'It was not measured before the first step, so nothing says how far it came.' };
  return { ...facts, ...judgeTraining(job) };
}

type Judged = Pick<Verdict, 'outcome' | 'sentence' | 'detail'>;

interface HeldOut {
  before: Score;
  after: Score;
  best: Evaluated | null;
  change: Change;
}

/** Better means that the whole interval of the change lies above 0; worse, below it. Without intervals the numbers themselves decide. */
function judgeHeldOut(job: ReportJob, { before, after, best, change }: HeldOut): Judged {
  const outcome = (change.low ?? change.value) > 0 ? 'better' : (change.high ?? change.value) < 0 ? 'worse' : 'unclear';
  const [from, to] = [formatScore(before.value), formatScore(after.value)];
  const sentence = {
    better: `The held-out reward rose from ${from} to ${to}.`,
    worse: `The held-out reward fell from ${from} to ${to}.`,
    unclear: from === to ? `The held-out reward stayed at ${to}.` : `The held-out reward went from ${from} to ${to}, which may be chance.`,
  }[outcome];
  const tasks = job.events['eval-finished'].at(-1)?.tasks;
  const parts = [
    tasks !== undefined && `Measured on ${count(tasks, 'held-out task')}.`,
    best && best.value > after.value && `The best was ${formatScore(best.value)} ${best.isBaseline ? 'at the start' : `at step ${best.step}`}.`,
    headBehind(job, after),
  ];
  return { outcome, sentence, detail: parts.filter(Boolean).join(' ') };
}

/** Where the head is, if a gate or a rollback left it at an older checkpoint than the last measured one; its score unless that has been told. */
function headBehind(job: ReportJob, { value }: Score): string | null {
  const measured = job.checkpoints.findLast(({ evalReward }) => evalReward !== null);
  const id = headOf(job);
  if (measured && id === job.meta.start.checkpoint) return 'The head is where the job began.';
  const head = job.checkpoints.find((checkpoint) => checkpoint.id === id);
  if (!head || !measured || head.step >= measured.step) return null;
  return `The head is ${head.name}${head.evalReward === null || head.evalReward === value ? '' : `, at ${formatScore(head.evalReward)}`}.`;
}

/** `95% interval`, where the confidence is known. */
export function confidenceOf({ pipeline }: ReportJob): string {
  const confidence = pipeline?.stages[0]?.promote.confidence;
  return `${confidence === undefined ? 'confidence' : `${Number((confidence * 100).toFixed(1))}%`} interval`;
}

function judgeTraining({ rows }: ReportJob): Judged {
  const rewards = values(rows, 'reward');
  const losses = values(rows, 'policy_loss');
  const detail = 'Nothing was measured on held-out tasks.';
  if (rewards.length === 0 && losses.length > 0) {
    return { outcome: 'unclear', sentence: `The loss went from ${formatScore(losses[0])} to ${formatScore(losses.at(-1))}.`, detail };
  }
  if (rewards.length === 0) return { outcome: 'unclear', sentence: 'No step was finished.', detail: '' };
  const [first, last] = [mean(rewards.slice(0, WINDOW)), mean(rewards.slice(-WINDOW))];
  return { outcome: 'unclear', sentence: `The training reward went from ${formatScore(first)} to ${formatScore(last)}.`, detail: `${detail} These are means of the first and last ${Math.min(WINDOW, rewards.length)} steps.` };
}

/** Why the job ended as it did; null while it runs. */
export const reasonOf = ({ meta }: ReportJob): string | null => meta.reason ?? (meta.status === 'interrupted' ? 'its process is gone' : null);

/** `60 of 60 steps` */
export const stepsOf = ({ meta, rows }: ReportJob): string => `${stepsDone(meta, rows).toLocaleString('en-US')} of ${count(meta.totalSteps, 'step')}`;

/** How long it ran, as far as that is known: `3m 07s`. */
export function durationOf({ meta, events, rows }: ReportJob): string | null {
  const ms = events['job-finished'].at(-1)?.durationMs ?? ranFor(meta, rows);
  return ms === null ? null : formatDuration(ms);
}
