/**
 * @file Drawing tokens inside the graph: logits in, one token and its log-probability per row out.
 *
 * Nothing of size (rows, vocabulary) leaves ONNX Runtime. Randomness comes from the host, one uniform per row, so that a run can
 * be repeated; the token is found by inverting the cumulative distribution.
 */
import { Builder, dimsOf, int, type Model, type Value } from '../onnx/index.ts';

/** Inputs that the sampling heads add; N rows to draw for. Float32 (N, 1) unless said otherwise. */
export const SAMPLING_INPUTS = {
  /** 1/temperature; 1 for greedy rows. */
  inverseTemperature: 'inverse_temperature',
  /** 1 where the most likely token is wanted, else 0. */
  greedy: 'greedy',
  /** Strictly between 0 and 1. */
  uniform: 'uniform',
  /** Tokens to keep; the vocabulary's size for all. */
  topK: 'top_k',
  /** Probability mass to keep; 1 for all. */
  topP: 'top_p',
  /** int64 (1): the largest top-k of all rows. Sorting a few of many tokens is much cheaper than sorting them all. */
  candidates: 'candidates',
} as const;

/** Vocabularies above this are searched in two levels: CumSum walks its axis one element at a time. */
const BLOCK = 256;

/**
 * Adds the head. `filtered` honours top-k and top-p, which costs a sort of the likeliest tokens, and has no greedy rows: the most
 * likely token is the same without a filter.
 */
export function samplingGraph(decoder: Model, { filtered }: { filtered: boolean }): Model {
  const b = new Builder(decoder);
  const column = (name: string): Value => b.input(name, 'float32', ['drawn', 1]);
  const logits = b.mul(b.cast(b.value('logits'), 'float32'), column(SAMPLING_INPUTS.inverseTemperature));
  const uniform = column(SAMPLING_INPUTS.uniform);
  const shifted = b.sub(logits, b.reduceMax(logits, [-1], { keepDims: true }));
  const { token, logprob } = filtered
    ? drawFiltered(b, { shifted, uniform, topK: column(SAMPLING_INPUTS.topK), topP: column(SAMPLING_INPUTS.topP), candidates: b.input(SAMPLING_INPUTS.candidates, 'int64', [1]) })
    : draw(b, { shifted, uniform, greedy: b.greater(column(SAMPLING_INPUTS.greedy), 0.5) });
  b.output('token', token);
  b.output('logprob', logprob);
  for (const { name } of decoder.outputs) if (name.startsWith('present')) b.output(name, b.value(name));
  return b.build();
}

interface Draw {
  /** Logits at the temperature, less their maximum: (N, V). */
  shifted: Value;
  uniform: Value;
}

function draw(b: Builder, { shifted, uniform, greedy }: Draw & { greedy: Value }): { token: Value; logprob: Value } {
  const mass = b.exp(shifted);
  const total = b.sum(mass, [-1], { keepDims: true });
  const best = b.argmax(shifted, -1, { keepDims: true });
  const found = invert(b, mass, b.mul(uniform, total));
  // Rounding may land on a token without mass at the far end of the distribution.
  const possible = b.greater(b.gatherElements(mass, found, 1), 0);
  const token = b.where(greedy, best, b.where(possible, found, best));
  return { token, logprob: b.sub(b.gatherElements(shifted, token, 1), b.log(total)) };
}

/** How many leading tokens have a cumulative mass of at most `threshold` (N, 1): the index of the token that covers it. */
function invert(b: Builder, mass: Value, threshold: Value): Value {
  const width = dimsOf(mass)[1]!;
  if (typeof width !== 'number' || width <= 8 * BLOCK) return countBelow(b, b.cumsum(mass, 1), threshold, typeof width === 'number' ? width - 1 : null);
  const count = Math.ceil(width / BLOCK);
  const padded = width % BLOCK === 0 ? mass : b.op('Pad', [mass, b.int64([0, 0, 0, count * BLOCK - width])]);
  const blocks = b.reshape(padded, [-1, count, BLOCK]);
  const sums = b.sum(blocks, [2]);
  const cumulative = b.cumsum(sums, 1);
  const block = countBelow(b, cumulative, threshold, count - 1);
  const before = b.sum(b.mul(sums, b.indicator(b.lessOrEqual(cumulative, threshold), sums)), [1], { keepDims: true });
  const rows = b.squeeze(b.op('GatherElements', [blocks, b.expand(b.unsqueeze(block, [2]), b.concat([b.shape(block), b.int64([BLOCK])], 0))], { axis: int(1) }), [1]);
  const inner = countBelow(b, b.cumsum(rows, 1), b.sub(threshold, before), BLOCK - 1);
  return b.min(b.add(b.mul(block, BLOCK), inner), width - 1);
}

function countBelow(b: Builder, cumulative: Value, threshold: Value, last: number | null): Value {
  const count = b.cast(b.sum(b.indicator(b.lessOrEqual(cumulative, threshold), threshold), [1], { keepDims: true }), 'int64');
  return last === null ? count : b.min(count, last);
}

/**
 * Keeps the top k tokens, and of these the smallest set whose mass reaches p (the most likely one always), renormalises, and
 * draws from the sorted distribution.
 */
function drawFiltered(b: Builder, { shifted, uniform, topK, topP, candidates }: Draw & { topK: Value; topP: Value; candidates: Value }): { token: Value; logprob: Value } {
  const [sorted, order] = b.ops('TopK', [shifted, candidates], { axis: int(-1) }, { outputs: 2 }) as [Value, Value];
  const rank = b.cast(b.range(b.scalar(0, 'int64'), b.squeeze(candidates, [0]), b.scalar(1, 'int64')), 'float32');
  const mass = b.exp(sorted);
  const inTopK = b.mul(mass, b.indicator(b.less(rank, topK), mass));
  const share = b.div(inTopK, b.sum(inTopK, [-1], { keepDims: true }));
  // A token stays while the mass before it has not reached p.
  const before = b.op('CumSum', [share, b.scalar(1, 'int64')], { exclusive: int(1) });
  const kept = b.mul(inTopK, b.indicator(b.less(before, topP), mass));
  const total = b.sum(kept, [-1], { keepDims: true });
  const found = countBelow(b, b.cumsum(kept, 1), b.mul(uniform, total), null);
  const last = b.sub(b.cast(b.sum(b.indicator(b.greater(kept, 0), kept), [1], { keepDims: true }), 'int64'), 1);
  const place = b.min(found, last);
  return { token: b.gatherElements(order, place, 1), logprob: b.sub(b.gatherElements(sorted, place, 1), b.log(total)) };
}
