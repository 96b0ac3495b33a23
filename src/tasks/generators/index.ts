import { arith } from './arith.ts';
import { countdown } from './countdown.ts';
import { countLetters, reverseText, sortLetters } from './text.ts';
import type { Generator } from './types.ts';

/** Every built-in taskset by its name after `builtin:`. */
export const generators = {
  arith,
  'reverse-text': reverseText,
  'sort-letters': sortLetters,
  'count-letters': countLetters,
  countdown,
} as const satisfies Record<string, Generator>;

export type GeneratorName = keyof typeof generators;
export type { ArgsSchema, Generator } from './types.ts';
