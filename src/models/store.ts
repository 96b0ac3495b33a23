/** @file All models of a project: what can be forked, and what has been. */
import { randomUUID } from 'node:crypto';
import { constants } from 'node:fs';
import { copyFile, mkdir } from 'node:fs/promises';
import { isAbsolute, join, relative, resolve, sep } from 'node:path';
import { closest, distance } from 'fastest-levenshtein';
import { sealCheckpoint, weightsFile } from './checkpoint-files.ts';
import { publishDirectory, removeDirectory, writeJsonDurably, writeTextDurably } from './durable.ts';
import { errorCode, fileError, ModelError } from './errors.ts';
import { exists, readJsonObject, subdirectories } from './files.ts';
import type { HubOptions } from './hub.ts';
import { listBuiltins, listModels, listSnapshots, type ModelListing } from './listing.ts';
import { bakedOrigin, baseName, originInBase, originInModel, type StartingCheckpoint } from './origin.ts';
import { checkSlug, parseSource, type ModelSource } from './sources.ts';
import { StoredModel, type Injected } from './stored-model.ts';
import type { Checkpoint, ModelRecord } from './types.ts';

export interface StoreOptions extends Partial<Injected> {
  /** The project's `.rlrun` directory. */
  root: string;
  /** The package's own `models` directory. */
  builtins: string;
  /** What relative source paths belong to. */
  cwd: string;
  hub?: Omit<HubOptions, 'cacheDirectory' | 'signal' | 'dryRun'>;
  /** Where snapshots of the Hub are kept; default: inside `root`. */
  hubCache?: string;
}

export interface ForkOptions {
  /** `builtin:…`, `hub:org/name[@revision]`, a directory, `slug` or `slug@checkpoint`. */
  source: string;
  slug: string;
  /** Default: as the source model is trained, or full. */
  train?: ModelRecord['train'];
  /** A model of that name and origin is returned as it is. */
  ifNotExists?: boolean;
  /** Says what would be made, and whether it can be; writes nothing and downloads nothing. */
  dryRun?: boolean;
  signal?: AbortSignal;
}

export interface ForkResult {
  record: ModelRecord;
  /** False when it existed (`ifNotExists`) or was not to be made (`dryRun`). */
  created: boolean;
}

export interface ModelStore {
  /** Models first, then bases; both by name. */
  list(): Promise<ModelListing[]>;
  fork(options: ForkOptions): Promise<ForkResult>;
  model(slug: string): Promise<StoredModel>;
  /** What a model was forked from, as a person would write it. */
  originOf(record: ModelRecord): Promise<string>;
}

const formatVersion = 1;

export function openStore(options: StoreOptions): ModelStore {
  return new Store(options);
}

class Store implements ModelStore {
  readonly #options: StoreOptions;
  readonly #injected: Injected;

  constructor(options: StoreOptions) {
    this.#options = options;
    this.#injected = { now: options.now ?? (() => new Date()), newId: options.newId ?? randomUUID };
  }

  get #models(): string {
    return join(this.#options.root, 'models');
  }
  get #hubCache(): string {
    return this.#options.hubCache ?? join(this.#options.root, 'hub');
  }

  async list(): Promise<ModelListing[]> {
    const models = await listModels(this.#models, (slug) => this.model(slug));
    const builtins = await listBuiltins(this.#options.builtins);
    return [...models, ...builtins, ...(await listSnapshots(this.#hubCache))];
  }

  async model(slug: string): Promise<StoredModel> {
    const directory = join(this.#models, checkSlug(slug));
    const path = join(directory, 'model.json');
    if (!(await exists(path))) {
      const others = await subdirectories(this.#models);
      const nearest = others.length === 0 ? null : closest(slug, others);
      const fix = nearest !== null && distance(nearest, slug) <= 3 ? `Did you mean "${nearest}"?` : others.length === 0 ? 'Fork one first: rlrun models fork SOURCE --name NAME.' : `There are ${others.join(', ')}.`;
      throw (await exists(directory))
        ? new ModelError('invalid', `model "${slug}" is damaged: ${path} is missing`, { fix: 'Restore the file from a backup, or remove the directory.' })
        : new ModelError('not_found', `there is no model "${slug}"`, { fix });
    }
    const stored = await readJsonObject(path);
    const { version, ...record } = stored as unknown as ModelRecord & { version: number };
    if (version !== formatVersion || record.slug !== slug || typeof record.baseDirectory !== 'string') {
      throw new ModelError('invalid', `${path} does not describe model "${slug}" in a form that this version of rlrun reads`, { fix: 'Restore the file, or use the version of rlrun that wrote it.' });
    }
    return StoredModel.open({ record: { ...record, baseDirectory: await this.#locateBase(record) }, directory, ...this.#injected });
  }

  /** Bases inside the project are stored relative to it, and the package's own by name: both may move. */
  async #locateBase({ slug, base, baseDirectory }: ModelRecord): Promise<string> {
    const directory = baseDirectory.startsWith('builtin:') ? join(this.#options.builtins, baseDirectory.slice('builtin:'.length)) : resolve(this.#options.root, baseDirectory);
    if (!(await exists(join(directory, 'config.json')))) {
      throw new ModelError('not_found', `the base of model "${slug}" (${base}) is missing: ${directory}`, { fix: 'Put it back; the checkpoints alone do not hold the graph and the tokenizer.' });
    }
    return directory;
  }

  #storedBase(directory: string): string {
    const builtin = relative(this.#options.builtins, directory);
    if (!builtin.startsWith('..') && !isAbsolute(builtin)) return `builtin:${builtin}`;
    const inside = relative(this.#options.root, directory);
    return inside.startsWith('..') || isAbsolute(inside) ? directory : inside.split(sep).join('/');
  }

  async fork({ source: text, slug, train, ifNotExists = false, dryRun = false, signal }: ForkOptions): Promise<ForkResult> {
    checkSlug(slug);
    const source = parseSource(text, { cwd: this.#options.cwd });
    const directory = join(this.#models, slug);
    if (await exists(directory)) return { record: await this.#existing(slug, text, source, { train, ifNotExists }), created: false };

    const options = { builtins: this.#options.builtins, bases: join(this.#options.root, 'bases'), hub: { ...this.#options.hub, cacheDirectory: this.#hubCache }, dryRun, signal };
    const origin = source.kind === 'model' ? await originInModel(await this.model(source.slug), source.checkpoint) : await originInBase(text, source, options);
    const asked = train ?? origin.train;
    const start = origin.checkpoint !== null && !sameTraining(asked, origin.train) ? await bakedOrigin(origin, origin.checkpoint, options) : origin;
    const record: ModelRecord = {
      slug,
      base: origin.base,
      createdAt: this.#injected.now().toISOString(),
      baseDirectory: start.baseDirectory,
      train: asked,
      source: origin.checkpoint === null ? null : { slug: origin.checkpoint.model.slug, checkpoint: origin.checkpoint.id },
    };
    if (!dryRun) await this.#create(record, directory, start.checkpoint);
    return { record, created: !dryRun };
  }

  /** The model that has the name already, if it is what was asked for. */
  async #existing(slug: string, text: string, source: ModelSource, { train, ifNotExists }: { train: ModelRecord['train'] | undefined; ifNotExists: boolean }): Promise<ModelRecord> {
    if (!ifNotExists) {
      throw new ModelError('conflict', `there is a model "${slug}" already`, { fix: 'Choose another name, or add --if-not-exists to go on with it.' });
    }
    const { record } = await this.model(slug);
    const otherName = 'Choose another name for the new fork, or remove the old model.';
    const isSame = source.kind === 'model' ? record.source?.slug === source.slug || source.slug === slug : record.source === null && record.base === baseName(text, source);
    if (!isSame) throw new ModelError('conflict', `model "${slug}" was forked from ${await this.originOf(record)}, not from ${text}`, { fix: otherName });
    if (train !== undefined && !sameTraining(train, record.train)) {
      throw new ModelError('conflict', `model "${slug}" is trained with ${describeTraining(record.train)}, not ${describeTraining(train)}`, { fix: otherName });
    }
    return record;
  }

  async originOf({ base, source }: ModelRecord): Promise<string> {
    if (source === null) return base;
    // The source may be gone, or its checkpoint deleted by hand.
    const checkpoint = await this.model(source.slug).then((model) => model.find(source.checkpoint)).catch(() => null);
    return `${source.slug}@${checkpoint?.name ?? source.checkpoint}`;
  }

  /** Made beside its place and renamed, so that half a model never has a name. */
  async #create(record: ModelRecord, directory: string, checkpoint: StartingCheckpoint | null): Promise<void> {
    const temporary = join(this.#models, `.tmp-${record.slug}-${this.#injected.newId()}`);
    try {
      await mkdir(join(temporary, 'checkpoints'), { recursive: true });
      await writeJsonDurably(join(temporary, 'model.json'), { version: formatVersion, ...record, baseDirectory: this.#storedBase(record.baseDirectory) });
      const start = checkpoint === null ? null : await this.#copyCheckpoint(checkpoint, join(temporary, 'checkpoints'));
      await writeTextDurably(join(temporary, 'head'), start === null ? 'base\n' : `${start.id} ${start.name}\n`);
      await publishDirectory(temporary, directory);
    } catch (error) {
      await removeDirectory(temporary).catch(() => {});
      const taken = error instanceof ModelError && ['ENOTEMPTY', 'EEXIST', 'EPERM'].includes(errorCode(error.cause) ?? '') && (await exists(directory));
      if (taken) throw new ModelError('conflict', `another process has just made model "${record.slug}"`, { fix: 'Run again.', cause: error });
      throw errorCode(error) === undefined ? error : fileError(error, directory);
    }
  }

  /** The weights a fork starts from are its own copy, so that pruning the source cannot take them away. Moments start anew. */
  async #copyCheckpoint({ model, id }: StartingCheckpoint, checkpoints: string): Promise<Checkpoint> {
    const from = await model.verifiedDirectory(id);
    const { hashes } = await model.find(id);
    const name = 'step-000000';
    const directory = join(checkpoints, name);
    await mkdir(directory);
    await copyFile(join(from, weightsFile), join(directory, weightsFile), constants.COPYFILE_FICLONE);
    return sealCheckpoint(directory, {
      id: this.#injected.newId(), name, parent: null, step: 0, createdAt: this.#injected.now().toISOString(),
      traces: 0, datums: 0, tokens: 0, meanReward: null, learningRate: null, loss: null, metrics: {}, jobId: null, hashes,
    });
  }
}

const sameTraining = (a: ModelRecord['train'], b: ModelRecord['train']): boolean =>
  a.method === 'full' || b.method === 'full' ? a.method === b.method : a.rank === b.rank && a.alpha === b.alpha && a.targets.toSorted().join() === b.targets.toSorted().join();

const describeTraining = (train: ModelRecord['train']): string =>
  train.method === 'full' ? 'all weights' : `LoRA (rank ${train.rank}, alpha ${train.alpha}, ${train.targets.join(', ')})`;
