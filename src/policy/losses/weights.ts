/** @file Reductions as one weight per token, computed over the whole optimiser batch before it is split. */
import type { Loss, TrainingBatch, TrainingSequence } from '../types.ts';

/** Positions of a sequence's action tokens. Index 0 has nothing before it that could predict it. */
export function actionPositions({ actionMask }: TrainingSequence): number[] {
  return actionMask.flatMap((mask, position) => (mask === 1 && position > 0 ? [position] : []));
}

/** Denominators of the whole batch. */
export interface Denominators {
  sequences: number;
  tokens: number;
}

export function denominators(batch: TrainingBatch): Denominators {
  return {
    sequences: batch.sequenceCount ?? batch.sequences.length,
    tokens: batch.tokenCount ?? batch.sequences.reduce((sum, sequence) => sum + actionPositions(sequence).length, 0),
  };
}

/**
 * The weight of every scored token of a sequence with `length` of them:
 * sum 1 · token_mean 1/N (DAPO) · sequence_mean 1/(B·|o|) (GRPO, GSPO) · constant 1/(B·L) (Dr.GRPO).
 */
export function tokenWeight(loss: Pick<Loss, 'reduction' | 'constantLength'>, length: number, { sequences, tokens }: Denominators): number {
  switch (loss.reduction) {
    case 'sum': return 1;
    case 'token_mean': return 1 / tokens;
    case 'sequence_mean': return 1 / (sequences * length);
    case 'constant': return 1 / (sequences * (loss.constantLength ?? 1));
  }
}
