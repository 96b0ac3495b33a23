/**
 * @file The regular expressions of a tokenizer.json, which are Oniguruma's and are run by JavaScript's. The library translates most of the
 * syntax; what it leaves out is translated here, and what nobody translates is refused by the name of its place.
 */
import { type Json } from './files.ts';

/** `(?i)`, and others of its kind, which count to the end of the group that they stand in. */
const INLINE_FLAGS = /^\(\?([a-zA-Z]*(?:-[a-zA-Z]+)?)\)/;
/** An option that neither the library nor JavaScript knows, or that JavaScript understands in another way. */
const GROUP_FLAGS = /^\(\?(?!i:)([a-zA-Z]*-?[a-zA-Z]+):/;

/** As Oniguruma reads it: `ab(?i)c|def` is `ab(?i:c|def)`. @throws SyntaxError for options that JavaScript does not have. */
export function scopeInlineFlags(pattern: string): string {
  let result = '';
  /** Groups that are open, each with those that were opened inside it for a flag's sake. */
  const opened = [0];
  for (let at = 0, inClass = 0; at < pattern.length; ) {
    const letter = pattern[at]!, rest = pattern.slice(at);
    const flags = inClass > 0 ? null : INLINE_FLAGS.exec(rest);
    const other = inClass > 0 ? null : GROUP_FLAGS.exec(rest);
    if (other || (flags && flags[1] !== 'i')) throw new SyntaxError(`the option (?${(other ?? flags)![1]}) is not known here`);
    if (flags) {
      result += '(?i:';
      opened[opened.length - 1]! += 1;
      at += flags[0].length;
      continue;
    }
    if (letter === '\\') {
      result += pattern.slice(at, at + 2);
      at += 2;
      continue;
    }
    if (letter === '[') inClass += 1;
    else if (letter === ']' && inClass > 0) inClass -= 1;
    else if (letter === '(' && inClass === 0) opened.push(0);
    else if (letter === ')' && inClass === 0 && opened.length > 1) result += ')'.repeat(opened.pop()!);
    result += letter;
    at += 1;
  }
  return result + ')'.repeat(opened[0]!);
}

/** A copy of a part of tokenizer.json in which every `{ Regex: … }` is replaced. */
export function mapPatterns(part: unknown, change: (pattern: string) => string): unknown {
  if (Array.isArray(part)) return part.map((item) => mapPatterns(item, change));
  if (typeof part !== 'object' || part === null) return part;
  return Object.fromEntries(Object.entries(part as Json).map(([key, value]) => [key, key === 'Regex' && typeof value === 'string' ? change(value) : mapPatterns(value, change)]));
}

/** Every regular expression of a part of tokenizer.json. */
export function patternsOf(part: unknown): string[] {
  const found: string[] = [];
  mapPatterns(part, (pattern) => {
    found.push(pattern);
    return pattern;
  });
  return found;
}

/** A pattern that repeats nothing takes as long as its text is; any other may take longer than a life. */
export const mayExplode = (part: unknown): boolean => patternsOf(part).some((pattern) => /[*+]|\{\d*,?\d*\}/.test(pattern.replaceAll(/\\[*+{}]/g, '')));

/** Texts over which patterns that explode mostly do: long runs of the letters that they speak of, and then another. */
export function explosiveTexts(part: unknown): string[] {
  const letters = new Set(['a', 'A', '1', ' ', '\n', '.', ...patternsOf(part).flatMap((pattern) => [...pattern.replaceAll(/\\[pP]\{[^}]*\}|\\./gu, '')])]);
  return [...letters].map((letter) => `${letter.repeat(48)}\u0001`);
}
