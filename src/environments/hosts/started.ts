import { failure, isProgram, type Outcome, seconds } from '../../runtimes/index.ts';
import { type Program, type ProgramOptions, startProgram } from './program.ts';
import type { Host } from './types.ts';

/** A HUD environment says on its stdout where it listens, somewhere between whatever else it prints. */
const ANNOUNCEMENT = /^HUD_SERVE_PORT=(\d+)\s*$/;

export interface StartOptions extends Omit<ProgramOptions, 'onLine'> {
  startTimeoutMs: number;
  /** Where the announced port is found on this machine. */
  addressOf?: (port: number) => Promise<Outcome<Host['address']>>;
}

/** Starts a program and waits until it listens. Rejects only when the signal aborts. */
export async function startHost({ startTimeoutMs, addressOf = local, ...options }: StartOptions, signal?: AbortSignal): Promise<Outcome<Host>> {
  signal?.throwIfAborted();
  const { command, cwd } = options;
  if (!isProgram(command[0]!, cwd)) return failure('exit', `the environment could not be started: there is no program ${command[0]}`);
  const announced = Promise.withResolvers<number>();
  const program = startProgram({ ...options, onLine(line) {
    const port = ANNOUNCEMENT.exec(line)?.[1];
    if (port !== undefined) announced.resolve(Number(port));
  } });
  const found = await firstOf({ announced: announced.promise, program, startTimeoutMs, signal });
  if (typeof found !== 'number') {
    await program.end(found);
    signal?.throwIfAborted();
    return { ok: false, failure: found };
  }
  const address = await addressOf(found);
  if (!address.ok) {
    await program.end(address.failure);
    return address;
  }
  return { ok: true, value: { address: address.value, ended: program.ended, end: program.end, get gone() { return program.gone; } } };
}

const local = async (port: number): Promise<Outcome<Host['address']>> => ({ ok: true, value: { host: '127.0.0.1', port } });

interface Race {
  announced: Promise<number>;
  program: Program;
  startTimeoutMs: number;
  signal: AbortSignal | undefined;
}

async function firstOf({ announced, program, startTimeoutMs, signal }: Race) {
  using waiting = new DisposableStack();
  const late = Promise.withResolvers<{ type: 'timeout' | 'exit'; message: string }>();
  const timer = setTimeout(() => late.resolve({ type: 'timeout', message: `the environment did not say HUD_SERVE_PORT= within ${seconds(startTimeoutMs)}` }), startTimeoutMs);
  const abort = () => late.resolve({ type: 'exit', message: 'was cancelled' });
  signal?.addEventListener('abort', abort, { once: true });
  waiting.defer(() => {
    clearTimeout(timer);
    signal?.removeEventListener('abort', abort);
  });
  return await Promise.race([announced, program.ended, late.promise]);
}
