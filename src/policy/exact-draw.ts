/**
 * @file Drawing tokens so that rounding hardly ever matters.
 *
 * What shares a run with a row changes its logits by up to 3e-5 (measured). Where a token is found in the cumulative distribution, such a
 * change moves all tokens behind it, and an unlikely one is easily missed: its interval is narrower than the change. Here the token is the one
 * with the largest sum of logit and Gumbel noise instead (the same distribution). Only the first two of them can change places, and only if
 * they are closer than the change: for one draw in some thousands. `margin` says how close they were.
 *
 * Noise for every token of a vocabulary would cost more than the model, so the draw has two levels: a block of tokens, by its mass, then a
 * token of the block. The second noise does not depend on the first, so the same numbers will do for all blocks.
 */
import { OnnxError, dimsOf, int, type Builder, type Value } from '../onnx/index.ts';
import type { Drawn, Kept } from './drawn.ts';

/** Gumbel noise, float32: (N, blocks) and (N, tokens of a block), as `noiseShape` has them. */
export const NOISE_INPUTS = { block: 'block_noise', token: 'token_noise' } as const;

export function noiseShape(vocabularySize: number): { blocks: number; width: number } {
  const width = 2 ** Math.ceil(Math.log2(vocabularySize) / 2);
  return { blocks: Math.max(2, Math.ceil(vocabularySize / width)), width };
}

/** Draws that were closer than this, in logits, may have another outcome in other company. */
export const CLOSE = 5e-4;
/** Sums of probabilities are moved less than logits. */
const SHARE = 10;

interface ExactDraw {
  /** Logits at the temperature, less their maximum: (N, V). */
  shifted: Value;
  blockNoise: Value;
  tokenNoise: Value;
  /** (N, 1): where the most likely token is wanted. */
  greedy?: Value;
  kept?: Kept;
}

/** `margin` (N, 1): by how much the first led the second, and by how much each token was in or out that is near the edge of a filter. */
export function drawExactly(b: Builder, { shifted, blockNoise, tokenNoise, greedy, kept }: ExactDraw): Drawn & { margin: Value } {
  const vocabulary = dimsOf(shifted)[1]!;
  if (typeof vocabulary !== 'number') throw new OnnxError('the width of the logits is not known');
  const { blocks: count, width } = noiseShape(vocabulary);
  const all = b.exp(shifted);
  const mass = kept === undefined ? all : b.mul(all, b.indicator(b.greaterOrEqual(shifted, b.gatherElements(kept.sorted, kept.last, 1)), all));
  const padded = count * width === vocabulary ? mass : b.op('Pad', [mass, b.int64([0, 0, 0, count * width - vocabulary])]);
  const blocks = b.reshape(padded, [-1, count, width]);
  const block = first(b, b.add(b.log(b.sum(blocks, [2])), blockNoise));
  const rows = b.squeeze(b.op('GatherElements', [blocks, b.expand(b.unsqueeze(block.index, [2]), b.concat([b.shape(block.index), b.int64([width])], 0))], { axis: int(1) }), [1]);
  const inner = first(b, b.add(b.log(rows), tokenNoise));
  const drawn = { token: b.add(b.mul(block.index, width), inner.index), margin: b.min(block.lead, inner.lead) };
  const best = greedy && first(b, shifted);
  const token = greedy ? b.where(greedy, best!.index, drawn.token) : drawn.token;
  const margin = greedy ? b.where(greedy, best!.lead, drawn.margin) : drawn.margin;
  const logprob = b.sub(b.gatherElements(shifted, token, 1), b.log(b.sum(mass, [-1], { keepDims: true })));
  return { token, logprob, margin: kept === undefined ? margin : b.min(margin, toEdge(b, kept)) };
}

/** Where the largest value stands, and how much larger it is than the next. */
function first(b: Builder, scores: Value): { index: Value; lead: Value } {
  const [two, places] = b.ops('TopK', [scores, b.int64([2])], { axis: int(-1) }, { outputs: 2 }) as [Value, Value];
  const [most, next] = b.split(two, [1, 1], 1) as [Value, Value];
  return { index: b.split(places, [1, 1], 1)[0]!, lead: b.sub(most, next) };
}

/** How close a filter came to keeping another set of tokens. */
function toEdge(b: Builder, { sorted, before, filter: { topK, topP, candidates } }: Kept): Value {
  const out = b.min(b.cast(topK, 'int64'), b.sub(candidates, 1)), within = b.sub(out, 1);
  const toTopK = b.where(b.less(b.cast(out, 'float32'), topK), b.scalar(1), b.sub(b.gatherElements(sorted, b.max(within, 0), 1), b.gatherElements(sorted, out, 1)));
  const nearest = b.neg(b.reduceMax(b.neg(b.abs(b.sub(before, topP))), [-1], { keepDims: true }));
  return b.min(toTopK, b.where(b.less(topP, 1), b.mul(nearest, SHARE), b.scalar(1)));
}
