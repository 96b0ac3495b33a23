/**
 * Reading what a path names, if that is a file. A pipe has no end until somebody closes it and a device may have none at all: whoever
 * reads one waits for ever, or until memory is full.
 */
import { type Stats, statSync } from 'node:fs';
import { readFile } from 'node:fs/promises';

export class NotAFile extends Error {
  readonly kind = 'usage';
  /** As `node:fs` has one: a folder is refused there too. */
  readonly code: 'EISDIR' | 'ENOTFILE' | 'EFBIG';
  readonly path: string;
  /** `is a pipe and no file` */
  readonly what: string;
  readonly fix = 'Name a plain file.';

  constructor(path: string, code: NotAFile['code'], what: string) {
    super(`${path} ${what}`);
    this.code = code;
    this.path = path;
    this.what = what;
  }
}

export interface ReadLimit {
  /** Of files that are small by nature. */
  maxBytes?: number;
}

/** Throws a `NotAFile`, or as `node:fs` does. Links are followed. */
export function checkRegularFile(path: string, { maxBytes = Number.POSITIVE_INFINITY }: ReadLimit = {}): void {
  const stats = statSync(path);
  if (stats.isDirectory()) throw new NotAFile(path, 'EISDIR', 'is a folder and no file');
  if (!stats.isFile()) throw new NotAFile(path, 'ENOTFILE', `is ${natureOf(stats)} and no file`);
  if (stats.size > maxBytes) throw new NotAFile(path, 'EFBIG', `has ${megabytes(stats.size)} MB; such a file has at most ${megabytes(maxBytes)} MB`);
}

const natureOf = (stats: Stats): string => (stats.isFIFO() ? 'a pipe' : stats.isSocket() ? 'a socket' : 'a device');
const megabytes = (bytes: number): string => (bytes / 1e6).toLocaleString('en-US', { maximumFractionDigits: 1 });

/** UTF-8 text. Rejects with a `NotAFile`, or as `node:fs` does. */
export async function readRegularFile(path: string, limit: ReadLimit = {}): Promise<string> {
  checkRegularFile(path, limit);
  return readFile(path, 'utf8');
}
