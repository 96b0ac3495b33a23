/** Where things are, and how to say so. */
import { readFileSync } from 'node:fs';
import { join, relative } from 'node:path';
import type { Io } from './io.ts';

/** Models and jobs of this project. */
export const rootOf = ({ cwd, env }: Pick<Io, 'cwd' | 'env'>): string => env['RLRUN_HOME'] || join(cwd, '.rlrun');

/** Relative to here when it lies below here. */
export function shorten(path: string, { cwd }: Pick<Io, 'cwd'>): string {
  const short = relative(cwd, path);
  return short !== '' && !short.startsWith('..') ? short : path;
}

export const packageVersion = (): string =>
  (JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8')) as { version: string }).version;
