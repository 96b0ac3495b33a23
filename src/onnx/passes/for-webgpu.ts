/**
 * @file Operators that the WebGPU provider of ONNX Runtime 1.30 computes wrong, refuses or leaves to the CPU, as others that it
 * computes right. `createSession` applies it for that device; the CPU keeps the forms that are fastest there.
 */
import { dimsOf, type Value } from '../builder.ts';
import { floatAttribute, int, intAttribute, type Dim, type Model, type Node, type Shape } from '../ir.ts';
import { inferTypes, type Types } from '../shapes/infer.ts';
import { canonicalize } from './canonicalize.ts';
import { inverseDeviation } from './decompose/norms.ts';
import { removeDeadNodes, rewriteNodes, type Replacement } from './rewrite.ts';
import { isPast } from './strip-cache.ts';

/** What a node is replaced by, if it is of a form that needs it. `emptyable`: symbols of a cache's columns, of which there may be none. */
type Choice = (node: Node, types: Types, emptyable: ReadonlySet<Dim>) => Replacement | undefined;

/** Brings a graph to forms that the WebGPU provider computes right. The results are the same on every device. */
export function forWebGpu(model: Model): Model {
  const emptyable = new Set(model.inputs.flatMap(({ name, shape }) => (isPast(name) && shape !== null ? [shape.at(-2)!] : [])).filter((dim) => typeof dim === 'string'));
  const applies = ({ op, domain }: Node): boolean => domain === '' && Object.hasOwn(choices, op) && (op !== 'MatMul' || emptyable.size > 0);
  if (!model.nodes.some(applies)) return model;
  const current = canonicalize(model), types = inferTypes(current);
  return removeDeadNodes(rewriteNodes(current, (node) => (applies(node) ? choices[node.op]!(node, types, emptyable) : undefined)));
}

const shapeIn = (types: Types, name: string | undefined): Shape | null => types.get(name ?? '')?.shape ?? null;

/** The kernel fails where one side is repeated along the last axis and not as a whole. Expand repeats both beforehand. */
const pow: Choice = ({ inputs: [left, right] }, types) => {
  const isScalar = (shape: Shape | null): boolean => shape !== null && shape.every((dim) => dim === 1);
  const a = shapeIn(types, left), c = shapeIn(types, right);
  if (isScalar(c) || (a !== null && c !== null && a.at(-1) === c.at(-1))) return undefined;
  return ({ b, inputs: [base, exponent] }) => {
    const wide = b.expand(base!, b.shape(exponent!));
    return [b.pow(wide, b.expand(exponent!, b.shape(wide)))];
  };
};

/** Walking backwards by more than one, the kernel begins at another element than the first: gather the positions instead. */
const slice: Choice = ({ inputs }, types) => {
  const steps = inputs[4] === undefined || inputs[4] === '' ? undefined : types.get(inputs[4]);
  if (steps === undefined || steps.content?.every((step) => typeof step === 'number' && step >= -1) === true) return undefined;
  return ({ b, inputs: [x, starts, ends, given, by] }) => {
    const rank = dimsOf(x!).length, count = dimsOf(starts!)[0];
    const axes = given == null ? Array.from({ length: Number(count) }, (_, axis) => axis) : given.content;
    if (axes === undefined || !axes.every((axis) => typeof axis === 'number')) return null;
    const one = (list: Value, at: number): Value => b.cast(b.slice(list, { axis: 0, start: at, end: at + 1 }), 'int64');
    return [axes.reduce((value, axis, at) => {
      const along = axis < 0 ? axis + rank : axis;
      const all = b.range(b.scalar(0, 'int64'), b.squeeze(b.shape(x!, { start: along, end: along + 1 }), [0]), b.scalar(1, 'int64'));
      return b.gather(value, b.op('Slice', [all, one(starts!, at), one(ends!, at), b.int64([0]), one(by!, at)]), along);
    }, x!)];
  };
};

/** The kernel's exponentials overflow: it does not subtract the largest element. Rows of −∞ stay −∞. */
const logSumExp: Choice = (node, types) => {
  const rank = shapeIn(types, node.inputs[0])?.length;
  const listed = (node.inputs[1] ?? '') === '' ? [] : types.get(node.inputs[1]!)?.content;
  if (rank === undefined || listed === undefined || !listed.every((axis) => typeof axis === 'number')) return undefined;
  if (listed.length === 0 && intAttribute(node, 'noop_with_empty_axes', 0) === 1) return undefined;
  const axes = listed.length > 0 ? listed : Array.from({ length: rank }, (_, axis) => axis);
  return ({ b, inputs: [x] }) => {
    const largest = b.reduceMax(x!, axes, { keepDims: true });
    const pivot = b.where(b.less(b.abs(largest), Infinity), largest, 0);
    const sum = b.add(b.log(b.sum(b.exp(b.sub(x!, pivot)), axes, { keepDims: true })), pivot);
    return [intAttribute(node, 'keepdims', 1) === 1 ? sum : b.squeeze(sum, axes)];
  };
};

/** There is no kernel, and a round trip of whole logits over the CPU costs more than the parts. */
const logSoftmax: Choice = (node) => ({ b, inputs: [x] }) => {
  const axes = [intAttribute(node, 'axis', -1)];
  const shifted = b.sub(x!, b.reduceMax(x!, axes, { keepDims: true }));
  return [b.sub(shifted, b.log(b.sum(b.exp(shifted), axes, { keepDims: true })))];
};

/** The kernel wants a scale as large as what is normalised. */
const rmsNorm: Choice = (node, types) => {
  const axis = intAttribute(node, 'axis', -1), x = shapeIn(types, node.inputs[0]), scale = shapeIn(types, node.inputs[1]);
  if (x !== null && scale !== null && x.slice(axis).join() === scale.join()) return undefined;
  return ({ b, inputs: [data, weight] }) => [b.op('RMSNormalization', [data!, b.expand(weight!, b.shape(data!, { start: axis }))], node.attributes)];
};

/** The kernel's second output, the inverse deviation, is wrong. */
const simplifiedNorm: Choice = (node) => {
  if ((node.outputs[1] ?? '') === '') return undefined;
  return ({ b, inputs: [x, scale] }) => {
    const axis = intAttribute(node, 'axis', -1), rank = dimsOf(x!).length, first = axis < 0 ? axis + rank : axis;
    const axes = Array.from({ length: rank - first }, (_, index) => first + index);
    return [b.op(node.op, [x!, scale!], { ...node.attributes, axis: int(axis) }), inverseDeviation(b, x!, floatAttribute(node, 'epsilon', 1e-5), axes)];
  };
};

/** A product along an axis of length 0 takes the process down. A column of zeros more on both sides changes nothing. */
const matmul: Choice = ({ inputs: [left, right] }, types, emptyable) => {
  const a = shapeIn(types, left), c = shapeIn(types, right);
  if (a === null || c === null || a.length < 2 || c.length < 2 || !(emptyable.has(a.at(-1)!) || emptyable.has(c.at(-2)!))) return undefined;
  return ({ b, inputs: [x, y] }) => {
    const wider = (value: Value, axis: number): Value => {
      const before = axis > 0 ? [b.shape(value, { start: 0, end: axis })] : [], after = axis < dimsOf(value).length - 1 ? [b.shape(value, { start: axis + 1 })] : [];
      return b.concat([value, b.full(b.concat([...before, b.int64([1]), ...after], 0), 0, value.dataType)], axis);
    };
    return [b.matmul(wider(x!, a.length - 1), wider(y!, c.length - 2))];
  };
};

const choices: Readonly<Record<string, Choice>> = {
  MatMul: matmul,
  Pow: pow,
  Slice: slice,
  ReduceLogSumExp: logSumExp,
  LogSoftmax: logSoftmax,
  RMSNormalization: rmsNorm,
  SimplifiedLayerNormalization: simplifiedNorm,
};
