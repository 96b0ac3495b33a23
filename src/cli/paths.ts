/** Where things are, and how to say so. */
import { existsSync, readFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { dirname, join, relative } from 'node:path';
import type { Io } from './io.ts';

/** Where models and jobs are kept, unless a folder above keeps them already. */
export const ownRoot = ({ cwd, env }: Pick<Io, 'cwd' | 'env'>): string => env['RLRUN_HOME'] || join(cwd, '.rlrun');

/** Models and jobs of this project: in the nearest folder that has some, up to that of the repository. The home directory is no project. */
export function rootOf({ cwd, env }: Pick<Io, 'cwd' | 'env'>): string {
  const own = ownRoot({ cwd, env });
  if (env['RLRUN_HOME']) return own;
  for (let folder = cwd; ; folder = dirname(folder)) {
    const root = join(folder, '.rlrun');
    if (['jobs', 'models'].some((part) => existsSync(join(root, part)))) return root;
    const above = dirname(folder);
    if (above === folder || above === homedir() || existsSync(join(folder, '.git'))) return own;
  }
}

/** Relative to here when it lies below here. */
export function shorten(path: string, { cwd }: Pick<Io, 'cwd'>): string {
  const short = relative(cwd, path);
  return short !== '' && !short.startsWith('..') ? short : path;
}

export const packageVersion = (): string =>
  (JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8')) as { version: string }).version;
