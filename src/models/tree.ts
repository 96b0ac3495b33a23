/** @file Checkpoints as the tree they are. */
import type { Checkpoint } from './types.ts';

export interface CheckpointNode<C extends Checkpoint = Checkpoint> {
  checkpoint: C;
  children: CheckpointNode<C>[];
  /** Its parent was deleted by hand: the lineage before it is not known. */
  parentIsMissing: boolean;
}

/** Roots in the order given; children of a missing parent become roots. */
export function checkpointTree<C extends Checkpoint>(checkpoints: readonly C[]): CheckpointNode<C>[] {
  const nodes = new Map(checkpoints.map((checkpoint) => [checkpoint.id, { checkpoint, children: [], parentIsMissing: false } as CheckpointNode<C>]));
  const roots: CheckpointNode<C>[] = [];
  for (const node of nodes.values()) {
    const { parent } = node.checkpoint;
    const above = parent === null ? undefined : nodes.get(parent);
    if (above === undefined) {
      node.parentIsMissing = parent !== null;
      roots.push(node);
    } else {
      above.children.push(node);
    }
  }
  return roots;
}
