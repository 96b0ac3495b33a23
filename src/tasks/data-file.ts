/** The text of a file of tasks: UTF-8 and nothing else, whole or line by line. */
import { constants as buffers } from 'node:buffer';
import { createReadStream } from 'node:fs';
import { readFile, stat } from 'node:fs/promises';
import { type LoadError, loadFailure } from '../util/load-error.ts';

/** A fault of the file itself. */
export class DataFileFault extends Error {
  readonly error: LoadError;
  constructor(file: string, message: string, fix: string, line?: number) {
    super(message);
    const at = line === undefined ? {} : { at: { file, line, column: 1 } };
    this.error = loadFailure(`${file}${line === undefined ? '' : `:${line}`} ${message}.`, fix, { key: 'source', files: [file], ...at }).error;
  }
}

const NOT_UTF8 = ['is not UTF-8 text', 'Save it as UTF-8; from another encoding, iconv -f FROM -t UTF-8 does it.'] as const;
const NEWLINE = 0x0a;
/** A row longer than this is no row but a file without line ends. */
const MAX_LINE_BYTES = 64 * 2 ** 20;

/** All of it, without a byte order mark. */
export async function readText(file: string): Promise<string> {
  const { size } = await existing(file);
  // Bytes become at most as many characters.
  if (size > buffers.MAX_STRING_LENGTH) throw new DataFileFault(file, `is larger than ${Math.floor(buffers.MAX_STRING_LENGTH / 2 ** 20)} MB`, 'Write it as JSON Lines (.jsonl), which is read line by line.');
  const bytes = await readFile(file).catch((error: unknown) => Promise.reject(faultOf(file, error)));
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes);
  } catch {
    throw new DataFileFault(file, ...NOT_UTF8, lineOfFirstFault(bytes));
  }
}

/** One line after the other, without their ends: a file may be larger than any text can be. */
export async function* readLines(file: string): AsyncGenerator<{ line: number; text: string }> {
  await existing(file);
  let [line, waiting, length] = [1, [] as Buffer[], 0];
  const take = (last: Buffer): { line: number; text: string } => {
    const bytes = waiting.length === 0 ? last : Buffer.concat([...waiting, last]);
    [waiting, length] = [[], 0];
    return { line, text: decode(bytes, { file, line: line++ }) };
  };
  try {
    for await (const chunk of createReadStream(file, { highWaterMark: 2 ** 20 }) as AsyncIterable<Buffer>) {
      let begin = 0;
      for (let end = chunk.indexOf(NEWLINE); end !== -1; end = chunk.indexOf(NEWLINE, begin)) {
        yield take(chunk.subarray(begin, end));
        begin = end + 1;
      }
      length += chunk.length - begin;
      if (length > MAX_LINE_BYTES) throw new DataFileFault(file, `has more than ${MAX_LINE_BYTES / 2 ** 20} MB without a line end`, 'Write one JSON object per line.', line);
      waiting.push(chunk.subarray(begin));
    }
  } catch (error) {
    throw error instanceof DataFileFault ? error : faultOf(file, error);
  }
  if (length > 0) yield take(Buffer.alloc(0));
}

function decode(bytes: Uint8Array, { file, line }: { file: string; line: number }): string {
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: line > 1 }).decode(bytes);
  } catch {
    throw new DataFileFault(file, ...NOT_UTF8, line);
  }
}

/** Decoding stops in the line that cannot be decoded by itself. */
function lineOfFirstFault(bytes: Buffer): number {
  for (let line = 1, begin = 0; ; line++) {
    const end = bytes.indexOf(NEWLINE, begin);
    try {
      new TextDecoder('utf-8', { fatal: true }).decode(bytes.subarray(begin, end === -1 ? bytes.length : end));
    } catch {
      return line;
    }
    if (end === -1) return line;
    begin = end + 1;
  }
}

async function existing(file: string): Promise<{ size: number }> {
  const found = await stat(file).catch((error: unknown) => Promise.reject(faultOf(file, error)));
  if (found.isDirectory()) throw new DataFileFault(file, 'is a folder', 'Name the file in it that holds the tasks.');
  if (!found.isFile()) throw new DataFileFault(file, 'is no file but a pipe or a device', 'Write its rows to a file first.');
  return found;
}

/** What the system says, with what can be done about it. */
function faultOf(file: string, error: unknown): DataFileFault {
  const { code, message } = error as NodeJS.ErrnoException;
  if (code === 'ENOENT' || code === 'ENOTDIR') {
    const fault = new DataFileFault(file, 'does not exist', 'Correct the path; it is relative to the pipeline file.');
    fault.error.message = `There is no file ${file}.`;
    return fault;
  }
  if (code === 'EACCES' || code === 'EPERM') return new DataFileFault(file, 'cannot be read: you have no permission to', `Give yourself the right to (chmod u+r), or run as who has it.`);
  return new DataFileFault(file, `cannot be read: ${message}`, 'Try again, or copy the file to another disk.');
}
