/** @file One writer per model at a time. */
import { readFile, rm, writeFile } from 'node:fs/promises';
import { hostname } from 'node:os';
import { join } from 'node:path';
import { type Holder, takeLock } from '../util/file-lock.ts';
import { jsonText } from './durable.ts';
import { fileError, ModelError } from './errors.ts';

/** What people are told of a writer. The lock itself names it for programs. */
interface Owner {
  lock: string;
  pid: number;
  host: string;
  /** What it is doing, in words: `job 2026-…`. */
  purpose: string;
}

export interface ModelLock extends AsyncDisposable {
  /** Rejects when the lock was lost, as after a long sleep of the machine. */
  check(): Promise<void>;
}

/** Takes the lock of a model directory, or says who holds it. */
export async function lockModel(directory: string, { slug, purpose }: { slug: string; purpose: string }): Promise<ModelLock> {
  const ownerPath = join(directory, 'lock.json');
  const taken = await takeLock(join(directory, 'lock')).catch((error: unknown) => Promise.reject(fileError(error, directory)));
  if ('holder' in taken) throw busy(slug, taken.holder, await readOwner(ownerPath, taken.holder));
  const { lock } = taken;
  // Only words for others: on a full disk, which the holder may be here to free, there are none.
  await writeFile(ownerPath, jsonText({ lock: lock.name, pid: process.pid, host: hostname(), purpose } satisfies Owner)).catch(() => {});
  return {
    async check() {
      if (await lock.isHeld()) return;
      throw new ModelError('conflict', `the lock on model "${slug}" was lost while this process slept: another one may have written to it`, { fix: 'Start again; everything that was committed is kept.' });
    },
    async [Symbol.asyncDispose]() {
      if (await lock.isHeld()) await rm(ownerPath, { force: true });
      await lock[Symbol.asyncDispose]();
    },
  };
}

async function readOwner(path: string, holder: Holder): Promise<Owner | null> {
  try {
    const owner = JSON.parse(await readFile(path, 'utf8')) as Owner;
    return owner.lock === holder.name ? owner : null;
  } catch {
    return null;
  }
}

function busy(slug: string, { name, fate }: Holder, owner: Owner | null): ModelError {
  const pid = owner?.pid ?? /^\d+/.exec(name)?.[0];
  const place = fate === 'alive' ? '' : ` on ${owner === null || owner.host === hostname() ? 'another machine or in another container' : owner.host}`;
  const who = `${owner?.purpose ?? 'another process'}${pid === undefined ? '' : ` (process ${pid}${place})`}`;
  const patience = fate === 'alive' ? '' : ' If it was killed, its lock is free half a minute later.';
  return new ModelError('conflict', `model "${slug}" is being written by ${who}`, { fix: `Wait until it is done or stop it; or fork the model under another name.${patience}` });
}
