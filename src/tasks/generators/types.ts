import type { Stratum } from '../space.ts';

/** A JSON Schema (2020-12) of a generator's `args`: descriptions, defaults and examples for editors. */
export interface ArgsSchema {
  type: 'object';
  additionalProperties: false;
  properties: Record<string, Record<string, unknown> & { description: string; default: unknown }>;
}

/** A built-in source of tasks, reached as `builtin:<name>`. */
export interface Generator<Args = never> {
  description: string;
  /** How train and eval are kept apart, in words. */
  disjoint: string;
  args: ArgsSchema;
  /** What is wrong with arguments that the schema alone cannot tell. */
  check?(args: Args): { key: string; message: string; fix: string } | null;
  strata(args: Args, seed: number): Stratum[];
}
