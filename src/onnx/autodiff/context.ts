/** @file What a gradient rule sees, and the moves that most rules share. */
import { Builder, dimsOf, type Value } from '../builder.ts';
import { OnnxError, describeNode, int, intAttribute, type Node } from '../ir.ts';
import { numberValues } from '../tensor.ts';

/** Makes one input's gradient. Called only if that gradient is needed, so unneeded work is never written down. */
export type Gradient = () => Value;

export interface GradientContext {
  readonly b: Builder;
  readonly node: Node;
  /** Inputs; null where an optional one is absent. */
  readonly inputs: readonly (Value | null)[];
  readonly outputs: readonly Value[];
  /** Gradient of each output; null where nothing flows back. */
  readonly dys: readonly (Value | null)[];
  /** How the node hangs on a variable, for messages. */
  readonly path: () => string;
}

/**
 * From the output's gradient `dy` to one thunk per input. null: no gradient flows into that input (an index, a shape).
 * A result that came about by broadcasting may have the output's shape; the driver sums it down to the input's.
 */
export type GradientRule = (context: GradientContext, dy: Value) => readonly (Gradient | null)[];

/** The input at `index`, which this rule cannot do without. */
export function x(c: GradientContext, index = 0): Value {
  return c.inputs[index] ?? refuse(c, `input ${index} is missing`);
}
export const y = (c: GradientContext, index = 0): Value => c.outputs[index]!;

export function refuse({ node, path }: GradientContext, why: string): never {
  throw new OnnxError(`${describeNode(node)} cannot be differentiated: ${why}; path: ${path()}`);
}

/** An integer input that must be a constant (axes, repeats …); undefined when absent. */
export function constantInts(c: GradientContext, index: number, what: string): readonly number[] | undefined {
  const value = c.inputs[index];
  if (value == null) return undefined;
  const tensor = c.b.tensor(value);
  if (tensor !== undefined) return numberValues(tensor);
  if (value.content?.every((item) => typeof item === 'number')) return value.content as number[];
  return refuse(c, `its ${what} ("${value.name}") must be constant`);
}

export const axisOf = (c: GradientContext, fallback: number, rank: number): number => {
  const axis = intAttribute(c.node, 'axis', fallback);
  return axis < 0 ? axis + rank : axis;
};

/** `value` in a shape that is known when the graph runs. A 0 in it is a length, as of a batch without rows. */
const reshapeTo = (b: Builder, value: Value, shape: Value): Value => b.op('Reshape', [value, shape], { allowzero: int(1) });

/** `value` in the shape of `target`, which has as many elements. */
export function reshapeLike(b: Builder, value: Value, target: Value): Value {
  const dims = target.shape;
  if (dims !== null && value.shape !== null && dims.length === value.shape.length && dims.every((dim, axis) => dim === value.shape![axis])) return value;
  if (dims !== null && dims.filter((dim) => typeof dim !== 'number').length <= 1 && !dims.includes(0)) {
    return b.reshape(value, dims.map((dim) => (typeof dim === 'number' ? dim : -1)));
  }
  return reshapeTo(b, value, b.shape(target));
}

/** `value`, broadcast to the shape of `target`. */
export function expandLike(b: Builder, value: Value, target: Value): Value {
  const dims = target.shape;
  if (dims !== null && value.shape !== null && dims.length === value.shape.length && dims.every((dim, axis) => dim === value.shape![axis])) return value;
  return dims !== null && dims.every((dim) => typeof dim === 'number') ? b.expand(value, dims as number[]) : b.expand(value, b.shape(target));
}

/**
 * The adjoint of NumPy broadcasting: sums a gradient over the axes along which `target` was repeated. Axes whose sizes are
 * symbols that need not be equal are decided when the graph runs.
 */
export function sumToShape(b: Builder, gradient: Value, target: Value): Value {
  const from = dimsOf(gradient), to = dimsOf(target);
  const lead = from.length - to.length;
  const repeated: number[] = [];
  let uncertain = false;
  for (const [axis, dim] of from.entries()) {
    const original = axis < lead ? 1 : to[axis - lead]!;
    if (axis < lead || (original === 1 && dim !== 1)) repeated.push(axis);
    else if (original !== dim && typeof original !== 'number') uncertain = true;
  }
  if (uncertain) return sumToRuntimeShape(b, gradient, target, lead);
  if (repeated.length === 0) return gradient;
  const leading = repeated.every((axis) => axis < lead);
  const sum = b.sum(gradient, repeated, { keepDims: !leading });
  return lead === 0 || leading ? sum : reshapeLike(b, sum, target);
}

function sumToRuntimeShape(b: Builder, gradient: Value, target: Value, lead: number): Value {
  const shape = b.shape(target);
  const padded = lead === 0 ? shape : b.concat([b.int64(Array.from({ length: lead }, () => 1)), shape], 0);
  const repeated = b.and(b.equal(padded, 1), b.not(b.equal(b.shape(gradient), 1)));
  const axes = b.squeeze(b.op('NonZero', [repeated]), [0]);
  const sum = b.op('ReduceSum', [gradient, axes], { noop_with_empty_axes: { kind: 'int', value: 1 } });
  return reshapeTo(b, sum, shape);
}

/** Number of elements of some axes, as a float scalar of the value's type: a constant where the sizes are known. */
export function countOf(b: Builder, value: Value, axes: readonly number[]): Value | number {
  const dims = dimsOf(value);
  if (axes.every((axis) => typeof dims[axis] === 'number')) return axes.reduce((count, axis) => count * (dims[axis] as number), 1);
  const sizes = b.gather(b.shape(value), b.int64(axes));
  return b.cast(b.op('ReduceProd', [sizes], { keepdims: { kind: 'int', value: 0 } }), value.dataType);
}

/** A permutation and its inverse that bring `axis` to the front. */
export function toFront(rank: number, axis: number): { forth: number[]; back: number[] } {
  const forth = [axis, ...Array.from({ length: rank }, (_, index) => index).filter((index) => index !== axis)];
  return { forth, back: forth.map((_, index) => forth.indexOf(index)) };
}

export const sumAll = (b: Builder, values: readonly Value[]): Value => values.reduce((sum, value) => b.add(sum, value));
