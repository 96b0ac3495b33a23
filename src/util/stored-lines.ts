/**
 * JSON lines that rlrun appends and reads back. The last key of each is `crc32`, which goes on from that of the line before: a line that
 * was changed, moved, lost or written twice does not fit what stands before it. Lines without it (of older versions) are believed.
 */
import { createReadStream } from 'node:fs';
import { rename, writeFile } from 'node:fs/promises';
import { checksum } from './stored-json.ts';

/** Lines of a file that are not as they were written. Counted from 1. */
export interface DamagedLine {
  line: number;
  problem: string;
}

const SEAL = /,"crc32":"([0-9a-f]{8})"\}$/;
const SEAL_LENGTH = ',"crc32":"00000000"}'.length;

/** Seals one line after the other; `before` is the checksum of the last line that is there. */
export function lineSealer(before = ''): (text: string) => string {
  return (text) => {
    before = checksum(text, before);
    return `${text.slice(0, -1)},"crc32":"${before}"}`;
  };
}

/** The checksum at the end of a line; empty where there is none. */
export const sealOf = (line: string): string => SEAL.exec(line)?.[1] ?? '';

export type CheckedLine = { state: 'whole'; text: string } | { state: 'repeated' } | { state: 'damaged'; problem: string };

/** Judges the lines of a file, which it has to be shown in order. */
function lineChecker(): (line: string) => CheckedLine {
  /** What the next line may go on from: of a damaged line it is not known whether its text or its checksum is wrong. */
  let before = [''];
  let [isSealed, last] = [false, ''];
  const seen = new Set<string>();
  return (line) => {
    const seal = sealOf(line);
    const [identity, isRepeated] = [`${seal}:${line.length}`, line === last];
    last = line;
    if (seal === '') return isSealed ? { state: 'damaged', problem: 'has no checksum' } : isRepeated ? { state: 'repeated' } : { state: 'whole', text: line };
    isSealed = true;
    const text = `${line.slice(0, -SEAL_LENGTH)}}`;
    const computed = before.map((other) => checksum(text, other));
    const fits = computed.includes(seal);
    if (!fits && seen.has(identity)) return { state: 'repeated' };
    seen.add(identity);
    before = fits ? [seal] : [seal, ...computed];
    return fits ? { state: 'whole', text } : { state: 'damaged', problem: 'was changed after it was written, or does not follow the line before (its checksum differs)' };
  };
}

/** The lines of a file that were written to their end: a last one without its line break was torn by a sudden end. None if there is no file. */
async function* wholeLines(path: string): AsyncGenerator<string> {
  let rest = '';
  try {
    // Not node:readline, which also breaks lines at characters that JSON leaves as they are.
    for await (const piece of createReadStream(path, { encoding: 'utf8', highWaterMark: 2 ** 20 }) as AsyncIterable<string>) {
      const lines = (rest + piece).split('\n');
      rest = lines.pop()!;
      yield* lines;
    }
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
  }
}

/** The lines of a file with what is to be thought of each; none if there is no file. */
export async function* checkedLines(path: string): AsyncGenerator<CheckedLine & { line: number; raw: string }> {
  const check = lineChecker();
  let line = 0;
  for await (const raw of wholeLines(path)) yield { line: ++line, raw, ...check(raw) };
}

export interface StoredLines<T> {
  /** Each line once. */
  rows: T[];
  /** In order; what they say is not among the rows. */
  damaged: DamagedLine[];
  /** The file holds these rows and nothing else. */
  isClean: boolean;
}

export interface ReadOptions {
  /** In words, why a value is no row. Lines of older versions have no checksums: of those, whatever is no row is passed over. */
  misfit: (value: unknown) => string | null;
  /** Where each row rests on the ones before it, those behind a damaged one are worth nothing. */
  untilDamaged?: boolean;
}

export async function readStoredLines<T>(path: string, { misfit, untilDamaged = false }: ReadOptions): Promise<StoredLines<T>> {
  const found: StoredLines<T> = { rows: [], damaged: [], isClean: true };
  for await (const checked of checkedLines(path)) {
    const value = checked.state === 'whole' ? rowOf(checked.text) : undefined;
    if (value !== undefined && misfit(value) === null) found.rows.push(value as T);
    else found.isClean = false;
    if (checked.state !== 'damaged') continue;
    found.damaged.push({ line: checked.line, problem: checked.problem });
    if (untilDamaged) break;
  }
  return found;
}

function rowOf(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

/** Takes out of a file what is damaged or stands there twice; tells what was damaged. A file that is whole is only read. */
export async function mendLines(path: string): Promise<DamagedLine[]> {
  const damaged: DamagedLine[] = [];
  let isClean = true;
  for await (const checked of checkedLines(path)) {
    isClean &&= checked.state === 'whole';
    if (checked.state === 'damaged') damaged.push({ line: checked.line, problem: checked.problem });
  }
  if (isClean) return [];
  const seal = lineSealer();
  async function* mended(): AsyncGenerator<string> {
    for await (const checked of checkedLines(path)) if (checked.state === 'whole') yield `${checked.text === checked.raw ? checked.raw : seal(checked.text)}\n`;
  }
  await writeFile(`${path}.unfinished`, mended(), { flush: true });
  await rename(`${path}.unfinished`, path);
  return damaged;
}
