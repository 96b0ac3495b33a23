/**
 * @file Drawing tokens inside the graph: logits in, one token and its log-probability per row out.
 *
 * Nothing of size (rows, vocabulary) leaves ONNX Runtime. Randomness comes from the host, one uniform per row, so that a run can
 * be repeated; the token is found by inverting the cumulative distribution.
 */
import { Builder, dimsOf, int, type Model, type Value } from '../onnx/index.ts';
import type { Drawn, Filter, Kept } from './drawn.ts';
import { drawExactly, NOISE_INPUTS } from './exact-draw.ts';

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

export interface HeadOptions {
  /** Honours top-k and top-p, which costs a sort of the likeliest tokens, and has no greedy rows: the most likely token is the same without. */
  readonly filtered: boolean;
  /** Draws so that rounding hardly ever matters, and says in the output `margin` where it might: see `exact-draw.ts`. */
  readonly exact?: boolean;
}

/** Adds the head. */
export function samplingGraph(decoder: Model, { filtered, exact = false }: HeadOptions): Model {
  const b = new Builder(decoder);
  const column = (name: string): Value => b.input(name, 'float32', ['drawn', 1]);
  const logits = b.mul(b.cast(b.value('logits'), 'float32'), column(SAMPLING_INPUTS.inverseTemperature));
  const shifted = b.sub(logits, b.reduceMax(logits, [-1], { keepDims: true }));
  const filter = (): Filter => ({ topK: column(SAMPLING_INPUTS.topK), topP: column(SAMPLING_INPUTS.topP), candidates: b.input(SAMPLING_INPUTS.candidates, 'int64', [1]) });
  const greedy = (): Value => b.greater(column(SAMPLING_INPUTS.greedy), 0.5);
  const noise = (name: string): Value => b.input(name, 'float32', ['drawn', name]);
  const uniform = (): Value => column(SAMPLING_INPUTS.uniform);
  const drawn: Drawn = exact
    ? drawExactly(b, { shifted, blockNoise: noise(NOISE_INPUTS.block), tokenNoise: noise(NOISE_INPUTS.token), ...(filtered ? { kept: keep(b, shifted, filter()) } : { greedy: greedy() }) })
    : filtered ? drawFiltered(b, { shifted, uniform: uniform(), ...filter() }) : draw(b, { shifted, uniform: uniform(), greedy: greedy() });
  for (const [name, value] of Object.entries(drawn)) b.output(name, value);
  for (const { name } of decoder.outputs) if (name.startsWith('present')) b.output(name, b.value(name));
  return b.build();
}

interface Draw {
  /** Logits at the temperature, less their maximum: (N, V). */
  shifted: Value;
  uniform: Value;
}

function draw(b: Builder, { shifted, uniform, greedy }: Draw & { greedy: Value }): Drawn {
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

/** Keeps the top k tokens, and of these the smallest set whose mass reaches p (the most likely one always). */
function keep(b: Builder, shifted: Value, filter: Filter): Kept {
  const { topK, topP, candidates } = filter;
  const [sorted, order] = b.ops('TopK', [shifted, candidates], { axis: int(-1) }, { outputs: 2 }) as [Value, Value];
  const rank = b.cast(b.range(b.scalar(0, 'int64'), b.squeeze(candidates, [0]), b.scalar(1, 'int64')), 'float32');
  const all = b.exp(sorted);
  const inTopK = b.mul(all, b.indicator(b.less(rank, topK), all));
  const share = b.div(inTopK, b.sum(inTopK, [-1], { keepDims: true }));
  // A token stays while the mass before it has not reached p.
  const before = b.op('CumSum', [share, b.scalar(1, 'int64')], { exclusive: int(1) });
  const mass = b.mul(inTopK, b.indicator(b.less(before, topP), all));
  const total = b.sum(mass, [-1], { keepDims: true });
  const last = b.sub(b.cast(b.sum(b.indicator(b.greater(mass, 0), mass), [1], { keepDims: true }), 'int64'), 1);
  return { sorted, order, before, mass, total, last, filter };
}

/** Renormalises what is kept, and draws from the sorted distribution. */
function drawFiltered(b: Builder, { shifted, uniform, ...filter }: Draw & Filter): Drawn {
  const { sorted, order, mass, total, last } = keep(b, shifted, filter);
  const found = countBelow(b, b.cumsum(mass, 1), b.mul(uniform, total), null);
  const place = b.min(found, last);
  return { token: b.gatherElements(order, place, 1), logprob: b.sub(b.gatherElements(sorted, place, 1), b.log(total)) };
}
