/** @file Gradients of gathers and scatters: what was read gets the gradient, read twice gets it twice. */
import { dimsOf, rankOf, type Builder, type Value } from '../../builder.ts';
import { intAttribute, stringAttribute } from '../../ir.ts';
import { axisOf, refuse, scatterAdd, toFront, x, type GradientContext, type GradientRule } from '../context.ts';

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
  const shape = b.concat([size, b.shape(rows, { start: 1 })], 0);
  return b.transpose(b.scatterND(b.full(shape, 0, dy.dataType), b.unsqueeze(positions, [1]), rows, { reduction: 'add' }), back);
}

/** Gather along any axis: bring the gathered axes to the front, add rows up, bring the axis back. */
const gather: GradientRule = (c, dy) => [() => {
  const { b } = c;
  const data = x(c), indices = x(c, 1);
  const rank = rankOf(data), axis = axisOf(c, 0, rank), width = rankOf(indices);
  const size = b.shape(data, { start: axis, end: axis + 1 });
  const lead = Array.from({ length: width }, (_, index) => axis + index);
  const rest = Array.from({ length: rankOf(dy) }, (_, index) => index).filter((index) => !lead.includes(index));
  const rows = b.transpose(dy, [...lead, ...rest]);
  const { forth, back } = toFront(rank, axis);
  const table = axis === 0 ? data : b.transpose(data, forth);
  return b.transpose(scatterAdd(b, table, b.unsqueeze(nonNegative(b, indices, size), [width]), rows), back);
}, null];

const gatherElements: GradientRule = (c, dy) => [
  () => c.b.scatterElements(c.b.zerosLike(x(c)), x(c, 1), dy, { axis: axisOf(c, 0, rankOf(x(c))), reduction: 'add' }),
  null,
];

/** Batch dimensions become one more coordinate. */
const gatherND: GradientRule = (c, dy) => [() => {
  const { b } = c;
  const batch = intAttribute(c.node, 'batch_dims', 0);
  const indices = b.cast(x(c, 1), 'int64');
  if (batch === 0) return scatterAdd(b, x(c), indices, dy);
  const rank = rankOf(indices);
  const shape = b.concat([b.shape(indices, { end: rank - 1 }), b.int64([1])], 0);
  const coordinates = Array.from({ length: batch }, (_, axis) => {
    const range = b.range(b.scalar(0, 'int64'), b.squeeze(b.shape(indices, { start: axis, end: axis + 1 }), [0]), b.scalar(1, 'int64'));
    return b.expand(b.reshape(range, Array.from({ length: rank }, (_, index) => (index === axis ? -1 : 1))), shape);
  });
  return scatterAdd(b, x(c), b.concat([...coordinates, indices], rank - 1), dy);
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
export { dimsOf };
