/** @file A transformers.js directory as a whole: made beside its final place, then moved there, so that it is never half there. */
import { mkdir, stat } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { publishDirectory, removeDirectory, writeJsonDurably } from './durable.ts';
import { ModelError } from './errors.ts';

/**
 * Fills a temporary directory with `write` and renames it to `directory`, which must not exist yet. When `write` fails,
 * nothing is left.
 */
export async function createDirectory(directory: string, write: (temporary: string) => Promise<void>): Promise<void> {
  if ((await stat(directory).catch(() => null)) !== null) {
    throw new ModelError('conflict', `${directory} exists already`, { fix: 'Choose another directory, or remove this one first.' });
  }
  const temporary = join(dirname(directory), `.${basename(directory)}.${process.pid}.tmp`);
  await removeDirectory(temporary);
  try {
    await mkdir(temporary, { recursive: true });
    await write(temporary);
    await publishDirectory(temporary, directory);
  } catch (error) {
    await removeDirectory(temporary);
    throw error;
  }
}

/** Writes several JSON files, by name. */
export async function writeJsonFiles(directory: string, files: Readonly<Record<string, unknown>>): Promise<void> {
  for (const [name, content] of Object.entries(files)) await writeJsonDurably(join(directory, name), content);
}
