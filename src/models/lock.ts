/** @file One writer per model at a time. */
import { readFile, rename, rm, rmdir, stat } from 'node:fs/promises';
import { hostname } from 'node:os';
import { join } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import lockfile from 'proper-lockfile';
import { writeJsonDurably } from './durable.ts';
import { errorCode, fileError, ModelError } from './errors.ts';

/** A lock whose file was not touched for this long belongs to nobody any more. */
const staleMs = 30_000;

interface Owner {
  pid: number;
  host: string;
  /** What it is doing, in words: `job 2026-…`. */
  purpose: string;
}

export interface ModelLock extends AsyncDisposable {
  /** Throws when the lock was lost, as after a long sleep of the machine. */
  check(): void;
}

/**
 * Takes the lock of a model directory, or says who holds it. What a killed process held is taken over at once, since its
 * process is gone; on another machine (a shared disk) only after the lock grew stale.
 */
export async function lockModel(directory: string, { slug, purpose }: { slug: string; purpose: string }): Promise<ModelLock> {
  const ownerPath = join(directory, 'lock.json');
  let lost: Error | null = null;
  const acquire = (): Promise<() => Promise<void>> => lockfile.lock(directory, { lockfilePath: join(directory, 'lock'), stale: staleMs, onCompromised: (error) => (lost = error) });

  let release;
  try {
    release = await acquire().catch(async (error: unknown) => {
      if (errorCode(error) !== 'ELOCKED' || !(await buryDeadOwner(directory, ownerPath))) throw error;
      return acquire();
    });
  } catch (error) {
    if (errorCode(error) === 'ELOCKED') throw busy(slug, await readOwner(ownerPath), error);
    throw fileError(error, directory);
  }
  await writeJsonDurably(ownerPath, { pid: process.pid, host: hostname(), purpose } satisfies Owner);
  return {
    check() {
      if (lost !== null) {
        throw new ModelError('conflict', `the lock on model "${slug}" was lost, another process may have written to it`, { fix: 'Start again; everything that was committed is kept.', cause: lost });
      }
    },
    async [Symbol.asyncDispose]() {
      if (lost !== null) return;
      await rm(ownerPath, { force: true });
      await release();
    },
  };
}

async function readOwner(path: string): Promise<Owner | null> {
  try {
    return JSON.parse(await readFile(path, 'utf8')) as Owner;
  } catch {
    return null;
  }
}

function isDead({ pid, host }: Owner): boolean {
  if (host !== hostname()) return false;
  try {
    process.kill(pid, 0);
    return false;
  } catch (error) {
    return errorCode(error) === 'ESRCH';
  }
}

/**
 * Removes the lock of a process that is gone. Of several that try, the one that gets to rename the owner's file does it;
 * if a new owner wrote that file in the meantime, it gets it back.
 */
async function buryDeadOwner(directory: string, ownerPath: string): Promise<boolean> {
  const lock = join(directory, 'lock');
  const owner = await namedOwner(lock, ownerPath);
  if (owner === null) {
    await rmdir(lock).catch(() => {});
    return true;
  }
  if (!isDead(owner)) return false;
  const grave = `${ownerPath}.${process.pid}`;
  try {
    await rename(ownerPath, grave);
  } catch {
    return false;
  }
  const buried = await readOwner(grave);
  if (buried === null || !isDead(buried)) {
    await rename(grave, ownerPath);
    return false;
  }
  await rmdir(lock).catch(() => {});
  await rm(grave, { force: true });
  return true;
}

/** A writer says who it is as soon as it has the lock, and leaves right after it took its name away: one that is silent for longer died in between. */
async function namedOwner(lock: string, ownerPath: string): Promise<Owner | null> {
  const silenceMs = 2000, askEveryMs = 50;
  for (;;) {
    const owner = await readOwner(ownerPath);
    const age = Date.now() - ((await stat(lock).catch(() => null))?.mtimeMs ?? 0);
    if (owner !== null || age >= silenceMs) return owner;
    await setTimeout(askEveryMs);
  }
}

function busy(slug: string, owner: Owner | null, cause: unknown): ModelError {
  const who = owner === null ? 'another process' : `${owner.purpose} (process ${owner.pid}${owner.host === hostname() ? '' : ` on ${owner.host}`})`;
  return new ModelError('conflict', `model "${slug}" is being written by ${who}`, { fix: 'Wait until it is done or stop it; or fork the model under another name.', cause });
}
