/**
 * Loads a user's modules inside a worker or a Node child, and keeps their sources.
 *
 * The first place that loads a module sends its sources back; later places load exactly those. A file that is edited while a job
 * runs therefore never mixes two versions of a reward, and the recorded files are those that were really read.
 */
import { importUserModule } from '../util/import-user-module.ts';
import { loadFromSources, type Sources } from '../util/user-sources.ts';
import { placeOf, syntaxPlace } from './blame.ts';
import { describeError, type Methods, serve } from './serve.ts';
import type { CodePlace } from './types.ts';
import { describe } from './verdict.ts';

export interface OpenRequest {
  /** Absolute paths. */
  paths: readonly string[];
  /** From an earlier place; null reads the disk. */
  sources: Sources | null;
}

/** A failed load still tells which files were read up to the fault. */
export interface OpenReply {
  sources: Sources;
  fault: { message: string; at?: CodePlace } | null;
}

/** A loaded module by its absolute path: its exports. */
export type UserModules = (path: string) => Readonly<Record<string, unknown>>;

/** Serves calls into user modules. The first call, `open`, loads them. */
export function serveUserModules(methodsOver: (modules: UserModules) => Methods): void {
  const loaded = new Map<string, Record<string, unknown>>();
  serve({ open: (request: OpenRequest) => load(request, loaded), ...methodsOver((path) => loaded.get(path)!) });
}

async function load({ paths, sources }: OpenRequest, into: Map<string, Record<string, unknown>>): Promise<OpenReply> {
  const read: Sources = {};
  loadFromSources(sources, read);
  try {
    for (const path of paths) into.set(path, await importUserModule(path));
    return { sources: read, fault: null };
  } catch (error) {
    // What is broken was read last.
    const [url, last] = Object.entries(read).at(-1) ?? [];
    const at = placeOf(error) ?? (error instanceof SyntaxError && url && last ? syntaxPlace(url, last.text) : null);
    return { sources: read, fault: { message: describeError(error), ...(at ? { at } : {}) } };
  }
}

/** Null when it can be called; otherwise what is wrong with it. A file without any export is an empty object to Node. */
export function defaultExportProblem(exported: unknown): string | null {
  if (typeof exported === 'function') return null;
  const isMissing = exported === undefined || (typeof exported === 'object' && exported !== null && Object.keys(exported).length === 0);
  return `its default export is ${isMissing ? 'missing' : describe(exported)}; expected a function`;
}
