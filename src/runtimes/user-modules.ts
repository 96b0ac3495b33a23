/**
 * Loads a user's modules inside a worker or a Node child, and keeps their sources.
 *
 * The first place that loads a module sends its sources back; later places load exactly those. A file that is edited while a job
 * runs therefore never mixes two versions of a reward, and the recorded files are those that were really read.
 */
import { readFileSync } from 'node:fs';
import { registerHooks, stripTypeScriptTypes } from 'node:module';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { isUserCode, placeOf, syntaxPlace } from './blame.ts';
import { describeError, type Methods, serve } from './serve.ts';
import type { CodePlace } from './types.ts';
import { describe } from './verdict.ts';

/** File URL → what Node read there. */
export type Sources = Record<string, Source>;

export interface Source {
  /** Null where Node does not say what it read; such a file is read again by every place. */
  format: string | null;
  text: string;
  /** The code without comments and layout, for hashes: an edit that changes nothing else changes nothing. */
  canonical: string;
}

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
  registerHooks({
    load(url, context, nextLoad) {
      if (!isUserCode(url)) return nextLoad(url, context);
      const known = sources?.[url];
      if (known?.format) return { format: known.format, source: known.text, shortCircuit: true };
      const text = readFileSync(fileURLToPath(url), 'utf8');
      read[url] = { format: null, text, canonical: text };
      const loaded = nextLoad(url, context);
      if (loaded.source && loaded.format) read[url] = { format: loaded.format, text, canonical: canonicalOf(text, loaded.format) };
      return loaded;
    },
  });
  try {
    for (const path of paths) into.set(path, (await import(pathToFileURL(path).href)) as Record<string, unknown>);
    return { sources: read, fault: null };
  } catch (error) {
    // What is broken was read last.
    const [url, last] = Object.entries(read).at(-1) ?? [];
    const at = placeOf(error) ?? (error instanceof SyntaxError && url && last ? syntaxPlace(url, last.text) : null);
    return { sources: read, fault: { message: describeError(error), ...(at ? { at } : {}) } };
  }
}

function canonicalOf(text: string, format: string): string {
  if (!/^(module|commonjs)(-typescript)?$/.test(format)) return text;
  const warn = process.emitWarning;
  // The function is stable in what we need of it and experimental in name: nobody has to read that on their screen.
  process.emitWarning = () => {};
  try {
    return stripTypeScriptTypes(text, { mode: 'transform' });
  } catch {
    return text;
  } finally {
    process.emitWarning = warn;
  }
}

/** Null when it can be called; otherwise what is wrong with it. A file without any export is an empty object to Node. */
export function defaultExportProblem(exported: unknown): string | null {
  if (typeof exported === 'function') return null;
  const isMissing = exported === undefined || (typeof exported === 'object' && exported !== null && Object.keys(exported).length === 0);
  return `its default export is ${isMissing ? 'missing' : describe(exported)}; expected a function`;
}
