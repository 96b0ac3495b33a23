/**
 * @file One rollout in turns: the model answers, tools and the environment reply, until one of them ends it.
 *
 * ```
 *   prompt ─▶ answer ─┬─ calls tools ──▶ their results ─┐
 *               ▲     ├─ says something ▶ environment ──┤ more messages
 *               │     │                      │ done     │
 *               │     ▼ malformed: told so   ▼          │
 *               └──────────────── append ◀──────────────┘   at most `maxSteps` answers
 * ```
 */
import type { Episode, Tool, ToolSession } from '../environments/types.ts';
import type { Conversation, Message, Rollout, RolloutError, ToolCall, Turn } from '../events.ts';
import type { Sample } from '../policy/types.ts';
import type { Verdict } from '../runtimes/index.ts';
import type { Composer, ReadAnswer } from './types.ts';

export interface ConversationParts {
  composer: Composer;
  /** The prompt, as the composer made it. */
  promptTokenIds: readonly number[];
  /** Null: nothing replies but tools. */
  episode: Episode | null;
  toolSessions: readonly ToolSession[];
  /** Answers that the model may give. */
  maxSteps: number;
  /** Tokens of one answer, and of everything. */
  maxTokens: number;
  contextLength: number;
  /** Characters of one tool result that the model is shown. */
  maxToolCharacters: number;
  /** `drawn`: tokens of this rollout so far, where its random stream goes on. */
  sample: (promptTokenIds: readonly number[], limits: { maxTokens: number; drawn: number }) => Promise<Sample>;
  signal: AbortSignal;
}

export type ConversationEnd = Pick<Rollout, 'turns' | 'completion' | 'status' | 'stopReason'> & { conversation: Conversation; error?: RolloutError };

/** A model that cannot write a call is told so; one that does it this often in a row will not learn it in this rollout. */
const MALFORMED_IN_A_ROW = 3;

export async function converse(parts: ConversationParts): Promise<ConversationEnd> {
  const { composer, episode, maxSteps, signal } = parts;
  const turns: Turn[] = [];
  const conversation: Conversation = { messages: [], environmentMs: 0 };
  const ended = (end: Partial<Pick<ConversationEnd, 'status' | 'stopReason' | 'error'>>): ConversationEnd => {
    const completion = conversation.messages.findLast(({ role }) => role === 'assistant')?.content ?? '';
    return { turns, completion, conversation, status: end.error ? 'error' : 'completed', stopReason: 'done', ...end };
  };
  const timed = async <T>(work: () => Promise<T>): Promise<T> => {
    const since = performance.now();
    try {
      return await work();
    } finally {
      conversation.environmentMs += performance.now() - since;
    }
  };
  const judged = (verdict: Verdict | null): RolloutError | null => {
    if (verdict === null) return null;
    if (!verdict.ok) return { phase: 'scoring', ...verdict.failure };
    const { value, info, children } = verdict;
    conversation.verdict = { reward: value, ...(info ? { info } : {}), ...(children ? { subscores: children } : {}) };
    return null;
  };
  /** The agent has no more turns. */
  const conclude = async (answer: ReadAnswer, stopReason: Rollout['stopReason']): Promise<ConversationEnd> => {
    if (!episode) return ended({ stopReason });
    const verdict = await timed(() => episode.conclude(answer, signal));
    const error = verdict.ok ? judged(verdict.value) : { phase: 'scoring' as const, ...verdict.failure };
    return ended({ stopReason, ...(error ? { error } : {}) });
  };

  let tokenIds = [...parts.promptTokenIds];
  let [drawn, malformed] = [0, 0];
  for (let step = 1; ; step++) {
    const maxTokens = Math.min(parts.maxTokens, parts.contextLength - tokenIds.length);
    const sample = await parts.sample(tokenIds, { maxTokens, drawn });
    if (sample.stopReason === 'cancelled') return ended({ status: 'cancelled' });
    turns.push({ promptTokenIds: tokenIds, outputTokenIds: sample.outputTokenIds, outputLogprobs: sample.outputLogprobs });
    tokenIds = [...tokenIds, ...sample.outputTokenIds];
    drawn += sample.outputTokenIds.length;
    const answer = composer.read(sample.outputTokenIds);
    const message = messageOf(answer);
    conversation.messages.push(message);
    const isCut = sample.stopReason === 'length';

    malformed = answer.malformed === undefined ? 0 : malformed + 1;
    if (malformed > 0 && (step === maxSteps || malformed === MALFORMED_IN_A_ROW)) return conclude(answer, 'malformed_tool_call');

    const reply = malformed > 0 ? { messages: [malformedCall(answer)] } : await timed(() => replyTo(answer, parts));
    if ('heard' in reply) message.heard = true;
    if ('error' in reply) return ended({ error: reply.error, ...(reply.error.type === 'timeout' ? { stopReason: 'timeout' } : {}) });
    if ('done' in reply) {
      const error = judged(reply.verdict);
      return ended({ stopReason: isCut ? 'length' : 'done', ...(error ? { error } : {}) });
    }
    conversation.messages.push(...reply.messages);
    if (step === maxSteps) return conclude(answer, 'max_steps');
    const appended = composer.append(tokenIds, reply.messages);
    if (!appended.ok) return ended({ error: { phase: 'agent', type: 'exception', message: appended.message } });
    if (tokenIds.length + appended.ids.length >= parts.contextLength) return conclude(answer, 'length');
    tokenIds = [...tokenIds, ...appended.ids];
  }
}

const messageOf = ({ content, reasoning, toolCalls }: ReadAnswer): Message =>
  ({ role: 'assistant', content, ...(reasoning ? { reasoning } : {}), ...(toolCalls.length > 0 ? { toolCalls: [...toolCalls] } : {}) });

const malformedCall = ({ malformed }: ReadAnswer): Message =>
  ({ role: 'tool', content: `Error: the tool call could not be read: ${malformed}`, failure: 'malformed' });

type Replied = ({ messages: Message[] } | { done: true; verdict: Verdict | null } | { error: RolloutError }) & { heard?: true };

/** Tools answer calls; what the model says beside them, or without, goes to the environment. */
async function replyTo(answer: ReadAnswer, parts: ConversationParts): Promise<Replied> {
  const { episode, signal } = parts;
  const isEpisodes = answer.toolCalls.length > 0 && answer.toolCalls.every(({ name }) => episode?.ownTools.some((tool) => tool.name === name));
  if (answer.toolCalls.length > 0 && !isEpisodes) {
    return { messages: await Promise.all(answer.toolCalls.map((call) => callTool(call, parts))) };
  }
  if (!episode) return { done: true, verdict: null };
  const reply = await episode.reply(answer, signal);
  if (!reply.ok) return { heard: true, error: { phase: 'environment', ...reply.failure } };
  return { heard: true, ...(reply.value.done ? { done: true, verdict: reply.value.verdict } : { messages: reply.value.messages }) };
}

async function callTool(call: ToolCall, { toolSessions, episode, maxToolCharacters, signal }: ConversationParts): Promise<Message> {
  const sessions = [...toolSessions, ...(episode?.tools ? [episode.tools] : [])];
  const session = sessions.find(({ tools }) => tools.some(({ name }) => name === call.name));
  const message = (content: string, failure?: Message['failure']): Message =>
    ({ role: 'tool', content: shortened(content, maxToolCharacters), toolCallId: call.id, name: call.name, ...(failure ? { failure } : {}) });
  if (!session) {
    const names = [...sessions.flatMap(({ tools }) => tools), ...(episode?.ownTools ?? [])].map(({ name }: Tool) => name);
    return message(`Error: there is no tool ${call.name}; the tools are ${names.join(', ')}`, 'unknown_tool');
  }
  const { text, failure } = await session.call(call, signal);
  return message(text, failure);
}

/** A result of megabytes would fill the context: its middle is left out, and says so. */
export function shortened(text: string, limit: number): string {
  if (text.length <= limit) return text;
  const half = Math.floor(limit / 2);
  return `${text.slice(0, half).toWellFormed()}\n[… ${text.length - 2 * half} characters left out …]\n${text.slice(-half).toWellFormed()}`;
}
