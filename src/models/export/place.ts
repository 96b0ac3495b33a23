/** @file Where an export may go: nowhere where it would take away, or disturb, what no export has made. */
import { lstat, readdir, realpath } from 'node:fs/promises';
import { basename, dirname, join, relative, resolve, sep } from 'node:path';
import { errorCode, fileError, ModelError } from '../errors.ts';
import { readJsonObject, subdirectories } from '../files.ts';
import { foreignFiles, readListing } from './listing.ts';

export interface PlaceOptions {
  /** May an earlier export be replaced? */
  replace: boolean;
  /** The project's `.rlrun` directory. */
  root: string;
  /** Folders that must neither be replaced nor lie in what is: where the user works, the pipeline, home. */
  keep: readonly string[];
}

/** The real path of a directory that an export may make. Throws a conflict that says what is in the way. */
export async function placeExport(directory: string, { replace, root, keep }: PlaceOptions): Promise<string> {
  const real = await realPath(directory);
  const refuse = (what: string, fix = 'Choose a directory of its own for the export.'): ModelError => new ModelError('conflict', `${directory} ${what}`, { fix });
  for (const path of [...keep, root]) {
    const kept = await realPath(path);
    if (kept === real) throw refuse(path === root ? 'is the store of models and jobs' : 'is a folder that holds more than an export');
    if (isInside(kept, real)) throw refuse(`holds ${path}`);
  }
  for (const path of await stored(root)) {
    const other = await realPath(path);
    if (isInside(other, real) || isInside(real, other)) throw refuse(`is where rlrun keeps or finds what models are made of (${path})`);
  }

  const there = await lstat(real).catch((error: unknown) => (errorCode(error) === 'ENOENT' ? null : Promise.reject(fileError(error, real))));
  if (there === null) return real;
  if (!there.isDirectory()) throw refuse('is no folder');
  if (!replace) throw refuse('exists already', 'Choose another directory, or replace this one with --force if it is an export.');
  if ((await readdir(real)).length === 0) return real;
  const listing = await readListing(real);
  if (listing === null) throw refuse('exists and was not made by an export of rlrun, so it is not replaced', 'Choose another directory, or remove this one first.');
  const foreign = await foreignFiles(real, listing);
  if (foreign.length > 0) {
    const named = `${foreign.slice(0, 3).join(', ')}${foreign.length > 3 ? ` and ${foreign.length - 3} more` : ''}`;
    throw refuse(`holds what the export did not write (${named}), so it is not replaced`, 'Move that away first, or choose another directory.');
  }
  return real;
}

/** Is `path` the folder, or in it? */
const isInside = (path: string, folder: string): boolean => {
  const way = relative(folder, path);
  return way === '' || (way !== '..' && !way.startsWith(`..${sep}`) && resolve(folder, way) === path);
};

/** With all links followed; of what does not exist yet, as far as it does. */
async function realPath(path: string): Promise<string> {
  const whole = resolve(path);
  try {
    return await realpath(whole);
  } catch (error) {
    if (errorCode(error) !== 'ENOENT') throw fileError(error, whole);
    if ((await lstat(whole).catch(() => null)) !== null) throw new ModelError('conflict', `${path} is a link that leads nowhere`, { fix: 'Remove it, or choose another directory.' });
    return dirname(whole) === whole ? whole : join(await realPath(dirname(whole)), basename(whole));
  }
}

/** What models live from: the parts of the store, and every base outside of it. */
async function stored(root: string): Promise<string[]> {
  const models = join(root, 'models');
  const bases = await Promise.all((await subdirectories(models)).map(async (slug) => {
    const { baseDirectory } = await readJsonObject(join(models, slug, 'model.json')).catch((): Record<string, unknown> => ({}));
    return typeof baseDirectory === 'string' && !baseDirectory.startsWith('builtin:') ? [resolve(root, baseDirectory)] : [];
  }));
  return [...['models', 'jobs', 'bases', 'hub'].map((part) => join(root, part)), ...bases.flat()];
}
