import { isHealthMetric } from '../../health/index.ts';
import { clean, span, spread, textWidth, wrap, type Line, type Size } from '../line.ts';
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

/** Message and fix as they stand beside each other. */
export const sentences = ({ message, fix }: Pick<Notice, 'message' | 'fix'>): [message: string, fix: string] => [
  message.replace(/\.?$/, '.'),
  fix.replace(/^./, (first) => first.toUpperCase()).replace(/\.?$/, '.'),
];

/** How long one of several warnings stays when there is no room for all. */
const TURN_MS = 6000;

/** The sentences with their fixes. Where they do not fit together they take turns, with their number at the right. */
export function warningLines({ state, theme, now }: Model, { width, height }: Size): Line[] {
  const all = notices(state).map((notice) => noticeLines(notice, theme, { width, height }));
  if (all.flat().length <= height) return all.flat();
  const turn = Math.floor(now / TURN_MS) % all.length;
  const turned = [...all.slice(turn), ...all.slice(0, turn)];
  const lines: Line[] = [];
  for (const notice of turned) if (lines.length === 0 || lines.length + notice.length <= height) lines.push(...notice);
  if (all.length > 1 && lines[0]) lines[0] = spread(lines[0], [span(` ${turn + 1}/${all.length} `, 'muted')], width, theme.glyph.ellipsis);
  return lines.slice(0, height);
}

function noticeLines({ level, message, fix }: Notice, theme: Theme, { width, height }: Size): Line[] {
  const [sentence, advice] = sentences({ message, fix }).map((text) => clean(text, theme)) as [string, string];
  const room = width - 4;
  const start = [span(' '), light(level, theme), span(' ')];
  if (textWidth(`${sentence} ${advice}`) <= room) return [[...start, span(sentence, level, { bold: true }), span(` ${advice}`)]];
  const advised = wrap(advice, room, Math.max(1, height - 1));
  return [
    ...wrap(sentence, room, Math.max(1, height - advised.length)).map((part, index) => [...(index === 0 ? start : [span('   ')]), span(part, level, { bold: true })]),
    ...advised.map((part): Line => [span(`   ${part}`)]),
  ];
}
