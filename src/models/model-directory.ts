/** @file A transformers.js directory as a whole: made beside its final place, then moved there, so that it is never half there. */
import { rename } from 'node:fs/promises';
import { join } from 'node:path';
import { makeFolder } from '../util/make-folder.ts';
import { publishDirectory, removeDirectory, writeJsonDurably } from './durable.ts';
import { errorCode, fileError, ModelError } from './errors.ts';
import { exists } from './files.ts';
import { nameBeside, sweepBeside } from './leftovers.ts';

export interface CreateOptions {
  /** What to do when the directory is there, or another process makes it meanwhile. `take`: both made the same, so either will do. */
  whenThere?: 'refuse' | 'take';
  /** Takes away what was there, which lies aside by then; only given for a directory that may be replaced. */
  removeOld?: (old: string) => Promise<unknown>;
}

/** Fills a temporary directory with `write` and renames it to `directory`. When `write` fails, everything is as before. */
export async function createDirectory(directory: string, write: (temporary: string) => Promise<void>, { whenThere = 'refuse', removeOld }: CreateOptions = {}): Promise<void> {
  const isTaken = async (): Promise<boolean> => removeOld === undefined && (await exists(directory));
  const taken = (): ModelError => new ModelError('conflict', `${directory} exists already`, { fix: 'Choose another directory, or replace this one with --force.' });
  await sweepBeside(directory, { removeOld });
  if (await isTaken()) {
    if (whenThere === 'take') return;
    throw taken();
  }
  const temporary = nameBeside(directory, 'tmp');
  try {
    await makeFolder(temporary);
    await write(temporary);
    if (removeOld !== undefined && (await exists(directory))) await replace(directory, temporary, removeOld);
    else await publishDirectory(temporary, directory);
  } catch (error) {
    await removeDirectory(temporary);
    if (error instanceof ModelError && nameTaken.has(errorCode(error.cause) ?? '') && (await isTaken())) {
      if (whenThere === 'take') return;
      throw taken();
    }
    throw errorCode(error) === undefined ? error : fileError(error, directory);
  }
}

/** What renaming to a name says that is taken, on one system or another. */
export const nameTaken: ReadonlySet<string> = new Set(['ENOTEMPTY', 'EEXIST', 'EPERM']);

async function replace(directory: string, temporary: string, removeOld: (old: string) => Promise<unknown>): Promise<void> {
  const old = nameBeside(directory, 'old');
  await rename(directory, old);
  try {
    await publishDirectory(temporary, directory);
  } catch (error) {
    await rename(old, directory);
    throw error;
  }
  await removeOld(old);
}

/** Writes several JSON files, by name. */
export async function writeJsonFiles(directory: string, files: Readonly<Record<string, unknown>>): Promise<void> {
  for (const [name, content] of Object.entries(files)) await writeJsonDurably(join(directory, name), content);
}
