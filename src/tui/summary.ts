import { formatDuration, formatNumber, sparkline } from '../plot/index.ts';
import { asSentence } from '../health/index.ts';
import { count } from '../util/words.ts';
import { notices } from './panels/warnings.ts';
import { bestCheckpoint, scores, type DashboardState } from './state.ts';

/** What stays on the terminal after the dashboard has gone: plain text, a few lines, the next command last. */
export function summary(state: DashboardState): string {
  const { job, result } = state;
  if (!job) return '';
  const nameOf = (id: string | null): string => (id === null ? job.base : (state.checkpoints.find((checkpoint) => checkpoint.id === id)?.name ?? id));
  const lines: string[] = [];
  const elapsed = result ? ` in ${formatDuration(result.durationMs)}` : '';
  lines.push(`${job.pipeline}: ${result ? `${result.status}, ${result.reason}` : `left while it runs`} (${state.finishedSteps.toLocaleString('en-US')} of ${count(job.totalSteps, 'step')}${elapsed})`);

  const rewards = state.histories.get('reward')?.values ?? [];
  if (rewards.length > 1) lines.push(`  reward    ${formatNumber(rewards[0]!)} → ${formatNumber(rewards.at(-1)!)}  ${sparkline(rewards, { width: Math.min(40, rewards.length) })}`);
  const { before, after } = scores(state);
  if (after) lines.push(`  held-out  ${before ? `${formatNumber(before.value)} → ` : ''}${formatNumber(after.value)}${after.low === null || after.high === null ? '' : `  [${formatNumber(after.low)}, ${formatNumber(after.high)}]`}`);
  const best = bestCheckpoint(state);
  const head = state.head ?? result?.head ?? null;
  lines.push(`  model     ${job.model}, head at ${nameOf(head)}${best && best.id !== head ? `; the best is ${best.name}` : ''}`);
  for (const notice of notices(state).slice(0, 3)) lines.push(`  warning   ${asSentence(notice.message)} ${asSentence(notice.fix)}`);
  lines.push(`  files     ${job.directory}`);
  lines.push(`  report    rlrun report ${job.jobId}`);
  if (result?.resumeCommand) lines.push(`  resume    ${result.resumeCommand}`);
  return `${lines.join('\n')}\n`;
}
