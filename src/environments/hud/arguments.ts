import { type Failure, failure, PlaceError } from '../../runtimes/index.ts';
import { argumentChecker } from '../tools/arguments.ts';

/** One entry of `tasks.list`. */
export interface TaskEntry {
  id: string;
  /** A JSON Schema. */
  args?: unknown;
}

/** What is wrong with the id or the arguments of a row, or null: the environment itself would hand any value to the template. */
export function argumentProblem(tasks: readonly TaskEntry[], { template, args }: { template: string; args: Record<string, unknown> }): { ok: false; failure: Failure } | null {
  const entry = tasks.find(({ id }) => id === template);
  if (!entry) return failure('exception', `there is no such task; the environment has ${tasks.map(({ id }) => id).join(', ') || 'none'}`);
  if (entry.args === undefined || entry.args === null) return null;
  try {
    const check = argumentChecker(template, entry.args);
    const problem = check(args);
    if (problem === null) return null;
    const mistyped = Object.keys(args).filter((key) => problem.includes(`arguments/${key} `));
    return check(spelledOut(args, mistyped)) === null ? null : failure('exception', problem);
  } catch (error) {
    // A schema that is none is the environment's own affair.
    if (error instanceof PlaceError) return null;
    throw error;
  }
}

/** Texts that hold JSON, as what they hold: HUD reads `"2"` as 2 where a number belongs. */
function spelledOut(args: Record<string, unknown>, keys: readonly string[]): Record<string, unknown> {
  const read = (text: string): unknown => {
    try {
      return JSON.parse(text) as unknown;
    } catch {
      return text;
    }
  };
  return Object.fromEntries(Object.entries(args).map(([key, value]) => [key, keys.includes(key) && typeof value === 'string' ? read(value) : value]));
}
