/** @file What a model thinks before it answers, kept apart from the answer. */

const OPEN = '<think>', CLOSE = '</think>';

/**
 * Parts an answer at its `</think>`. Many templates open the thinking in the prompt, so that only its end is drawn; thinking that never ends is no
 * answer.
 */
export function apartFromReasoning(text: string): { content: string; reasoning: string } {
  const close = text.indexOf(CLOSE);
  const begins = text.trimStart().startsWith(OPEN);
  if (close < 0) return begins ? { content: '', reasoning: text.trimStart().slice(OPEN.length).trim() } : { content: text, reasoning: '' };
  const before = text.slice(0, close).trimStart();
  return { content: text.slice(close + CLOSE.length), reasoning: (begins ? before.slice(OPEN.length) : before).trim() };
}
