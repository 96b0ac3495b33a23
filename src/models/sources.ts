/** @file What a model can be forked from, in words: `builtin:…`, `hub:…`, a directory, another model, a shape. */
import { isAbsolute, resolve } from 'node:path';
import { expandHome } from '../util/home.ts';
import { meantSource } from '../util/meant-source.ts';
import { ModelError } from './errors.ts';

export type ModelSource =
  | { kind: 'builtin'; name: string }
  | { kind: 'hub'; repository: string; revision: string | null }
  | { kind: 'directory'; path: string }
  /** A config.json alone: random weights of that shape, and a tokenizer of characters. */
  | { kind: 'config'; path: string }
  /** A checkpoint's id or name; null is the head. */
  | { kind: 'model'; slug: string; checkpoint: string | null };

const slugPattern = /^[a-z0-9](?:[a-z0-9._-]*[a-z0-9_-])?$/;
const reservedOnWindows = /^(?:con|prn|aux|nul|com\d|lpt\d)(?:\.|$)/;

/** A slug names a directory on every system: lower case, short, and no name that Windows keeps for itself. */
export function checkSlug(slug: string): string {
  if (slug.length > 64 || !slugPattern.test(slug) || reservedOnWindows.test(slug)) {
    // Bases and directories are no models yet.
    const source = /^(builtin|hub|config):(?!.*:\/\/)|^(~|\.{0,2})[/\\]/.test(slug) ? slug : meantSource(slug);
    if (source !== null) throw new ModelError('usage', `"${slug}" is no model, but something to fork one from`, { fix: `Fork it first: rlrun models fork ${/\s/.test(source) ? `"${source}"` : source} --name NAME.` });
    throw new ModelError('usage', `"${slug}" cannot name a model`, { fix: 'Use up to 64 lower-case letters, digits, ".", "_" and "-", beginning with a letter or digit.' });
  }
  return slug;
}

/** Reads a source as the user wrote it. Relative paths belong to `cwd`. */
export function parseSource(text: string, { cwd }: { cwd: string }): ModelSource {
  const [, scheme, rest = ''] = /^(builtin|hub):(.*)$/.exec(text) ?? [];
  if (scheme === 'builtin') {
    if (!slugPattern.test(rest)) throw unreadable(text);
    return { kind: 'builtin', name: rest };
  }
  if (scheme === 'hub') {
    const [, repository, revision] = /^([\w.-]+\/[\w.-]+)(?:@([\w./-]+))?$/.exec(rest) ?? [];
    if (repository === undefined || rest.includes('..')) throw unreadable(text);
    return { kind: 'hub', repository, revision: revision ?? null };
  }
  if (text.startsWith('config:')) return { kind: 'config', path: resolve(cwd, expandHome(text.slice('config:'.length))) };
  const path = expandHome(text);
  if (isAbsolute(path) || /^\.{1,2}(?:[/\\]|$)/.test(path)) return { kind: 'directory', path: resolve(cwd, path) };
  const [slug = '', checkpoint, ...more] = text.split('@');
  if (!slugPattern.test(slug) || checkpoint === '' || more.length > 0) throw unreadable(text);
  return { kind: 'model', slug, checkpoint: checkpoint ?? null };
}

function unreadable(text: string): ModelError {
  const meant = meantSource(text);
  return new ModelError('usage', `"${text}" is no model source`, { fix: meant !== null ? `Did you mean ${meant}?` : 'Write builtin:NAME, hub:ORG/NAME[@REVISION], ./DIRECTORY, config:FILE, MODEL or MODEL@CHECKPOINT.' });
}
