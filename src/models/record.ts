/** @file model.json: what is written down of a model. */
import { isAbsolute, join, relative, resolve, sep } from 'node:path';
import { readStored, storedJson } from '../util/stored-json.ts';
import { misfit, type Shape } from '../util/shape.ts';
import { writeTextDurably } from './durable.ts';
import { ModelError } from './errors.ts';
import { exists } from './files.ts';
import { changedFile, measureBase, type BaseFiles } from './onnx-base.ts';
import type { ModelRecord } from './types.ts';

/** Bases inside the project are stored relative to it, and the package's own by name: both may move. */
export interface BasePlaces {
  /** The project's `.rlrun` directory. */
  root: string;
  /** The package's own `models` directory. */
  builtins: string;
}

const formatVersion = 1;

type StoredRecord = ModelRecord & { version: number };

const recordShape: Shape<StoredRecord> = { version: 'a whole number', slug: 'a text', base: 'a text', baseRevision: 'a text?', createdAt: 'a date', baseDirectory: 'a text', train: 'an object', source: 'an object or null' };

const adapterShape: Shape<Omit<Extract<ModelRecord['train'], { method: 'lora' }>, 'method'>> = { rank: 'a whole number', alpha: 'a number', targets: 'a list', seed: 'a whole number' };

export const recordPath = (directory: string): string => join(directory, 'model.json');

/** Throws unless the file describes `slug` and its base is there, as it was. */
export async function readRecord(directory: string, { slug, ...places }: { slug: string } & BasePlaces): Promise<ModelRecord> {
  const path = recordPath(directory);
  const { version, baseFiles, ...record } = (await readStored(path, recordShape, { fix: 'Restore the file from a backup, or fork the model again under another name.' })) as StoredRecord & { baseFiles?: BaseFiles };
  const { method } = record.train as { method: unknown };
  const isTraining = method === 'full' || (method === 'lora' && misfit(record.train, adapterShape) === null);
  if (version !== formatVersion || record.slug !== slug || !isTraining) {
    throw new ModelError('invalid', `${path} does not describe model "${slug}" in a form that this version of rlrun reads`, { fix: 'Restore the file, or use the version of rlrun that wrote it.' });
  }
  const baseDirectory = await locateBase(record, places);
  const changed = baseFiles === undefined ? null : await changedFile(baseDirectory, baseFiles);
  if (changed !== null) {
    throw new ModelError('conflict', `the base of model "${slug}" is not what it was forked from: ${join(baseDirectory, changed)} has changed`, {
      fix: 'Put the old file back, or fork the base anew under another name: checkpoints fit the graph and the tokenizer that they were made with.',
    });
  }
  return { ...record, baseDirectory };
}

export async function writeRecord(directory: string, record: ModelRecord, places: BasePlaces): Promise<void> {
  const { baseDirectory } = record;
  await writeTextDurably(recordPath(directory), storedJson({ version: formatVersion, ...record, baseDirectory: storedBase(baseDirectory, places), baseFiles: await measureBase(baseDirectory) }));
}

async function locateBase({ slug, base, baseDirectory }: ModelRecord, { root, builtins }: BasePlaces): Promise<string> {
  const directory = baseDirectory.startsWith('builtin:') ? join(builtins, baseDirectory.slice('builtin:'.length)) : resolve(root, baseDirectory);
  if (!(await exists(join(directory, 'config.json')))) {
    throw new ModelError('not_found', `the base of model "${slug}" (${base}) is missing: ${directory}`, { fix: 'Put it back; the checkpoints alone do not hold the graph and the tokenizer.' });
  }
  return directory;
}

function storedBase(directory: string, { root, builtins }: BasePlaces): string {
  const builtin = relative(builtins, directory);
  if (!builtin.startsWith('..') && !isAbsolute(builtin)) return `builtin:${builtin}`;
  const inside = relative(root, directory);
  return inside.startsWith('..') || isAbsolute(inside) ? directory : inside.split(sep).join('/');
}
