/** An event as its line in `events.jsonl`. */
import type { JobEvent } from '../events.ts';

/** What people and their programs say has no bounds: prompts, messages of exceptions. In a line longer than this each text is cut. */
const LONGEST_LINE = 2 ** 16;
const LONGEST_TEXT = 500;

export function eventText(event: JobEvent): string {
  const text = JSON.stringify(event);
  return text.length <= LONGEST_LINE ? text : JSON.stringify(event, (_key, value: unknown) => (typeof value === 'string' && value.length > LONGEST_TEXT ? `${value.slice(0, LONGEST_TEXT)}…` : value));
}
