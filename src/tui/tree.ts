/** @file The checkpoint tree as rows of lanes, newest first, as version control draws its history. */
import type { CheckpointSummary } from '../events.ts';

export interface TreeRow {
  checkpoint: CheckpointSummary;
  /** Lane of the node itself. */
  lane: number;
  /** Lanes that run past the node on this row. */
  passing: number[];
  /** Lanes that end here: branches that began at this checkpoint. */
  joining: number[];
}

/** Checkpoints come oldest first; a parent always stands before its children. */
export function treeRows(checkpoints: readonly CheckpointSummary[]): TreeRow[] {
  // Each lane holds the id that it runs down to; null is free.
  const lanes: (string | null)[] = [];
  const rows: TreeRow[] = [];
  for (const checkpoint of checkpoints.toReversed()) {
    const waiting = lanes.flatMap((id, lane) => (id === checkpoint.id ? [lane] : []));
    const free = lanes.indexOf(null);
    const lane = waiting[0] ?? (free === -1 ? lanes.length : free);
    for (const joined of waiting) lanes[joined] = null;
    const passing = lanes.flatMap((id, other) => (id === null || other === lane ? [] : [other]));
    rows.push({ checkpoint, lane, passing, joining: waiting.slice(1) });
    lanes[lane] = checkpoint.parent;
    while (lanes.at(-1) === null) lanes.pop();
  }
  return rows;
}
