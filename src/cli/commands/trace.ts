/** `rlrun trace ID`: one rollout, whole. */
import type { Conversation, Rollout, Subscore } from '../../events.ts';
import { findRollout } from '../../pipeline/index.ts';
import { bar, formatDuration, formatPercent, formatSigned } from '../../plot/index.ts';
import { tokenTextsOf } from '../../report/index.ts';
import { count } from '../../util/words.ts';
import type { Handler } from '../types.ts';
import { CommandError } from '../exit-codes.ts';
import { decoderOf, namedJob } from '../stored-jobs.ts';
import { clip, oneLine, table } from '../text.ts';
import { describeDialogue } from './describe-dialogue.ts';

export const trace: Handler = async ({ args: [id = ''], flags, io }) => {
  const [jobId, rolloutId] = id.includes('/') ? (id.split('/', 2) as [string, string]) : ['latest', id];
  const job = await namedJob(jobId, io);
  const found = await findRollout(job, rolloutId);
  if (!found) throw new CommandError('notFound', `Job ${job.id} has no rollout "${rolloutId}".`, `rlrun jobs ${job.id} lists some; an id looks like 000012-0003-001 (step, task, attempt).`);
  if (flags.json) {
    io.json({ type: 'rollout', job: job.id, ...found.rollout });
    return 'ok';
  }
  const decode = await decoderOf(job, io);
  const { conversation, turns } = found.rollout;
  const dialogue = conversation ? `${describeDialogue(conversation, turns, (text) => io.paint('dim', text, 'stdout'))}\n` : '';
  io.print(`${describeRollout(found.rollout, job.id)}\n${dialogue}${describeGroup(found.rollout, found.group)}\n${describeTokens(found.rollout, decode && tokenTextsOf(decode))}`);
  return 'ok';
};

const number = (value: number | null): string => (value === null ? '–' : String(Number(value.toFixed(4))));

function describeRollout({ id, taskId, groupId, status, stopReason, reward, advantage, prompt, completion, error, subscores, turns, conversation }: Rollout, job: string): string {
  const facts: [string, string][] = [
    ['job', job],
    ['task', oneLine(`${taskId}, group ${groupId}`)],
    ['status', `${status}, ${stopReason}`],
    ['reward', reward === null ? 'no verdict' : `${number(reward)}${advantage === undefined ? '' : `, advantage ${formatSigned(advantage)}`}`],
    ...subscoreLines(subscores, 0),
    ...(conversation ? conversationFacts(conversation, turns) : []),
    ...(error ? [['error', `${error.phase}, ${error.type}: ${oneLine(error.message)}`] as [string, string]] : []),
    ['prompt', oneLine(prompt)],
    ...(conversation ? [] : [['completion', oneLine(completion)] as [string, string]]),
  ];
  return [id, ...facts.map(([name, value]) => `  ${name.padEnd(12)}${value}`)].join('\n');
}

/** What the environment itself says of it, which need not be the reward; and how much of what was said the model drew. */
function conversationFacts({ verdict, environmentMs }: Conversation, turns: Rollout['turns']): [string, string][] {
  const drawn = turns.reduce((sum, { outputTokenIds }) => sum + outputTokenIds.length, 0);
  return [
    ...(verdict ? [['environment', `reward ${number(verdict.reward)}${verdict.info ? `, ${oneLine(JSON.stringify(verdict.info))}` : ''}`] as [string, string], ...subscoreLines(verdict.subscores ?? [], 0)] : []),
    ['turns', `${turns.length}, ${count(drawn, 'token')} drawn (only these are trained on), ${formatDuration(environmentMs)} in tools and environment`],
  ];
}

const subscoreLines = (subscores: readonly Subscore[], depth: number): [string, string][] =>
  subscores.flatMap(({ name, value, weight, children }) => [
    ['', `${'  '.repeat(depth)}${number(value)} × ${number(weight)}  ${oneLine(name)}`] as [string, string],
    ...subscoreLines(children ?? [], depth + 1),
  ]);

/** The other answers to the same task: the advantage is the distance to their mean. */
function describeGroup({ id }: Rollout, group: readonly Rollout[]): string {
  const rewards = group.map(({ reward }) => reward ?? 0);
  const [low, high] = [Math.min(0, ...rewards), Math.max(1, ...rewards)];
  const rows = group.map((other) => [
    ...[other.id === id ? '▸' : '', other.id, number(other.reward), other.reward === null ? '' : bar((other.reward - low) / (high - low), { width: 8 })],
    ...[other.advantage === undefined ? '' : formatSigned(other.advantage), clip(oneLine(other.error?.message ?? other.completion), 40)],
  ]);
  return `\n${table([{ title: '' }, { title: 'Group' }, { title: 'Reward', align: 'right' }, { title: '' }, { title: 'Advantage', align: 'right' }, { title: 'Completion or error' }], rows)}`;
}

/** Every token that was drawn, with its text where the tokenizer is at hand. */
function describeTokens({ turns }: Rollout, textsOf: ((ids: readonly number[]) => string[]) | null): string {
  const columns = [{ title: 'Token', align: 'right' as const }, { title: 'Text' }, { title: 'Log-probability', align: 'right' as const }, { title: 'Probability', align: 'right' as const }, { title: '' }];
  return turns
    .map(({ promptTokenIds, outputTokenIds, outputLogprobs }, turn) => {
      const texts = textsOf?.(outputTokenIds) ?? [];
      const rows = outputTokenIds.map((token, index) => {
        const logprob = outputLogprobs[index] ?? Number.NaN;
        const chance = Math.exp(logprob);
        return [String(token), clip(oneLine(texts[index] ?? ''), 24), logprob.toFixed(4), formatPercent(chance), bar(chance, { width: 16 })];
      });
      return `\nturn ${turn + 1}: ${count(promptTokenIds.length, 'prompt token')}, then\n${table(columns, rows)}`;
    })
    .join('\n');
}
