/** @file What an export wrote, kept in the export itself: only that is ever taken away again. */
import { createHash } from 'node:crypto';
import { lstat, readdir, readFile, rm, rmdir, stat } from 'node:fs/promises';
import { join, relative, sep } from 'node:path';
import { writeJsonDurably } from '../durable.ts';
import { readJsonObject } from '../files.ts';

/** Beside config.json. Stock loaders do not look at it. */
export const listingFile = 'rlrun-export.json';

export interface ExportListing {
  model: string;
  /** A checkpoint's name; null is the model as it was forked. */
  checkpoint: string | null;
  format: string;
  dtype: string;
  /** By path with forward slashes. Large files are known by their size alone. */
  files: Record<string, { bytes: number; sha256?: string }>;
}

/** What people edit by hand is smaller. */
const hashedBytes = 2 ** 20;

export async function writeListing(directory: string, about: Omit<ExportListing, 'files'>): Promise<void> {
  const files = await Promise.all((await filesIn(directory)).map(async (path) => [path, await describe(join(directory, path))] as const));
  await writeJsonDurably(join(directory, listingFile), { ...about, files: Object.fromEntries(files) } satisfies ExportListing);
}

/** Null: no export made this directory. */
export async function readListing(directory: string): Promise<ExportListing | null> {
  const listing = (await readJsonObject(join(directory, listingFile)).catch(() => null)) as ExportListing | null;
  return listing !== null && typeof listing.files === 'object' && listing.files !== null ? listing : null;
}

/** What is in an export that the export did not write, or not like this: a person's work. */
export async function foreignFiles(directory: string, { files }: ExportListing): Promise<string[]> {
  const foreign: string[] = [];
  for (const path of await filesIn(directory)) {
    if (path === listingFile) continue;
    const [written, now] = [Object.hasOwn(files, path) ? files[path] : undefined, await describe(join(directory, path))];
    if (written?.bytes !== now.bytes || written.sha256 !== now.sha256) foreign.push(path);
  }
  return foreign;
}

/** Takes away what the export wrote, and the folders that are empty then. What was added meanwhile stays; false if there was something. */
export async function removeExport(directory: string): Promise<boolean> {
  const listing = await readListing(directory);
  // Of what is there, and not of what the listing says: that may come from anywhere and name anything.
  const there = listing === null ? [] : await filesIn(directory);
  const foreign = new Set(listing === null ? [] : await foreignFiles(directory, listing));
  for (const path of there) if (!foreign.has(path)) await rm(join(directory, path), { force: true });
  const folders = (await readdir(directory, { recursive: true, withFileTypes: true })).filter((entry) => entry.isDirectory()).map((entry) => join(entry.parentPath, entry.name));
  for (const folder of [directory, ...folders].sort((a, b) => b.length - a.length)) await rmdir(folder).catch(() => {});
  return !(await stat(directory).then(() => true, () => false));
}

async function filesIn(directory: string): Promise<string[]> {
  const entries = await readdir(directory, { recursive: true, withFileTypes: true });
  return entries.filter((entry) => !entry.isDirectory()).map((entry) => relative(directory, join(entry.parentPath, entry.name)).split(sep).join('/')).sort();
}

/** Links, pipes and devices have no length: an export writes none. */
async function describe(path: string): Promise<{ bytes: number; sha256?: string }> {
  const found = await lstat(path).catch(() => null);
  const bytes = found?.isFile() === true ? found.size : -1;
  return bytes < 0 || bytes > hashedBytes ? { bytes } : { bytes, sha256: createHash('sha256').update(await readFile(path)).digest('hex') };
}
