/** Ctrl-C once: end after the step. Twice, or SIGTERM, or nobody reading the output: end now. */
import type { Exit } from './exit-codes.ts';
import type { Io } from './io.ts';

export interface SignalOptions {
  io: Io;
  /** The first time after the step, the second time at once. */
  stop: () => void;
  abort: () => void;
  /** Is a step under way that could be finished first? */
  canFinish: () => boolean;
}

/** Started through an older Node, Ctrl-C comes twice: from the terminal, and passed on by that Node. */
const ECHO_MS = 100;

/** Listens until it is disposed; `exit` is what the shell is to be told, if a signal ended the work. */
export function onSignals({ io, stop, abort, canFinish }: SignalOptions): Disposable & { readonly exit: Exit | null } {
  let exit: Exit | null = null;
  let interrupts = 0;
  let last = -Infinity;
  const interrupt = () => {
    const isEcho = io.env['RLRUN_NODE_CHOSEN'] !== undefined && performance.now() - last < ECHO_MS;
    last = performance.now();
    if (isEcho) return;
    if (++interrupts === 1 && canFinish()) return stop();
    exit = 'interrupted';
    abort();
  };
  const terminate = () => {
    exit = 'terminated';
    abort();
  };
  process.on('SIGINT', interrupt);
  process.on('SIGTERM', terminate);
  io.signal.addEventListener('abort', abort);
  return {
    get exit() {
      return exit;
    },
    [Symbol.dispose]() {
      process.off('SIGINT', interrupt);
      process.off('SIGTERM', terminate);
      io.signal.removeEventListener('abort', abort);
    },
  };
}
