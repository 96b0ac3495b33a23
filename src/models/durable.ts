/** Writes that survive a crash: what has a final name is whole and on the disk. */
import { open, rename, rm, type FileHandle } from 'node:fs/promises';
import { dirname } from 'node:path';
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

export async function syncFile(path: string): Promise<void> {
  await using file = await open(path, 'r+');
  await file.sync();
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

/** Pretty JSON with a final newline, replaced as a whole. */
export function writeJsonDurably(path: string, value: unknown): Promise<void> {
  return writeTextDurably(path, `${JSON.stringify(value, null, 2)}\n`);
}

/** Gives a finished directory its final name. Files inside must be synced by whoever wrote them. */
export async function publishDirectory(temporary: string, final: string): Promise<void> {
  await syncDirectory(temporary);
  try {
    await rename(temporary, final);
  } catch (error) {
    throw fileError(error, final);
  }
  await syncDirectory(dirname(final));
}

export function removeDirectory(directory: string): Promise<void> {
  return rm(directory, { recursive: true, force: true, maxRetries: 3 });
}

/** Node reads and writes at most 2 GiB in one call. */
export const maxTransferBytes = 2 ** 30;

/** Writes all of `bytes` at the file's current position. */
export async function writeAll(file: FileHandle, bytes: Uint8Array): Promise<void> {
  for (let done = 0; done < bytes.byteLength; ) {
    done += (await file.write(bytes, done, Math.min(maxTransferBytes, bytes.byteLength - done))).bytesWritten;
  }
}
