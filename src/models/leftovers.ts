/** @file Folders under way: named so that whoever comes later knows whether somebody still works on them. */
import { readdir, rename, stat } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { fateOf, processMark } from '../util/process-mark.ts';
import { removeDirectory } from './durable.ts';
import { exists } from './files.ts';

let made = 0;

/** A name beside `directory` that no other process and no other call uses. `old`: what was there and is being replaced. */
export const nameBeside = (directory: string, kind: 'tmp' | 'old'): string => join(dirname(directory), `.${basename(directory)}.${processMark()}-${++made}.${kind}`);

const underWay = /^\.(.+)\.(\d+\.\d+\.\d+\.[0-9a-f]{8})-\d+\.(tmp|old)$/;

/** Whoever made it on another machine cannot be asked; nothing takes longer than that. */
const ABANDONED_MS = 24 * 3_600_000;

/** Removes what killed processes left in the folder of `directory`; what they had moved aside and not replaced yet gets its place back. */
export async function sweepBeside(directory: string, { removeOld }: { removeOld?: ((old: string) => Promise<unknown>) | undefined } = {}): Promise<void> {
  const folder = dirname(directory);
  for (const entry of await readdir(folder).catch(() => [])) {
    const [, name, mark, kind] = underWay.exec(entry) ?? [];
    if (name === undefined || mark === undefined || !(await isAbandoned(join(folder, entry), mark))) continue;
    const [path, final] = [join(folder, entry), join(folder, name)];
    if (kind === 'tmp') await removeDirectory(path);
    else if (await exists(final)) await removeOld?.(path).catch(() => {});
    // Of several that see it, one is first.
    else await rename(path, final).catch(() => {});
  }
}

async function isAbandoned(path: string, mark: string): Promise<boolean> {
  const fate = fateOf(mark);
  if (fate !== 'unknown') return fate === 'dead';
  const changed = (await stat(path).catch(() => null))?.mtimeMs;
  return changed !== undefined && Date.now() - changed > ABANDONED_MS;
}
