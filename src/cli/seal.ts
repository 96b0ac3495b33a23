/**
 * @file Hashes of a pipeline that has secrets in it. They are written down, to notice another value: whoever reads them must not be able to
 * try short secrets until the hash fits. So they are made again with a key that is derived slowly from the secrets and from a salt that stays
 * in the project's folder, outside of jobs and reports.
 */
import { createHmac, randomBytes, scryptSync } from 'node:crypto';
import { linkSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Secrets } from '../config/index.ts';

const SALT_BYTES = 32;

/** Null: there is nothing to seal. The same secrets in the same project give the same seal. */
export function sealOf(root: string, secrets: Secrets): ((hash: string) => string) | null {
  if (secrets.size === 0) return null;
  const key = scryptSync(JSON.stringify([...secrets]), saltOf(root), 32);
  return (hash) => createHmac('sha256', key).update(hash).digest('hex');
}

function saltOf(root: string): Buffer {
  const path = join(root, 'salt');
  const read = (): Buffer => readFileSync(path);
  try {
    return read();
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
  }
  mkdirSync(root, { recursive: true });
  const own = `${path}.${process.pid}`;
  writeFileSync(own, randomBytes(SALT_BYTES), { mode: 0o600 });
  try {
    linkSync(own, path);
  } catch (error) {
    // Another job has begun at the same moment: there is one salt.
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
  } finally {
    rmSync(own, { force: true });
  }
  return read();
}
