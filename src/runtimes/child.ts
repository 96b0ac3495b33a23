/** A program of the user's from its start to its end. Nothing that it leaves behind holds up whoever waits for it. */
import type { ChildProcess } from 'node:child_process';
import { existsSync } from 'node:fs';
import type { Socket } from 'node:net';
import { type Duplex, type Readable, type Writable, finished } from 'node:stream';
import { setImmediate as nextTurn, setTimeout as delay } from 'node:timers/promises';
import { execa } from 'execa';
import { atMost } from '../util/at-most.ts';
import { killGroup, killTree } from './processes.ts';
import { endWithUs } from './watchdog.ts';

export interface StartOptions {
  /** The program and its arguments. */
  command: readonly string[];
  cwd: string;
  env: NodeJS.ProcessEnv;
  /** Has it a third channel, for both ways, on descriptor 3? Its stdin is closed then. */
  hasChannel?: boolean;
}

export interface Child {
  readonly pid: number | undefined;
  readonly stdin: Writable | null;
  readonly stdout: Readable;
  readonly stderr: Readable;
  readonly channel: Duplex | null;
  /** It has exited, and what it wrote has been read, whoever else may hold its pipes. */
  readonly ended: Promise<ChildEnd>;
  /** Ends it with everything that it started, however busy. Resolves when it is gone, or past waiting for. */
  kill(): Promise<void>;
}

/** `fault`: why it could not be started. */
export type ChildEnd = { fault: string } | { fault: null; exitCode: number | null; signal: NodeJS.Signals | null };

/** How long a pipe has to be silent after its child has exited until nothing more is expected of it, and how often that is asked. */
const SILENCE = { ms: 50, atMost: 20 };
/** SIGKILL takes effect at once, except on a process that hangs in the system itself. */
const KILL_MS = 2000;

const isWindows = process.platform === 'win32';

export function startChild({ command, cwd, env, hasChannel = false }: StartOptions): Child {
  const [program, ...args] = command as [string, ...string[]];
  const result = execa(program, args, {
    ...{ cwd, env, extendEnv: false },
    ...(isWindows ? { killDescendants: true } : { detached: true }),
    stdio: hasChannel ? ['ignore', 'pipe', 'pipe', 'pipe'] : ['pipe', 'pipe', 'pipe'],
    buffer: false,
    reject: false,
    windowsHide: true,
  });
  // Only its parts are waited for: the result of execa comes when nobody holds the pipes any more.
  const child = result.nodeChildProcess;
  const { pid, stdin, stdout, stderr } = child as ChildProcess & { readonly stdout: Readable; readonly stderr: Readable };
  const channel = hasChannel ? (child.stdio[3] as Duplex) : null;
  // A child that died is reported by its end; a write to it may fail before that.
  for (const stream of [stdin, channel]) stream?.on('error', () => {});
  const letGo = () => {
    for (const stream of [stdin, stdout, stderr, channel]) stream?.destroy();
    child.unref();
  };
  let isRunning = pid !== undefined;
  const release = pid === undefined ? null : endWithUs(pid);
  const ended = new Promise<ChildEnd>((resolve) => {
    if (pid === undefined) return void result.then(({ code, originalMessage }) => resolve({ fault: code === 'ENOENT' ? missing(program, cwd) : (originalMessage ?? 'the reason is unknown') }));
    child.once('exit', (exitCode: number | null, signal: NodeJS.Signals | null) => {
      isRunning = false;
      killGroup(pid);
      release?.();
      void silent([stdout, stderr, ...(channel ? [channel] : [])]).then(() => {
        letGo();
        resolve({ fault: null, exitCode, signal });
      });
    });
  });
  return {
    ...{ pid, stdin, stdout, stderr, channel, ended },
    async kill() {
      if (isRunning && isWindows) result.kill('SIGKILL');
      else if (isRunning) killTree(pid!);
      await atMost(KILL_MS, ended);
      letGo();
    },
  };
}

const missing = (program: string, cwd: string): string => (existsSync(cwd) ? `there is no program ${program}` : `its working folder ${cwd} is gone`);

/** The pipes of a child that has exited are at their ends, or nothing has come for a while: a grandchild may hold them for ever. */
async function silent(pipes: readonly Readable[]): Promise<void> {
  const over = new AbortController();
  const ends = Promise.all(pipes.map((pipe) => new Promise<void>((resolve) => finished(pipe, { writable: false }, () => resolve()))));
  void ends.then(() => over.abort());
  const bytes = () => pipes.reduce((sum, pipe) => sum + (pipe as Socket).bytesRead, 0);
  for (let round = 0; round < SILENCE.atMost && !over.signal.aborted; round++) {
    const before = bytes();
    await delay(SILENCE.ms, undefined, { signal: over.signal }).catch(() => {});
    // What came while this thread was busy is read before the next turn.
    await nextTurn();
    if (bytes() === before) return;
  }
}
