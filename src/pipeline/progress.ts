/** What the world hears of a step's rollouts while they happen. */
import type { EventData, Message, Rollout } from '../events.ts';
import type { Task } from '../tasks/types.ts';
import { callText } from '../util/words.ts';
import { type Group, outputTokens } from './groups.ts';
import type { Loop } from './loop.ts';
import type { Attempt } from './attempt.ts';

type World = Pick<Loop, 'emit' | 'clock' | 'stage'>;

/** Nobody reads faster than this. */
const PROGRESS_EVERY_MS = 100;

/** A prompt for the eye: the text, or the last message of a conversation. */
export const promptText = ({ prompt }: Task): string => (typeof prompt === 'string' ? prompt : (prompt.at(-1)?.content ?? ''));

/** What the eye can take in of a conversation; a step may hold thousands of them. */
const BRIEF = { messages: 16, characters: 240 };

export function briefly(messages: readonly Message[]): NonNullable<EventData['rollout-finished']['messages']> {
  return messages.slice(-BRIEF.messages).map(({ role, content, toolCalls = [] }) => {
    const text = [content, ...toolCalls.map(callText)].filter((part) => part !== '').join(' ');
    return { role, content: text.length <= BRIEF.characters ? text : `${text.slice(0, BRIEF.characters).toWellFormed()}…` };
  });
}

export function reportTasks(step: number, attempts: readonly Attempt[], { emit, stage }: World): void {
  const byGroup = Map.groupBy(attempts, (attempt) => attempt.groupId);
  const tasks = [...byGroup.values()].map(([first]) => ({ id: first!.task.id, groupId: first!.groupId, prompt: promptText(first!.task) }));
  emit('step-started', { step, stage: stage.name, tasks, group: stage.group });
}

/** Counts the tokens of rollouts as they are drawn, and announces each as it gets its verdict. */
export function reportRollouts(step: number, attempts: readonly Attempt[], { emit, clock }: World) {
  const started = clock();
  const index = new Map(attempts.map((attempt) => [attempt.id, attempt.key[3]]));
  let [tokens, finished, lastReport] = [0, 0, started];
  const progress = () => {
    lastReport = clock();
    const tokensPerSecond = tokens / Math.max(1e-3, (lastReport - started) / 1000);
    emit('rollout-progress', { step, finished, total: attempts.length, tokens, tokensPerSecond });
  };
  return {
    drawn(rollout: Rollout) {
      tokens += outputTokens(rollout);
      if (clock() - lastReport >= PROGRESS_EVERY_MS) progress();
    },
    scored(rollout: Rollout) {
      finished++;
      const { id, taskId, groupId, completion, status, stopReason, reward, subscores, error = null, conversation } = rollout;
      const facts = { id, taskId, groupId, completion, ...(conversation ? { messages: briefly(conversation.messages) } : {}), status, stopReason, reward, subscores, error };
      emit('rollout-finished', { step, index: index.get(id) ?? 0, tokens: outputTokens(rollout), ...facts });
      if (finished === attempts.length || clock() - lastReport >= PROGRESS_EVERY_MS) progress();
    },
  };
}

export function reportGroups(step: number, groups: readonly Group[], { emit }: World): void {
  for (const { id, taskId, mean, std, spread, advantages } of groups) {
    emit('group-finished', { step, groupId: id, taskId, mean, std, spread, advantages });
  }
}
