/** Appends lines to a file, each whole or not at all. */
import { appendFileSync, closeSync, fstatSync, fsync, ftruncateSync, openSync, readSync } from 'node:fs';
import { promisify } from 'node:util';
import { lineSealer, sealOf } from '../util/stored-lines.ts';

export interface LineWriter {
  append(line: () => string): void;
  /** Writes what is left; resolves when all is durable, rejects when a line was lost. */
  sync(): Promise<void>;
  close(): void;
}

const fsyncFile = promisify(fsync);

/**
 * Opens its file when the first line comes. What a tick appends becomes text and one write when the tick is over: by then the loop has given
 * the engine its next work and waits. `sealed`: each line is a JSON object and gets a checksum.
 */
export function lineWriter(path: string, { sealed = false } = {}): LineWriter {
  let opened: { file: number; seal: (line: string) => string } | null = null;
  let waiting: (() => string)[] = [];
  // Events and log lines are for readers: when the disk is full they get lost. What the job needs is waited for, and fails then.
  let failure: { error: unknown } | null = null;
  const open = () => {
    const { file, last } = openToAppend(path);
    return { file, seal: sealed ? lineSealer(sealOf(last)) : (line: string) => line };
  };
  const close = (): void => {
    if (opened !== null) closeSync(opened.file);
    opened = null;
  };
  const flush = (): void => {
    if (waiting.length === 0) return;
    const lines = waiting;
    waiting = [];
    try {
      const { file, seal } = (opened ??= open());
      appendFileSync(file, lines.map((line) => `${seal(line())}\n`).join(''));
    } catch (error) {
      failure = { error };
      // A part of it may have been written: the next one to come opens the file anew, which mends its end.
      close();
    }
  };
  return {
    append(line) {
      if (waiting.length === 0) setImmediate(flush);
      waiting.push(line);
    },
    async sync() {
      flush();
      if (failure) throw failure.error;
      if (opened !== null) await fsyncFile(opened.file);
    },
    close() {
      flush();
      close();
    },
  };
}

/** The file and its last line. What stands behind that was torn when its writer was killed, and is cut off. */
function openToAppend(path: string): { file: number; last: string } {
  const file = openSync(path, 'a+');
  const { size } = fstatSync(file);
  for (let length = 2 ** 16; ; length *= 2) {
    const start = Math.max(0, size - length);
    const end = Buffer.alloc(size - start);
    readSync(file, end, 0, end.length, start);
    const whole = end.subarray(0, end.lastIndexOf('\n') + 1);
    const before = whole.subarray(0, -1).lastIndexOf('\n');
    if (before === -1 && start > 0) continue;
    if (start + whole.length < size) ftruncateSync(file, start + whole.length);
    return { file, last: whole.subarray(before + 1, -1).toString() };
  }
}
