/** @file Gradients of gathers and scatters: what was read gets the gradient, read twice gets it twice. */
import { dimsOf, rankOf, type Builder, type Value } from '../../builder.ts';
import { int, intAttribute, stringAttribute } from '../../ir.ts';
import { axisOf, refuse, reshapeLike, toFront, x, type GradientContext, type GradientRule } from '../context.ts';

/** Indices from the end (−1) as indices from the front, for a dimension given as an int64 vector of length 1. */
function nonNegative(b: Builder, indices: Value, size: Value): Value {
  const wide = b.cast(indices, 'int64');
  const tensor = b.tensor(indices);
  if (tensor !== undefined && indices.content?.every((index) => typeof index === 'number' && index >= 0)) return wide;
  // A scalar index must stay a scalar.
  const length = rankOf(indices) === 0 ? b.squeeze(size, [0]) : size;
  return b.where(b.less(wide, 0), b.add(wide, length), wide);
}

/** Adjoint of `Gather(·, positions, axis)` for a vector of positions; `size` is the axis's original length (int64 [1]). */
export function gatherAxisGradient(b: Builder, dy: Value, positions: Value, axis: number, size: Value): Value {
  const { forth, back } = toFront(rankOf(dy), axis);
  const rows = b.transpose(dy, forth);
  return b.transpose(addRows(b, { shape: b.concat([size, b.shape(rows, { start: 1 })], 0), indices: positions, rows }), back);
}

/** Gather along any axis: bring the gathered axes to the front, add rows up, bring the axis back. */
const gather: GradientRule = (c, dy) => [() => {
  const { b } = c;
  const data = x(c), indices = x(c, 1);
  const rank = rankOf(data), axis = axisOf(c, 0, rank), width = rankOf(indices);
  const size = b.shape(data, { start: axis, end: axis + 1 });
  const lead = Array.from({ length: width }, (_, index) => axis + index);
  const rest = Array.from({ length: rankOf(dy) }, (_, index) => index).filter((index) => !lead.includes(index));
  const { forth, back } = toFront(rank, axis);
  const shape = axis === 0 ? shapeOf(b, data) : b.gather(b.shape(data), b.int64(forth));
  return b.transpose(addRows(b, { shape, indices: nonNegative(b, indices, size), rows: b.transpose(dy, [...lead, ...rest]) }), back);
}, null];

/**
 * Zeros of `shape` [n, …rest] with `rows` [k…, …rest] added at `indices` [k…].
 *
 * By ScatterElements: in ONNX Runtime 1.30, ScatterND with reduction add lets threads race on repeated indices and loses updates
 * (20 % off on an embedding's gradient).
 */
function addRows(b: Builder, { shape, indices, rows }: { shape: Value; indices: Value; rows: Value }): Value {
  const rest = rankOf(rows) - rankOf(indices);
  const flat = rankOf(indices) === 1 ? rows : b.reshape(rows, b.concat([b.int64([-1]), ...(rest === 0 ? [] : [b.slice(shape, { axis: 0, start: 1 })])], 0));
  const updates = summable(b, flat);
  const places = b.expand(b.reshape(indices, [-1, ...Array.from({ length: rest }, () => 1)]), b.shape(updates));
  return b.cast(b.scatterElements(b.full(shape, 0, updates.dataType), places, updates, { axis: 0, reduction: 'add' }), rows.dataType);
}

/** Halves are summed in float32, which alone has the kernel everywhere. */
const summable = (b: Builder, value: Value): Value => (value.dataType === 'float16' || value.dataType === 'bfloat16' ? b.cast(value, 'float32') : value);

/** A shape as int64: a constant where it is known. */
function shapeOf(b: Builder, value: Value): Value {
  const dims = dimsOf(value);
  return dims.every((dim) => typeof dim === 'number') ? b.int64(dims as number[]) : b.shape(value);
}

const gatherElements: GradientRule = (c, dy) => [() => {
  const { b } = c, updates = summable(b, dy);
  return b.cast(b.scatterElements(b.zerosLike(x(c), updates.dataType), x(c, 1), updates, { axis: axisOf(c, 0, rankOf(x(c))), reduction: 'add' }), dy.dataType);
}, null];

/** Coordinates become places in the flattened leading axes; batch axes are coordinates as well. */
const gatherND: GradientRule = (c, dy) => [() => {
  const { b } = c;
  const data = x(c), indices = b.cast(x(c, 1), 'int64');
  const batch = intAttribute(c.node, 'batch_dims', 0), last = rankOf(indices) - 1, depth = dimsOf(indices)[last];
  if (typeof depth !== 'number') refuse(c, 'the last dimension of its indices must be a number');
  const size = (axis: number): Value => b.shape(data, { start: axis, end: axis + 1 });
  let place: Value | undefined;
  const append = (coordinate: Value, axis: number): void => { place = place === undefined ? coordinate : b.add(b.mul(place, size(axis)), coordinate); };
  for (let axis = 0; axis < batch; axis++) {
    const range = b.range(b.scalar(0, 'int64'), b.squeeze(size(axis), [0]), b.scalar(1, 'int64'));
    append(b.reshape(range, Array.from({ length: last }, (_, index) => (index === axis ? -1 : 1))), axis);
  }
  for (let at = 0; at < depth; at++) {
    const coordinate = b.squeeze(b.slice(indices, { axis: last, start: at, end: at + 1 }), [last]);
    append(nonNegative(b, coordinate, size(batch + at)), batch + at);
  }
  const rest = b.slice(b.shape(data), { axis: 0, start: batch + depth });
  const count = b.op('ReduceProd', [b.slice(b.shape(data), { axis: 0, start: 0, end: batch + depth })], { keepdims: int(1) });
  return reshapeLike(b, addRows(b, { shape: b.concat([count, rest], 0), indices: place!, rows: dy }), data);
}, null];

function reductionOf(c: GradientContext): 'none' | 'add' {
  const reduction = stringAttribute(c.node, 'reduction', 'none');
  return reduction === 'none' || reduction === 'add' ? reduction : refuse(c, `reduction "${reduction}" has no rule (only none and add)`);
}

const scatterND: GradientRule = (c, dy) => {
  const { b } = c;
  const reduction = reductionOf(c);
  return [
    () => (reduction === 'add' ? dy : b.scatterND(dy, x(c, 1), b.zerosLike(x(c, 2)))),
    null,
    () => b.op('GatherND', [dy, x(c, 1)]),
  ];
};

const scatterElements: GradientRule = (c, dy) => {
  const { b } = c;
  const reduction = reductionOf(c), axis = axisOf(c, 0, rankOf(x(c)));
  return [
    () => (reduction === 'add' ? dy : b.scatterElements(dy, x(c, 1), b.zerosLike(x(c, 2)), { axis })),
    null,
    () => b.gatherElements(dy, x(c, 1), axis),
  ];
};

export const indexingRules = {
  Gather: gather,
  GatherElements: gatherElements,
  GatherND: gatherND,
  ScatterND: scatterND,
  ScatterElements: scatterElements,
} satisfies Record<string, GradientRule>;
