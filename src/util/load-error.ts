/** Why something a pipeline names (a taskset, a reward) could not be loaded. The caller knows where in the YAML it is named. */
export interface LoadError {
  /** One sentence: what is wrong, where, and what was expected. */
  message: string;
  /** One sentence: what to do about it. */
  fix: string;
  /** The key inside the settings, such as `args.digits` or `split`; from the stage's top with a slash: `/runtime.command`. Null when the fault is in a file. */
  key: string | null;
  /** The line of the user's file, when one is to blame. */
  at: { file: string; line: number; column: number } | null;
  /** Every file that was read up to the fault, so that a watcher can wait for its repair. */
  files: readonly string[];
}

export type Loaded<K extends string, T> = ({ ok: true } & { [P in K]: T }) | { ok: false; error: LoadError };

/** A key of something that itself has a place: `2` and `pattern` make `2.pattern`. */
export const keyInside = (outer: string, key: string | null): string => (key === null ? outer : `${outer}.${key}`);

/** Builds a failed load; what is left out is empty. */
export function loadFailure(message: string, fix: string, place: Partial<Pick<LoadError, 'key' | 'at' | 'files'>> = {}): { ok: false; error: LoadError } {
  return { ok: false, error: { message, fix, key: null, at: null, files: [], ...place } };
}
