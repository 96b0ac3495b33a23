/** Whether a chat template says whose turn it is. */
import type { Tokenizer } from '../policy/types.ts';

const QUESTION = { role: 'user', content: 'a' };
const ANSWER = { role: 'assistant', content: 'qwertz' };

/** Does the prompt end behind the user's message, although the template writes something between that and an answer? */
export function leavesAnswerUnopened({ applyChatTemplate }: Pick<Tokenizer, 'applyChatTemplate'>, args: Readonly<Record<string, unknown>>): boolean {
  const [opened, closed, answered] = [applyChatTemplate?.([QUESTION], { args }), applyChatTemplate?.([QUESTION], { args, end: 'closed' }), applyChatTemplate?.([QUESTION, ANSWER], { args, end: 'closed' })];
  if (!opened?.ok || !closed?.ok || !answered?.ok || opened.text !== closed.text) return false;
  // Behind `[INST] a [/INST]` the answer itself follows: there is nothing to open.
  const follows = answered.text.startsWith(opened.text) ? answered.text.slice(opened.text.length).trimStart() : '';
  return !follows.startsWith(ANSWER.content);
}
