/**
 * The sources of a user's modules, as they were when they were first loaded: later places load exactly those, however the files have
 * been edited since. What a hash was taken of is then what runs.
 */
import { readFileSync } from 'node:fs';
import { registerHooks, stripTypeScriptTypes } from 'node:module';
import { fileURLToPath } from 'node:url';
import { compileFunction } from 'node:vm';
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
      const loaded = nextLoad(url, { ...context, format: formatOf(url, { text, format: context.format }) });
      if (loaded.source && loaded.format) read[url] = { format: loaded.format, text, canonical: canonicalOf(text, loaded.format) };
      return loaded;
    },
  });
  return () => hooks.deregister();
}

/**
 * What a file says beats what the folder says: `npm init` writes `"type": "commonjs"` into every package.json, beside which Node would
 * refuse `export default`.
 */
function formatOf<F extends string | null | undefined>(url: string, { text, format }: { text: string; format: F }): F | string {
  const isDecidedByFolder = (format === 'commonjs' || format === 'commonjs-typescript') && !/\.c[jt]s$/.test(url);
  return isDecidedByFolder && hasModuleSyntax(format === 'commonjs' ? text : withoutTypes(text)) ? format.replace('commonjs', 'module') : format;
}

/** Node's own test where no package.json decides: does it fail as CommonJS, and for what only modules may say? */
function hasModuleSyntax(code: string): boolean {
  try {
    compileFunction(code, ['exports', 'require', 'module', '__filename', '__dirname']);
    return false;
  } catch (error) {
    return /^(Cannot use import statement|Unexpected token 'export'|Cannot use 'import\.meta'|await is only valid)/.test((error as Error).message);
  }
}

function canonicalOf(text: string, format: string): string {
  if (!/^(module|commonjs)(-typescript)?$/.test(format)) return text;
  return withoutTypes(text, 'transform');
}

/** The text itself where it does not parse. */
function withoutTypes(text: string, mode: 'strip' | 'transform' = 'strip'): string {
  const warn = process.emitWarning;
  // The function is stable in what we need of it and experimental in name: nobody has to read that on their screen.
  process.emitWarning = () => {};
  try {
    return stripTypeScriptTypes(text, { mode });
  } catch {
    return text;
  } finally {
    process.emitWarning = warn;
  }
}
