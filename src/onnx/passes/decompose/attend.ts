/** @file Scaled dot-product attention from products and a Softmax: what all attention operators come down to. */
import type { Builder, Value } from '../../builder.ts';

export interface Attend {
  /** [B, heads, S, d] */
  readonly q: Value;
  /** [B, kvHeads, T, d] and [B, kvHeads, T, dv]; heads/kvHeads queries share a key head. */
  readonly k: Value;
  readonly v: Value;
  readonly heads: number;
  readonly kvHeads: number;
  readonly scale: number;
  /** Caps scores at ±softcap by tanh; 0: no cap. */
  readonly softcap?: number;
  /** Added to the scores, broadcastable to [B, heads, S, T]. */
  readonly biases?: readonly Value[];
  /** Where a query may look, broadcastable to [B, heads, S, T]. */
  readonly masks?: readonly Value[];
}

/**
 * softmax(cap(q·kᵀ·scale) + biases)·v → [B, heads, S, dv].
 *
 * Grouped heads multiply as [B, kvHeads, heads/kvHeads·S, d], so keys and values are never repeated; the reshapes keep axes 0
 * and 3 and infer axis 2, so no length needs to be known.
 */
export function attend(b: Builder, { q, k, v, heads, kvHeads, scale, softcap = 0, biases = [], masks = [] }: Attend): Value {
  const grouped = (x: Value): Value => (heads === kvHeads ? x : b.reshape(x, [0, kvHeads, -1, 0]));
  const apart = (x: Value): Value => (heads === kvHeads ? x : b.reshape(x, [0, heads, -1, 0]));
  let scores = apart(b.matmul(grouped(b.mul(q, scale)), b.transpose(k, [0, 1, 3, 2])));
  if (softcap > 0) scores = b.mul(b.tanh(b.div(scores, softcap)), softcap);
  for (const bias of biases) scores = b.add(scores, bias);
  if (masks.length > 0) scores = b.where(masks.reduce((both, mask) => b.and(both, mask)), scores, b.scalar(lowest(q), q.dataType));
  return apart(b.matmul(grouped(b.softmax(scores)), v));
}

/** As low as the type goes: a row without any key gets equal weights, never NaN. */
const lowest = ({ dataType }: Value): number => (dataType === 'float16' ? -65_504 : -3.4028234663852886e38);

/** [B, S, heads·d] → [B, heads, S, d] */
export const splitHeads = (b: Builder, x: Value, heads: number, depth: number): Value => b.transpose(b.reshape(x, [0, 0, heads, depth]), [0, 2, 1, 3]);

/** [B, heads, S, d] → [B, S, heads·d] */
export const joinHeads = (b: Builder, x: Value, width: number): Value => b.reshape(b.transpose(x, [0, 2, 1, 3]), [0, 0, width]);
