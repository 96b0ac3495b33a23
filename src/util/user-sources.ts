/**
 * The sources of a user's modules, as they were when they were first loaded: later places load exactly those, however the files have
 * been edited since. What a hash was taken of is then what runs.
 */
import { readFileSync } from 'node:fs';
import { registerHooks, stripTypeScriptTypes } from 'node:module';
import { fileURLToPath } from 'node:url';
import { checkRegularFile } from './regular-file.ts';

/** File URL → what Node read there. */
export type Sources = Record<string, Source>;

export interface Source {
  /** Null where Node does not say what it read; such a file is read again by every place. */
  format: string | null;
  text: string;
  /** The code without comments and layout, for hashes: an edit that changes nothing else changes nothing. */
  canonical: string;
}

const OWN_CODE = new URL('..', import.meta.url).href;

export const isUserCode = (url: string): boolean => url.startsWith('file:') && !url.startsWith(OWN_CODE) && !url.includes('/node_modules/');

/** From now on this thread loads the known sources, and keeps in `read` what it has to take from the disk. Returns the way back. */
export function loadFromSources(known: Sources | null, read: Sources = {}): () => void {
  const hooks = registerHooks({
    resolve(specifier, context, nextResolve) {
      // A file may be gone by now, or just being written anew: the disk has no say in what is known.
      const url = known && /^(?:\.{0,2}\/|file:)/.test(specifier) ? URL.parse(specifier, context.parentURL)?.href : undefined;
      const format = url === undefined ? undefined : known?.[url]?.format;
      return url !== undefined && format ? { url, format, shortCircuit: true } : nextResolve(specifier, context);
    },
    load(url, context, nextLoad) {
      if (!isUserCode(url)) return nextLoad(url, context);
      const source = known?.[url];
      if (source?.format) return { format: source.format, source: source.text, shortCircuit: true };
      checkRegularFile(fileURLToPath(url));
      const text = readFileSync(fileURLToPath(url), 'utf8');
      read[url] = { format: null, text, canonical: text };
      const loaded = nextLoad(url, context);
      if (loaded.source && loaded.format) read[url] = { format: loaded.format, text, canonical: canonicalOf(text, loaded.format) };
      return loaded;
    },
  });
  return () => hooks.deregister();
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
