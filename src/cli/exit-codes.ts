import { wordsOfSystemError } from '../util/system-errors.ts';

/** What the shell gets to know. HUD's codes, and the shell's own for signals. */
export const exitCodes = {
  ok: { code: 0, meaning: 'done' },
  failure: { code: 1, meaning: 'it ran and failed' },
  usage: { code: 2, meaning: 'the command line or a configuration file is wrong; nothing was started' },
  notFound: { code: 3, meaning: 'a file, model, checkpoint or job does not exist' },
  permission: { code: 4, meaning: 'not allowed to read or write' },
  conflict: { code: 5, meaning: 'it exists already, is in use, or has changed' },
  interrupted: { code: 130, meaning: 'stopped at once by Ctrl-C' },
  terminated: { code: 143, meaning: 'stopped at once by SIGTERM' },
} as const satisfies Record<string, { code: number; meaning: string }>;

export type Exit = keyof typeof exitCodes;

/** A command that cannot go on, for a reason that the user can do something about: one message, a fix, an exit code. No stack. */
export class CommandError extends Error {
  readonly exit: Exit;
  readonly fix: string | null;

  constructor(exit: Exit, message: string, fix: string | null = null) {
    super(message);
    this.exit = exit;
    this.fix = fix;
  }
}

const byKind: Record<string, Exit> = {
  not_found: 'notFound',
  permission: 'permission',
  conflict: 'conflict',
  invalid: 'failure',
  usage: 'usage',
};

/** The exit of an error that is no bug: file system errors, and errors of the model store by their `kind`. Null for bugs. */
export function exitOf(error: unknown): Exit | null {
  if (error instanceof CommandError) return error.exit;
  if (!(error instanceof Error)) return null;
  const { code, kind } = error as { code?: unknown; kind?: unknown };
  return byKind[String(kind)] ?? byKind[String(wordsOfSystemError(String(code))?.kind)] ?? null;
}
