/** @file Did it get better? One sentence per job, from its held-out scores if it has any, and the command that does it again. */
import type { ReportJob } from './read-job.ts';
import { formatCount, formatScore } from './format.ts';
import { formatDuration } from '../plot/index.ts';
import { mean } from '../util/statistics.ts';
import { type Evaluated, evaluations, values } from './series.ts';

export interface Verdict {
  /** `unclear`: within the confidence interval of the start, or never measured. */
  outcome: 'better' | 'unclear' | 'worse';
  sentence: string;
  /** What stands behind it. */
  detail: string;
  before: Evaluated | null;
  after: Evaluated | null;
  best: Evaluated | null;
}

/** How many steps at each end are averaged when only the training reward tells. */
const WINDOW = 5;

export function verdictOf(job: ReportJob): Verdict {
  const measured = evaluations(job.rows);
  const before = measured.find(({ isBaseline }) => isBaseline) ?? null;
  const after = measured.findLast(({ isBaseline }) => !isBaseline) ?? null;
  const best = measured.reduce<Evaluated | null>((top, entry) => (top === null || entry.value > top.value ? entry : top), null);
  const facts = { before, after, best };
  if (before && after) return { ...facts, ...judgeHeldOut(job, before, after, best ?? after) };
  if (after) return { ...facts, outcome: 'unclear', sentence: `The held-out reward is ${formatScore(after.value)}.`, detail: 'It was not measured before the first step, so nothing says how far it came.' };
  return { ...facts, ...judgeTraining(job) };
}

type Judged = Pick<Verdict, 'outcome' | 'sentence' | 'detail'>;

/** Better means above the whole interval of the start, as the promotion gate has it; worse means below it. */
function judgeHeldOut(job: ReportJob, before: Evaluated, after: Evaluated, best: Evaluated): Judged {
  const outcome = after.value > (before.high ?? before.value) ? 'better' : after.value < (before.low ?? before.value) ? 'worse' : 'unclear';
  const [from, to] = [formatScore(before.value), formatScore(after.value)];
  const sentence = {
    better: `The held-out reward rose from ${from} to ${to}.`,
    worse: `The held-out reward fell from ${from} to ${to}.`,
    unclear: from === to ? `The held-out reward stayed at ${to}.` : `The held-out reward went from ${from} to ${to}, which may be chance.`,
  }[outcome];
  const confidence = job.pipeline?.stages[0]?.promote.confidence;
  const interval = ({ low, high }: Evaluated) => (low === null || high === null ? null : `${formatScore(low)} to ${formatScore(high)}`);
  const [start, end] = [interval(before), interval(after)];
  const parts = [
    end && start && `${confidence === undefined ? 'Confidence' : `${Math.round(confidence * 100)}%`} interval ${end}; it began within ${start}.`,
    best.step !== after.step && best.value > after.value && `The best was ${formatScore(best.value)} at step ${best.step}.`,
  ];
  return { outcome, sentence, detail: parts.filter(Boolean).join(' ') };
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

/** How the job ended, in words: `completed: all steps done`. */
export const statusOf = ({ meta }: ReportJob): string => (meta.reason ? `${meta.status}: ${meta.reason}` : meta.status === 'interrupted' ? 'interrupted: its process is gone' : meta.status);

/** `60 of 60 steps in 3m 07s` */
export function progressOf({ meta, events }: ReportJob): string {
  const steps = meta.status === 'running' || meta.status === 'interrupted' ? null : meta.steps;
  const ms = events['job-finished'].at(-1)?.durationMs ?? (meta.endedAt === null ? null : Date.parse(meta.endedAt) - Date.parse(meta.startedAt));
  return `${steps === null ? formatCount(meta.totalSteps, 'step') + ' planned' : `${steps} of ${formatCount(meta.totalSteps, 'step')}`}${ms === null ? '' : ` in ${formatDuration(ms)}`}`;
}

const quoted = (word: string): string => (/^[\w./:=@,+-]+$/.test(word) ? word : `'${word.replaceAll("'", `'\\''`)}'`);

/**
 * The command that repeats the job, with the place where it has to begin: without it, a second run would go on from the head. What only
 * concerned that one run (`--resume`, `--watch`) is left out.
 */
export function reproduceCommand({ meta }: ReportJob): string {
  const passing = new Set(['--resume', '--watch', '-w', '--json', '--quiet', '-q', '--no-tui']);
  const words = meta.argv.filter((word) => !passing.has(word));
  // A job that followed an edit began somewhere else than its command says.
  const begins = words.some((word) => word === '--from' || word.startsWith('--from='));
  if (begins && meta.parent === null) return words.map(quoted).join(' ');
  return [...withoutFrom(words), '--from', meta.start.checkpoint ?? 'base'].map(quoted).join(' ');
}

function withoutFrom(words: readonly string[]): string[] {
  return words.filter((word, index) => word !== '--from' && words[index - 1] !== '--from' && !word.startsWith('--from='));
}
