/** Where things are, and how to say so. */
import { readFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { dirname, relative, resolve } from 'node:path';
import { expandHome } from '../util/home.ts';
import type { Io } from './io.ts';

/** Models and jobs of this project. */
export const rootOf = ({ cwd, env }: Pick<Io, 'cwd' | 'env'>): string => resolve(cwd, expandHome(env['RLRUN_HOME'] || '.rlrun'));

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
