/** @file All models of a project: what can be forked, and what has been. */
import { randomUUID } from 'node:crypto';
import { join } from 'node:path';
import { closest, distance } from 'fastest-levenshtein';
import { ModelError } from './errors.ts';
import { exists, subdirectories } from './files.ts';
import type { HubOptions } from './hub.ts';
import { listBuiltins, listModels, listSnapshots, type ModelListing } from './listing.ts';
import { createModel, NameTaken } from './new-model.ts';
import { bakedOrigin, baseName, originInBase, originInModel } from './origin.ts';
import { readRecord, recordPath } from './record.ts';
import { checkSlug, parseSource, type ModelSource } from './sources.ts';
import { StoredModel, type Injected } from './stored-model.ts';
import type { ModelRecord } from './types.ts';

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
  /** Throws where a model of this base could not be used: nothing is forked then. */
  judgeBase?: (directory: string) => Promise<void>;
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
    if (!(await exists(recordPath(directory)))) throw await this.#missing(slug, directory);
    const { root, builtins } = this.#options;
    return new StoredModel({ record: await readRecord(directory, { slug, root, builtins }), directory, ...this.#injected });
  }

  async #missing(slug: string, directory: string): Promise<ModelError> {
    const others = await subdirectories(this.#models);
    const nearest = others.length === 0 ? null : closest(slug, others);
    const fix = nearest !== null && distance(nearest, slug) <= 3 ? `Did you mean "${nearest}"?` : others.length === 0 ? 'Fork one first: rlrun models fork SOURCE --name NAME.' : `There are ${others.join(', ')}.`;
    return (await exists(directory))
      ? new ModelError('invalid', `model "${slug}" is damaged: ${recordPath(directory)} is missing`, { fix: 'Restore the file from a backup, or remove the directory.' })
      : new ModelError('not_found', `there is no model "${slug}"`, { fix });
  }

  async fork({ source: text, slug, train, ifNotExists = false, dryRun = false, signal }: ForkOptions): Promise<ForkResult> {
    checkSlug(slug);
    const source = parseSource(text, { cwd: this.#options.cwd });
    const directory = join(this.#models, slug);
    if (await exists(directory)) return { record: await this.#existing(slug, text, source, { train, ifNotExists }), created: false };

    const { root, builtins, hub } = this.#options;
    const options = { builtins, bases: join(root, 'bases'), hub: { ...hub, cacheDirectory: this.#hubCache }, dryRun, signal };
    const origin = source.kind === 'model' ? await originInModel(await this.model(source.slug), source.checkpoint) : await originInBase(text, source, options);
    const asked = train ?? origin.train;
    const start = origin.checkpoint !== null && !sameTraining(asked, origin.train) ? await bakedOrigin(origin, origin.checkpoint, options) : origin;
    if (!dryRun) await this.#options.judgeBase?.(start.baseDirectory);
    const record: ModelRecord = {
      slug,
      base: start.base,
      ...(start.baseRevision === undefined ? {} : { baseRevision: start.baseRevision }),
      createdAt: this.#injected.now().toISOString(),
      baseDirectory: start.baseDirectory,
      train: asked,
      source: origin.checkpoint === null ? null : { slug: origin.checkpoint.model.slug, checkpoint: origin.checkpoint.id },
    };
    if (dryRun) return { record, created: false };
    try {
      await createModel(record, { directory, checkpoint: start.checkpoint, root, builtins, ...this.#injected });
    } catch (error) {
      if (!(error instanceof NameTaken && ifNotExists)) throw error;
      return { record: await this.#existing(slug, text, source, { train, ifNotExists }), created: false };
    }
    return { record, created: true };
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
}

const sameTraining = (a: ModelRecord['train'], b: ModelRecord['train']): boolean =>
  a.method === 'full' || b.method === 'full' ? a.method === b.method : a.rank === b.rank && a.alpha === b.alpha && a.targets.toSorted().join() === b.targets.toSorted().join();

const describeTraining = (train: ModelRecord['train']): string =>
  train.method === 'full' ? 'all weights' : `LoRA (rank ${train.rank}, alpha ${train.alpha}, ${train.targets.join(', ')})`;
