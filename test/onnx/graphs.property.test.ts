/**
 * @file Gradients of random graphs of many operators: values with several consumers, weights that are used again, integer and
 * boolean side paths, operators that end a path, sizes known or not. A path that is forgotten or counted twice shows as a slope.
 */
import { describe } from 'vitest';
import { float, int, type Value } from '../../src/onnx/index.ts';
import { substituteDim } from '../../src/onnx/dims.ts';
import { property, type Trial } from './trial.ts';

/** A graph as it grows: values to read, all float64. */
class Growth {
  readonly pool: Value[] = [];
  readonly t: Trial;
  readonly #symbolic: boolean;

  constructor(t: Trial) {
    this.t = t;
    this.#symbolic = t.chance();
    this.variable([t.between(1, 3), t.between(1, 3)]);
    this.variable(t.shape(1, 3));
  }

  variable(shape: readonly number[]): Value {
    // Equal sizes are one symbol, so that shapes go on to be known.
    const value = this.t.variable(shape, this.#symbolic ? { declared: shape.map((size) => (size > 1 ? `size${size}` : size)) } : {});
    this.pool.push(value);
    return value;
  }

  any(): Value { return this.t.pick(this.pool); }

  /** What the dimensions will be; null when that cannot be told. */
  sizes({ shape }: Value): number[] | null {
    const known = new Map([2, 3].map((size) => [`size${size}`, size]));
    const sizes = shape?.map((dim) => substituteDim(dim, known));
    return sizes?.every((dim) => typeof dim === 'number') === true ? sizes : null;
  }

  /** One more value, bounded so that slopes stay within what differences can see. */
  step(): void {
    const { t } = this, a = this.any(), dims = this.sizes(a);
    if (dims === null) return;
    const rank = dims.length, axis = rank === 0 ? 0 : t.between(0, rank - 1);
    const families = [unary, binary, sides, ...(rank > 0 ? [reductions, layout, indices, products] : [])];
    const value = t.pick(t.pick(families)(this, a, dims, axis))();
    const sizes = this.sizes(value);
    if (sizes === null || sizes.length > 4 || sizes.includes(0) || sizes.reduce((product, size) => product * size, 1) > 200) return;
    this.pool.push(t.chance() ? value : t.b.tanh(value));
  }
}

/** Ways to go on from a value. */
type Family = (growth: Growth, a: Value, dims: readonly number[], axis: number) => (() => Value)[];

const unary: Family = ({ t: { b } }, a) => [
  () => b.sigmoid(a), () => b.sin(a), () => b.cos(a), () => b.neg(a), () => b.abs(a), () => b.relu(a), () => b.square(b.tanh(a)), () => b.exp(b.tanh(a)),
  () => b.sqrt(b.add(b.square(a), 1)), () => b.log(b.add(b.square(a), 1)), () => b.reciprocal(b.add(b.square(a), 1)), () => b.pow(b.tanh(a), 3), () => b.clip(a, -0.5, 0.8),
  () => b.op('Dropout', [a]), () => b.identity(a),
];

const binary: Family = (growth, a, dims) => {
  const { b } = growth.t;
  const other = growth.any(), sizes = growth.sizes(other) ?? [];
  const fits = Array.from({ length: Math.max(dims.length, sizes.length) }, (_, at) => [dims.at(-1 - at) ?? 1, sizes.at(-1 - at) ?? 1]).every(([x, y]) => x === y || x === 1 || y === 1);
  const c = fits && sizes.length > 0 ? other : b.mean(b.tanh(other));
  return [
    () => b.add(a, c), () => b.sub(c, a), () => b.mul(b.tanh(a), b.tanh(c)), () => b.div(a, b.add(b.square(c), 1)), () => b.min(a, c), () => b.max(a, b.mul(c, 0.5)),
    () => b.op('Sum', [a, c, a]), () => b.where(b.less(a, c), b.tanh(a), c),
  ];
};

/** The place of the largest element. Cosines of the places break ties, which rounding would break differently in each run. */
function largest({ b }: Trial, value: Value): Value {
  const flat = b.reshape(value, [-1]), places = b.range(b.scalar(0, 'int64'), b.squeeze(b.shape(flat), [0]), b.scalar(1, 'int64'));
  return b.argmax(b.add(flat, b.cos(b.cast(places, 'float64'))), 0);
}

/** What carries no gradient, but decides where gradients go. Means of a softmax or a norm are whole or half numbers: steps lie elsewhere. */
const sides: Family = (growth, a, dims, axis) => {
  const { t } = growth, { b } = t, c = growth.any();
  const count = (value: Value): Value => b.cast(b.op('ReduceProd', [b.shape(value)], { keepdims: int(0) }), 'float64');
  return [
    () => b.mul(a, b.floor(b.add(b.mul(b.mean(c), 3.1), 0.37))), () => b.mul(b.op('Sign', [a]), a), () => b.add(b.tanh(a), b.op('Round', [b.add(b.mul(a, 1.3), 0.17)])),
    () => b.div(a, count(c)),
    () => b.where(b.and(b.not(b.greater(a, 0.93)), b.greater(a, -0.91)), b.square(a), a),
    () => b.mul(a, b.cast(b.cast(b.add(b.mul(b.tanh(a), 3.1), 0.17), 'int64'), 'float64')),
    () => b.reshape(b.expand(b.mean(a), b.shape(c)), b.shape(c)),
    () => (dims.length === 0 ? b.tanh(a) : b.gather(a, b.op('Mod', [largest(t, c), b.scalar(dims[axis]!, 'int64')]), axis)),
    () => (dims.length === 0 ? b.tanh(a) : b.gather(a, b.unsqueeze(b.op('Mod', [largest(t, a), b.scalar(dims[axis]!, 'int64')]), [0]), axis)),
  ];
};

const reductions: Family = ({ t }, a, dims, axis) => {
  const { b } = t, keepDims = t.chance(), axes = dims.map((_, at) => at).filter(() => t.chance());
  const reduce = (op: string, value = a): Value => b.op(op, axes.length === 0 ? [value] : [value, b.int64(axes)], { keepdims: int(keepDims ? 1 : 0) });
  return [
    () => reduce('ReduceSum'), () => reduce('ReduceMean'), () => reduce('ReduceMax'), () => reduce('ReduceMin'), () => reduce('ReduceL2', b.add(b.square(a), 0.1)), () => reduce('ReduceLogSumExp', b.tanh(a)),
    () => b.softmax(a, axis), () => b.op('LogSoftmax', [a], { axis: int(axis) }), () => b.cumsum(a, axis),
  ];
};

const layout: Family = (growth, a, dims, axis) => {
  const { t } = growth, { b } = t, rank = dims.length;
  return [
    () => b.reshape(a, [-1]), () => b.reshape(a, [0, -1]), () => b.transpose(a, dims.map((_, at) => at).toReversed()), () => b.unsqueeze(a, [axis]), () => b.op('Flatten', [a], { axis: int(axis) }),
    () => b.squeeze(a, dims.flatMap((size, at) => (size === 1 ? [at] : []))), () => b.concat([a, b.tanh(a), a], axis),
    () => b.slice(a, { axis, start: t.between(-1, 0), step: t.pick([1, -1]), ...(t.chance() ? { end: t.between(1, 2) } : {}) }),
    () => b.op('Tile', [a, b.int64(dims.map((_, at) => (at === axis ? 2 : 1)))]),
    () => b.op('Pad', [a, b.int64([...dims.map((_, at) => (at === axis ? 1 : 0)), ...dims.map(() => 0)])]),
    () => (rank < 2 ? b.tanh(a) : b.op('Trilu', [a], { upper: int(t.between(0, 1)) })),
    // Of one half nothing more is read, or both are.
    () => { const first = t.between(0, dims[axis]!), [left, right] = b.split(a, [first, dims[axis]! - first], axis); return t.chance() ? b.concat([right!, left!], axis) : right!; },
  ];
};

const indices: Family = (growth, a, dims, axis) => {
  const { t } = growth, { b } = t, size = dims[axis]!;
  return [
    () => b.gather(a, t.indices([t.between(1, 4)], size), axis),
    () => { const [values, places] = b.ops('TopK', [a, b.int64([t.between(1, size)])], { axis: int(axis) }, { outputs: 2 }); return t.chance() ? values! : b.gatherElements(b.sin(a), places!, axis); },
    () => b.scatterElements(a, t.indices(dims.map(() => 1), size), b.reshape(b.mean(growth.any()), dims.map(() => 1)), { axis, reduction: 'add' }),
    () => b.scatterND(a, b.constant('int64', [1, 1], [t.between(0, dims[0]! - 1)]), b.slice(b.cos(a), { axis: 0, start: 0, end: 1 }), { reduction: t.pick(['add', 'none']) }),
    () => b.op('GatherND', [a, b.constant('int64', [2, 1], [0, t.between(-dims[0]!, dims[0]! - 1)])]),
  ];
};

/** Weights are shared: a graph has one of each size. */
const products: Family = (growth, a, dims) => {
  const { t } = growth, { b } = t, width = dims.at(-1)!;
  const weight = (rank: number): Value => growth.pool.find((value) => growth.sizes(value)?.join() === Array<number>(rank).fill(width).join()) ?? growth.variable(Array<number>(rank).fill(width));
  return [
    () => b.matmul(a, weight(2)), () => b.matmul(b.tanh(a), b.transpose(weight(2), [1, 0])), () => b.matmul(a, weight(1)),
    () => (dims.length < 2 ? b.tanh(a) : b.matmul(a, b.transpose(b.tanh(a), [...dims.keys()].map((at) => (at < dims.length - 2 ? at : 2 * dims.length - 3 - at))))),
    () => (dims.length === 2 ? b.gemm(a, weight(2), weight(1), { transB: true, alpha: 0.5 }) : b.tanh(a)),
    () => (dims.length === 2 ? b.einsum('ij,jk,ij->ik', a, weight(2), b.tanh(a)) : b.tanh(a)),
    () => b.op('LayerNormalization', [a, weight(1), weight(1)], { epsilon: float(0.1) }), () => b.rmsNorm(a, weight(1), 0.1),
  ];
};

/** A graph of so many steps, and some of its values. */
export const grown = (steps: number) => (t: Trial): Value[] => {
  const growth = new Growth(t);
  for (let step = 0; step < steps; step++) growth.step();
  // The variables themselves, so that every one of them matters.
  return [growth.pool.at(-1)!, ...growth.pool.filter((_, at) => at % 4 === 1), ...[...t.variables.keys()].map((name) => t.b.tanh(t.b.value(name)))];
};

describe('gradients of random graphs of many operators equal central differences', () => {
  property('a few operators', grown(5), { runs: 300, allowed: 2e-6 });
  property('dozens of operators', grown(40), { runs: 100, allowed: 2e-6 });
});
