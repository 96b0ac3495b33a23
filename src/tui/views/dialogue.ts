import { clean, span, wrap, type Line, type Size, type Span } from '../line.ts';
import type { RolloutView } from '../state.ts';
import type { Theme } from '../theme.ts';

type Messages = NonNullable<RolloutView['messages']>;

const ROLE = 11;
/** Columns of a reply in the midst of a line: what the model said to it has to be seen as well. */
const REPLY = 24;
/** Lines of a message where room is short. */
const SHORT = 2;

/** What was said, in one line: `m → < · c`. What the model said stands out, an arrow leads to the reply. */
export function dialogueLine(messages: Messages, theme: Theme): Span[] {
  return messages.flatMap(({ role, content }, index) => {
    const isDrawn = role === 'assistant';
    const sign = isDrawn ? theme.glyph.dot : theme.glyph.arrow;
    const text = clean(content, theme);
    return [span(index > 0 ? ` ${sign} ` : '', 'muted'), isDrawn ? span(text) : span(wrap(text, REPLY, 1).join(''), 'muted')];
  });
}

/** Role by role, one below the other. Where there is no room for all of it, each message is short, and the last ones stand there. */
export function dialogueLines(messages: Messages, theme: Theme, { width, height }: Size): Line[] {
  const whole = roleLines(messages, theme, width);
  const lines = whole.length <= height ? whole : roleLines(messages, theme, width, SHORT);
  return lines.length <= height ? lines : [[span(theme.glyph.ellipsis, 'muted')], ...lines.slice(lines.length - Math.max(0, height - 1))];
}

function roleLines(messages: Messages, theme: Theme, width: number, maxLines = Infinity): Line[] {
  return messages.flatMap(({ role, content }) => {
    const isDrawn = role === 'assistant';
    const [first = '', ...rest] = wrap(clean(content, theme), Math.max(1, width - ROLE), maxLines);
    return [first, ...rest].map((text, index): Line => [span((index === 0 ? role : '').padEnd(ROLE), isDrawn ? 'accent' : 'muted'), span(text, isDrawn ? 'plain' : 'muted')]);
  });
}
