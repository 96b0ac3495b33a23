/** @file Shape rules of ONNX Runtime's own operators (`com.microsoft`), as far as language models use them. */
import { addDims, divideDims, multiplyDims, opaqueDim } from '../dims.ts';
import { intAttribute, type Dim, type Shape } from '../ir.ts';
import { broadcastShapes, countAttribute, fail, has, input, like, shapeOf, type Inferred, type ShapeContext, type ShapeRule } from './context.ts';

const same: ShapeRule = (c) => [like(input(c, 0))];

/** Output 0 like the input; 1 and 2 are mean and inverse deviation (float32); 3 is the sum of input and skip. */
const skipNorm: ShapeRule = (c) => {
  const x = like(input(c, 0)), stats: Inferred = { dataType: 'float32', shape: [...shapeOf(c, 0).slice(0, -1), 1] };
  return [x, stats, stats, x];
};

/** q [B, S, heads·d]; packed: q alone, [B, S, (heads + 2·kv)·d]. Past and present: [B, kv, length, d]. */
function groupQueryAttention(c: ShapeContext): readonly Inferred[] {
  const { dataType } = input(c, 0), q = shapeOf(c, 0, 3);
  const heads = countAttribute(c, 'num_heads'), kv = countAttribute(c, 'kv_num_heads');
  const packed = !has(c, 1);
  const head = divideDims(q[2]!, packed ? heads + 2 * kv : heads) ?? fail(c, `${q[2]} is no multiple of the heads`);
  const length = addDims(c.inputs[3]?.shape?.[2] ?? 0, q[1]!);
  const present: Inferred = { dataType, shape: [q[0]!, kv, length, head] };
  return [{ dataType, shape: [q[0]!, q[1]!, multiplyDims(heads, head)] }, present, present];
}

/** q [B, S, hidden], k and v [B, L, hidden] or [B, heads, L, d]; k packed with v: [B, L, heads, 2, d]. */
function multiHeadAttention(c: ShapeContext): readonly Inferred[] {
  const { dataType } = input(c, 0), q = shapeOf(c, 0, 3, 5), heads = countAttribute(c, 'num_heads', 1);
  for (const index of [1, 2]) if (c.inputs[index]?.shape != null) shapeOf(c, index, 3, 4, 5);
  if (q.length === 5) { // packed [B, S, heads, 3, d]
    return [{ dataType, shape: [q[0]!, q[1]!, multiplyDims(q[2]!, q[4]!)] }];
  }
  const k = c.inputs[1]?.shape, v = c.inputs[2]?.shape;
  const width: Dim = v == null ? q[2]! : v.length === 4 ? multiplyDims(v[1]!, v[3]!) : v[2]!;
  const past = c.inputs[6]?.shape?.[2] ?? 0, length = k == null ? q[1]! : k.length === 4 ? k[2]! : k[1]!;
  const present = (of: Dim): Inferred => ({ dataType, shape: [q[0]!, heads, addDims(past, length), divideDims(of, heads) ?? opaqueDim('head', c.node.outputs[0]!)] });
  return [{ dataType, shape: [q[0]!, q[1]!, width] }, present(q[2]!), present(width)];
}

const matMulNBits: ShapeRule = (c) => {
  const from = shapeOf(c, 0);
  return [{ dataType: input(c, 0).dataType, shape: [...from.slice(0, -1), intAttribute(c.node, 'N', 0)] }];
};

const gatherBlockQuantized: ShapeRule = (c) => {
  const data = shapeOf(c, 0), indices = shapeOf(c, 1), axis = intAttribute(c.node, 'gather_axis', 0);
  const bits = intAttribute(c.node, 'bits', 4), packed = input(c, 0).dataType === 'uint8' && bits < 8;
  const wide: Shape = packed ? data.map((dim, at) => (at === data.length - 1 ? multiplyDims(dim, 8 / bits) : dim)) : data;
  return [{ dataType: input(c, 2).dataType, shape: [...wide.slice(0, axis), ...indices, ...wide.slice(axis + 1)] }];
};

const fusedMatMul: ShapeRule = (c) => {
  const swap = (shape: Shape, name: string): Shape => (intAttribute(c.node, name, 0) === 1 ? [...shape.slice(0, -2), shape.at(-1)!, shape.at(-2)!] : shape);
  const a = swap(shapeOf(c, 0), 'transA'), b = swap(shapeOf(c, 1), 'transB');
  const batch = broadcastShapes(a.slice(0, -2), b.slice(0, -2)) ?? fail(c, 'batch dimensions do not broadcast');
  return [{ dataType: input(c, 0).dataType, shape: [...batch, a.at(-2)!, b.at(-1)!] }];
};

/** Without strides, pads and dilations, as products are written: [B, C, H, W] by filters [M, C, h, w]. */
const fusedConv: ShapeRule = (c) => {
  const image = shapeOf(c, 0, 4), filters = shapeOf(c, 1, 4);
  const along = (axis: number): Dim => (image[axis] === filters[axis] ? 1 : addDims(image[axis]!, 1 - Number(filters[axis])));
  return [{ dataType: input(c, 0).dataType, shape: [image[0]!, filters[0]!, along(2), along(3)] }];
};

export const contribRules = {
  QuickGelu: same, Gelu: same, FastGelu: same, BiasGelu: same, RotaryEmbedding: same,
  SimplifiedLayerNormalization: same, SkipSimplifiedLayerNormalization: skipNorm, SkipLayerNormalization: skipNorm,
  GroupQueryAttention: groupQueryAttention, MultiHeadAttention: multiHeadAttention,
  MatMulNBits: matMulNBits, GatherBlockQuantized: gatherBlockQuantized, FusedMatMul: fusedMatMul, FusedConv: fusedConv,
} satisfies Record<string, ShapeRule>;
