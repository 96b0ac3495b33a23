/** @file Gradients of operators that only move elements around: the same elements, moved back. */
import { dimsOf, rankOf, type Builder, type Value } from '../../builder.ts';
import { int, intAttribute, intsAttribute, stringAttribute } from '../../ir.ts';
import { axisOf, constantInts, refuse, reshapeLike, sumToShape, x, type GradientContext, type GradientRule } from '../context.ts';
import { gatherAxisGradient } from './indexing.ts';

const reshape: GradientRule = (c, dy) => [() => reshapeLike(c.b, dy, x(c)), null];

const transpose: GradientRule = (c, dy) => {
  const perm = intsAttribute(c.node, 'perm') ?? Array.from({ length: rankOf(dy) }, (_, axis) => axis).toReversed();
  return [() => c.b.transpose(dy, perm.map((_, axis) => perm.indexOf(axis)))];
};

/** Each repetition becomes an axis of its own, which is then summed. */
const tile: GradientRule = (c, dy) => [() => {
  const { b } = c;
  const repeats = constantInts(c, 1, 'repeats') ?? refuse(c, 'it has no repeats');
  if (repeats.every((times) => times === 1)) return dy;
  const dims = dimsOf(x(c));
  const sizes = repeats.flatMap((times, axis) => [b.int64([times]), typeof dims[axis] === 'number' ? b.int64([dims[axis]]) : b.shape(x(c), { start: axis, end: axis + 1 })]);
  return b.sum(b.reshape(dy, b.concat(sizes, 0)), repeats.map((_, axis) => 2 * axis));
}, null];

/** Size of one axis, as an int64 vector of length 1. */
function sizeOf(b: Builder, value: Value, axis: number): Value {
  const dim = dimsOf(value)[axis]!;
  return typeof dim === 'number' ? b.int64([dim]) : b.shape(value, { start: axis, end: axis + 1 });
}

const concat: GradientRule = (c, dy) => {
  const { b } = c;
  const axis = axisOf(c, 0, rankOf(dy));
  let parts: Value[] | undefined;
  const split = (): Value[] => (parts ??= c.inputs.length === 1 ? [dy]
    : b.ops('Split', [dy, b.concat(c.inputs.map((_, index) => sizeOf(b, x(c, index), axis)), 0)], { axis: int(axis) }, { outputs: c.inputs.length }));
  return c.inputs.map((_, index) => () => split()[index]!);
};

const split: GradientRule = (c) => {
  const { b } = c;
  return [() => b.concat(c.dys.map((dy, index) => dy ?? b.zerosLike(c.outputs[index]!)), axisOf(c, 0, rankOf(x(c)))), null];
};

/** Zeros around the slice; a step of more than 1 (or backwards) scatters instead. */
const slice: GradientRule = (c, dy) => [() => {
  const { b } = c;
  const rank = rankOf(x(c));
  const count = dimsOf(x(c, 1))[0];
  const axes = constantInts(c, 3, 'axes') ?? (typeof count === 'number' ? Array.from({ length: count }, (_, axis) => axis) : refuse(c, 'its axes are not known'));
  const steps = constantInts(c, 4, 'steps') ?? axes.map(() => 1);
  const real = axes.map((axis) => (axis < 0 ? axis + rank : axis));
  if (steps.some((step) => step !== 1)) return scatterSlice(c, dy, real);
  const before: Value[] = [], after: Value[] = [];
  for (let axis = 0; axis < rank; axis++) {
    const at = real.indexOf(axis);
    if (at < 0) { before.push(b.int64([0])); after.push(b.int64([0])); continue; }
    const start = startOf(c, at, axis);
    before.push(start);
    after.push(b.sub(b.sub(sizeOf(b, x(c), axis), start), sizeOf(b, dy, axis)));
  }
  return b.op('Pad', [dy, b.concat([...before, ...after], 0)]);
}, null, null, null, null];

/** Where a slice begins, counted from the front and never beyond the end. */
function startOf(c: GradientContext, at: number, axis: number): Value {
  const { b } = c;
  const given = x(c, 1).content?.[at];
  const size = dimsOf(x(c))[axis]!;
  if (typeof given === 'number' && typeof size === 'number') return b.int64([Math.min(Math.max(given < 0 ? given + size : given, 0), size)]);
  if (given === 0) return b.int64([0]);
  const start = b.cast(b.slice(x(c, 1), { axis: 0, start: at, end: at + 1 }), 'int64');
  const length = sizeOf(b, x(c), axis);
  const counted = b.where(b.less(start, 0), b.add(start, length), start);
  return b.min(b.max(counted, 0), length);
}

/** The positions that a slice picked, by slicing the numbers 0, 1, 2 … themselves. */
function scatterSlice(c: GradientContext, dy: Value, axes: readonly number[]): Value {
  const { b } = c;
  const one = (index: number, at: number): Value => b.cast(b.slice(x(c, index), { axis: 0, start: at, end: at + 1 }), 'int64');
  return axes.reduceRight((gradient, axis, at) => {
    const length = b.squeeze(sizeOf(b, x(c), axis), [0]);
    const positions = b.op('Slice', [b.range(b.scalar(0, 'int64'), length, b.scalar(1, 'int64')), one(1, at), one(2, at), b.int64([0]), one(4, at)]);
    return gatherAxisGradient(b, gradient, positions, axis, sizeOf(b, x(c), axis));
  }, dy);
}

/** A constant border is cut off; edge, reflect and wrap copy elements, whose gradients add up. */
const pad: GradientRule = (c, dy) => {
  const { b } = c;
  const rank = rankOf(x(c));
  const axes = (): number[] => (constantInts(c, 3, 'axes') ?? Array.from({ length: rank }, (_, axis) => axis)).map((axis) => (axis < 0 ? axis + rank : axis));
  const pads = (): readonly number[] => constantInts(c, 1, 'pads') ?? refuse(c, 'it has no pads');
  const mode = stringAttribute(c.node, 'mode', 'constant');
  const data = (): Value => {
    const at = axes(), amounts = pads();
    if (mode === 'constant') {
      const full = (offset: number): number[] => Array.from({ length: rank }, (_, axis) => (at.includes(axis) ? -amounts[at.indexOf(axis) + offset]! : 0));
      return b.op('Pad', [dy, b.int64([...full(0), ...full(at.length)])]);
    }
    return at.reduce((gradient, axis, index) => {
      const before = amounts[index]!, after = amounts[index + at.length]!;
      if (before === 0 && after === 0) return gradient;
      const size = sizeOf(b, x(c), axis);
      // Pad has no integer kernel in every mode; sizes are exact in float32 far beyond any axis.
      const numbers = b.cast(b.range(b.scalar(0, 'int64'), b.squeeze(size, [0]), b.scalar(1, 'int64')), 'float32');
      const positions = b.cast(b.op('Pad', [numbers, b.int64([before, after])], { mode: { kind: 'string', value: mode } }), 'int64');
      return gatherAxisGradient(b, gradient, positions, axis, size);
    }, dy);
  };
  const fill = (): Value => {
    const at = axes(), amounts = pads();
    const full = (offset: number): number[] => Array.from({ length: rank }, (_, axis) => (at.includes(axis) ? -amounts[at.indexOf(axis) + offset]! : 0));
    return reshapeLike(b, b.sub(b.sum(dy), b.sum(b.op('Pad', [dy, b.int64([...full(0), ...full(at.length)])]))), x(c, 2));
  };
  return [data, null, fill, null];
};

export const layoutRules = {
  Reshape: reshape,
  Flatten: reshape,
  Squeeze: reshape,
  Unsqueeze: reshape,
  Transpose: transpose,
  Expand: (c, dy) => [() => sumToShape(c.b, dy, x(c)), null],
  Tile: tile,
  Concat: concat,
  Split: split,
  Slice: slice,
  Pad: pad,
  Trilu: (c, dy) => [() => c.b.op('Trilu', [dy, ...c.inputs.slice(1)], { upper: int(intAttribute(c.node, 'upper', 1)) }), null],
} satisfies Record<string, GradientRule>;
