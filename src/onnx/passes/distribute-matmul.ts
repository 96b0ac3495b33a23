/**
 * @file Products over concatenated operands, taken apart: `a·[x y] = [a·x a·y]` and `[p q]·[x; y] = p·x + q·y`.
 *
 * This is what keeps a key/value cache outside the graph: attention reads past and new rows as they lie, and nothing copies
 * the past into one tensor with the new.
 */
import type { Builder, Value } from '../builder.ts';
import { productOf } from '../dims.ts';
import { intAttribute, intsAttribute, type Model, type Node, type Shape } from '../ir.ts';
import { removeDeadNodes, rewriteNodes } from './rewrite.ts';

/** A value that is the concatenation of pieces along an axis. The pieces are made when a product asks for them. */
interface Parts {
  readonly axis: number;
  readonly pieces: () => readonly Value[];
}

/**
 * Distributes MatMul over Concat, also where Transpose, Unsqueeze, Expand, Reshape (as exporters repeat heads), Cast or a factor
 * stand between them. A Concat that something else needs whole stays for that.
 *
 * @param where which Concats to take apart; default: all.
 */
export function distributeMatMul(model: Model, { where = () => true }: { where?: (concat: Node) => boolean } = {}): Model {
  const known = new Map<string, Parts>();
  return removeDeadNodes(rewriteNodes(model, (original) => {
    if (original.domain !== '') return undefined;
    if (original.op === 'Concat' && !where(original)) return undefined;
    return ({ node, inputs, b }) => {
      const parts = node.inputs.map((name) => known.get(name));
      if (node.op === 'Concat') {
        const rank = inputs[0]?.shape?.length;
        if (rank !== undefined && inputs.length > 1) known.set(node.outputs[0]!, { axis: positive(intAttribute(node, 'axis', 0), rank), pieces: () => inputs as Value[] });
        return null;
      }
      const at = parts.findIndex((part) => part !== undefined);
      if (at < 0) return null;
      const step = { b, node, inputs: inputs as Value[], at, parts: parts[at]! };
      if (node.op === 'MatMul') return product(step);
      if (node.op === 'Shape') return [shapeOfParts(step)];
      const through = Object.hasOwn(passages, node.op) ? passages[node.op]!(step) : null;
      if (through !== null) known.set(node.outputs[0]!, through);
      return null;
    };
  }));
}

interface Step {
  readonly b: Builder;
  readonly node: Node;
  readonly inputs: readonly Value[];
  /** Which input comes in parts. */
  readonly at: number;
  readonly parts: Parts;
}

const positive = (axis: number, rank: number): number => (axis < 0 ? axis + rank : axis);

/** Something made of every piece, once and only if wanted. */
function eachPiece({ parts }: Step, axis: number, make: (piece: Value) => Value): Parts {
  let made: readonly Value[] | undefined;
  return { axis, pieces: () => (made ??= parts.pieces().map(make)) };
}

const again = (step: Step, piece: Value, inputs: readonly Value[] = step.inputs): Value =>
  step.b.op(step.node.op, inputs.map((value, index) => (index === step.at ? piece : value)), step.node.attributes);

const unary = (step: Step): Parts => eachPiece(step, step.parts.axis, (piece) => again(step, piece));

/** The other operand must be the same for all pieces: one element along the axis, or none. */
function elementwise(step: Step): Parts | null {
  const whole = step.inputs[step.at]!.shape, other = step.inputs[1 - step.at]!.shape;
  if (whole === null || other === null || other.length > whole.length) return null;
  const along = other.at(step.parts.axis - whole.length);
  return step.parts.axis - whole.length < -other.length || along === 1 ? unary(step) : null;
}

/** Operators that keep the pieces apart: from the parts of their input to those of their output, or null. */
const passages: Readonly<Record<string, (step: Step) => Parts | null>> = {
  Cast: unary, Neg: unary, Identity: unary,
  Mul: elementwise, Div: elementwise, Add: elementwise, Sub: elementwise,
  Transpose: (step) => {
    const perm = intsAttribute(step.node, 'perm');
    return perm === undefined ? null : eachPiece(step, perm.indexOf(step.parts.axis), (piece) => again(step, piece));
  },
  Unsqueeze: (step) => {
    const axes = step.inputs[1]?.content, rank = step.inputs[0]!.shape?.length;
    if (rank === undefined || axes?.every((axis) => typeof axis === 'number') !== true) return null;
    const added = new Set((axes as number[]).map((axis) => positive(axis, rank + axes.length)));
    const old = Array.from({ length: rank + axes.length }, (_, axis) => axis).filter((axis) => !added.has(axis));
    return eachPiece(step, old[step.parts.axis]!, (piece) => again(step, piece));
  },
  Expand: (step) => {
    const from = step.inputs[0]!.shape, to = outputShape(step);
    if (from === null || to === null || from.length !== to.length || from[step.parts.axis] !== to[step.parts.axis]) return null;
    const times = to.map((dim, axis) => (dim === from[axis] ? 1 : dim));
    return times.every((dim) => typeof dim === 'number') ? eachPiece(step, step.parts.axis, (piece) => step.b.expand(piece, times)) : null;
  },
  Reshape: (step) => {
    const from = step.inputs[0]!.shape, to = outputShape(step), { axis } = step.parts;
    if (from === null || to === null) return null;
    // The axis must survive: as long as before, and with as many elements in front of it.
    const kept = to.findIndex((dim, at) => dim === from[axis] && productOf(to.slice(0, at)) === productOf(from.slice(0, axis)));
    const target = to.map((dim, at) => (at === kept ? -1 : typeof dim === 'number' ? dim : dim === from[at] ? 0 : null));
    return kept >= 0 && target.every((dim) => dim !== null) ? eachPiece(step, kept, (piece) => step.b.reshape(piece, target)) : null;
  },
};

/** What the node would make; its constant inputs decide. */
function outputShape({ b, node, inputs }: Step): Shape | null {
  return b.typesOf(node, inputs)[0]?.shape ?? null;
}

/** The product of an operand in parts with another. null: the axis is none that a product can be taken apart along. */
function product({ b, inputs, at, parts }: Step): Value[] | null {
  const whole = inputs[at]!.shape, other = inputs[1 - at]!;
  if (whole === null || whole.length < 2 || other.shape === null || other.shape.length < 2) return null;
  const fromEnd = parts.axis - whole.length;
  const contracted = at === 0 ? -1 : -2, free = at === 0 ? -2 : -1;
  const multiply = (piece: Value, factor: Value): Value => (at === 0 ? b.matmul(piece, factor) : b.matmul(factor, piece));
  if (fromEnd === free) return [b.op('Concat', parts.pieces().map((piece) => multiply(piece, other)), { axis: { kind: 'int', value: free } })];
  if (fromEnd !== contracted) return null;
  const pieces = parts.pieces();
  const lengths = pieces.map((piece) => piece.shape?.[parts.axis]);
  // The factor is contracted along its other axis.
  const axis = other.shape.length + (at === 0 ? -2 : -1);
  const factors = lengths.every((length) => typeof length === 'number')
    ? b.split(other, lengths, axis)
    : b.ops('Split', [other, b.concat(pieces.map((piece) => b.shape(piece, { start: parts.axis, end: parts.axis + 1 })), 0)], { axis: { kind: 'int', value: axis } }, { outputs: pieces.length });
  return [pieces.map((piece, index) => multiply(piece, factors[index]!)).reduce((sum, term) => b.add(sum, term))];
}

/** The shape of the whole without the whole: the length along the axis is the pieces' sum. */
function shapeOfParts({ b, node, inputs, parts: { axis, pieces } }: Step): Value {
  const rank = inputs[0]!.shape!.length;
  const start = positive(intAttribute(node, 'start', 0), rank), end = positive(intAttribute(node, 'end', rank), rank);
  const first = pieces()[0]!;
  const length = (): Value => pieces().map((piece) => b.shape(piece, { start: axis, end: axis + 1 })).reduce((sum, each) => b.add(sum, each));
  return b.concat([
    ...(start < axis ? [b.shape(first, { start, end: Math.min(axis, end) })] : []),
    ...(start <= axis && axis < end ? [length()] : []),
    ...(end > axis + 1 ? [b.shape(first, { start: Math.max(start, axis + 1), end })] : []),
  ], 0);
}
