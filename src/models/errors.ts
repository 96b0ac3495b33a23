import { NotAFile } from '../util/regular-file.ts';
import { wordsOfSystemError } from '../util/system-errors.ts';

/** `rlrun`'s exit codes follow the kind: invalid 1, usage 2, not_found 3, permission 4, conflict 5. */
export type ModelErrorKind = 'invalid' | 'usage' | 'not_found' | 'permission' | 'conflict';

/** Something about a model or its files that the user can put right. The message says what and where, `fix` what to do. */
export class ModelError extends Error {
  readonly kind: ModelErrorKind;
  readonly fix: string;

  constructor(kind: ModelErrorKind, message: string, options: { fix: string; cause?: unknown }) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.name = 'ModelError';
    this.kind = kind;
    this.fix = options.fix;
  }
}

/** The `code` of a Node file-system error, else undefined. */
export function errorCode(error: unknown): string | undefined {
  return error instanceof Error && 'code' in error && typeof error.code === 'string' ? error.code : undefined;
}

/** Also where the error has been put in words already. */
export const isDiskFull = (error: unknown): boolean => ['ENOSPC', 'EDQUOT'].includes(errorCode(error instanceof ModelError ? error.cause : error) ?? '');

/** The model that a path of the store belongs to. */
const modelIn = (path: string): string => /[/\\]models[/\\]([a-z0-9._-]+)[/\\]/.exec(path)?.[1] ?? 'MODEL';

/** Turns a failed file operation on `path` into a ModelError; anything that is no file-system error passes through. */
export function fileError(error: unknown, path: string): Error {
  if (error instanceof NotAFile) return new ModelError(error.kind, error.message, { fix: error.fix, cause: error });
  const code = errorCode(error);
  if (code === undefined) return error instanceof Error ? error : new Error(String(error));
  const { kind, what, fix } = wordsOfSystemError(code) ?? { kind: 'invalid', what: `cannot be used: ${(error as Error).message}`, fix: 'Check the file and its disk.' };
  return new ModelError(kind, `${path} ${what}`, { fix: fix.replace('MODEL', modelIn(path)), cause: error });
}

export const lfsPointerError = (path: string): ModelError =>
  new ModelError('invalid', `${path} is a Git LFS pointer: the file itself was never fetched`, { fix: 'Run git lfs pull in that folder, or download the file.' });
