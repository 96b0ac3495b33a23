/** `rlrun trace ID`: one rollout, whole. */
import type { Rollout, Subscore } from '../../events.ts';
import { findJob, findRollout } from '../../pipeline/index.ts';
import type { Handler } from '../commands.ts';
import { CommandError } from '../exit-codes.ts';
import { rootOf } from '../paths.ts';
import { oneLine } from '../text.ts';

export const trace: Handler = async ({ args: [id = ''], flags, io }) => {
  const [jobId, rolloutId] = id.includes('/') ? (id.split('/', 2) as [string, string]) : ['latest', id];
  const job = await findJob(rootOf(io), jobId);
  if (!job) throw new CommandError('notFound', jobId === 'latest' ? 'There are no jobs here yet.' : `There is no job "${jobId}" here.`, 'rlrun jobs lists them.');
  const rollout = await findRollout(job, rolloutId);
  if (!rollout) throw new CommandError('notFound', `Job ${job.id} has no rollout "${rolloutId}".`, `rlrun jobs ${job.id} lists some; an id looks like 000012-0003-001 (step, task, attempt).`);
  if (flags.json) io.json({ type: 'rollout', job: job.id, ...rollout });
  else io.print(describeRollout(rollout, job.id));
  return 'ok';
};

function describeRollout(rollout: Rollout, job: string): string {
  const { id, taskId, groupId, status, stopReason, reward, advantage, prompt, completion, error } = rollout;
  const facts: [string, string][] = [
    ['job', job],
    ['task', `${taskId}, group ${groupId}`],
    ['status', `${status}, ${stopReason}`],
    ['reward', reward === null ? 'no verdict' : `${reward}${advantage === undefined ? '' : `, advantage ${advantage.toFixed(4)}`}`],
    ...(error ? [['error', `${error.phase}, ${error.type}: ${oneLine(error.message)}`] as [string, string]] : []),
    ['prompt', oneLine(prompt)],
    ['completion', oneLine(completion)],
  ];
  const tokens = rollout.turns.map(({ promptTokenIds, outputTokenIds, outputLogprobs }, turn) => {
    const drawn = outputTokenIds.map((token, index) => `  ${String(token).padStart(7)}  ${outputLogprobs[index]!.toFixed(4).padStart(9)}`);
    return `turn ${turn + 1}: ${promptTokenIds.length} prompt tokens, then (id, log-probability)\n${drawn.join('\n')}`;
  });
  return [id, ...facts.map(([name, value]) => `  ${name.padEnd(12)}${value}`), ...subscoreLines(rollout.subscores, 1), ...tokens].join('\n');
}

const subscoreLines = (subscores: readonly Subscore[], depth: number): string[] =>
  subscores.flatMap(({ name, value, weight, children }) => [`${'  '.repeat(depth)}${name}  ${value} × ${weight.toFixed(3)}`, ...subscoreLines(children ?? [], depth + 1)]);
