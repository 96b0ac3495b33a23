/** @file A conversation cut to a page's measure. A list of hundreds of messages is shown by its ends. */
import type { Conversation, Message, Rollout } from '../events.ts';
import { callText } from '../util/words.ts';
import { dialogueOf, speakerOf } from './dialogue.ts';
import { clip, shorten, visible, visibleLine } from './html.ts';

/** A message as the page shows it. */
export interface Remark {
  role: Message['role'];
  speaker: string;
  reasoning: string;
  content: string;
  calls: string[];
  /** Tokens that the model drew for it; null for what others said. */
  drawn: number | null;
  isHeard: boolean;
  isFailure: boolean;
}

/** Of agents that take turns. */
export interface SampledDialogue {
  remarks: Remark[];
  /** Messages between the first and the last ones, which the page does without. */
  leftOut: number;
  verdict: string | null;
}

/** The first and the last ones. */
const MAX_MESSAGES = 40;
const MAX_CALLS = 16;
/** Of one text, and of all messages together. */
const MAX_MESSAGE = 6000;
const MAX_CHARACTERS = 24_000;
const MAX_NAME = 100;
const MAX_VERDICT = 2000;

export function sampleDialogue(conversation: Conversation, turns: Rollout['turns']): SampledDialogue {
  const all = dialogueOf(conversation, turns);
  const leftOut = Math.max(0, all.length - MAX_MESSAGES);
  const shown = leftOut === 0 ? all : [...all.slice(0, MAX_MESSAGES / 2), ...all.slice(-MAX_MESSAGES / 2)];
  const short = (text: string) => shorten(text, Math.min(MAX_MESSAGE, Math.floor(MAX_CHARACTERS / shown.length)));
  const { verdict } = conversation;
  return {
    leftOut,
    remarks: shown.map(({ message, turn }) => ({
      ...{ role: message.role, speaker: visibleLine(clip(speakerOf(message), MAX_NAME)), isHeard: message.heard ?? false, isFailure: message.failure !== undefined },
      ...{ content: short(message.content), reasoning: short(message.reasoning ?? ''), calls: (message.toolCalls ?? []).slice(0, MAX_CALLS).map((call) => short(callText(call))) },
      drawn: turn?.outputTokenIds.length ?? null,
    })),
    verdict: verdict ? `reward ${verdict.reward ?? '–'}${verdict.info ? `, ${visible(clip(JSON.stringify(verdict.info), MAX_VERDICT))}` : ''}` : null,
  };
}
