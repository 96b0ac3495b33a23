/** @file GroupQueryAttention of ONNX Runtime: rotary embedding, cache, causal mask and attention in one node. */
import type { Value } from '../../builder.ts';
import { floatAttribute, intAttribute } from '../../ir.ts';
import { attend, joinHeads, splitHeads } from './attend.ts';
import { countTo, dimKey, lengthOf, optional, refuse, required, sizeOf, type Context, type Decomposition } from './context.ts';
import { turned, type Turn } from './rotary.ts';

/**
 * The kernel packs each row's cache: row b has `seqlens_k[b] + 1 − S` valid past rows in front, new rows follow. Here new rows
 * follow the whole past (K = Concat(past, new)), and the mask hides what lies between: the same attention, and a cache that can
 * stay outside the graph. Without a past, rows begin at 0.
 */
export const groupQueryAttention: Decomposition = (context) => {
  const { b, node } = context;
  const heads = intAttribute(node, 'num_heads', 0), kvHeads = intAttribute(node, 'kv_num_heads', 0), softcap = floatAttribute(node, 'softcap', 0);
  const unsupported = node.inputs.findIndex((name, index) => index > 10 && name !== '');
  if (unsupported >= 0) refuse(node, `input ${unsupported} ("${node.inputs[unsupported]}") is not supported`);
  if (intAttribute(node, 'smooth_softmax', 0) === 1) refuse(node, 'smooth_softmax is not supported');
  if ((node.outputs[3] ?? '') !== '') refuse(node, 'the output of the scores is not supported');

  const packed = optional(context, 1) === null;
  const depth = sizeOf(context, required(context, 0), 2) / (packed ? heads + 2 * kvHeads : heads);
  const [q, k, v] = packed
    ? (b.split(required(context, 0), [heads * depth, kvHeads * depth, kvHeads * depth], 2) as [Value, Value, Value])
    : [required(context, 0), required(context, 1), required(context, 2)];
  const pastKey = optional(context, 3), pastValue = optional(context, 4), bias = optional(context, 10);
  const turn = rotaryOf(context, q, pastKey);
  const place = (x: Value, count: number): Value => {
    const split = splitHeads(b, x, count, depth);
    return turn === null ? split : turned(context, split, turn);
  };
  const newKey = place(k, kvHeads), newValue = splitHeads(b, v, kvHeads, depth);
  const key = pastKey === null ? newKey : b.concat([pastKey, newKey], 2);
  const value = pastValue === null ? newValue : b.concat([pastValue, newValue], 2);
  const y = attend(b, {
    q: place(q, heads), k: key, v: value, heads, kvHeads, softcap,
    scale: floatAttribute(node, 'scale', 0) || depth ** -0.5,
    biases: bias === null ? [] : [bias],
    masks: [mask(context, q, pastKey)],
  });
  return [joinHeads(b, y, heads * depth), key, value];
};

/** Row by row, how many of the past rows are valid: [B]. */
function pastLengths(context: Context, q: Value, past: Value): Value {
  const { b, shared } = context, lengths = required(context, 5);
  return shared.once(`gqa past ${lengths.name} ${dimKey(q, 1)} ${dimKey(past, 2)}`, () => {
    const total = b.add(b.reshape(b.cast(lengths, 'int32'), [-1]), 1);
    return b.max(b.min(b.sub(total, lengthOf(b, q, 1)), lengthOf(b, past, 2)), 0);
  });
}

/** Positions of the new rows: [S] without a past, [B, S] with one. */
function positionsOf(context: Context, q: Value, past: Value | null): Value {
  const { b, shared } = context;
  const steps = shared.once(`gqa steps ${dimKey(q, 1)}`, () => countTo(b, lengthOf(b, q, 1)));
  if (past === null) return steps;
  return shared.once(`gqa positions ${required(context, 5).name} ${dimKey(q, 1)} ${dimKey(past, 2)}`, () => b.add(b.unsqueeze(pastLengths(context, q, past), [1]), steps));
}

function rotaryOf(context: Context, q: Value, past: Value | null): Turn | null {
  const { b, node, shared } = context;
  if (intAttribute(node, 'do_rotary', 0) === 0) return null;
  const given = optional(context, 9), positions = given ?? positionsOf(context, q, past);
  const table = (index: number): Value => {
    const values = required(context, index);
    return shared.once(`gqa table ${values.name} ${positions.name}`, () => b.unsqueeze(b.gather(values, positions), positions.shape?.length === 1 ? [0, 1] : [1]));
  };
  return { cos: table(7), sin: table(8), interleaved: intAttribute(node, 'rotary_interleaved', 0) === 1 };
}

/** Causal, within the window, valid: [1, 1, S, S], or [B, 1, S, P + S] with a past. */
function mask(context: Context, q: Value, past: Value | null): Value {
  const { b, node, shared } = context, window = intAttribute(node, 'local_window_size', -1);
  const queries = positionsOf(context, q, past);
  return shared.once(`gqa mask ${queries.name} ${window}`, () => {
    const keys = past === null ? queries : keyPositions(context, q, past);
    const [rows, columns] = past === null ? [b.unsqueeze(queries, [1]), b.unsqueeze(keys, [0])] : [b.unsqueeze(queries, [2]), b.unsqueeze(keys, [1])];
    const causal = b.lessOrEqual(columns, rows);
    const visible = window > 0 ? b.and(causal, b.greater(columns, b.sub(rows, window))) : causal;
    return b.unsqueeze(visible, past === null ? [0, 1] : [1]);
  });
}

/** [B, P + S]: past rows stand at their index, new ones behind the valid past; what lies between is out of sight. */
function keyPositions(context: Context, q: Value, past: Value): Value {
  const { b } = context, pastLength = lengthOf(b, past, 2);
  const index = b.unsqueeze(countTo(b, b.add(pastLength, lengthOf(b, q, 1))), [0]);
  const valid = b.unsqueeze(pastLengths(context, q, past), [1]);
  const old = b.where(b.less(index, valid), index, b.scalar(2 ** 30, 'int32'));
  return b.where(b.less(index, pastLength), old, b.add(b.sub(index, pastLength), valid));
}
