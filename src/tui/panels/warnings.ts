import { asSentence, isHealthMetric } from '../../health/index.ts';
import { clean, span, spread, textWidth, wrap, type Line, type Size, type Span } from '../line.ts';
import type { Model } from '../model.ts';
import type { DashboardState } from '../state.ts';
import type { Theme } from '../theme.ts';
import { light } from './health.ts';

/** Steps for which a warning of the loop stays on the screen; the log keeps it. */
const STANDS_FOR = 10;

export interface Notice {
  level: 'warn' | 'bad';
  message: string;
  fix: string;
}

/** What is wrong now: first what stands out of its range, then what the loop said lately. */
export function notices(state: DashboardState): Notice[] {
  const told = new Map<string, Notice>();
  for (const { message, fix, level } of state.findings) told.set(message, { level, message, fix });
  for (const { step, code, message, fix } of state.warnings.toReversed()) {
    const recent = step === null || state.step - step < STANDS_FOR;
    // What a health rule says stands among the findings for as long as it is so.
    if (recent && !isHealthMetric(code)) told.set(code, { level: 'warn', message, fix });
  }
  return [...told.values()].sort((a, b) => Number(b.level === 'bad') - Number(a.level === 'bad'));
}

/** How long a page of warnings stays when there is no room for all. */
const TURN_MS = 6000;

/** Longer than this, a message or a fix is cut. */
const MAX_LINES = 4;

/** The sentences with their fixes. Where they do not fit together they take turns, with their number at the right; nothing is left out. */
export function warningLines({ state, theme, now }: Model, { width, height }: Size): Line[] {
  if (height < 1) return [];
  const all = notices(state).map((notice) => ({ level: notice.level, lines: noticeLines(notice, theme, width - GUTTER - 1) }));
  const isCrowded = all.flatMap(({ lines }) => lines).length > height;
  const pages = all.flatMap(({ level, lines }) => chunksOf(lines, isCrowded ? height : lines.length).map((chunk) => withLight(chunk, light(level, theme))));
  if (!isCrowded) return pages.flat();
  const turn = Math.floor(now / TURN_MS) % pages.length;
  const lines: Line[] = [];
  for (const page of [...pages.slice(turn), ...pages.slice(0, turn)]) if (lines.length === 0 || lines.length + page.length <= height) lines.push(...page);
  lines[0] = spread(lines[0]!, [span(` ${turn + 1}/${pages.length} `, 'muted')], width, theme.glyph.ellipsis);
  return lines;
}

/** Columns of the light before the text. */
const GUTTER = 3;

const withLight = (lines: readonly Line[], sign: Span): Line[] => lines.map((line, index) => [...(index === 0 ? [span(' '), sign, span(' ')] : [span(' '.repeat(GUTTER))]), ...line]);

const chunksOf = <T>(items: readonly T[], size: number): T[][] => Array.from({ length: Math.ceil(items.length / size) }, (_, index) => items.slice(index * size, (index + 1) * size));

function noticeLines({ level, message, fix }: Notice, theme: Theme, width: number): Line[] {
  const [sentence, advice] = [message, fix].map((text) => clean(asSentence(text), theme)) as [string, string];
  if (textWidth(`${sentence} ${advice}`) <= width) return [[span(sentence, level, { bold: true }), span(` ${advice}`)]];
  // Room for the number of the page.
  const room = width - 5;
  return [...wrap(sentence, room, MAX_LINES).map((part): Line => [span(part, level, { bold: true })]), ...wrap(advice, room, MAX_LINES).map((part): Line => [span(part)])];
}
