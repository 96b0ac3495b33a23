/** Where things are, and how to say so. */
import { existsSync, readFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { dirname, join, relative, resolve } from 'node:path';
import { expandHome } from '../util/home.ts';
import type { Io } from './io.ts';

/** Where models and jobs are kept, unless a folder above keeps them already. */
export const ownRoot = ({ cwd, env }: Pick<Io, 'cwd' | 'env'>): string => resolve(cwd, expandHome(env['RLRUN_HOME'] || '.rlrun'));

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

/** What no export may replace, or hold: where the user is, where the pipeline is, what is the user's, and what is shared. */
export const foldersToKeep = ({ cwd, env }: Pick<Io, 'cwd' | 'env'>, pipeline?: string): string[] =>
  [cwd, homedir(), ...(pipeline === undefined ? [] : [dirname(pipeline)]), ...(env['RLRUN_HUB_CACHE'] ? [expandHome(env['RLRUN_HUB_CACHE'])] : [])];

/** Relative to here when it lies below here. */
export function shorten(path: string, { cwd }: Pick<Io, 'cwd'>): string {
  const short = relative(cwd, path);
  return short !== '' && !short.startsWith('..') ? short : path;
}

export const packageVersion = (): string =>
  (JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8')) as { version: string }).version;
