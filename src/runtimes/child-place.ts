import { startChild } from './child.ts';
import { lineReader } from './lines.ts';
import { keepTail, watchMemory } from './processes.ts';
import { callPrints, type OnOutput } from './prints.ts';
import type { Failure, OpenPlace, ReplyMessage } from './types.ts';

export interface ChildOptions {
  /** The program and its arguments. */
  command: readonly string[];
  cwd: string;
  env: NodeJS.ProcessEnv;
  /** Calls and replies are JSON lines on stdin and stdout, or both ways on descriptor 3. */
  replies: 'stdout' | 3;
  memoryMb: number;
  /** Memory of the interpreter itself, which the limit does not count. */
  ownMemoryMb?: number;
  /** A reply has to fit in one line of this size. Default: `MAX_LINE_BYTES`. */
  maxLineBytes?: number;
  onOutput?: OnOutput;
}

/** A reply has to fit in one line of this size; what a program prints besides is cut there too. */
export const MAX_LINE_BYTES = 1_048_576;

/** The `subprocess` runtime: a child with a process group of its own. */
export function childPlace({ command, cwd, env, replies, memoryMb, ownMemoryMb = 0, maxLineBytes = MAX_LINE_BYTES, onOutput }: ChildOptions): OpenPlace {
  return ({ onReply, onEnd }) => {
    const child = startChild({ command, cwd, env, hasChannel: replies === 3 });
    const errors = keepTail();
    const prints = callPrints(onOutput);
    let gone = false;
    const end = (reason: Failure) => {
      memory[Symbol.dispose]();
      if (gone) return;
      gone = true;
      void child.kill();
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
        if (reply === undefined) return prints.add(`${line}\n`);
        prints.answered();
        onReply(reply);
      },
    });
    (child.channel ?? child.stdout).on('data', readReplies);
    if (child.channel) child.stdout.on('data', (chunk: Buffer) => prints.add(chunk.toString('utf8')));
    child.stderr.on('data', (chunk: Buffer) => {
      errors.add(chunk);
      prints.add(chunk.toString('utf8'));
    });
    void child.ended.then((result) => {
      prints.answered();
      const because = errors.all() === '' ? '' : `; it said: ${errors.brief()}`;
      if (result.fault !== null) end({ type: 'exit', message: `could not be started: ${result.fault}` });
      else if (/heap out of memory/.test(errors.all())) end(outOfMemory);
      else end({ type: 'exit', message: `ended ${result.signal ? `by ${result.signal}` : `with exit code ${result.exitCode}`}${because}` });
    });
    return {
      send: (messages) => void (child.channel ?? child.stdin!).write(messages.map((message) => `${JSON.stringify(message)}\n`).join('')),
      async kill() {
        memory[Symbol.dispose]();
        gone = true;
        await child.kill();
      },
    };
  };
}

/**
 * A JSON object is a reply; any other line is something the program printed. What was meant as a reply and is no JSON fails its call at
 * once: nothing else will come for it.
 */
function parseReply(line: string): unknown {
  if (!line.trimStart().startsWith('{')) return undefined;
  try {
    return JSON.parse(line) as unknown;
  } catch (error) {
    const id = /["']id["']\s*:\s*(\d+)/.exec(line)?.[1];
    if (id === undefined || !/["'](result|error)["']\s*:/.test(line)) return undefined;
    const why = /\b(NaN|Infinity)\b/.exec(line)?.[0];
    const message = `answered with a line that is no JSON (${why ? `JSON has no ${why}` : (error as Error).message}): ${line.trim().slice(0, 200)}`;
    return { id: Number(id), error: { type: 'protocol', message } } satisfies ReplyMessage;
  }
}
