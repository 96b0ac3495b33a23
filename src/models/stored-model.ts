/** @file A forked model on disk: its record, its checkpoint tree and its head. */
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { makeFolder } from '../util/make-folder.ts';
import { readRegularFile } from '../util/regular-file.ts';
import { contentProblem, deleteState, readCheckpoint, readCheckpoints, sealCheckpoint, sizeProblem, temporaryPrefix, type CheckpointScan, type StoredCheckpoint } from './checkpoint-files.ts';
import { diffWeights, type DiffSide, type WeightsDiff } from './diff.ts';
import { publishDirectory, removeDirectory, writeTextDurably } from './durable.ts';
import { errorCode, fileError, ModelError } from './errors.ts';
import { lockModel, type ModelLock } from './lock.ts';
import { beyondBytes, beyondNewest, pruningOf, type Pruning } from './retention.ts';
import type { Checkpoint, ModelRecord } from './types.ts';

/** A checkpoint before it has an id, a name and a date. */
export type CheckpointDraft = Omit<Checkpoint, 'id' | 'name' | 'createdAt'>;

export interface Injected {
  now: () => Date;
  newId: () => string;
}

/** What the store calls checkpoints, so that no other text becomes a path. */
const checkpointName = /^step-\d{6,}(-\d+)?$/;
const checkpointsDirectory = 'checkpoints';
const headFile = 'head';
/** What the head file says while the model is as it was forked. */
const baseHead = 'base';

/** Null: the model as it was forked. */
export const writeHead = (directory: string, checkpoint: Pick<Checkpoint, 'id' | 'name'> | null): Promise<void> =>
  writeTextDurably(join(directory, headFile), checkpoint === null ? `${baseHead}\n` : `${checkpoint.id} ${checkpoint.name}\n`);

/**
 * Reading needs no lock: everything is replaced by renaming. Writing takes the model's lock for the moment of writing,
 * or once for long with `lock`.
 */
export class StoredModel {
  readonly record: ModelRecord;
  readonly directory: string;
  readonly #injected: Injected;
  #lock: ModelLock | null = null;
  /** By id, oldest first, as last read. */
  #known = new Map<string, StoredCheckpoint>();
  #problems: CheckpointScan['problems'] = [];

  constructor({ record, directory, ...injected }: { record: ModelRecord; directory: string } & Injected) {
    this.record = record;
    this.directory = directory;
    this.#injected = injected;
  }

  get slug(): string {
    return this.record.slug;
  }

  // ---- reading ---------------------------------------------------------------------------------------------------

  /** All checkpoints that can be read, oldest first, and what is wrong with the others. */
  async scan(): Promise<CheckpointScan> {
    return this.#scan();
  }

  #scan(): CheckpointScan {
    // Under our own lock nobody else writes: a job of a thousand steps need not read a thousand files at each of them.
    if (this.#lock === null) this.#read();
    return { checkpoints: [...this.#known.values()], problems: this.#problems };
  }

  #read(): void {
    const { checkpoints, problems } = readCheckpoints(join(this.directory, checkpointsDirectory));
    this.#known = new Map(checkpoints.map((checkpoint) => [checkpoint.id, checkpoint]));
    this.#problems = problems;
  }

  /** Oldest first. */
  async checkpoints(): Promise<readonly StoredCheckpoint[]> {
    return this.#scan().checkpoints;
  }

  /** The checkpoint that is sampled now; null while it is the base. Throws when its directory is gone. */
  async head(): Promise<StoredCheckpoint | null> {
    const path = join(this.directory, headFile);
    let text: string;
    try {
      text = (await readRegularFile(path, { maxBytes: 1000 })).trim();
    } catch (error) {
      if (errorCode(error) !== 'ENOENT') throw fileError(error, path);
      throw this.#lostHead(`its head file ${path} is missing`);
    }
    if (text === baseHead) return null;
    const [id = '', name = ''] = text.split(' ');
    const found = this.#named(name, id) ?? this.#scan().checkpoints.find((checkpoint) => checkpoint.id === id);
    if (found !== undefined) return found;
    const problem = this.#problems.find((candidate) => candidate.name === name)?.problem;
    const where = join(this.directory, checkpointsDirectory, name);
    throw this.#lostHead(problem !== undefined ? `its head is ${name}, which is damaged: ${problem}` : name === '' ? `its head file ${path} says ${JSON.stringify(text)}` : `its head is ${name}, but ${where} is missing`);
  }

  #lostHead(what: string): ModelError {
    return new ModelError('not_found', `model "${this.slug}": ${what}`, { fix: this.#wayOut('Restore it', this.#newestInFullLength()) });
  }

  /** A checkpoint by its name: only that one is read. */
  #named(name: string, id: string | null = null): StoredCheckpoint | undefined {
    if (!checkpointName.test(name)) return undefined;
    const read = readCheckpoint(join(this.directory, checkpointsDirectory, name), name);
    if (!read.ok || (id !== null && read.value.id !== id)) return undefined;
    this.#known.set(read.value.id, read.value);
    return read.value;
  }

  /** By id or by name. */
  async find(reference: string): Promise<StoredCheckpoint> {
    const named = this.#named(reference);
    if (named !== undefined) return named;
    const { checkpoints, problems } = this.#scan();
    const found = checkpoints.find(({ id }) => id === reference);
    if (found !== undefined) return found;
    const problem = problems.find(({ name }) => name === reference)?.problem;
    if (problem !== undefined) throw this.#damaged(reference, problem, this.#newestInFullLength());
    const names = checkpoints.slice(-3).map(({ name }) => name);
    throw new ModelError('not_found', `model "${this.slug}" has no checkpoint "${reference}"`, {
      fix: names.length === 0 ? 'It has none yet.' : `The newest are ${names.join(', ')}; rlrun models checkpoints ${this.slug} lists all.`,
    });
  }

  /** Where the state files of a checkpoint lie. Throws when they are not there in full. */
  stateDirectory(id: string): string {
    const checkpoint = this.#unpruned(id);
    const problem = sizeProblem(this.#directoryOf(checkpoint), checkpoint);
    if (problem !== null) throw this.#damaged(checkpoint.name, problem, this.#newestInFullLength());
    return this.#directoryOf(checkpoint);
  }

  /** As `stateDirectory`, after reading every byte. */
  async verifiedDirectory(id: string): Promise<string> {
    const checkpoint = this.#unpruned(id);
    const problem = await contentProblem(this.#directoryOf(checkpoint), checkpoint);
    if (problem !== null) throw this.#damaged(checkpoint.name, problem, await this.#newestWhole());
    return this.#directoryOf(checkpoint);
  }

  #unpruned(id: string): StoredCheckpoint {
    const checkpoint = this.#known.get(id);
    const fix = `rlrun models checkpoints ${this.slug} lists those that are there.`;
    if (checkpoint === undefined) throw new ModelError('not_found', `model "${this.slug}" has no checkpoint with the id ${id}`, { fix });
    if (checkpoint.pruned) throw new ModelError('not_found', `the weights of ${checkpoint.name} were pruned`, { fix: `Choose a checkpoint that still has its weights: ${fix}` });
    return checkpoint;
  }

  #damaged(name: string, problem: string, instead: string): ModelError {
    return new ModelError('invalid', `checkpoint ${name} is damaged: ${problem}`, { fix: this.#wayOut('Restore it from a backup', instead) });
  }

  #wayOut(first: string, instead: string): string {
    return `${first}, or move the head: rlrun models head ${this.slug} --set ${instead}`;
  }

  /** What a message may offer to go on from. */
  #newestInFullLength(): string {
    const whole = this.#scan().checkpoints.findLast((checkpoint) => !checkpoint.pruned && sizeProblem(this.#directoryOf(checkpoint), checkpoint) === null);
    return whole?.name ?? baseHead;
  }

  async #newestWhole(): Promise<string> {
    for (const checkpoint of this.#scan().checkpoints.toReversed()) {
      if (!checkpoint.pruned && (await contentProblem(this.#directoryOf(checkpoint), checkpoint)) === null) return checkpoint.name;
    }
    return baseHead;
  }

  /** How far the weights of two checkpoints (or of `base`) are apart, and what made them. */
  async diff(from: string, to: string): Promise<WeightsDiff> {
    const side = async (reference: string): Promise<DiffSide> => {
      if (reference === baseHead) return null;
      const checkpoint = await this.find(reference);
      return { checkpoint, directory: await this.verifiedDirectory(checkpoint.id) };
    };
    return diffWeights(this.record, await side(from), await side(to));
  }

  // ---- writing ---------------------------------------------------------------------------------------------------

  /** Keeps other writers out until the result is disposed. Throws a conflict that names the one who writes now. */
  async lock(purpose: string): Promise<AsyncDisposable> {
    if (this.#lock !== null) throw new Error(`model "${this.slug}" is locked by this very object already`);
    const lock = await lockModel(this.directory, { slug: this.slug, purpose });
    try {
      this.#read();
      await this.#removeUnfinished();
    } catch (error) {
      await lock[Symbol.asyncDispose]();
      throw error;
    }
    this.#lock = lock;
    return {
      [Symbol.asyncDispose]: async () => {
        this.#lock = null;
        await lock[Symbol.asyncDispose]();
      },
    };
  }

  /** Rejects when this object held the lock and has lost it, as a process does that slept while another one took over. Asked before everything that is written for good. */
  async checkLock(): Promise<void> {
    await this.#lock?.check();
  }

  async #whileLocked<T>(purpose: string, work: () => Promise<T>): Promise<T> {
    if (this.#lock !== null) {
      await this.checkLock();
      return work();
    }
    await using _ = await this.lock(purpose);
    return await work(); // the lock outlives the work only when it is awaited here
  }

  /** What a killed writer left behind: nobody holds the lock but us, so nobody will finish it. */
  async #removeUnfinished(): Promise<void> {
    const directory = join(this.directory, checkpointsDirectory);
    for (const name of await readdir(directory).catch(() => [])) {
      if (name.startsWith(temporaryPrefix)) await removeDirectory(join(directory, name));
    }
  }

  /**
   * Has `write` fill a directory with state files, makes them durable, gives the directory its name and then, with `promote`, moves the
   * head there. A crash at any moment leaves the old head or the new one, each with all its files.
   */
  commit(draft: CheckpointDraft, options: { promote: boolean; write: (directory: string) => Promise<void> }): Promise<StoredCheckpoint> {
    return this.#whileLocked(`a commit of step ${draft.step}`, async () => {
      const parent = join(this.directory, checkpointsDirectory);
      const id = this.#injected.newId();
      const temporary = join(parent, `${temporaryPrefix}${id}`);
      try {
        await makeFolder(temporary);
        await options.write(temporary);
        const name = this.#freeName(draft.step);
        const checkpoint = await sealCheckpoint(temporary, { id, name, createdAt: this.#injected.now().toISOString(), ...draft });
        await this.checkLock();
        await publishDirectory(temporary, join(parent, name));
        this.#known.set(id, checkpoint);
        if (options.promote) await writeHead(this.directory, checkpoint);
        return checkpoint;
      } catch (error) {
        await removeDirectory(temporary).catch(() => {});
        throw errorCode(error) === undefined ? error : fileError(error, temporary);
      }
    });
  }

  /** Promote or roll back: the next commit's parent is usually the head. Null: the model as it was forked. */
  setHead(id: string | null): Promise<void> {
    return this.#whileLocked('moving its head', async () => {
      if (id !== null) this.stateDirectory(id);
      await writeHead(this.directory, id === null ? null : this.#known.get(id)!);
    });
  }

  /**
   * Deletes the weights of all but the `keep` newest checkpoints and the head. The nodes stay in the tree, so that lineage
   * and curves remain. Returns what was (or, with `dryRun`, would be) pruned.
   */
  prune({ keep, dryRun = false }: { keep: number; dryRun?: boolean }): Promise<Pruning> {
    const chosen = async (): Promise<StoredCheckpoint[]> => beyondNewest(this.#unprunedCheckpoints(), { keep, head: await this.#headId() });
    return dryRun ? chosen().then(pruningOf) : this.#whileLocked('pruning', async () => this.#deleteStates(await chosen()));
  }

  /** Deletes weights, oldest first, until what is left takes at most `maxBytes`: never those of the head, of the newest checkpoint or of `spare`. */
  pruneTo({ maxBytes, spare }: { maxBytes: number; spare: () => ReadonlySet<string> }): Promise<Pruning> {
    const kept = async (): Promise<ReadonlySet<string | null>> => new Set([...spare(), await this.#headId()]);
    return this.#whileLocked('pruning', async () => this.#deleteStates(await beyondBytes(this.#unprunedCheckpoints(), { maxBytes, kept })));
  }

  async #headId(): Promise<string | null> {
    return (await this.head())?.id ?? null;
  }

  #unprunedCheckpoints(): StoredCheckpoint[] {
    return this.#scan().checkpoints.filter((checkpoint) => !checkpoint.pruned);
  }

  async #deleteStates(chosen: readonly StoredCheckpoint[]): Promise<Pruning> {
    for (const checkpoint of chosen) this.#known.set(checkpoint.id, await deleteState(this.#directoryOf(checkpoint), checkpoint));
    return pruningOf(chosen);
  }

  /** `step-000012`; on another branch that had a step 12 already, `step-000012-2`. */
  #freeName(step: number): string {
    const taken = new Set([...this.#known.values(), ...this.#problems].map(({ name }) => name));
    const plain = `step-${String(step).padStart(6, '0')}`;
    for (let branch = 1; ; branch++) {
      const name = branch === 1 ? plain : `${plain}-${branch}`;
      if (!taken.has(name)) return name;
    }
  }

  #directoryOf({ name }: Checkpoint): string {
    return join(this.directory, checkpointsDirectory, name);
  }
}
