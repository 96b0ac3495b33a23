/** @file One rule for `extends`, stages and YAML's `<<`: maps merge deep, scalars and lists replace. */
import { runtimeHomeKeys } from './runtime-keys.ts';
import type { Entry, MapNode, Path } from './tree.ts';

/**
 * Maps that describe one of several kinds of thing. Where both sides name a different kind, the newer map replaces the older one,
 * because the fields of one kind mean nothing to another.
 */
const tags: Readonly<Record<string, string>> = { 'train.loss': 'kind', 'model.train': 'method' };

/** Keys of one kind of a map whose other keys (limits) are everybody's: another kind starts without them. */
const ofOneKind: Readonly<Record<string, readonly string[]>> = { runtime: runtimeHomeKeys };

/** `over` wins; what it does not mention stays as in `base`. */
export function mergeMaps(base: MapNode, over: MapNode, path: Path = []): MapNode {
  const entries = new Map<string, Entry>(base.entries);
  const [was, is] = [scalarAt(base, 'kind'), scalarAt(over, 'kind')];
  if (was !== undefined && is !== undefined && was !== is) for (const key of ofOneKind[path.join('.')] ?? []) entries.delete(key);
  for (const [key, entry] of over.entries) {
    const before = base.entries.get(key)?.value;
    const here = [...path, key];
    const merges = before?.type === 'map' && entry.value.type === 'map' && isSameThing(before, entry.value, here) && !hasNewSource(base, over, here);
    entries.set(key, merges ? { key: entry.key, value: mergeMaps(before, entry.value, here) } : entry);
  }
  if (hasNewSource(base, over, [...path, 'args']) && !over.entries.has('args')) entries.delete('args');
  return { type: 'map', entries, origin: over.origin };
}

function isSameThing(before: MapNode, after: MapNode, path: Path): boolean {
  const tag = tags[path.join('.')];
  if (tag === undefined) return true;
  const [was, is] = [scalarAt(before, tag), scalarAt(after, tag)];
  return was === undefined || is === undefined || was === is;
}

/** Arguments belong to one taskset: another `source` starts without them. */
function hasNewSource(base: MapNode, over: MapNode, path: Path): boolean {
  if (path.join('.') !== 'taskset.args') return false;
  const [was, is] = [scalarAt(base, 'source'), scalarAt(over, 'source')];
  return was !== undefined && is !== undefined && was !== is;
}

function scalarAt(map: MapNode, key: string): unknown {
  const node = map.entries.get(key)?.value;
  return node?.type === 'scalar' ? node.value : undefined;
}
