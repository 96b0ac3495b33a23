/** @file Where a fork starts: a base that is found, downloaded, converted or made, or a checkpoint of another model. */
import { stat } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { fingerprint, requireTrainable } from './base.ts';
import { ModelError } from './errors.ts';
import { bakeBase } from './export/index.ts';
import { exists, subdirectories } from './files.ts';
import type { HubOptions } from './hub.ts';
import { importSafetensors } from './import-safetensors.ts';
import { requireFiniteWeights } from './onnx-base.ts';
import { randomBase } from './random-model.ts';
import type { ModelSource } from './sources.ts';
import type { StoredModel } from './stored-model.ts';
import type { ModelRecord } from './types.ts';

export interface Origin {
  base: string;
  baseRevision?: string;
  baseDirectory: string;
  train: ModelRecord['train'];
  checkpoint: StartingCheckpoint | null;
}

export interface StartingCheckpoint {
  model: StoredModel;
  id: string;
}

export type BaseSource = Exclude<ModelSource, { kind: 'model' }>;

export interface BaseOptions {
  /** The package's own `models` directory. */
  builtins: string;
  /** Where bases that are converted or made are kept. */
  bases: string;
  hub: Omit<HubOptions, 'signal' | 'dryRun'>;
  dryRun: boolean;
  signal: AbortSignal | undefined;
}

const fullTraining: ModelRecord['train'] = { method: 'full' };

/** A checkpoint of another model, by id or name; null is the head. */
export async function originInModel(model: StoredModel, reference: string | null): Promise<Origin> {
  const { base, baseRevision, baseDirectory, train } = model.record;
  const checkpoint = reference === null ? await model.head() : await model.find(reference);
  if (checkpoint !== null) model.stateDirectory(checkpoint.id);
  return { base, ...(baseRevision === undefined ? {} : { baseRevision }), baseDirectory, train, checkpoint: checkpoint === null ? null : { model, id: checkpoint.id } };
}

/** A checkpoint whose weights are trained in another way from now on becomes a base of its own. */
export async function bakedOrigin(origin: Origin, { model, id }: StartingCheckpoint, { bases, dryRun }: Pick<BaseOptions, 'bases' | 'dryRun'>): Promise<Origin> {
  const { name } = await model.find(id);
  const baseDirectory = join(bases, `${model.slug}-${name}-${id.slice(0, 8)}`);
  if (!dryRun && !(await exists(baseDirectory))) await bakeBase({ model, checkpoint: id, directory: baseDirectory });
  return { base: `${model.slug}@${name}`, baseDirectory, train: origin.train, checkpoint: null };
}

/** A base; `text` is how the user wrote it. */
export async function originInBase(text: string, source: BaseSource, options: BaseOptions): Promise<Origin> {
  const base = baseName(text, source);
  if (source.kind === 'config') return { base, baseDirectory: await randomBase(source.path, { into: options.bases, dryRun: options.dryRun, signal: options.signal }), train: fullTraining, checkpoint: null };
  const directory = await directoryOfSource(source, options);
  // A snapshot's directory is named after its commit.
  const revision = source.kind === 'hub' ? { baseRevision: basename(directory) } : {};
  return { base, ...revision, baseDirectory: await graphDirectory(text, { source, directory }, options), train: fullTraining, checkpoint: null };
}

/** How a record names its base: as the user wrote it, but with an absolute path. */
export const baseName = (text: string, source: BaseSource): string => (source.kind === 'directory' ? source.path : source.kind === 'config' ? `config:${source.path}` : text);

/** A transformers.js directory for what lies in `directory`: itself, or what it is converted to. */
async function graphDirectory(text: string, { source, directory }: { source: Exclude<BaseSource, { kind: 'config' }>; directory: string }, { bases, dryRun, signal }: BaseOptions): Promise<string> {
  if (source.kind === 'hub' && dryRun) return directory;
  const { format } = await requireTrainable(directory, text);
  if (format === 'onnx') {
    if (!dryRun && source.kind !== 'builtin') requireFiniteWeights(directory);
    return directory;
  }
  const name = source.kind === 'hub' ? source.repository.replace('/', '--') : basename(directory);
  const converted = join(bases, `${name}-${(await fingerprint(directory)).slice(0, 12)}`);
  if (!dryRun && !(await exists(converted))) await importSafetensors({ source: directory, target: converted, ...(signal === undefined ? {} : { signal }) });
  return converted;
}

async function directoryOfSource(source: Exclude<BaseSource, { kind: 'config' }>, { builtins, hub, dryRun, signal }: BaseOptions): Promise<string> {
  switch (source.kind) {
    case 'builtin': {
      const directory = join(builtins, source.name);
      if (await exists(directory)) return directory;
      throw new ModelError('not_found', `there is no built-in model "${source.name}"`, { fix: `There are ${(await subdirectories(builtins)).join(', ') || 'none'}.` });
    }
    case 'hub': {
      // Loaded when needed: the Hub's library would slow down every start.
      const { downloadSnapshot } = await import('./hub.ts');
      return (await downloadSnapshot(source.repository, source.revision, { ...hub, dryRun, ...(signal === undefined ? {} : { signal }) })).directory;
    }
    case 'directory':
      if ((await stat(source.path).catch(() => null))?.isDirectory() === true) return source.path;
      throw new ModelError('not_found', `${source.path} is no directory`, { fix: 'Check the path. Built-in models are written builtin:NAME, models of the Hub hub:ORG/NAME.' });
  }
}
