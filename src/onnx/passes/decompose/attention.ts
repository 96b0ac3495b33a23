/** @file MultiHeadAttention of ONNX Runtime, and Attention of ONNX 23 and 24. */
import type { Value } from '../../builder.ts';
import { floatAttribute, intAttribute } from '../../ir.ts';
import { attend, joinHeads, splitHeads } from './attend.ts';
import { countTo, lengthOf, optional, refuse, refuseOthers, required, sizeOf, type Context, type Decomposition } from './context.ts';
import { groupQueryAttention } from './group-query-attention.ts';

/** A query sees what stands at or before it: [S, P + S] over a past of P. */
function causalMask({ b }: Context, q: Value, k: Value, past: Value | null): Value {
  const rows = countTo(b, lengthOf(b, q, 2)), columns = countTo(b, lengthOf(b, k, 2));
  return b.lessOrEqual(b.unsqueeze(columns, [0]), b.unsqueeze(past === null ? rows : b.add(rows, lengthOf(b, past, 2)), [1]));
}

/** Keys below each row's length: [B, 1, 1, T] */
const lengthMask = ({ b }: Context, lengths: Value, k: Value): Value => b.less(countTo(b, lengthOf(b, k, 2)), b.unsqueeze(b.cast(lengths, 'int32'), [1, 2, 3]));

/** The three operands of MultiHeadAttention with biases added, as [B, heads, length, d]. */
function operands(context: Context, heads: number): [Value, Value, Value] {
  const { b, node } = context, query = required(context, 0), key = optional(context, 1), value = optional(context, 2), bias = optional(context, 3);
  /** [B, length, heads, n, d] → n times [B, heads, length, d] */
  const unpacked = (x: Value, count: number): Value[] => b.split(x, Array<number>(count).fill(1), 3).map((part) => b.transpose(b.squeeze(part, [3]), [0, 2, 1, 3]));
  if (query.shape?.length === 5) {
    if (bias !== null) refuse(node, 'a bias on packed query, key and value is not supported');
    return unpacked(query, 3) as [Value, Value, Value];
  }
  const width = sizeOf(context, query, 2), wide = key?.shape?.length === 3 && value?.shape?.length === 3 ? sizeOf(context, value, 2) : width;
  const biases = bias === null ? null : b.split(bias, [width, width, wide], 0);
  const placed = (x: Value, index: number): Value => (x.shape?.length === 4 ? x : splitHeads(b, biases === null ? x : b.add(x, biases[index]!), heads, sizeOf(context, x, 2) / heads));
  if (key?.shape?.length === 5) return [placed(query, 0), ...(unpacked(key, 2) as [Value, Value])];
  if (key === null || value === null) refuse(node, 'key and value are missing');
  return [placed(query, 0), placed(key, 1), placed(value, 2)];
}

const multiHeadAttention: Decomposition = (context) => {
  const { b, node } = context, heads = intAttribute(node, 'num_heads', 1);
  const unsupported = [8, 9].find((index) => optional(context, index) !== null);
  if (unsupported !== undefined) refuse(node, `input ${unsupported} ("${node.inputs[unsupported]}") is not supported`);
  if ((node.outputs[3] ?? '') !== '') refuse(node, 'the output of the scores is not supported');
  const [q, newKey, newValue] = operands(context, heads);
  const padding = optional(context, 4), bias = optional(context, 5), pastKey = optional(context, 6), pastValue = optional(context, 7);
  const k = pastKey === null ? newKey : b.concat([pastKey, newKey], 2), v = pastValue === null ? newValue : b.concat([pastValue, newValue], 2);
  const masks: Value[] = [];
  if (padding !== null) masks.push(paddingMask(context, padding, q, k));
  if (intAttribute(node, 'unidirectional', 0) === 1) masks.push(causalMask(context, q, k, pastKey));
  const y = attend(b, { q, k, v, heads, kvHeads: heads, masks, biases: bias === null ? [] : [bias], scale: floatAttribute(node, 'scale', 0) || sizeOf(context, q, 3) ** -0.5 });
  return [joinHeads(b, y, heads * sizeOf(context, v, 3)), k, v];
};

/** [B] lengths, [B, T] or [B, S, T] with 0 where nothing may look. */
function paddingMask(context: Context, padding: Value, q: Value, k: Value): Value {
  const { b, node } = context, rank = padding.shape?.length;
  if (rank === 1) {
    const [batch, given] = [q.shape?.[0], padding.shape![0]];
    if (typeof batch === 'number' && typeof given === 'number' && batch !== given) refuse(node, 'key_padding_mask with positions (3·batch + 2) is not supported');
    return lengthMask(context, padding, k);
  }
  const live = b.not(b.equal(b.cast(padding, 'int32'), 0));
  return b.unsqueeze(live, rank === 2 ? [1, 2] : [1]);
}

/** Q, K, V of rank 4 [B, heads, length, d] or rank 3 [B, length, heads·d]. */
const attention: Decomposition = (context) => {
  const { b, node } = context, rank = required(context, 0).shape?.length, flat = rank === 3;
  refuseOthers(node, ['is_causal', 'kv_num_heads', 'q_num_heads', 'qk_matmul_output_mode', 'scale', 'softcap', 'softmax_precision']);
  if ((node.outputs[3] ?? '') !== '') refuse(node, 'the output of the scores is not supported');
  const heads = flat ? intAttribute(node, 'q_num_heads', 0) : sizeOf(context, required(context, 0), 1);
  const kvHeads = flat ? intAttribute(node, 'kv_num_heads', 0) : sizeOf(context, required(context, 1), 1);
  const placed = (index: number, count: number): Value => { const x = required(context, index); return flat ? splitHeads(b, x, count, sizeOf(context, x, 2) / count) : x; };
  const q = placed(0, heads), newKey = placed(1, kvHeads), newValue = placed(2, kvHeads);
  const given = optional(context, 3), pastKey = optional(context, 4), pastValue = optional(context, 5), lengths = optional(context, 6);
  const k = pastKey === null ? newKey : b.concat([pastKey, newKey], 2), v = pastValue === null ? newValue : b.concat([pastValue, newValue], 2);
  const causal = intAttribute(node, 'is_causal', 0) === 1;
  if (causal && lengths !== null) refuse(node, 'is_causal together with nonpad_kv_seqlen is not supported');
  const masks = [
    ...(given?.dataType === 'bool' ? [given] : []),
    ...(causal ? [causalMask(context, q, k, pastKey)] : []),
    ...(lengths === null ? [] : [lengthMask(context, lengths, k)]),
  ];
  const y = attend(b, {
    q, k, v, heads, kvHeads, masks, softcap: floatAttribute(node, 'softcap', 0), biases: given !== null && given.dataType !== 'bool' ? [given] : [],
    scale: floatAttribute(node, 'scale', 0) || sizeOf(context, q, 3) ** -0.5,
  });
  return [flat ? joinHeads(b, y, heads * sizeOf(context, v, 3)) : y, k, v];
};

export const attentions = {
  'com.microsoft.GroupQueryAttention': groupQueryAttention,
  'com.microsoft.MultiHeadAttention': multiHeadAttention,
  '.Attention': attention,
} satisfies Record<string, Decomposition>;
