/** From a process to an exit code. */
import { commandLineOf } from './command-line.ts';
import { CommandError, exitCodes, exitOf } from './exit-codes.ts';
import { type Io, createIo } from './io.ts';
import { ownRoot, packageVersion, rootOf, shorten } from './paths.ts';
import { wordsOfSystemError } from '../util/system-errors.ts';
import { parse } from './program.ts';

/** Runs the command that the process was started with. Sets `process.exitCode` instead of exiting, so that no output is cut off. */
export async function runFromProcess(): Promise<void> {
  const argv = process.argv.slice(2);
  const io = createIo(process, { quiet: argv.includes('--quiet') || argv.includes('-q') });
  const code = await main(argv, io);
  process.exitCode = code === exitCodes.ok.code && io.lostOutput ? exitCodes.failure.code : code;
}

export async function main(argv: readonly string[], io: Io): Promise<number> {
  try {
    const parsed = await parse(commandLineOf(argv, io), {
      version: packageVersion(),
      out: (text) => io.print(text),
      err: (text) => io.tell(text),
      columns: Math.min(100, io.stdout.columns ?? 100),
    });
    if (parsed.kind === 'told') return parsed.code;
    const { load, args, flags, usesStore } = parsed.chosen;
    const store = rootOf(io);
    if (usesStore && store !== ownRoot(io)) io.say(io.paint('dim', `models and jobs are in ${shorten(store, io)}`));
    const handler = await load();
    return exitCodes[await handler({ args, flags, io })].code;
  } catch (error) {
    if (io.signal.aborted && (error as Error | null)?.name === 'AbortError') return exitCodes.ok.code;
    return exitCodes[tell(error, io, argv)].code;
  }
}

/** What the operating system says, in words. */
function wordsOf(error: Error & Partial<Pick<CommandError, 'fix'>> & { code?: string; path?: string }): { message: string; fix: string | null } {
  const known = wordsOfSystemError(error.code);
  if (known && error.path) return { message: `${error.path} ${known.what}`, fix: known.fix };
  return { message: error.message, fix: error.fix ?? null };
}

/** An error that the user can do something about: its message and the fix. Anything else is a bug, with its stack. */
function tell(error: unknown, io: Io, argv: readonly string[]) {
  const exit = exitOf(error);
  if (exit === null) {
    const text = error instanceof Error ? (error.stack ?? error.message) : String(error);
    io.tell(`${io.paint('red', 'error')}: this is a bug in rlrun\n${text}`);
    return 'failure' as const;
  }
  const { message, fix } = wordsOf(error as Error);
  if (argv.includes('--json')) io.json({ type: 'error', exit: exitCodes[exit].code, message, fix: fix ?? null });
  io.tell(`${io.paint('red', 'error')}: ${message}${fix ? `\n  ${fix}` : ''}`);
  return exit;
}
