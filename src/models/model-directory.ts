/** @file A transformers.js directory as a whole: made beside its final place, then moved there, so that it is never half there. */
import { mkdir, rename } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { publishDirectory, removeDirectory, writeJsonDurably } from './durable.ts';
import { errorCode, fileError, ModelError } from './errors.ts';
import { exists } from './files.ts';

/**
 * Fills a temporary directory with `write` and renames it to `directory`, which must not exist yet unless it may be replaced.
 * When `write` fails, everything is as before.
 */
export async function createDirectory(directory: string, write: (temporary: string) => Promise<void>, { replace = false }: { replace?: boolean } = {}): Promise<void> {
  if (!replace && (await exists(directory))) {
    throw new ModelError('conflict', `${directory} exists already`, { fix: 'Choose another directory, or replace this one with --force.' });
  }
  const beside = (suffix: string): string => join(dirname(directory), `.${basename(directory)}.${process.pid}.${suffix}`);
  const temporary = beside('tmp');
  await removeDirectory(temporary);
  try {
    await mkdir(temporary, { recursive: true });
    await write(temporary);
    if (!replace) return await publishDirectory(temporary, directory);
    const old = beside('old');
    await rename(directory, old);
    await publishDirectory(temporary, directory);
    await removeDirectory(old);
  } catch (error) {
    await removeDirectory(temporary);
    throw errorCode(error) === undefined ? error : fileError(error, directory);
  }
}

/** Writes several JSON files, by name. */
export async function writeJsonFiles(directory: string, files: Readonly<Record<string, unknown>>): Promise<void> {
  for (const [name, content] of Object.entries(files)) await writeJsonDurably(join(directory, name), content);
}
