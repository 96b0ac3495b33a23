/** @file A configuration value that remembers where each of its parts came from. */
import type { Location } from './source.ts';

export type Scalar = string | number | boolean | null;

/** Where a value came from; `check --resolved` shows it. */
export type Origin =
  | { readonly kind: 'file' | 'set'; readonly at: Location }
  /** An environment variable, named at this place. */
  | { readonly kind: 'env'; readonly at: Location; readonly variable: string }
  | { readonly kind: 'default' }
  /** The expansion of a loss preset. */
  | { readonly kind: 'preset'; readonly name: string; readonly at: Location | null }
  /** Follows from another value, named in words. */
  | { readonly kind: 'derived'; readonly from: string };

export interface ScalarNode {
  readonly type: 'scalar';
  readonly value: Scalar;
  readonly origin: Origin;
  /** For a value that may be a secret. */
  readonly secret?: Secret;
}

export interface Secret {
  /** What is told instead of the value. */
  readonly shown: string;
  /** Texts that the value is or holds, and what is told instead of each. */
  readonly texts: ReadonlyMap<string, string>;
}

export interface ListNode {
  readonly type: 'list';
  readonly items: readonly ConfigNode[];
  readonly origin: Origin;
}
export interface Entry {
  /** The key; null when nobody wrote it. */
  readonly key: Location | null;
  readonly value: ConfigNode;
}
export interface MapNode {
  readonly type: 'map';
  readonly entries: ReadonlyMap<string, Entry>;
  readonly origin: Origin;
}
export type ConfigNode = ScalarNode | ListNode | MapNode;

/** Keys of maps and indexes of lists, from the root. */
export type Path = readonly (string | number)[];

export function emptyMap(origin: Origin): MapNode {
  return { type: 'map', entries: new Map(), origin };
}

/** The same value as plain data, for validation and conversion. */
export function toPlain(node: ConfigNode): unknown {
  if (node.type === 'scalar') return node.value;
  if (node.type === 'list') return node.items.map(toPlain);
  // defineProperty semantics: a key named __proto__ is a key like any other.
  return Object.fromEntries([...node.entries].map(([key, entry]) => [key, toPlain(entry.value)]));
}

/** As plain data, with what may be told of secrets. */
export function toShown(node: ConfigNode): unknown {
  if (node.type === 'scalar') return node.secret?.shown ?? node.value;
  if (node.type === 'list') return node.items.map(toShown);
  return Object.fromEntries([...node.entries].map(([key, entry]) => [key, toShown(entry.value)]));
}

/** Plain data as a tree whose every part has one origin. */
export function fromPlain(value: unknown, origin: Origin): ConfigNode {
  if (Array.isArray(value)) return { type: 'list', items: value.map((item) => fromPlain(item, origin)), origin };
  if (value !== null && typeof value === 'object') {
    const entries = Object.entries(value).map(([key, item]): [string, Entry] => [key, { key: null, value: fromPlain(item, origin) }]);
    return { type: 'map', entries: new Map(entries), origin };
  }
  return { type: 'scalar', value: value as Scalar, origin };
}

export function child(node: ConfigNode | undefined, key: string | number): ConfigNode | undefined {
  if (node?.type === 'map') return node.entries.get(String(key))?.value;
  if (node?.type === 'list') return node.items[Number(key)];
  return undefined;
}

export function nodeAt(root: ConfigNode, path: Path): ConfigNode | undefined {
  return path.reduce<ConfigNode | undefined>(child, root);
}

/** The text at a key, if it is one. */
export function textAt(node: ConfigNode | undefined, key: string): string | undefined {
  const value = child(node, key);
  return value?.type === 'scalar' && typeof value.value === 'string' ? value.value : undefined;
}

/** The place where the value was written, if anybody wrote it. */
export function placeOf(node: ConfigNode | undefined): Location | null {
  if (node === undefined || node.origin.kind === 'default' || node.origin.kind === 'derived') return null;
  return node.origin.at;
}

/** The key at the end of a path. */
export function keyPlace(root: ConfigNode, path: Path): Location | null {
  const parent = nodeAt(root, path.slice(0, -1));
  const last = path.at(-1);
  const own = last !== undefined && parent?.type === 'map' ? parent.entries.get(String(last))?.key : null;
  if (own != null) return own;
  // The root and the entries of a list have no key of their own, so their first one stands for them.
  const node = nodeAt(root, path);
  const first = node?.type === 'map' ? [...node.entries.values()].find(({ key }) => key !== null) : undefined;
  return first?.key ?? placeOf(node);
}

/** The value at a path; failing that, the nearest ancestor that somebody wrote. */
export function nearestPlace(root: ConfigNode, path: Path): Location | null {
  for (let length = path.length; length >= 0; length--) {
    const place = placeOf(nodeAt(root, path.slice(0, length)));
    if (place !== null) return place;
  }
  return null;
}

export function withEntry(map: MapNode, key: string, value: ConfigNode, keyAt?: Location | null): MapNode {
  const entries = new Map(map.entries);
  entries.set(key, { key: keyAt === undefined ? (map.entries.get(key)?.key ?? null) : keyAt, value });
  return { ...map, entries };
}

export function withoutEntry(map: MapNode, key: string): MapNode {
  const entries = new Map(map.entries);
  entries.delete(key);
  return { ...map, entries };
}

/** `steps[1].train.learning_rate`, as people write it. */
export function formatPath(path: Path): string {
  return path.map((part, i) => (typeof part === 'number' ? `[${part}]` : i === 0 ? part : `.${part}`)).join('');
}
