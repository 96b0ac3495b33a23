/** @file The regular expressions of a tokenizer.json, as the library is to have them: in JavaScript's words, and split at in the ways that it knows. */
import type { Json } from './files.ts';
import { HELD, translatePattern } from './oniguruma.ts';

/** @throws Error for what nobody here can follow. */
export function followPatterns(part: unknown): unknown {
  if (Array.isArray(part)) return part.map(followPatterns);
  if (typeof part !== 'object' || part === null) return part;
  const { type, pattern, ...others } = part as Json;
  const source = (pattern as Json | undefined)?.['Regex'];
  const inner = Object.fromEntries(Object.entries(others).map(([key, value]) => [key, followPatterns(value)]));
  const followed = typeof source === 'string' ? { Regex: translatePattern(source) } : pattern;
  const whole = { ...(type === undefined ? {} : { type }), ...(pattern === undefined ? {} : { pattern: followed }), ...inner };
  return type === 'Split' ? splitAs(whole as unknown as Split) : whole;
}

interface Split {
  type: 'Split';
  pattern: { Regex?: string; String?: string };
  behavior: string;
  invert?: boolean;
}

/** The library knows matches that stand alone and matches that alone are kept; the other ways of splitting are the first, at another pattern. */
function splitAs(split: Split): Split {
  const { pattern, behavior, invert = false } = split;
  const match = `(?:${pattern.Regex ?? pattern.String!.replaceAll(/[\\^$.*+?()[\]{}|]/g, '\\$&')})`;
  const other = `(?:(?!${match})[\\s\\S])+`;
  // A name may be given once in a pattern.
  const again = (times: number): string => match.replaceAll(HELD, `<_${times}_`);
  const at = (Regex: string): Split => ({ ...split, pattern: { Regex }, behavior: 'Isolated', invert: false });
  switch (behavior.toLowerCase()) {
    case 'isolated':
      return { ...split, invert: false };
    case 'removed':
      // Between what is removed, the library would leave what was captured.
      if (invert || !/\(\?<[A-Za-z_]|\\[1-9]/.test(match)) return split;
      break;
    case 'contiguous':
      return at(`${match}+`);
    case 'mergedwithprevious':
    case 'mergedwithnext':
      if (invert) break;
      return at(behavior.toLowerCase() === 'mergedwithprevious' ? `${other}${again(1)}?|${again(2)}` : `${again(1)}${other}|${again(2)}`);
  }
  throw new Error(`a Split that is ${behavior}${invert ? ' and inverted' : ''} is not known here, with the pattern ${match}`);
}

/** Every regular expression of a part of tokenizer.json. */
const patternsOf = (part: unknown): string[] =>
  typeof part !== 'object' || part === null ? [] : Object.entries(part).flatMap(([key, value]) => (key === 'Regex' && typeof value === 'string' ? [value] : patternsOf(value)));

/** A pattern that repeats nothing takes as long as its text is; any other may take longer than a life. */
export const mayExplode = (part: unknown): boolean => patternsOf(part).some((pattern) => /[*+]|\{\d*,?\d*\}/.test(pattern.replaceAll(/\\[*+{}]/g, '')));

/** Texts over which patterns that explode mostly do: long runs of the letters that they speak of, and then another. */
export function explosiveTexts(part: unknown): string[] {
  const letters = new Set(['a', 'A', '1', ' ', '\n', '.', ...patternsOf(part).flatMap((pattern) => [...pattern.replaceAll(/\\[pP]\{[^}]*\}|\\./gu, '')])]);
  return [...letters].map((letter) => `${letter.repeat(48)}\u0001`);
}
