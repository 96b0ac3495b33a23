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

/** By how much a gap of logits counts as a distance of probabilities: rounding moves logits by about ten times as much. */
const LOGIT = 0.1;

export interface HeadOptions {
  readonly filtered: boolean;
  /** Adds the output `margin`. */
  readonly margins?: boolean;
}

/**
 * Adds the head. `filtered` honours top-k and top-p, which costs a sort of the likeliest tokens, and has no greedy rows: the most
 * likely token is the same without a filter.
 *
 * `margin` (N, 1) is how far a draw was from another token, in shares of the probability: from the ends of the interval of the cumulative
 * distribution that the uniform fell into; for greedy rows, from the second most likely token; with filters, also from another order of the
 * sorted tokens and from another set of kept ones.
 */
export function samplingGraph(decoder: Model, { filtered, margins = false }: HeadOptions): Model {
  const b = new Builder(decoder);
  const column = (name: string): Value => b.input(name, 'float32', ['drawn', 1]);
  const logits = b.mul(b.cast(b.value('logits'), 'float32'), column(SAMPLING_INPUTS.inverseTemperature));
  const uniform = column(SAMPLING_INPUTS.uniform);
  const shifted = b.sub(logits, b.reduceMax(logits, [-1], { keepDims: true }));
  const { token, logprob, margin } = filtered
    ? drawFiltered(b, { shifted, uniform, topK: column(SAMPLING_INPUTS.topK), topP: column(SAMPLING_INPUTS.topP), candidates: b.input(SAMPLING_INPUTS.candidates, 'int64', [1]) })
    : draw(b, { shifted, uniform, greedy: b.greater(column(SAMPLING_INPUTS.greedy), 0.5) });
  b.output('token', token);
  b.output('logprob', logprob);
  if (margins) b.output('margin', margin());
  for (const { name } of decoder.outputs) if (name.startsWith('present')) b.output(name, b.value(name));
  return b.build();
}

interface Draw {
  /** Logits at the temperature, less their maximum: (N, V). */
  shifted: Value;
  uniform: Value;
}

interface Drawn {
  token: Value;
  logprob: Value;
  /** Adds what it takes to know it. */
  margin: () => Value;
}

function draw(b: Builder, { shifted, uniform, greedy }: Draw & { greedy: Value }): Drawn {
  const mass = b.exp(shifted);
  const total = b.sum(mass, [-1], { keepDims: true });
  const best = b.argmax(shifted, -1, { keepDims: true });
  const { found, distance } = invert(b, mass, b.mul(uniform, total));
  // Rounding may land on a token without mass at the far end of the distribution.
  const possible = b.greater(b.gatherElements(mass, found, 1), 0);
  const token = b.where(greedy, best, b.where(possible, found, best));
  const margin = (): Value => b.where(greedy, b.mul(leadOf(b, shifted), LOGIT), b.div(distance(), total));
  return { token, logprob: b.sub(b.gatherElements(shifted, token, 1), b.log(total)), margin };
}

/** By how much the most likely token leads the second: (N, 1). */
function leadOf(b: Builder, shifted: Value): Value {
  const [two] = b.ops('TopK', [shifted, b.int64([2])], { axis: int(-1) }, { outputs: 2 }) as [Value, Value];
  const [first, second] = b.split(two, [1, 1], 1) as [Value, Value];
  return b.sub(first, second);
}

interface Inverse {
  /** How many leading tokens have a cumulative mass of at most the threshold (N, 1): the index of the token that covers it. */
  found: Value;
  /** Of the threshold from the nearer end of what that token covers. */
  distance: () => Value;
}

function invert(b: Builder, mass: Value, threshold: Value): Inverse {
  const width = dimsOf(mass)[1]!;
  if (typeof width !== 'number' || width <= 8 * BLOCK) return invertDirectly(b, mass, threshold, typeof width === 'number' ? width - 1 : null);
  const count = Math.ceil(width / BLOCK);
  const padded = width % BLOCK === 0 ? mass : b.op('Pad', [mass, b.int64([0, 0, 0, count * BLOCK - width])]);
  const blocks = b.reshape(padded, [-1, count, BLOCK]);
  const sums = b.sum(blocks, [2]);
  const cumulative = b.cumsum(sums, 1);
  const block = countBelow(b, cumulative, threshold, count - 1);
  const before = b.sum(b.mul(sums, b.indicator(b.lessOrEqual(cumulative, threshold), sums)), [1], { keepDims: true });
  const rows = b.squeeze(b.op('GatherElements', [blocks, b.expand(b.unsqueeze(block, [2]), b.concat([b.shape(block), b.int64([BLOCK])], 0))], { axis: int(1) }), [1]);
  const inner = invertDirectly(b, rows, b.sub(threshold, before), BLOCK - 1);
  return { found: b.min(b.add(b.mul(block, BLOCK), inner.found), width - 1), distance: inner.distance };
}

function invertDirectly(b: Builder, mass: Value, threshold: Value, last: number | null): Inverse {
  const cumulative = b.cumsum(mass, 1), found = countBelow(b, cumulative, threshold, last);
  return { found, distance: () => distanceToEnds(b, { cumulative, mass, threshold, at: found }) };
}

function distanceToEnds(b: Builder, { cumulative, mass, threshold, at }: { cumulative: Value; mass: Value; threshold: Value; at: Value }): Value {
  const above = b.sub(b.gatherElements(cumulative, at, 1), threshold);
  return b.min(above, b.sub(b.gatherElements(mass, at, 1), above));
}

function countBelow(b: Builder, cumulative: Value, threshold: Value, last: number | null): Value {
  const count = b.cast(b.sum(b.indicator(b.lessOrEqual(cumulative, threshold), threshold), [1], { keepDims: true }), 'int64');
  return last === null ? count : b.min(count, last);
}

/**
 * Keeps the top k tokens, and of these the smallest set whose mass reaches p (the most likely one always), renormalises, and
 * draws from the sorted distribution.
 */
function drawFiltered(b: Builder, { shifted, uniform, topK, topP, candidates }: Draw & { topK: Value; topP: Value; candidates: Value }): Drawn {
  const [sorted, order] = b.ops('TopK', [shifted, candidates], { axis: int(-1) }, { outputs: 2 }) as [Value, Value];
  const rank = b.cast(b.range(b.scalar(0, 'int64'), b.squeeze(candidates, [0]), b.scalar(1, 'int64')), 'float32');
  const mass = b.exp(sorted);
  const inTopK = b.mul(mass, b.indicator(b.less(rank, topK), mass));
  const share = b.div(inTopK, b.sum(inTopK, [-1], { keepDims: true }));
  // A token stays while the mass before it has not reached p.
  const before = b.op('CumSum', [share, b.scalar(1, 'int64')], { exclusive: int(1) });
  const kept = b.mul(inTopK, b.indicator(b.less(before, topP), mass));
  const total = b.sum(kept, [-1], { keepDims: true });
  const threshold = b.mul(uniform, total), cumulative = b.cumsum(kept, 1);
  const found = countBelow(b, cumulative, threshold, null);
  const last = b.sub(b.cast(b.sum(b.indicator(b.greater(kept, 0), kept), [1], { keepDims: true }), 'int64'), 1);
  const place = b.min(found, last);
  const margin = (): Value => {
    const end = b.sub(candidates, 1), next = b.min(b.add(place, 1), end), previous = b.max(b.sub(place, 1), 0);
    const at = (index: Value): Value => b.gatherElements(sorted, index, 1);
    /** Between two neighbours of the sorted tokens; at the ends there is none. */
    const gap = (upper: Value, lower: Value): Value => b.where(b.equal(upper, lower), b.scalar(1), b.sub(at(upper), at(lower)));
    const interval = b.div(distanceToEnds(b, { cumulative, mass: kept, threshold, at: place }), total);
    const nearest = b.neg(b.reduceMax(b.neg(b.abs(b.sub(before, topP))), [-1], { keepDims: true }));
    const toTopP = b.where(b.less(topP, 1), nearest, b.scalar(1));
    const firstOut = b.min(b.cast(topK, 'int64'), end);
    const order = b.min(b.min(gap(previous, place), gap(place, next)), gap(b.sub(firstOut, 1), firstOut));
    return b.min(b.min(interval, toTopP), b.mul(order, LOGIT));
  };
  return { token: b.gatherElements(order, place, 1), logprob: b.sub(b.gatherElements(sorted, place, 1), b.log(total)), margin };
}
