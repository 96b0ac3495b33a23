/**
 * @file A lock that only one process at a time can have. It is a symbolic link that points to nothing but carries its holder's name: made in
 * one call, never half there, and small enough to be made on a full disk.
 */
import { randomBytes } from 'node:crypto';
import { lstat, lutimes, readFile, readlink, rm, symlink, writeFile } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import { type Fate, fateOf, isOfThisMachine, processMark } from './process-mark.ts';
import { bearWitness, isWitnessed } from './witness.ts';

/** The holder shows this often that it is there. */
const BEAT_MS = 5_000;
/** A holder that cannot be looked at counts as gone after so long a silence. */
const SILENCE_MS = 30_000;
/** Burying a dead holder takes milliseconds. */
const BURIAL_MS = 5_000;
const TRY_AGAIN_MS = 20;

export interface FileLock extends AsyncDisposable {
  /** As it stands in the lock: told apart from every other one that was or will be. */
  readonly name: string;
  /** Still? Whoever slept for long, with its machine or alone, has to ask before it writes. */
  isHeld(): Promise<boolean>;
}

export interface Holder {
  name: string;
  fate: Fate;
  /** Alive; or out of sight, and heard of lately. */
  isThere: boolean;
}

/** Takes the lock, or says who has it. What a process held that is gone is taken over at once. */
export async function takeLock(path: string): Promise<{ lock: FileLock } | { holder: Holder }> {
  const name = `${processMark()}.${randomBytes(4).toString('hex')}`;
  // First the witness, then the lock: whoever finds the lock can knock.
  const witness = await bearWitness(witnessPath(path, name));
  try {
    for (;;) {
      if (await claim(path, name)) return { lock: hold(path, name, witness) };
      const holder = await holderOf(path);
      if (holder?.isThere) {
        witness?.[Symbol.dispose]();
        return { holder };
      }
      if (holder !== null) await bury(path, holder, name);
    }
  } catch (error) {
    witness?.[Symbol.dispose]();
    throw error;
  }
}

const witnessPath = (path: string, name: string): string => `${path}.${name.slice(name.lastIndexOf('.') + 1)}`;

/** Who has the lock now; null: nobody. */
export async function holderOf(path: string): Promise<Holder | null> {
  const name = await nameIn(path);
  const touched = await lstat(path).catch(() => null);
  if (name === null || touched === null) return null;
  const fate = await fateOfHolder(path, name);
  return { name, fate, isThere: fate === 'alive' || (fate === 'unknown' && Date.now() - touched.mtimeMs < SILENCE_MS) };
}

async function fateOfHolder(path: string, name: string): Promise<Fate> {
  const mark = name.replace(/\.[0-9a-f]+$/, '');
  const fate = fateOf(mark);
  if (fate !== 'unknown' || !isOfThisMachine(mark)) return fate;
  const answer = await isWitnessed(witnessPath(path, name));
  return answer === null ? 'unknown' : answer ? 'alive' : 'dead';
}

function hold(path: string, name: string, witness: Disposable | null): FileLock {
  const isHeld = async (): Promise<boolean> => (await nameIn(path)) === name;
  const beat = setInterval(() => {
    const now = new Date();
    // Nobody's lock but one's own: another's heart would seem to beat.
    void isHeld().then((held) => (held ? lutimes(path, now, now) : clearInterval(beat))).catch(() => {});
  }, BEAT_MS).unref();
  return {
    name,
    isHeld,
    async [Symbol.asyncDispose]() {
      clearInterval(beat);
      if (await isHeld()) await rm(path, { force: true });
      witness?.[Symbol.dispose]();
    },
  };
}

/** Makes the lock; false if it is there. */
async function claim(path: string, name: string): Promise<boolean> {
  try {
    await symlink(name, path).catch((error: NodeJS.ErrnoException) => {
      // Windows wants rights for links, and some file systems have none.
      if (!['EPERM', 'ENOSYS', 'ENOTSUP', 'EOPNOTSUPP'].includes(error.code ?? '')) throw error;
      return writeFile(path, name, { flag: 'wx' });
    });
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EEXIST') return false;
    throw error;
  }
}

async function nameIn(path: string): Promise<string | null> {
  try {
    return await readlink(path);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'ENOENT') return null;
    // A file, where there are no links. Anything else is not ours: a holder without a name.
    return readFile(path, 'utf8').catch((failure: NodeJS.ErrnoException) => (failure.code === 'ENOENT' ? null : ''));
  }
}

/** Removes a lock whose holder is gone. Of two that find it, the second would remove what the first has taken by then: so they do it one at a time. */
async function bury(path: string, { name }: Holder, own: string): Promise<void> {
  const guard = `${path}.bury`;
  if (!(await claim(guard, own))) {
    const since = (await lstat(guard).catch(() => null))?.mtimeMs;
    if (since !== undefined && Date.now() - since > BURIAL_MS) await rm(guard, { force: true });
    await sleep(TRY_AGAIN_MS);
    return;
  }
  try {
    if ((await nameIn(path)) !== name) return;
    await rm(path, { force: true, recursive: true });
    await rm(witnessPath(path, name), { force: true });
  } finally {
    await rm(guard, { force: true });
  }
}
