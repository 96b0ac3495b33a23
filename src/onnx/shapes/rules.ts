/**
 * @file One shape rule per operator: types in, types out.
 *
 * Rules follow the operator's current opset; where an older one gave axes as attributes, both spellings are read.
 */
import { addDims, divideDims, multiplyDims, opaqueDim, productOf, subtractDims } from '../dims.ts';
import { intAttribute, isFloat, type DataType, type Dim, type Shape } from '../ir.ts';
import { dataTypeOf } from '../proto.ts';
import { BITS, numberValues } from '../tensor.ts';
import {
  UNKNOWN, attributeAxis, broadcastAll, broadcastShapes, countAttribute, fail, has, input, integers, like, normalizeAxis, places, rankFrom, shapeOf, zipContent,
  type Inferred, type ShapeContext, type ShapeRule,
} from './context.ts';
import { contribRules } from './contrib.ts';
import { einsumShape } from './einsum.ts';
import { layoutShapes, unknownDims } from './layout.ts';

const same: ShapeRule = (c) => [like(input(c, 0))];
const sameWithContent: ShapeRule = (c) => [input(c, 0)];
const asBool = (shape: Shape | null): Inferred => ({ dataType: 'bool', shape });

const broadcast: ShapeRule = (c) => {
  const present = c.inputs.filter((value) => value !== undefined);
  if (present.length < c.node.inputs.length) return [{ dataType: input(c, 0).dataType, shape: null }];
  const types = new Set(present.map(({ dataType }) => dataType));
  if (types.size > 1) fail(c, `inputs must have one element type`);
  return [{ dataType: input(c, 0).dataType, shape: broadcastAll(c, present.map(({ shape }) => shape)) }];
};

/** Arithmetic that shape computations use: broadcast, and follow the numbers where they are known. */
const arithmetic = (combine: (a: Dim, b: Dim) => Dim | null): ShapeRule => (c) => {
  const [result] = broadcast(c);
  return [{ ...result!, content: isFloat(result!.dataType) ? undefined : zipContent(c.inputs[0], c.inputs[1], combine) }];
};
const isNumber = (dim: Dim | null): dim is number => typeof dim === 'number';
const numeric = (combine: (a: number, b: number) => number) => (a: Dim, b: Dim): Dim | null => (isNumber(a) && isNumber(b) ? combine(a, b) : null);

/** Min and Max of any number of inputs. */
const extremum = (choose: (...values: number[]) => number): ShapeRule => (c) => {
  const [result] = broadcast(c);
  return [{ ...result!, content: isFloat(result!.dataType) ? undefined : places(c.inputs)?.map((values) => (values.every(isNumber) ? choose(...values) : null)) }];
};

/** The sign of the divisor, or with fmod that of the dividend. */
const mod: ShapeRule = (c) => arithmetic(numeric(intAttribute(c.node, 'fmod', 0) === 1 ? (a, b) => a % b : (a, b) => ((a % b) + b) % b))(c);

const compare = (known?: (a: Dim, b: Dim) => Dim | null): ShapeRule => (c) => [
  { ...asBool(broadcastAll(c, [input(c, 0).shape, input(c, 1).shape])), content: known && zipContent(c.inputs[0], c.inputs[1], known) },
];

const reduce: ShapeRule = (c) => {
  const { dataType, shape } = input(c, 0);
  const keep = intAttribute(c.node, 'keepdims', 1) === 1;
  if (shape === null) return [{ dataType, shape: null }];
  const dynamic = has(c, 1) && integers(c, 1, 'axes') === undefined;
  if (dynamic) return [{ dataType, shape: keep ? shape.map((_, axis) => opaqueDim('reduce', c.node.outputs[0]!, axis)) : null }];
  const given = integers(c, 1, 'axes') ?? [];
  if (given.length === 0 && intAttribute(c.node, 'noop_with_empty_axes', 0) === 1) return [{ dataType, shape }];
  const axes = new Set(given.length === 0 ? shape.keys() : given.map((axis) => normalizeAxis(c, axis, shape.length)));
  const result = keep ? shape.map((dim, axis) => (axes.has(axis) ? 1 : dim)) : shape.filter((_, axis) => !axes.has(axis));
  return [{ dataType, shape: result }];
};

const argReduce: ShapeRule = (c) => {
  const shape = shapeOf(c, 0);
  const axis = attributeAxis(c, 0, shape.length);
  const keep = intAttribute(c.node, 'keepdims', 1) === 1;
  return [{ dataType: 'int64', shape: keep ? shape.map((dim, at) => (at === axis ? 1 : dim)) : shape.filter((_, at) => at !== axis) }];
};

const matmul: ShapeRule = (c) => {
  const a = input(c, 0).shape, b = input(c, 1).shape, { dataType } = input(c, 0);
  if (a === null || b === null) return [{ dataType, shape: null }];
  if (a.length === 0 || b.length === 0) fail(c, 'MatMul takes no scalars');
  const rows = a.length === 1 ? [] : [a.at(-2)!], columns = b.length === 1 ? [] : [b.at(-1)!];
  const inner = [a.at(-1)!, b.length === 1 ? b[0]! : b.at(-2)!];
  if (typeof inner[0] === 'number' && typeof inner[1] === 'number' && inner[0] !== inner[1]) fail(c, `inner dimensions ${inner[0]} and ${inner[1]} differ`);
  const batch = broadcastShapes(a.slice(0, -2), b.slice(0, -2)) ?? fail(c, 'batch dimensions do not broadcast');
  return [{ dataType, shape: [...batch, ...rows, ...columns] }];
};

const gemm: ShapeRule = (c) => {
  const a = shapeOf(c, 0), b = shapeOf(c, 1);
  if (a.length !== 2 || b.length !== 2) fail(c, 'Gemm takes matrices');
  const transA = intAttribute(c.node, 'transA', 0), transB = intAttribute(c.node, 'transB', 0);
  const inner = [a[transA === 1 ? 0 : 1]!, b[transB === 1 ? 1 : 0]!];
  if (typeof inner[0] === 'number' && typeof inner[1] === 'number' && inner[0] !== inner[1]) fail(c, `inner dimensions ${inner[0]} and ${inner[1]} differ`);
  return [{ dataType: input(c, 0).dataType, shape: [a[transA === 1 ? 1 : 0]!, b[transB === 1 ? 0 : 1]!] }];
};

const gather: ShapeRule = (c) => {
  const data = input(c, 0), indices = input(c, 1);
  if (data.shape === null || indices.shape === null) return [{ dataType: data.dataType, shape: null }];
  const axis = attributeAxis(c, 0, data.shape.length);
  const content = data.content !== undefined && data.shape.length === 1 && indices.content?.every((at) => typeof at === 'number')
    ? (indices.content as number[]).map((at) => data.content!.at(at) ?? null) : undefined;
  return [{ dataType: data.dataType, shape: [...data.shape.slice(0, axis), ...indices.shape, ...data.shape.slice(axis + 1)], content }];
};

const gatherND: ShapeRule = (c) => {
  const data = shapeOf(c, 0), indices = shapeOf(c, 1), batch = intAttribute(c.node, 'batch_dims', 0);
  const depth = indices.at(-1);
  if (typeof depth !== 'number') fail(c, 'the last dimension of the indices must be a number');
  return [{ dataType: input(c, 0).dataType, shape: [...indices.slice(0, -1), ...data.slice(batch + depth)] }];
};

const shape: ShapeRule = (c) => {
  const from = input(c, 0).shape;
  if (from === null) return [{ dataType: 'int64', shape: [opaqueDim('rank', c.node.inputs[0]!)] }];
  const part = from.slice(intAttribute(c.node, 'start', 0), c.node.attributes['end'] === undefined ? undefined : intAttribute(c.node, 'end', 0));
  return [{ dataType: 'int64', shape: [part.length], content: part }];
};

const constantOfShape: ShapeRule = (c) => {
  const value = c.node.attributes['value'], target = c.inputs[0]?.content;
  const dataType = value?.kind === 'tensor' ? value.value.dataType : 'float32';
  const result = target?.map((dim, axis) => dim ?? opaqueDim('shape', c.node.outputs[0]!, axis)) ?? unknownDims(c, 'shape', rankFrom(c, 0));
  const length = result?.length === 1 ? result[0] : result?.length === 0 ? 1 : undefined;
  const fill = value?.kind === 'tensor' ? numberValues(value.value)[0]! : 0;
  return [{ dataType, shape: result, content: typeof length === 'number' && length < 64 && !isFloat(dataType) ? Array.from({ length }, () => fill) : undefined }];
};

const range: ShapeRule = (c) => {
  const [start, limit, delta] = [0, 1, 2].map((at) => c.inputs[at]?.content?.[0] ?? null);
  const dataType = input(c, 0).dataType;
  if (start == null || limit == null || delta == null) return [{ dataType, shape: [opaqueDim('range', c.node.outputs[0]!)] }];
  if (typeof start === 'number' && typeof limit === 'number' && typeof delta === 'number') {
    const length = Math.max(0, Math.ceil((limit - start) / delta));
    return [{ dataType, shape: [length], content: length < 64 ? Array.from({ length }, (_, at) => start + at * delta) : undefined }];
  }
  return [{ dataType, shape: [delta === 1 ? subtractDims(limit, start) : opaqueDim('range', start, limit, delta)] }];
};

const constant: ShapeRule = (c) => {
  const { value, value_int, value_ints, value_float, value_floats } = c.node.attributes;
  if (value?.kind === 'tensor') return [inferredTensor(value.value)];
  if (value_int?.kind === 'int') return [{ dataType: 'int64', shape: [], content: [value_int.value] }];
  if (value_ints?.kind === 'ints') return [{ dataType: 'int64', shape: [value_ints.value.length], content: value_ints.value }];
  if (value_float !== undefined) return [{ dataType: 'float32', shape: [] }];
  if (value_floats?.kind === 'floats') return [{ dataType: 'float32', shape: [value_floats.value.length] }];
  throw UNKNOWN; // strings, sparse tensors
};

/** The type of a constant, with its content when it is a small list of integers. */
export function inferredTensor(tensor: Parameters<typeof numberValues>[0]): Inferred {
  const small = tensor.dims.length <= 1 && (tensor.dims[0] ?? 1) <= 64 && (tensor.dataType === 'int64' || tensor.dataType === 'int32' || tensor.dataType === 'bool');
  return { dataType: tensor.dataType, shape: tensor.dims, content: small ? numberValues(tensor) : undefined };
}

const cast: ShapeRule = (c) => {
  const { shape, content } = input(c, 0);
  const dataType = dataTypeOf(intAttribute(c.node, 'to', 1), `Cast "${c.node.name}"`);
  return [{ dataType, shape, content: isFloat(dataType) || dataType === 'string' ? undefined : content?.map((value) => converted(value, dataType)) }];
};

/** A known number in another integer type; null where it does not fit. */
function converted(value: Dim | null, dataType: Exclude<DataType, 'string'>): Dim | null {
  if (dataType === 'bool') return isNumber(value) ? Number(value !== 0) : null;
  if (!isNumber(value) || dataType === 'int64') return value;
  const signed = dataType.startsWith('int'), low = signed ? -(2 ** (BITS[dataType] - 1)) : 0;
  return value >= low && value < low + 2 ** BITS[dataType] ? value : null;
}

const where: ShapeRule = (c) => {
  const [condition, yes, no] = [input(c, 0), input(c, 1), input(c, 2)];
  const content = places([condition, yes, no])?.map(([chosen, whenTrue, whenFalse]) => (isNumber(chosen!) ? (chosen === 0 ? whenFalse : whenTrue)! : null));
  return [{ dataType: yes.dataType, shape: broadcastAll(c, [condition.shape, yes.shape, no.shape]), content }];
};

const topK: ShapeRule = (c) => {
  const { dataType } = input(c, 0), from = shapeOf(c, 0), axis = attributeAxis(c, -1, from.length);
  const k = c.inputs[1]?.content?.[0] ?? opaqueDim('topk', c.node.outputs[0]!);
  const result = from.map((dim, at) => (at === axis ? k : dim));
  return [{ dataType, shape: result }, { dataType: 'int64', shape: result }];
};

const layerNorm: ShapeRule = (c) => {
  const { dataType } = input(c, 0), from = shapeOf(c, 0), axis = attributeAxis(c, -1, from.length);
  const stats: Inferred = { dataType: 'float32', shape: from.map((dim, at) => (at < axis ? dim : 1)) };
  return [{ dataType, shape: from }, stats, stats];
};

const oneHot: ShapeRule = (c) => {
  const from = shapeOf(c, 0), raw = intAttribute(c.node, 'axis', -1), axis = raw < 0 ? raw + from.length + 1 : raw;
  const depth = c.inputs[1]?.content?.[0] ?? opaqueDim('depth', c.node.outputs[0]!);
  return [{ dataType: input(c, 2).dataType, shape: from.toSpliced(axis, 0, depth) }];
};

const eyeLike: ShapeRule = (c) => {
  const to = intAttribute(c.node, 'dtype', 0), { dataType, shape } = input(c, 0);
  return [{ dataType: to === 0 ? dataType : dataTypeOf(to, `EyeLike "${c.node.name}"`), shape }];
};

const unknownLike: ShapeRule = (c) => [{ dataType: input(c, 0).dataType, shape: null }];
const nonZero: ShapeRule = (c) => [{ dataType: 'int64', shape: [shapeOf(c, 0).length, opaqueDim('nonzero', c.node.inputs[0]!)] }];

/** Operators of the ONNX domain. A table lookup that misses leaves the outputs' types unknown. */
const onnxRules = {
  Abs: same, Acos: same, Asin: same, Atan: same, Ceil: same, Cos: same, Cosh: same, CumSum: same, Elu: same, Erf: same, Exp: same, Floor: sameWithContent,
  Gelu: same, HardSigmoid: same, HardSwish: same, LeakyRelu: same, Log: same, LogSoftmax: same, Mish: same, Neg: sameWithoutKnown(), Not: same, Reciprocal: same, Relu: same,
  Round: same, Selu: same, Sigmoid: same, Sign: same, Sin: same, Sinh: same, Softmax: same, Softplus: same, Softsign: same, Sqrt: same, Swish: same, Tan: same,
  Tanh: same, ThresholdedRelu: same, Trilu: same, Identity: sameWithContent, Clip: same, Dropout: (c) => [like(input(c, 0)), asBool(input(c, 0).shape)],
  ScatterND: sameWithContentDropped(), ScatterElements: sameWithContentDropped(), Hardmax: same, PRelu: same, BitwiseNot: same,
  IsNaN: (c) => [asBool(input(c, 0).shape)], IsInf: (c) => [asBool(input(c, 0).shape)],
  Add: arithmetic(addDims), Sub: arithmetic(subtractDims), Mul: arithmetic(multiplyDims), Div: arithmetic((a, b) => divideDims(a, b) ?? (typeof a === 'number' && typeof b === 'number' ? Math.trunc(a / b) : opaqueDim('floor_div', a, b))),
  Mod: mod, Min: extremum(Math.min), Max: extremum(Math.max), Sum: broadcast, Mean: broadcast,
  Pow: (c) => [{ dataType: input(c, 0).dataType, shape: broadcastAll(c, [input(c, 0).shape, input(c, 1).shape]) }],
  Equal: compare((a, b) => (a === b ? 1 : typeof a === 'number' && typeof b === 'number' ? 0 : (a === -1 || b === -1) ? 0 : null)), Less: compare(), LessOrEqual: compare(), Greater: compare(), GreaterOrEqual: compare(), And: compare(), Or: compare(), Xor: compare(),
  BitwiseAnd: broadcast, BitwiseOr: broadcast, BitShift: broadcast,
  ReduceSum: reduce, ReduceMean: reduce, ReduceMax: reduce, ReduceMin: reduce, ReduceProd: (c) => {
    const [result] = reduce(c), content = c.inputs[0]?.content;
    const whole = result!.shape?.every((dim) => dim === 1) === true;
    return [{ ...result!, content: whole && content?.every((dim) => dim !== null) ? [productOf(content as Dim[])] : undefined }];
  },
  ReduceL1: reduce, ReduceL2: reduce, ReduceLogSum: reduce, ReduceLogSumExp: reduce, ReduceSumSquare: reduce,
  ArgMax: argReduce, ArgMin: argReduce, MatMul: matmul, Gemm: gemm, Einsum: (c) => [einsumShape(c)],
  Gather: gather, GatherElements: (c) => [{ dataType: input(c, 0).dataType, shape: input(c, 1).shape }], GatherND: gatherND,
  ...layoutShapes, Shape: shape, Size: (c) => [{ dataType: 'int64', shape: [], content: input(c, 0).shape === null ? undefined : [productOf(input(c, 0).shape!)] }],
  ConstantOfShape: constantOfShape, Range: range, Constant: constant, Cast: cast, CastLike: (c) => [{ dataType: input(c, 1).dataType, shape: input(c, 0).shape }],
  Where: where, TopK: topK, OneHot: oneHot, NonZero: nonZero, EyeLike: eyeLike, Unique: unknownLike, Compress: unknownLike,
  LayerNormalization: layerNorm, SimplifiedLayerNormalization: layerNorm, RMSNormalization: (c) => layerNorm(c).slice(0, 1), GroupNormalization: same, InstanceNormalization: same, BatchNormalization: same,
  DequantizeLinear: (c) => [{ dataType: input(c, 1).dataType, shape: input(c, 0).shape }],
  QuantizeLinear: (c) => [{ dataType: c.inputs[2]?.dataType ?? 'uint8', shape: input(c, 0).shape }],
  RotaryEmbedding: same,
  Attention: (c) => attention(c), Conv: (c) => [{ dataType: input(c, 0).dataType, shape: null }],
} satisfies Record<string, ShapeRule>;

function sameWithoutKnown(): ShapeRule {
  return (c) => [{ ...like(input(c, 0)), content: isFloat(input(c, 0).dataType) ? undefined : input(c, 0).content?.map((dim) => (dim === null ? null : multiplyDims(dim, -1))) }];
}
function sameWithContentDropped(): ShapeRule {
  return (c) => [like(input(c, 0))];
}

/** Attention-23: 4-D [B, heads, S, d] or 3-D [B, S, heads·d]. */
function attention(c: ShapeContext): readonly Inferred[] {
  const { dataType } = input(c, 0), q = shapeOf(c, 0, 3, 4), k = shapeOf(c, 1, q.length), v = shapeOf(c, 2, q.length);
  const kvHeads = q.length === 3 ? countAttribute(c, 'kv_num_heads') : k[1]!;
  const heads = q.length === 3 ? countAttribute(c, 'q_num_heads') : q[1]!;
  const depth = (of: Shape): Dim => (q.length === 3 ? divideDims(of[2]!, kvHeads) ?? opaqueDim('head', c.node.outputs[0]!) : of[3]!);
  const past = c.inputs[4]?.shape?.[2] ?? 0, length = q.length === 3 ? k[1]! : k[2]!, total = addDims(past, length);
  const y: Shape = q.length === 3 ? [q[0]!, q[1]!, multiplyDims(heads, depth(v))] : [q[0]!, q[1]!, q[2]!, v[3]!];
  return [
    { dataType, shape: y },
    { dataType, shape: [k[0]!, kvHeads, total, depth(k)] }, { dataType, shape: [v[0]!, kvHeads, total, depth(v)] },
    { dataType, shape: [q[0]!, heads, q.length === 3 ? q[1]! : q[2]!, total] },
  ];
}

/** The rule for an operator, or undefined when there is none. */
export function shapeRule(domain: string, op: string): ShapeRule | undefined {
  if (domain === '' && Object.hasOwn(onnxRules, op)) return onnxRules[op as keyof typeof onnxRules];
  return Object.hasOwn(contribRules, op) ? contribRules[op as keyof typeof contribRules] : undefined;
}
