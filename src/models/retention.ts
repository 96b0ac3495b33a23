/** @file Which checkpoints lose their weights. Lists are oldest first; what was pruned before is in none of them. */
import { stateBytes, type StoredCheckpoint } from './checkpoint-files.ts';

/** Checkpoints as they were, and what their files took. */
export interface Pruning {
  pruned: readonly StoredCheckpoint[];
  bytes: number;
}

const bytesOf = (checkpoints: readonly StoredCheckpoint[]): number => checkpoints.reduce((sum, checkpoint) => sum + stateBytes(checkpoint), 0);

export const pruningOf = (pruned: readonly StoredCheckpoint[]): Pruning => ({ pruned, bytes: bytesOf(pruned) });

/** All but the `keep` newest and the head. */
export function beyondNewest(stored: readonly StoredCheckpoint[], { keep, head }: { keep: number; head: string | null }): StoredCheckpoint[] {
  return stored.slice(0, Math.max(0, stored.length - keep)).filter(({ id }) => id !== head);
}

/** The oldest, until what is left takes at most `maxBytes`: never the newest or one of `kept`, which is asked for once there is something to delete. */
export async function beyondBytes(stored: readonly StoredCheckpoint[], { maxBytes, kept }: { maxBytes: number; kept: () => Promise<ReadonlySet<string | null>> }): Promise<StoredCheckpoint[]> {
  let bytes = bytesOf(stored);
  if (bytes <= maxBytes) return [];
  const staying = await kept();
  return stored.slice(0, -1).filter((checkpoint) => {
    if (bytes <= maxBytes || staying.has(checkpoint.id)) return false;
    bytes -= stateBytes(checkpoint);
    return true;
  });
}
