import type { Verdict } from '../../runtimes/index.ts';
import type { Stratum } from '../space.ts';
import type { Task } from '../types.ts';

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
  /** The grader of `reward: { kind: task }`. */
  grade(task: Task, completion: string): Verdict;
}

/** The completion is the answer, character for character, apart from spaces around it. */
export const sameAsAnswer: Generator['grade'] = ({ answer }, completion) => ({ ok: true, value: Number(completion.trim() === answer) });
