/**
 * @file Splitting a batch into runs of the training graph.
 *
 * Sequences are sorted by length, so that little is padded, and cut by a budget of padded tokens. Denominators belong to the
 * whole batch, so no split, order or padding changes the gradient.
 */
import { f32, i64, type HostTensor } from '../onnx/index.ts';
import { actionPositions, tokenWeight, type Denominators } from './losses/weights.ts';
import { TRAINING_INPUTS } from './training-graph.ts';
import type { Loss, TrainingSequence } from './types.ts';

/** A sequence with its place in the batch and its scored positions. */
export interface Scored {
  readonly sequence: TrainingSequence;
  readonly index: number;
  readonly positions: readonly number[];
}

/** Sequences with at least one scored token, in runs of at most `budget` padded tokens (or one sequence). */
export function microBatches(sequences: readonly TrainingSequence[], budget: number): Scored[][] {
  const scored = sequences
    .map((sequence, index): Scored => ({ sequence, index, positions: actionPositions(sequence) }))
    .filter(({ positions }) => positions.length > 0)
    .toSorted((a, b) => a.sequence.tokenIds.length - b.sequence.tokenIds.length || a.index - b.index);
  const batches: Scored[][] = [];
  let current: Scored[] = [];
  for (const next of scored) {
    if (current.length > 0 && next.sequence.tokenIds.length * (current.length + 1) > budget) {
      batches.push(current);
      current = [];
    }
    current.push(next);
  }
  return current.length > 0 ? [...batches, current] : batches;
}

/** Graphs that can leave out logits are told not to: `logit_positions` chooses. */
export const ALL_LOGITS: Record<string, HostTensor> = { num_logits_to_keep: i64(new BigInt64Array(1), []) };

/**
 * Right-padded decoder inputs: input_ids, attention_mask, position_ids, all int64 (B, S). The last token of a sequence predicts
 * nothing that is scored, so it is left out.
 */
export function decoderFeeds(rows: readonly { readonly tokenIds: readonly number[] }[], { dropLast }: { dropLast: boolean }): { feeds: Record<string, HostTensor>; width: number } {
  const lengths = rows.map(({ tokenIds }) => tokenIds.length - (dropLast ? 1 : 0));
  const width = Math.max(...lengths);
  const ids = new BigInt64Array(rows.length * width), mask = new BigInt64Array(rows.length * width), positions = new BigInt64Array(rows.length * width);
  rows.forEach(({ tokenIds }, row) => {
    for (let position = 0; position < width; position++) {
      const inside = position < lengths[row]!;
      ids[row * width + position] = BigInt(inside ? tokenIds[position]! : 0);
      mask[row * width + position] = inside ? 1n : 0n;
      positions[row * width + position] = BigInt(inside ? position : 0);
    }
  });
  const dims = [rows.length, width];
  return { width, feeds: { ...ALL_LOGITS, input_ids: i64(ids, dims), attention_mask: i64(mask, dims), position_ids: i64(positions, dims) } };
}

/** Everything the training graph is fed besides parameters. `reference`: log-probabilities per batch index, for the KL term. */
export function trainingFeeds(batch: readonly Scored[], { loss, totals, reference }: { loss: Pick<Loss, 'reduction' | 'constantLength'>; totals: Denominators; reference: readonly (readonly number[])[] | null }): Record<string, HostTensor> {
  const { feeds, width } = decoderFeeds(batch.map(({ sequence }) => sequence), { dropLast: true });
  const count = batch.reduce((sum, { positions }) => sum + positions.length, 0);
  const logitPositions = new BigInt64Array(count), targets = new BigInt64Array(count), sequenceOf = new BigInt64Array(count);
  const inverseTemperature = new Float32Array(count), sampling = new Float32Array(count), advantages = new Float32Array(count), weights = new Float32Array(count), referenceLogprobs = new Float32Array(count);
  let at = 0;
  batch.forEach(({ sequence, index, positions }, row) => {
    const weight = tokenWeight(loss, positions.length, totals);
    for (const position of positions) {
      // The logits that predict a token stand one place before it.
      logitPositions[at] = BigInt(row * width + position - 1);
      targets[at] = BigInt(sequence.tokenIds[position]!);
      sequenceOf[at] = BigInt(row);
      inverseTemperature[at] = 1 / sequence.temperature;
      sampling[at] = sequence.samplingLogprobs[position]!;
      advantages[at] = sequence.advantages[position]!;
      weights[at] = weight;
      referenceLogprobs[at] = reference?.[index]?.[position] ?? 0;
      at += 1;
    }
  });
  const { targets: t, inverseTemperature: it, samplingLogprobs: sl, advantages: a, weights: w, sequence: s, inverseLengths: il, referenceLogprobs: rl } = TRAINING_INPUTS;
  return {
    ...feeds,
    logit_positions: i64(logitPositions, [count]),
    [t]: i64(targets, [count]), [s]: i64(sequenceOf, [count]),
    [it]: f32(inverseTemperature, [count, 1]), [sl]: f32(sampling, [count]), [a]: f32(advantages, [count]), [w]: f32(weights, [count]),
    [il]: f32(Float32Array.from(batch, ({ positions }) => 1 / positions.length), [batch.length]),
    [rl]: f32(referenceLogprobs, [count]),
  };
}

/** Scores of a micro-batch's tokens, back at their places: one array per batch row, 0 where nothing is scored. */
export function atPositions(batch: readonly Scored[], values: Float32Array): { index: number; values: number[] }[] {
  let at = 0;
  return batch.map(({ sequence, index, positions }) => {
    const row = Array.from({ length: sequence.tokenIds.length }, () => 0);
    for (const position of positions) row[position] = values[at++]!;
    return { index, values: row };
  });
}
