/** Text for terminals and logs: tables, and words that came from a model or a user made harmless. */
import { stripVTControlCharacters } from 'node:util';
import stringWidth from 'string-width';
import { withoutControls } from '../util/controls.ts';

/** One line without control characters: a completion must not move the cursor. */
export const oneLine = (text: string): string => withoutControls(stripVTControlCharacters(text).replaceAll(/\r?\n/g, '⏎').replaceAll('\t', ' '));

/** Each line of what somebody else printed, made harmless. */
export const linesOf = (text: string): string[] => text.trimEnd().split(/\r?\n/).map(oneLine);

export function clip(text: string, width: number): string {
  if (stringWidth(text) <= width) return text;
  let kept = '';
  for (const { segment } of new Intl.Segmenter().segment(text)) {
    if (stringWidth(kept + segment) > width - 1) break;
    kept += segment;
  }
  return `${kept}…`;
}

export interface Column {
  title: string;
  align?: 'left' | 'right';
}

/** Rows under their titles, columns as wide as they need to be. A cell is one line, whatever is in it. */
export function table(columns: readonly Column[], rows: readonly (readonly string[])[]): string {
  const lines = [columns.map((column) => column.title), ...rows.map((row) => row.map(oneLine))];
  const widths = columns.map((_, index) => Math.max(...lines.map((line) => stringWidth(line[index] ?? ''))));
  return lines
    .map((line) =>
      line
        .map((cell, index) => {
          const space = ' '.repeat(widths[index]! - stringWidth(cell));
          return columns[index]!.align === 'right' ? space + cell : cell + space;
        })
        .join('  ')
        .trimEnd(),
    )
    .join('\n');
}
