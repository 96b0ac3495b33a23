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

/** Turns a failed file operation on `path` into a ModelError; anything that is no file-system error passes through. */
export function fileError(error: unknown, path: string): Error {
  switch (errorCode(error)) {
    case undefined:
      return error instanceof Error ? error : new Error(String(error));
    case 'ENOENT':
      return new ModelError('not_found', `${path} does not exist`, { fix: 'Check the path.', cause: error });
    case 'ENOTDIR':
      return new ModelError('conflict', `${path} cannot be a path: a part of it is a file and no folder`, { fix: 'Move that file away, or name another path; RLRUN_HOME says where models and jobs are kept.', cause: error });
    case 'EACCES':
    case 'EPERM':
    case 'EROFS':
      return new ModelError('permission', `${path} may not be read or written`, { fix: 'Check who owns it and its permissions.', cause: error });
    case 'ENOSPC':
    case 'EDQUOT':
      return new ModelError('invalid', `the disk is full: ${path} could not be written`, {
        fix: 'Free some space (rlrun models prune removes old checkpoints) and run again; nothing that was saved before is lost.',
        cause: error,
      });
    default:
      return new ModelError('invalid', `${path}: ${error instanceof Error ? error.message : String(error)}`, { fix: 'Check the file and its disk.', cause: error });
  }
}

export const lfsPointerError = (path: string): ModelError =>
  new ModelError('invalid', `${path} is a Git LFS pointer: the file itself was never fetched`, { fix: 'Run git lfs pull in that folder, or download the file.' });
