/** @file Looking at what is there: JSON files, directories, with errors that name the path. */
import { access, readdir } from 'node:fs/promises';
import { isLfsPointer } from '../util/lfs-pointer.ts';
import { readRegularFile } from '../util/regular-file.ts';
import { errorCode, fileError, lfsPointerError, ModelError } from './errors.ts';

/** The largest of them are tokenizers, of some forty megabytes. */
const MAX_JSON_BYTES = 400e6;

export async function readJsonObject(path: string): Promise<Record<string, unknown>> {
  let text: string;
  try {
    text = await readRegularFile(path, { maxBytes: MAX_JSON_BYTES });
  } catch (error) {
    throw fileError(error, path);
  }
  if (isLfsPointer(Buffer.from(text))) throw lfsPointerError(path);
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    throw new ModelError('invalid', `${path} is not JSON: ${(error as Error).message}`, { fix: 'Restore or download the file again.', cause: error });
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    throw new ModelError('invalid', `${path} does not hold a JSON object`, { fix: 'Restore or download the file again.' });
  }
  return value as Record<string, unknown>;
}

export async function exists(path: string): Promise<boolean> {
  try {
    await access(path);
    return true;
  } catch (error) {
    if (errorCode(error) === 'ENOENT' || errorCode(error) === 'ENOTDIR') return false;
    throw fileError(error, path);
  }
}

/** By name, without the hidden ones; none when the directory itself is missing. */
export async function subdirectories(directory: string): Promise<string[]> {
  try {
    const entries = await readdir(directory, { withFileTypes: true });
    return entries.filter((entry) => entry.isDirectory() && !entry.name.startsWith('.')).map(({ name }) => name).sort();
  } catch (error) {
    if (errorCode(error) === 'ENOENT') return [];
    throw fileError(error, directory);
  }
}
