import { arith } from './arith.ts';
import type { Generator } from './types.ts';

/** Every built-in taskset by its name after `builtin:`. */
export const generators = { arith } as const satisfies Record<string, Generator>;

export type GeneratorName = keyof typeof generators;
export type { ArgsSchema, Generator } from './types.ts';
