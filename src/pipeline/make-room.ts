/**
 * Every step leaves a checkpoint, which for a large model fills any disk. Beyond a budget the oldest lose their weights and moments, both or
 * neither: from weights alone a job could not go on as it would have.
 */
import type { ResolvedPipeline } from '../config/types.ts';
import type { Emit } from '../events.ts';
import type { History, Start } from './history.ts';
import type { ModelLine } from './loop.ts';

/** What the checkpoints of a model may take on disk before the oldest lose their weights. */
export const CHECKPOINT_BUDGET_BYTES = 1e9;

export interface MakeRoomOptions {
  jobId: string;
  start: Start;
  pipeline: ResolvedPipeline;
  model: ModelLine;
  emit: Emit;
}

/**
 * Whatever they take, these stay: the head, the newest and the weights that the job stands at, from which it is resumed; what it began with; and of
 * every stage what a rollback would put back, which is the best that was measured.
 */
export async function makeRoom(history: History, { jobId, start, pipeline, model, emit }: MakeRoomOptions): Promise<void> {
  const spare = () => new Set([start.checkpoint, history.standing().weights, ...pipeline.stages.map((stage) => history.bestWeights(stage))].filter((id) => id !== null));
  const { pruned, bytes } = await model.pruneTo({ maxBytes: CHECKPOINT_BUDGET_BYTES, spare });
  if (pruned.length === 0) return;
  const earlier = pruned.filter((checkpoint) => checkpoint.jobId !== jobId).map(({ name }) => name);
  emit('checkpoints-pruned', { checkpoints: pruned.map(({ id }) => id), earlier, bytes, maxBytes: CHECKPOINT_BUDGET_BYTES });
}
