/**
 * JSON that rlrun writes and reads back. The last key of each is `crc32`, the checksum of the rest: a bit that changed on the disk is
 * noticed, and other tools read the file as they always did. What has no such key (files of older versions) is believed if it has the right shape.
 */
import { crc32 } from 'node:zlib';
import { readRegularFile } from './regular-file.ts';
import { isObject, misfit, type Shape } from './shape.ts';

/** CRC-32 in hexadecimal digits, going on from that of what came before. */
export const checksum = (text: string, before = ''): string => crc32(text, before === '' ? 0 : Number.parseInt(before, 16)).toString(16).padStart(8, '0');

/** Pretty, with a final newline. */
export const storedJson = (value: object): string => `${JSON.stringify({ ...value, crc32: checksum(JSON.stringify(value)) }, null, 2)}\n`;

/** A file of rlrun's own that is not as it was written. */
export class DamagedFile extends Error {
  readonly kind = 'invalid';
  readonly fix: string;

  constructor(message: string, fix: string) {
    super(message);
    this.fix = fix;
  }
}

export type Parsed<T> = { ok: true; value: T } | { ok: false; problem: string };

/** The value without its checksum, or what is wrong with it. Its layout does not count: editors may have changed that. */
export function parseStored<T extends object>(text: string, shape: Shape<T>): Parsed<T> {
  let stored: unknown;
  try {
    stored = JSON.parse(text);
  } catch (error) {
    return { ok: false, problem: `it is not JSON: ${(error as Error).message}` };
  }
  if (!isObject(stored)) return { ok: false, problem: 'it does not hold an object' };
  const { crc32: expected, ...value } = stored;
  if (expected !== undefined && checksum(JSON.stringify(value)) !== expected) return { ok: false, problem: 'it was changed after it was written (its checksum differs)' };
  const wrong = misfit(value, shape);
  return wrong === null ? { ok: true, value: value as T } : { ok: false, problem: wrong };
}

/** No file of this kind comes near it. */
const MAX_BYTES = 64 * 2 ** 20;

/** Reads such a file; throws a `DamagedFile`, or as `node:fs` does. */
export async function readStored<T extends object>(path: string, shape: Shape<T>, { fix }: { fix: string }): Promise<T> {
  const parsed = parseStored(await readRegularFile(path, { maxBytes: MAX_BYTES }), shape);
  if (!parsed.ok) throw new DamagedFile(`${path} is damaged: ${parsed.problem}`, fix);
  return parsed.value;
}
