/** @file Gradients of reductions, softmax, cumulative sums and top-k. */
import { rankOf, type Value } from '../../builder.ts';
import { int, intAttribute, intsAttribute } from '../../ir.ts';
import { axisOf, constantInts, countOf, x, y, type GradientContext, type GradientRule } from '../context.ts';

/** The reduced axes; empty means that nothing was reduced. */
function axesOf(c: GradientContext): number[] {
  const rank = rankOf(x(c));
  const given = constantInts(c, 1, 'axes') ?? intsAttribute(c.node, 'axes') ?? [];
  if (given.length === 0) return intAttribute(c.node, 'noop_with_empty_axes', 0) === 1 ? [] : Array.from({ length: rank }, (_, axis) => axis);
  return given.map((axis) => (axis < 0 ? axis + rank : axis));
}

/** A reduced value with its axes of size 1 put back, so that it broadcasts against the input. */
const restore = (c: GradientContext, value: Value): Value => (intAttribute(c.node, 'keepdims', 1) === 1 ? value : c.b.unsqueeze(value, axesOf(c).toSorted((a, b) => a - b)));

/** Every summand gets the sum's gradient; it stays unexpanded, see the driver. */
const sum: GradientRule = (c, dy) => [() => restore(c, dy)];
const mean: GradientRule = (c, dy) => [() => c.b.div(restore(c, dy), countOf(c.b, x(c), axesOf(c)))];

/** All elements that attain the extremum share the gradient, as in torch.amax. */
const extremum: GradientRule = (c, dy) => {
  const { b } = c;
  return [() => {
    const hit = b.indicator(b.equal(x(c), restore(c, y(c))), dy);
    const axes = axesOf(c);
    if (axes.length === 0) return dy;
    return b.mul(hit, b.div(restore(c, dy), b.sum(hit, axes, { keepDims: true })));
  }];
};

/** dx = dy·x/‖x‖, 0 where the norm is 0. */
const norm2: GradientRule = (c, dy) => {
  const { b } = c;
  return [() => {
    const length = restore(c, y(c));
    const safe = b.where(b.equal(length, 0), b.scalar(1, length.dataType), length);
    return b.mul(x(c), b.div(restore(c, dy), safe));
  }];
};

const norm1: GradientRule = (c, dy) => {
  const { b } = c;
  const v = x(c);
  return [() => b.mul(restore(c, dy), b.sub(b.indicator(b.greater(v, 0), v), b.indicator(b.less(v, 0), v)))];
};

/** dx = y·(dy − Σ dy·y) */
const softmax: GradientRule = (c, dy) => {
  const { b } = c;
  const axis = axisOf(c, -1, rankOf(dy));
  return [() => b.mul(y(c), b.sub(dy, b.sum(b.mul(dy, y(c)), [axis], { keepDims: true })))];
};

/** dx = dy − softmax(x)·Σ dy */
const logSoftmax: GradientRule = (c, dy) => {
  const { b } = c;
  const axis = axisOf(c, -1, rankOf(dy));
  return [() => b.sub(dy, b.mul(b.exp(y(c)), b.sum(dy, [axis], { keepDims: true })))];
};

/** The same sum, walked the other way. */
const cumsum: GradientRule = (c, dy) => [() => c.b.op('CumSum', [dy, x(c, 1)], {
  exclusive: int(intAttribute(c.node, 'exclusive', 0)),
  reverse: int(1 - intAttribute(c.node, 'reverse', 0)),
}), null];

const topK: GradientRule = (c, dy) => [
  () => c.b.scatterElements(c.b.zerosLike(x(c)), y(c, 1), dy, { axis: axisOf(c, -1, rankOf(dy)) }),
  null,
];

export const reductionRules = {
  ReduceSum: sum,
  ReduceMean: mean,
  ReduceMax: extremum,
  ReduceMin: extremum,
  ReduceLogSumExp: (c, dy) => [() => c.b.mul(restore(c, dy), c.b.exp(c.b.sub(x(c), restore(c, y(c)))))],
  ReduceLogSum: (c, dy) => [() => c.b.div(restore(c, dy), c.b.exp(restore(c, y(c))))],
  ReduceL1: norm1,
  ReduceL2: norm2,
  ReduceSumSquare: (c, dy) => [() => c.b.mul(c.b.mul(x(c), 2), restore(c, dy))],
  Softmax: softmax,
  LogSoftmax: logSoftmax,
  CumSum: cumsum,
  TopK: topK,
} satisfies Record<string, GradientRule>;
