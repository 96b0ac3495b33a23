/** @file What `rlrun models list` shows: the models of a project, and the bases at hand. What is wrong with one of them hides no other. */
import { join } from 'node:path';
import { inspectBase, requireTrainable } from './base.ts';
import { exists, subdirectories } from './files.ts';
import type { StoredModel } from './stored-model.ts';
import type { Checkpoint } from './types.ts';

/** A row of `rlrun models list`. */
export interface ModelListing {
  /** What to write as a source: `builtin:arith-tiny`, `hub:org/name@commit`, `arith-rl`. */
  source: string;
  kind: 'builtin' | 'hub' | 'model';
  /** Null when it can be trained. */
  obstacle: string | null;
  bytes: number;
  /** Of a model: what it was forked from, its head and how many checkpoints it has. */
  base: string | null;
  head: Checkpoint | null;
  checkpoints: number;
}

/** By name, as the directories are. */
export async function listModels(directory: string, open: (slug: string) => Promise<StoredModel>): Promise<ModelListing[]> {
  return Promise.all((await subdirectories(directory)).map((slug) => listModel(slug, open)));
}

async function listModel(slug: string, open: (slug: string) => Promise<StoredModel>): Promise<ModelListing> {
  const listing = emptyListing(slug, 'model');
  try {
    const model = await open(slug);
    const checkpoints = await model.checkpoints();
    const bytes = checkpoints.flatMap(({ files }) => Object.values(files)).reduce((sum, file) => sum + file.bytes, 0);
    const found = { ...listing, base: model.record.base, bytes, checkpoints: checkpoints.length };
    try {
      await requireTrainable(model.record.baseDirectory, model.record.base);
      return { ...found, head: await model.head() };
    } catch (error) {
      return { ...found, obstacle: messageOf(error) };
    }
  } catch (error) {
    return { ...listing, obstacle: messageOf(error) };
  }
}

export async function listBuiltins(directory: string): Promise<ModelListing[]> {
  return Promise.all((await subdirectories(directory)).map((name) => listBase(`builtin:${name}`, 'builtin', join(directory, name))));
}

/** Snapshots of the Hub. */
export async function listSnapshots(cache: string): Promise<ModelListing[]> {
  const cached: ModelListing[] = [];
  for (const folder of await subdirectories(cache)) {
    const repository = folder.replace(/^models--/, '').replace('--', '/');
    const snapshots = join(cache, folder, 'snapshots');
    for (const commit of await subdirectories(snapshots)) {
      const listing = await listBase(`hub:${repository}@${commit.slice(0, 12)}`, 'hub', join(snapshots, commit));
      cached.push((await exists(join(snapshots, `${commit}.json`))) ? listing : { ...listing, obstacle: 'its download is not complete' });
    }
  }
  return cached;
}

async function listBase(source: string, kind: 'builtin' | 'hub', directory: string): Promise<ModelListing> {
  const listing = emptyListing(source, kind);
  try {
    const { obstacle, bytes } = await inspectBase(directory);
    return { ...listing, obstacle, bytes };
  } catch (error) {
    return { ...listing, obstacle: messageOf(error) };
  }
}

const emptyListing = (source: string, kind: ModelListing['kind']): ModelListing => ({ source, kind, obstacle: null, bytes: 0, base: null, head: null, checkpoints: 0 });

const messageOf = (error: unknown): string => (error instanceof Error ? error.message : String(error));
