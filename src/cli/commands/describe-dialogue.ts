/** Turn by turn what was said: the model's answer, what the tools and the environment replied. Texts keep their lines. */
import type { Conversation, Message, Rollout } from '../../events.ts';
import { type Said, dialogueOf, speakerOf } from '../../report/index.ts';
import { callText, count } from '../../util/words.ts';
import { linesOf } from '../text.ts';

type Dim = (text: string) => string;

export function describeDialogue(conversation: Conversation, turns: Rollout['turns'], dim: Dim): string {
  let answers = 0;
  return dialogueOf(conversation, turns)
    .flatMap((said) => {
      const lines = messageLines(said.message, dim);
      return said.message.role === 'assistant' ? ['', headline(said, ++answers), ...lines] : lines;
    })
    .join('\n');
}

/** What was drawn is what is trained on: everything else was said by others. */
function headline({ message, turn }: Said, answer: number): string {
  const tokens = turn ? [`${count(turn.promptTokenIds.length, 'prompt token')}, ${turn.outputTokenIds.length} drawn`] : [];
  return `turn ${answer}: ${[...tokens, ...(message.heard ? ['heard by the environment'] : [])].join(', ')}`;
}

function messageLines(message: Message, dim: Dim): string[] {
  const { role, content, reasoning, toolCalls = [] } = message;
  if (role !== 'assistant') return spoken(speakerOf(message), content);
  return [
    ...(reasoning ? spoken('reasoning', reasoning).map(dim) : []),
    ...(content !== '' || toolCalls.length === 0 ? spoken(role, content) : []),
    ...toolCalls.flatMap((call) => spoken('call', callText(call))),
  ];
}

/** A short speaker stands before what is said, a long one above. */
function spoken(speaker: string, text: string): string[] {
  const lines = text.trim() === '' ? ['(empty)'] : linesOf(text);
  const isLong = speaker.length > 10;
  return [...(isLong ? linesOf(`  ${speaker}`) : []), ...lines.map((line, index) => `  ${(index === 0 && !isLong ? speaker : '').padEnd(12)}${line}`)];
}
