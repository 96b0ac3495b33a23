import { existsSync } from 'node:fs';
import type { Duplex, Readable } from 'node:stream';
import { execa } from 'execa';
import { lineReader } from './lines.ts';
import { endWithUs, killTree, keepTail, watchMemory } from './processes.ts';
import type { Failure, OpenPlace } from './types.ts';

export interface ChildOptions {
  /** The program and its arguments. */
  command: readonly string[];
  cwd: string;
  /** Calls and replies are JSON lines on stdin and stdout, or both ways on descriptor 3. */
  replies: 'stdout' | 3;
  memoryMb: number;
  /** Memory of the interpreter itself, which the limit does not count. */
  ownMemoryMb?: number;
  /** A reply has to fit in one line of this size. Default: `MAX_LINE_BYTES`. */
  maxLineBytes?: number;
  onOutput?: (text: string) => void;
}

/** A reply has to fit in one line of this size; what a program prints besides is cut there too. */
export const MAX_LINE_BYTES = 1_048_576;

/** The `subprocess` runtime: a child with a process group of its own, so that nothing it started outlives it. */
export function childPlace({ command, cwd, replies, memoryMb, ownMemoryMb = 0, maxLineBytes = MAX_LINE_BYTES, onOutput }: ChildOptions): OpenPlace {
  return ({ onReply, onEnd }) => {
    const [program, ...args] = command as [string, ...string[]];
    const child = execa(program, args, {
      cwd,
      detached: process.platform !== 'win32',
      stdio: replies === 3 ? ['ignore', 'pipe', 'pipe', 'pipe'] : ['pipe', 'pipe', 'pipe'],
      buffer: false,
      reject: false,
      windowsHide: true,
    });
    endWithUs(child);
    const errors = keepTail();
    let gone = false;
    const end = (reason: Failure) => {
      memory[Symbol.dispose]();
      if (gone) return;
      gone = true;
      killTree(child);
      onEnd(reason);
    };
    const outOfMemory: Failure = { type: 'memory', message: `used more than ${memoryMb} MB of memory and was stopped` };
    const memory = watchMemory({ pid: child.pid, limitMb: memoryMb + ownMemoryMb, onExceeded: () => end(outOfMemory) });
    const readReplies = lineReader({
      maxBytes: maxLineBytes,
      onTooLong: () => end({ type: 'protocol', message: `wrote a line of more than ${maxLineBytes} bytes` }),
      onLine(line) {
        if (gone) return;
        const reply = parseReply(line);
        if (reply === undefined) onOutput?.(`${line}\n`);
        else onReply(reply);
      },
    });
    const channel = (replies === 3 ? child.stdio[3] : child.stdin) as Duplex;
    (replies === 3 ? channel : (child.stdout as Readable)).on('data', readReplies);
    if (replies === 3) (child.stdout as Readable).on('data', (chunk: Buffer) => onOutput?.(chunk.toString('utf8')));
    (child.stderr as Readable).on('data', (chunk: Buffer) => {
      errors.add(chunk);
      onOutput?.(chunk.toString('utf8'));
    });
    // A child that died is reported by its end; a write to it may fail before that.
    channel.on('error', () => {});
    void child.then((result) => {
      const because = errors.all() === '' ? '' : `; it said: ${errors.brief()}`;
      if (result.code === 'ENOENT' || (result.exitCode === undefined && result.signal === undefined)) {
        const missing = existsSync(cwd) ? `there is no program ${program}` : `its working folder ${cwd} is gone`;
        end({ type: 'exit', message: `could not be started: ${result.code === 'ENOENT' ? missing : (result.originalMessage ?? 'unknown reason')}` });
      } else if (/heap out of memory/.test(errors.all())) {
        end(outOfMemory);
      } else {
        end({ type: 'exit', message: `ended ${result.signal ? `by ${result.signal}` : `with exit code ${result.exitCode}`}${because}` });
      }
    });
    return {
      send: (message) => void channel.write(`${JSON.stringify(message)}\n`),
      async kill() {
        memory[Symbol.dispose]();
        gone = true;
        killTree(child);
        await child;
      },
    };
  };
}

/** A JSON object is a reply; any other line is something the program printed. */
function parseReply(line: string): unknown {
  if (!line.trimStart().startsWith('{')) return undefined;
  try {
    return JSON.parse(line) as unknown;
  } catch {
    return undefined;
  }
}
