/** @file Rotary position embedding (arXiv:2104.09864): pairs of channels turned by an angle that grows with the position. */
import type { Builder, Value } from '../../builder.ts';
import { intAttribute, type Node } from '../../ir.ts';
import { countTo, lengthOf, optional, refuse, required, sizeOf, type Context, type Decomposition } from './context.ts';

export interface Turn {
  /** Cosines and sines, broadcastable to x with half its turning channels last. */
  readonly cos: Value;
  readonly sin: Value;
  /** Pairs are (0, 1), (2, 3) … instead of (0, r/2), (1, r/2 + 1) … */
  readonly interleaved: boolean;
}

/** Turns the first 2·|cos| channels of x [·, ·, ·, d]; what lies beyond stays. */
export function turned(context: Context, x: Value, { cos, sin, interleaved }: Turn): Value {
  const { b } = context, half = sizeOf(context, cos, -1), depth = sizeOf(context, x, -1);
  const [turning, rest] = 2 * half === depth ? [x, null] : (b.split(x, [2 * half, depth - 2 * half], 3) as [Value, Value]);
  const result = interleaved ? turnedPairs(b, turning, half, b.unsqueeze(cos, [-1]), b.unsqueeze(sin, [-1])) : turnedHalves(b, turning, half, cos, sin);
  return rest === null ? result : b.concat([result, rest], 3);
}

const rotate = (b: Builder, first: Value, second: Value, cos: Value, sin: Value): [Value, Value] =>
  [b.sub(b.mul(first, cos), b.mul(second, sin)), b.add(b.mul(first, sin), b.mul(second, cos))];

function turnedHalves(b: Builder, x: Value, half: number, cos: Value, sin: Value): Value {
  const [first, second] = b.split(x, [half, half], 3) as [Value, Value];
  return b.concat(rotate(b, first, second, cos, sin), 3);
}

function turnedPairs(b: Builder, x: Value, half: number, cos: Value, sin: Value): Value {
  // Middle axes may be symbolic: 0 copies them, and the one that both spellings share is inferred.
  const [first, second] = b.split(b.reshape(x, [0, 0, -1, half, 2]), [1, 1], 4) as [Value, Value];
  return b.reshape(b.concat(rotate(b, first, second, cos, sin), 4), [0, 0, -1, 2 * half]);
}

/** x [B, S, heads·d] or [B, heads, S, d]; `headAxis` is where the heads then stand. */
function layout(context: Context, x: Value, half: number): { x: Value; headAxis: number; back: (y: Value) => Value } {
  const { b, node } = context, rank = x.shape?.length;
  if (rank === 4) return { x, headAxis: 1, back: (y) => y };
  if (rank !== 3) refuse(node, 'x must have rank 3 or 4');
  const width = sizeOf(context, x, 2), heads = intAttribute(node, 'num_heads', 0) || width / (2 * half);
  return { x: b.reshape(x, [0, 0, heads, width / heads]), headAxis: 2, back: (y) => b.reshape(y, [0, 0, width]) };
}

const interleavedOf = (node: Node): boolean => intAttribute(node, 'interleaved', 0) === 1;

/** com.microsoft: x, position_ids ([1] where the row starts, or [B, S]), tables [max, r/2]. */
const contrib: Decomposition = (context) => {
  const { b, node } = context;
  const [x, positions, cosines, sines] = [0, 1, 2, 3].map((index) => required(context, index)) as [Value, Value, Value, Value];
  if (intAttribute(node, 'is_packed_batching', 0) === 1) refuse(node, 'is_packed_batching is not supported');
  const at = layout(context, x, sizeOf(context, cosines, -1));
  const rows = positions.shape?.length === 1 ? b.add(countTo(b, lengthOf(b, x, x.shape!.length - 2)), b.cast(positions, 'int32')) : positions;
  const table = (values: Value): Value => b.unsqueeze(b.gather(values, rows), positions.shape?.length === 1 ? (at.headAxis === 1 ? [0, 1] : [0, 2]) : [at.headAxis]);
  return [at.back(turned(context, at.x, { cos: table(cosines), sin: table(sines), interleaved: interleavedOf(node) }))];
};

/** ONNX 23: x, tables ([max, r/2] with position_ids [B, S]; [B, S, r/2] without). */
const standard: Decomposition = (context) => {
  const { b, node } = context;
  const [x, cosines, sines] = [0, 1, 2].map((index) => required(context, index)) as [Value, Value, Value];
  const positions = optional(context, 3), at = layout(context, x, sizeOf(context, cosines, -1));
  const table = (values: Value): Value => b.unsqueeze(positions === null ? values : b.gather(values, positions), [at.headAxis]);
  return [at.back(turned(context, at.x, { cos: table(cosines), sin: table(sines), interleaved: interleavedOf(node) }))];
};

export const rotary = { 'com.microsoft.RotaryEmbedding': contrib, '.RotaryEmbedding': standard } satisfies Record<string, Decomposition>;
