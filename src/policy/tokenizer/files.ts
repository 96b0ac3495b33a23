/** @file The files of a model directory that its tokenizer is made of. */
import { join } from 'node:path';
import { readRegularFile } from '../../util/regular-file.ts';

export type Json = Record<string, unknown>;

/** Null where there is no such file. */
export const readText = (path: string): Promise<string | null> => readRegularFile(path).catch(() => null);

/** Null where there is no such file. @throws Error naming a file that is broken. */
export async function readJson(path: string): Promise<Json | null> {
  const text = await readText(path);
  if (text === null) return null;
  try {
    const value: unknown = JSON.parse(text);
    if (typeof value !== 'object' || value === null) throw new Error('it holds no object');
    return value as Json;
  } catch (error) {
    throw new Error(`${path} is not usable JSON: ${error instanceof Error ? error.message : String(error)}; restore or download the file again`, { cause: error });
  }
}

/** @throws Error naming the missing or broken file. */
export async function requireJson(directory: string, file: string): Promise<Json> {
  const path = join(directory, file);
  const value = await readJson(path);
  if (value === null) throw new Error(`${path} cannot be read; a model directory needs tokenizer.json and tokenizer_config.json`);
  return value;
}
