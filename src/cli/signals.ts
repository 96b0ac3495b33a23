/** Ctrl-C once: end after the step. Twice, or SIGTERM, a terminal that is closed, or nobody reading the output: end now. */
import type { Exit } from './exit-codes.ts';
import type { Io } from './io.ts';

export interface SignalOptions {
  io: Io;
  /** The first time after the step, the second time at once. */
  stop: () => void;
  abort: () => void;
  /** Is a step under way that could be finished first? */
  canFinish: () => boolean;
  /** The third time. */
  kill: () => void;
}

/** Started through an older Node, Ctrl-C comes twice: from the terminal, and passed on by that Node. */
const ECHO_MS = 100;

/** What ends at once has so long to tidy up. */
const PATIENCE_MS = 5000;

/**
 * Ends the process as if nobody had listened to the signal, whatever is under way in whichever thread: `later`, if it has not ended by
 * itself by then, or `now`. What was saved is whole at any moment. `before` gives the terminal back.
 */
export function endForSure({ io, signal, before }: { io: Io; signal: () => 'SIGINT' | 'SIGTERM'; before: () => void }): { later: () => void; now: () => void } {
  const now = () => {
    before();
    io.tell('Cut off: something did not let go. Nothing that was saved is lost.');
    process.removeAllListeners(signal());
    process.kill(process.pid, signal());
  };
  // A thread that does not let go keeps the process alive, and so the timer.
  return { now, later: () => void setTimeout(now, PATIENCE_MS).unref() };
}

/** Listens until it is disposed; `exit` is what the shell is to be told, if a signal ended the work. */
export function onSignals({ io, stop, abort, kill, canFinish }: SignalOptions): Disposable & { readonly exit: Exit | null } {
  let exit: Exit | null = null;
  let interrupts = 0;
  let last = -Infinity;
  const interrupt = () => {
    const isEcho = io.env['RLRUN_NODE_CHOSEN'] !== undefined && performance.now() - last < ECHO_MS;
    last = performance.now();
    if (isEcho) return;
    interrupts += 1;
    if (interrupts === 1 && canFinish()) return stop();
    exit = 'interrupted';
    if (interrupts > 2) kill();
    else abort();
  };
  const terminate = () => {
    exit = 'terminated';
    abort();
  };
  process.on('SIGINT', interrupt);
  process.on('SIGTERM', terminate);
  process.on('SIGHUP', terminate);
  io.signal.addEventListener('abort', abort);
  return {
    get exit() {
      return exit;
    },
    [Symbol.dispose]() {
      process.off('SIGINT', interrupt);
      process.off('SIGTERM', terminate);
      process.off('SIGHUP', terminate);
      io.signal.removeEventListener('abort', abort);
    },
  };
}
