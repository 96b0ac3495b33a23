/** @file Whether a loss of the user's can be built at all, without a model. */
import { Builder, OnnxError } from '../../onnx/index.ts';
import { SCORED, trainingGraph } from '../training-graph.ts';
import type { LossFunction } from './terms.ts';

/** Builds a loss and its gradient over the smallest decoder that there can be. Null when that works; otherwise what is wrong, beginning with its path. */
export function tryLoss(custom: LossFunction, path: string): string | null {
  const b = new Builder();
  const weights = 'weights of a decoder';
  b.output('logits', b.mul(b.input('hidden', 'float32', [SCORED, 2]), b.input(weights, 'float32', [2])));
  try {
    trainingGraph(b.build(), { loss: { kind: 'module', path, reduction: 'sum' }, custom, parameters: [weights] });
    return null;
  } catch (error) {
    if (error instanceof OnnxError) return error.message;
    throw error;
  }
}
