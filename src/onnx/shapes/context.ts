/** @file What a shape rule sees, and the few things that most rules need. */
import { addDims, divideDims, isNegativeDim, multiplyDims, opaqueDim, productOf } from '../dims.ts';
import { OnnxError, describeNode, describeType, intAttribute, intsAttribute, type Dim, type Node, type Shape, type ValueType } from '../ir.ts';

/**
 * The type of a value, and for small integer tensors (shapes, axes) its content as far as it is known: this is what carries
 * symbols through the Shape → Gather → Concat → Reshape arithmetic that exporters emit.
 */
export interface Inferred extends ValueType {
  readonly content?: readonly (Dim | null)[] | undefined;
}

export interface ShapeContext {
  readonly node: Node;
  readonly opset: number;
  /** undefined: an absent optional input, or one whose type is not known. */
  readonly inputs: readonly (Inferred | undefined)[];
}

/** Types of all outputs, in order; an absent one may be left out at the end. */
export type ShapeRule = (context: ShapeContext) => readonly Inferred[];

export function fail({ node, inputs }: ShapeContext, problem: string): never {
  const types = inputs.map((input) => (input === undefined ? '–' : describeType(input))).join(', ');
  throw new OnnxError(`${describeNode(node)}: ${problem}; inputs: ${types}`);
}

/** What a rule throws where too little is known of an input to say anything of the outputs. That is no mistake of the graph. */
export const UNKNOWN = Symbol('unknown');

/** An input that must be there. */
export function input(context: ShapeContext, index: number): Inferred {
  const found = context.inputs[index];
  if (found !== undefined) return found;
  if (has(context, index)) throw UNKNOWN;
  return fail(context, `input ${index} is missing`);
}

/** Shape of an input whose rank must be known, and one of `ranks` where only these make sense. */
export function shapeOf(context: ShapeContext, index: number, ...ranks: readonly number[]): Shape {
  const { shape } = input(context, index);
  if (shape === null) throw UNKNOWN;
  if (ranks.length > 0 && !ranks.includes(shape.length)) fail(context, `input ${index} must have rank ${ranks.join(' or ')}`);
  return shape;
}

/** The rank of an output whose shape is given by an input, from the length of that input; undefined when it is not known. */
export function rankFrom(context: ShapeContext, index: number): number | undefined {
  const length = context.inputs[index]?.shape?.[0];
  if (typeof length !== 'number') return undefined;
  return length <= MAX_RANK ? length : fail(context, `a rank of ${length} is beyond reason`);
}
const MAX_RANK = 64;

/** A count given as an attribute: at least 1. */
export function countAttribute(context: ShapeContext, name: string, fallback = 0): number {
  const count = intAttribute(context.node, name, fallback);
  return count >= 1 ? count : fail(context, `${name} must be at least 1`);
}

export const like = ({ dataType, shape }: ValueType): Inferred => ({ dataType, shape });

export function normalizeAxis(context: ShapeContext, axis: number, rank: number): number {
  if (!Number.isInteger(axis) || axis < -rank || axis >= Math.max(rank, 1)) fail(context, `axis ${axis} does not exist in rank ${rank}`);
  return axis < 0 ? axis + rank : axis;
}

/** Integers given as an input (new opsets) or as an attribute (old ones); undefined when absent or not constant. */
export function integers(context: ShapeContext, index: number, attribute: string): readonly number[] | undefined {
  const content = context.inputs[index]?.content;
  if (content !== undefined) return content.every((value) => typeof value === 'number') ? (content as number[]) : undefined;
  return context.node.inputs[index] ? undefined : intsAttribute(context.node, attribute);
}

/** Is the optional input there at all? */
export const has = (context: ShapeContext, index: number): boolean => (context.node.inputs[index] ?? '') !== '';

export function broadcastDim(a: Dim, b: Dim): Dim | null {
  if (a === b || b === 1) return a;
  if (a === 1) return b;
  if (typeof a === 'number') return typeof b === 'number' ? null : a;
  if (typeof b === 'number') return b;
  return opaqueDim('broadcast', ...[a, b].toSorted());
}

/** NumPy broadcasting of two shapes; null when they cannot be combined. */
export function broadcastShapes(a: Shape, b: Shape): Shape | null {
  const rank = Math.max(a.length, b.length);
  const result: Dim[] = [];
  for (let axis = 0; axis < rank; axis++) {
    const dim = broadcastDim(a[axis - rank + a.length] ?? 1, b[axis - rank + b.length] ?? 1);
    if (dim === null) return null;
    result.push(dim);
  }
  return result;
}

export function broadcastAll(context: ShapeContext, shapes: readonly (Shape | null)[]): Shape | null {
  let result: Shape = [];
  for (const shape of shapes) {
    if (shape === null) return null;
    result = broadcastShapes(result, shape) ?? fail(context, `shapes [${result.join(', ')}] and [${shape.join(', ')}] do not broadcast`);
  }
  return result;
}

/** The output shape of Reshape: 0 copies a dimension, −1 takes what is left. */
export function reshaped(context: ShapeContext, from: Shape | null, target: readonly (Dim | null)[], { allowZero }: { allowZero: boolean }): Shape {
  const dims = target.map((dim, axis) => (dim === 0 && !allowZero ? (from?.[axis] ?? null) : dim));
  const free = dims.indexOf(-1);
  if (free < 0) return dims.map((dim, axis) => dim ?? opaqueDim('reshape', context.node.outputs[0] ?? '', axis));
  const rest = dims.filter((_, axis) => axis !== free);
  const left = from !== null && rest.every((dim) => dim !== null) ? quotient(from, rest) : null;
  return dims.map((dim, axis) => (axis === free ? left : dim) ?? opaqueDim('reshape', context.node.outputs[0] ?? '', axis));
}

/** The product of some dimensions by that of others. Equal ones cancel first: a sum such as `past + sequence` divides nothing else. */
function quotient(dims: readonly Dim[], by: readonly Dim[]): Dim | null {
  const above = [...dims], below: Dim[] = [];
  for (const dim of by) {
    const at = above.indexOf(dim);
    if (at >= 0) above.splice(at, 1);
    else below.push(dim);
  }
  return divideDims(productOf(above), productOf(below));
}

/**
 * What an elementwise operation on small integer tensors brings together, place by place. Undefined where that cannot be told: content
 * is a flat list, and two equally long ones may still be a row and a column, whose result is a matrix.
 */
export function places(inputs: readonly (Inferred | undefined)[]): readonly (readonly (Dim | null)[])[] | undefined {
  const lists = inputs.map((value) => value?.content);
  if (!lists.every((list) => list !== undefined)) return undefined;
  const [first, ...others] = inputs.filter((_, index) => lists[index]!.length !== 1) as Inferred[];
  const fits = ({ content, shape }: Inferred): boolean => content!.length === first!.content!.length && isAlike(shape, first!.shape);
  if (!others.every(fits)) return undefined;
  return Array.from({ length: first?.content!.length ?? 1 }, (_, at) => lists.map((list) => list[list.length === 1 ? 0 : at] ?? null));
}

const isAlike = (a: Shape | null, b: Shape | null): boolean =>
  a !== null && b !== null && ((a.length <= 1 && b.length <= 1) || (a.length === b.length && a.every((dim, axis) => dim === b[axis])));

/** Content of an elementwise operation on two integer tensors. */
export const zipContent = (a: Inferred | undefined, b: Inferred | undefined, combine: (x: Dim, y: Dim) => Dim | null): readonly (Dim | null)[] | undefined =>
  places([a, b])?.map(([left, right]) => (left == null || right == null ? null : combine(left, right)));

/** Output length of a convolution-like or slicing walk from `start` to `end`. */
export function sliceLength(dim: Dim, start: Dim | null, end: Dim | null, step: number): Dim | null {
  if (start === null || end === null || step === 0) return null;
  if (typeof dim === 'number' && typeof start === 'number' && typeof end === 'number') {
    const clamp = (value: number, low: number, high: number): number => Math.min(Math.max(value < 0 ? value + dim : value, low), high);
    const [from, to] = step > 0 ? [clamp(start, 0, dim), clamp(end, 0, dim)] : [clamp(start, 0, dim - 1), end < -dim ? -1 : clamp(end, -1, dim - 1)];
    return Math.max(0, Math.ceil((to - from) / step));
  }
  if (step !== 1) return start === 0 && typeof end === 'number' && end > 2 ** 31 ? opaqueDim('ceil', dim, step) : null;
  if (start === 0) {
    if (typeof end === 'number') return end >= 2 ** 31 - 1 ? dim : end < 0 ? addDims(dim, end) : opaqueDim('min', dim, end);
    // The exporters' own slices never run past the end: `x[:, :length]`.
    return isNegativeDim(end) ? addDims(dim, end) : end;
  }
  // Up to a number that may lie beyond the end, or from near the end to near the front: how much that is depends on the length.
  if (typeof start === 'number' && typeof end === 'number' && end >= 0 && end < 2 ** 31 - 1) return null;
  const placed = (at: Dim): Dim => (isNegativeDim(at) ? addDims(dim, at) : at);
  const from = placed(start), to = typeof end === 'number' && end >= 2 ** 31 - 1 ? dim : placed(end);
  return addDims(to, multiplyDims(from, -1));
}

export const attributeAxis = (context: ShapeContext, fallback: number, rank: number): number =>
  normalizeAxis(context, intAttribute(context.node, 'axis', fallback), rank);
