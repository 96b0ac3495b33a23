/**
 * @file HTML that cannot be injected into: the template escapes every value that is not markup already, so that nothing a model or a user
 * wrote becomes part of the page's structure.
 */
import { escapeXml } from '../plot/index.ts';

/** Markup. A class, because parsed JSON can imitate any other shape. */
export class Html {
  readonly markup: string;
  constructor(markup: string) {
    this.markup = markup;
  }
}

export type Content = Html | string | number | null | undefined | false | readonly Content[];

/** Markup made by this program itself; never call it with anything that came from outside. */
export const trusted = (markup: string): Html => new Html(markup);

/** Nothing for null, undefined and false; lists are joined; attribute values belong in double quotes. */
export function html(strings: TemplateStringsArray, ...values: readonly Content[]): Html {
  return new Html(strings.map((text, index) => text + markupOf(index < values.length ? values[index] : null)).join(''));
}

function markupOf(value: Content): string {
  if (value === null || value === undefined || value === false) return '';
  if (value instanceof Html) return value.markup;
  // Anything else is text, whatever its type says: values come from files.
  if (Array.isArray(value)) return (value as readonly Content[]).map(markupOf).join('');
  return escapeXml(String(value));
}

/**
 * Control characters as their pictures (␛), directional and invisible ones as their code points: a completion may neither turn the words
 * around it nor hide any. Line breaks and tabs stay what they are; joiners too, since emoji are made with them.
 */
export function visible(text: string): string {
  return text
    .toWellFormed()
    .replaceAll('\r\n', '\n')
    // eslint-disable-next-line no-control-regex
    .replaceAll(/[\u0000-\u0008\u000b-\u001f]/g, (char) => String.fromCodePoint(0x2400 + char.charCodeAt(0)))
    .replaceAll('\u007f', '␡')
    .replaceAll(/[\u0080-\u009f\u00ad\u061c\u200b\u200e\u200f\u2028-\u202e\u2060-\u2069\ufeff\ufff9-\ufffb\ufffe\uffff]|[\u{e0000}-\u{e007f}]/gu, codePoint);
}

const codePoint = (char: string): string => `⟨U+${char.codePointAt(0)!.toString(16).toUpperCase().padStart(4, '0')}⟩`;

/** The same on one line, for summaries. */
export const visibleLine = (text: string): string => visible(text).replaceAll('\n', '⏎').replaceAll('\t', ' ');

/** At most so many characters, cut between them as people see them. */
export function clip(text: string, length: number): string {
  if (text.length <= length) return text;
  let kept = '';
  for (const { segment } of new Intl.Segmenter().segment(text.slice(0, length + 32))) {
    if (kept.length + segment.length >= length) break;
    kept += segment;
  }
  return `${kept}…`;
}

/** A text that is longer loses its middle. */
export function shorten(text: string, length: number): string {
  if (text.length <= length) return visible(text);
  const half = Math.floor(length / 2);
  return `${visible(text.slice(0, half))}\n⟨ ${(text.length - 2 * half).toLocaleString('en-US')} characters left out ⟩\n${visible(text.slice(-half))}`;
}

/** Data for the page's script: `<` is written as \u003c, so that no text can end the block. */
export const jsonBlock = (id: string, value: unknown): Html =>
  trusted(`<script type="application/json" id="${id}">${JSON.stringify(value).replaceAll('<', '\\u003c')}</script>`);
