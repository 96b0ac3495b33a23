/** @file A tree without its invalid parts, so that one pass can find contradictions elsewhere as well. */
import type { ConfigNode, Path } from './tree.ts';

/** Removes what stands at each of the paths. */
export function prune<N extends ConfigNode>(node: N, paths: readonly Path[]): N {
  const below = (part: string | number): Path[] => paths.filter((path) => path[0] === part).map((path) => path.slice(1));
  const isGone = (inner: readonly Path[]): boolean => inner.some((path) => path.length === 0);
  if (node.type === 'map') {
    const entries = [...node.entries].flatMap(([key, entry]) => {
      const inner = below(key);
      if (isGone(inner)) return [];
      return [[key, inner.length === 0 ? entry : { ...entry, value: prune(entry.value, inner) }] as const];
    });
    return { ...node, entries: new Map(entries) };
  }
  if (node.type === 'list') {
    const items = node.items.flatMap((item, index) => {
      const inner = below(index);
      return isGone(inner) ? [] : [inner.length === 0 ? item : prune(item, inner)];
    });
    return { ...node, items };
  }
  return node;
}

/** The section of a pipeline or of a stage that a path lies in: `train`, `agent` … */
export function sectionOf(path: Path): string {
  return String(path[0] === 'steps' && path.length > 2 ? path[2] : path[0]);
}
