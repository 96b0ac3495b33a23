/** Writes that survive a crash: what has a final name is whole and on the disk. */
import { open, readdir, rename, rm, type FileHandle } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import writeFileAtomic from 'write-file-atomic';
import { errorCode, fileError } from './errors.ts';

/** Makes the entries of a directory (a new name, a rename) durable. Windows cannot sync directories and needs no such call. */
export async function syncDirectory(directory: string): Promise<void> {
  let handle;
  try {
    handle = await open(directory, 'r');
    await handle.sync();
  } catch (error) {
    if (!['EPERM', 'EISDIR', 'EINVAL', 'EACCES', 'ENOTSUP'].includes(errorCode(error) ?? '')) throw fileError(error, directory);
  } finally {
    await handle?.close();
  }
}

/** Replaces a file: readers see the old text or the new, also after a power cut. */
export async function writeTextDurably(path: string, text: string): Promise<void> {
  try {
    await writeFileAtomic(path, text);
  } catch (error) {
    throw fileError(error, path);
  }
  await syncDirectory(dirname(path));
}

/** Pretty JSON with a final newline. */
export const jsonText = (value: unknown): string => `${JSON.stringify(value, null, 2)}\n`;

export function writeJsonDurably(path: string, value: unknown): Promise<void> {
  return writeTextDurably(path, jsonText(value));
}

/** Gives a finished directory its final name, once everything inside is durable. */
export async function publishDirectory(temporary: string, final: string): Promise<void> {
  try {
    await syncTree(temporary);
    await rename(temporary, final);
  } catch (error) {
    throw fileError(error, final);
  }
  await syncDirectory(dirname(final));
}

async function syncTree(directory: string): Promise<void> {
  const entries = await readdir(directory, { withFileTypes: true });
  await Promise.all(entries.map(async (entry) => {
    const path = join(directory, entry.name);
    if (entry.isDirectory()) return syncTree(path);
    await using file = await open(path, 'r+');
    await file.sync();
  }));
  await syncDirectory(directory);
}

export function removeDirectory(directory: string): Promise<void> {
  return rm(directory, { recursive: true, force: true, maxRetries: 3 });
}

/** Node reads and writes at most 2 GiB in one call. */
export const maxTransferBytes = 2 ** 30;

/** Writes all parts, one behind the other, at the file's current position: in as few calls as the limit allows, since each waits for the event loop. */
export async function writeAll(file: FileHandle, parts: readonly Uint8Array[]): Promise<void> {
  for (const batch of batchesOf(parts)) {
    let left = batch;
    while (left.length > 0) left = behind(left, (await file.writev(left)).bytesWritten);
  }
}

/** Parts in groups of at most `maxTransferBytes`; a part that is longer is cut. */
function batchesOf(parts: readonly Uint8Array[]): Uint8Array[][] {
  const batches: Uint8Array[][] = [];
  let room = 0;
  for (const part of parts) {
    for (let at = 0; at < part.byteLength; ) {
      if (room === 0) { batches.push([]); room = maxTransferBytes; }
      const piece = part.subarray(at, at + room);
      batches.at(-1)!.push(piece);
      at += piece.byteLength;
      room -= piece.byteLength;
    }
  }
  return batches;
}

/** What is left of the parts once their first `count` bytes are gone. */
function behind(parts: readonly Uint8Array[], count: number): Uint8Array[] {
  let gone = count;
  return parts.flatMap((part) => {
    const rest = part.subarray(Math.min(gone, part.byteLength));
    gone -= part.byteLength - rest.byteLength;
    return rest.byteLength > 0 ? [rest] : [];
  });
}
