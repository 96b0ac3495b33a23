/** @file A conversation as people read it: who said what, and which model call drew it. */
import type { Conversation, Message, Rollout, Turn } from '../events.ts';

/** A message; an answer with the model call that drew it. */
export interface Said {
  message: Message;
  turn: Turn | null;
}

/** In order, what came after the prompt: each answer is the next of the model calls. */
export function dialogueOf({ messages }: Conversation, turns: Rollout['turns']): Said[] {
  let answers = 0;
  return messages.map((message) => ({ message, turn: message.role === 'assistant' ? (turns[answers++] ?? null) : null }));
}

/** Who speaks: of a tool its name, and why it has no result. */
export const speakerOf = ({ role, name, failure }: Message): string =>
  `${role}${name === undefined ? '' : ` ${name}`}${failure === undefined ? '' : `, failed: ${failure.replaceAll('_', ' ')}`}`;
