/** @file Lines of styled text: what every view is made of, and how they are cut to size. */
import { stripVTControlCharacters } from 'node:util';
import stringWidth from 'string-width';
import { sgr, type Style, type Theme } from './theme.ts';

export interface Span extends Style {
  text: string;
}

export type Line = readonly Span[];

export interface Size {
  width: number;
  height: number;
}

export const span = (text: string, tone?: Style['tone'], style: Style = {}): Span => ({ text, ...(tone ? { tone } : {}), ...style });

/** Characters that are one column wide for certain: Latin and Greek letters, the punctuation and signs that the screen draws, lines, blocks, braille. */
const NARROW = /^[\x20-\x7e\xa0-\xac\xae-\u02af\u0370-\u03ff\u2010-\u2027\u2190-\u21ff\u2212\u23ce\u2500-\u25fc\u2605\u2714\u2800-\u28ff]*$/;

export const textWidth = (text: string): number => (NARROW.test(text) ? text.length : stringWidth(text));

export const lineWidth = (line: Line): number => line.reduce((sum, { text }) => sum + textWidth(text), 0);

const graphemes = new Intl.Segmenter(undefined, { granularity: 'grapheme' });

/** The longest beginning of a text that fits. */
function head(text: string, width: number): string {
  if (textWidth(text) <= width) return text;
  let taken = '';
  let columns = 0;
  for (const { segment } of graphemes.segment(text)) {
    columns += textWidth(segment);
    if (columns > width) break;
    taken += segment;
  }
  return taken;
}

/** Exactly `width` columns: cut with an ellipsis, or filled with spaces. */
export function fit(line: Line, width: number, ellipsis = '…'): Line {
  if (width <= 0) return [];
  const total = lineWidth(line);
  if (total <= width) return total === width ? line : [...line, { text: ' '.repeat(width - total) }];
  const kept: Span[] = [];
  let room = width - 1;
  for (const part of line) {
    const columns = textWidth(part.text);
    if (columns <= room) {
      kept.push(part);
      room -= columns;
      continue;
    }
    const text = head(part.text, room) + ellipsis;
    kept.push({ ...part, text: text + ' '.repeat(Math.max(0, room + 1 - textWidth(text))) });
    break;
  }
  return kept;
}

/** Exactly as many lines, each exactly as wide: the promise that a frame keeps to its terminal. */
export function fitBlock(lines: readonly Line[], { width, height }: Size, ellipsis = '…'): Line[] {
  return Array.from({ length: Math.max(0, height) }, (_, index) => fit(lines[index] ?? [], width, ellipsis));
}

/** Two blocks side by side; both must be cut to size already. */
export function beside(left: readonly Line[], right: readonly Line[], gap: Line = [span('  ')]): Line[] {
  return Array.from({ length: Math.max(left.length, right.length) }, (_, index) => [...(left[index] ?? []), ...gap, ...(right[index] ?? [])]);
}

/** Left and right parts of one line, with the space between them. The left part gives way. */
export function spread(left: Line, right: Line, width: number, ellipsis = '…'): Line {
  const room = width - lineWidth(right);
  return room <= 0 ? fit(right, width, ellipsis) : [...fit(left, room, ellipsis), ...right];
}

/** As many whole parts as fit, in their order: half a word tells nothing. */
export const wholeParts = (parts: readonly Line[], width: number): Line =>
  parts.reduce((line, part) => (lineWidth(line) + lineWidth(part) <= width ? [...line, ...part] : line), []);

/** A heading: `── title ─────────`. */
export function heading(title: Line, width: number, { glyph }: Theme): Line {
  const start = [span(`${glyph.rule}${glyph.rule} `, 'muted'), ...title];
  const room = width - lineWidth(start) - 1;
  return fit(room > 0 ? [...start, span(` ${glyph.rule.repeat(room)}`, 'muted')] : start, width, glyph.ellipsis);
}

/**
 * Text of a model or a user, fit for a line: no escape sequences, no control or invisible formatting characters (they could move the
 * cursor or turn the direction of the text); newlines become visible. What remains is as wide on every terminal: whether marks, joined
 * emoji and flags take columns of their own is a matter of taste among terminals, and one column of difference tears the frame. So marks
 * that belong to no single character go, and flags are their letters.
 */
export function clean(text: string, { glyph }: Theme): string {
  if (NARROW.test(text)) return text;
  return stripVTControlCharacters(text)
    .toWellFormed()
    .normalize('NFC')
    .replace(/\r\n?|\n/g, glyph.newline)
    .replace(/\t/g, ' ')
    .replace(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{M}\p{Emoji_Modifier}\uff9e\uff9f\u1160-\u11ff\u115f\u3164\uffa0]/gu, '')
    .replace(/\p{Zs}/gu, (space) => (space === '\u3000' ? '  ' : ' '))
    .replace(/[\u0e33\u0eb3]/g, (am) => String.fromCharCode(am.charCodeAt(0) - 1))
    .replace(/\p{Regional_Indicator}/gu, (letter) => String.fromCharCode(letter.codePointAt(0)! - 0x1f1e6 + 65))
    .replace(/[\p{Co}\p{Cn}]/gu, '\ufffd');
}

/** Breaks a text into lines of at most `width` columns, between words where it can. */
export function wrap(text: string, width: number, maxLines = Infinity): string[] {
  const lines: string[] = [];
  let rest = text;
  while (rest !== '' && lines.length < maxLines) {
    let piece = head(rest, Math.max(1, width));
    if (piece === '') piece = [...graphemes.segment(rest)][0]!.segment;
    const space = piece.length < rest.length && rest[piece.length] !== ' ' ? piece.lastIndexOf(' ') : -1;
    if (space > piece.length / 2) piece = piece.slice(0, space);
    lines.push(piece);
    rest = rest.slice(piece.length).replace(/^ /, '');
  }
  if (rest !== '' && lines.length > 0) lines[lines.length - 1] = `${head(lines.at(-1)!, Math.max(0, width - 1))}…`;
  return lines;
}

export const plainText = (line: Line): string => line.map(({ text }) => text).join('');

/** Stand-ins of the same width for terminals that know ASCII alone. */
const asciiFor: Readonly<Record<string, string>> = { '−': '-', '±': '~', '→': '>', '·': '-', '…': '~', 'Δ': 'd', '—': '-', '’': "'" };

const toAscii = (text: string): string => text.replace(/[^\x20-\x7e]/gu, (char) => asciiFor[char] ?? '?'.repeat(textWidth(char)));

/** A line as the terminal wants it. Neighbours of one style share their escape sequences. */
export function toAnsi(line: Line, { depth, ascii }: Theme): string {
  let text = '';
  let current = '';
  for (const part of line) {
    const start = sgr(part, depth);
    if (start !== current) {
      if (current !== '') text += '\u001b[0m';
      text += start;
      current = start;
    }
    text += ascii ? toAscii(part.text) : part.text;
  }
  return current === '' ? text : `${text}\u001b[0m`;
}
