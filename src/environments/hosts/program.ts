/** @file A program that serves an environment for as long as we let it. What it prints is read all the time, or it would stand still one day. */
import type { Readable } from 'node:stream';
import { setTimeout as delay } from 'node:timers/promises';
import { type Failure, lineReader, loadChild, watchMemory } from '../../runtimes/index.ts';

const { startChild } = await loadChild();

export interface ProgramOptions {
  command: readonly string[];
  cwd: string;
  env: NodeJS.ProcessEnv;
  /** Null: somebody else sees to that. */
  memoryMb: number | null;
  onLine?: (line: string) => void;
  onOutput?: ((text: string) => void) | undefined;
  /** Ends what a signal to the program does not. */
  afterwards?: () => Promise<void>;
}

export interface Program {
  readonly gone: Failure | null;
  readonly ended: Promise<Failure>;
  end(reason: Failure): Promise<void>;
}

/** Between the request to end and the end. */
const TERMINATE_MS = 3000;
/** Longer lines are nothing that is waited for. */
const MAX_LINE_BYTES = 65_536;
const KEPT_ERRORS = 4096;

export function startProgram({ command, cwd, env, memoryMb, onLine = () => {}, onOutput, afterwards }: ProgramOptions): Program {
  const child = startChild({ command, cwd, env });
  child.stdin?.end();
  const { promise: ended, resolve } = Promise.withResolvers<Failure>();
  let gone: Failure | null = null;
  const leave = (reason: Failure) => {
    memory[Symbol.dispose]();
    gone ??= reason;
    resolve(gone);
  };
  const memory = watchMemory({
    pid: memoryMb === null ? undefined : child.pid,
    limitMb: memoryMb ?? 0,
    onExceeded: () => void end({ type: 'memory', message: `the environment used more than ${memoryMb} MB of memory and was stopped` }),
  });
  const readLines = lineReader({ maxBytes: MAX_LINE_BYTES, onLine });
  let said = '';
  const listen = (stream: Readable, hear: (chunk: Buffer) => void) => stream.on('data', (chunk: Buffer) => {
    hear(chunk);
    onOutput?.(chunk.toString('utf8'));
  });
  listen(child.stdout, readLines);
  listen(child.stderr, (chunk) => { said = (said + chunk.toString('utf8')).slice(-KEPT_ERRORS); });
  const exited = child.ended.then((result) => {
    const because = said.trim() === '' ? '' : `; it said: ${said.trim().slice(-400)}`;
    if (result.fault !== null) return leave({ type: 'exit', message: `the environment could not be started: ${result.fault}` });
    const { signal, exitCode } = result;
    leave({ type: 'exit', message: `the environment ended ${signal ? `by ${signal}` : `with exit code ${exitCode}`}${because}` });
  });
  async function end(reason: Failure): Promise<void> {
    leave(reason);
    terminate(child.pid);
    await Promise.race([exited, delay(TERMINATE_MS, undefined, { ref: false })]);
    // It may not have heard, or not have listened; nor may what it started.
    await child.kill();
    await afterwards?.();
  }
  return { ended, end, get gone() { return gone; } };
}

/** Asks the whole group, so that what it started can clean up too. */
function terminate(pid: number | undefined): void {
  if (pid === undefined) return;
  try {
    process.kill(process.platform === 'win32' ? pid : -pid, 'SIGTERM');
  } catch {
    // It has ended by itself.
  }
}
