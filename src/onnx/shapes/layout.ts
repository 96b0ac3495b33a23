/** @file Shape rules of operators that only move elements around. They carry the content of small integer tensors along. */
import { addDims, divideDims, multiplyDims, opaqueDim, productOf } from '../dims.ts';
import { intAttribute, intsAttribute, type Dim, type Shape } from '../ir.ts';
import {
  attributeAxis, broadcastShapes, fail, has, input, integers, normalizeAxis, rankFrom, reshaped, shapeOf, sliceLength, type ShapeContext, type ShapeRule,
} from './context.ts';

const concat: ShapeRule = (c) => {
  const { dataType } = input(c, 0);
  const known = c.inputs.filter((value) => value?.shape != null);
  if (known.length < c.inputs.length) return [{ dataType, shape: null }];
  const shapes = known.map((value) => value!.shape!);
  const rank = shapes[0]!.length;
  if (shapes.some((shape) => shape.length !== rank)) fail(c, 'inputs must have one rank');
  const axis = attributeAxis(c, 0, rank);
  // A dimension that one input knows as a number is that number for all.
  const shape = shapes[0]!.map((dim, at) => (at === axis ? shapes.reduce<Dim>((sum, other) => addDims(sum, other[at]!), 0) : (shapes.map((other) => other[at]!).find((other) => typeof other === 'number') ?? dim)));
  const contents = c.inputs.map((value) => value!.content);
  return [{ dataType, shape, content: rank === 1 && contents.every((part) => part !== undefined) ? contents.flat() : undefined }];
};

const split: ShapeRule = (c) => {
  const { dataType, content } = input(c, 0), shape = shapeOf(c, 0);
  const axis = attributeAxis(c, 0, shape.length), count = c.node.outputs.length, dim = shape[axis] ?? fail(c, 'a scalar has no axis');
  const given = c.inputs[1]?.content ?? integers(c, 1, 'split');
  const sizes: readonly Dim[] = given?.map((size, index) => size ?? opaqueDim('split', c.node.outputs[index] ?? '')) ?? Array.from({ length: count }, (_, index) => {
    if (has(c, 1)) return opaqueDim('split', c.node.outputs[index]!);
    if (typeof dim !== 'number') return divideDims(dim, count) ?? opaqueDim('split', dim, count, index);
    const chunk = Math.ceil(dim / count);
    return index < count - 1 ? chunk : dim - chunk * (count - 1);
  });
  let at = 0;
  return sizes.map((size) => {
    const part = typeof size === 'number' && shape.length === 1 ? content?.slice(at, at += size) : undefined;
    return { dataType, shape: shape.map((other, index) => (index === axis ? size : other)), content: part };
  });
};

const slice: ShapeRule = (c) => {
  const { dataType, content } = input(c, 0), shape = shapeOf(c, 0);
  const list = (index: number, attribute: string): readonly (Dim | null)[] | undefined => c.inputs[index]?.content ?? integers(c, index, attribute);
  const starts = list(1, 'starts'), ends = list(2, 'ends');
  const count = starts?.length ?? ends?.length;
  const axes = integers(c, 3, 'axes') ?? (has(c, 3) ? undefined : count === undefined ? undefined : [...Array(count).keys()]);
  const steps = integers(c, 4, 'steps');
  if (axes === undefined) return [{ dataType, shape: shape.map((_, axis) => opaqueDim('slice', c.node.outputs[0]!, axis)) }];
  const result: Dim[] = [...shape];
  axes.forEach((given, index) => {
    const axis = normalizeAxis(c, given, shape.length);
    result[axis] = sliceLength(shape[axis] ?? fail(c, 'a scalar has no axis'), starts?.[index] ?? null, ends?.[index] ?? null, steps?.[index] ?? (has(c, 4) ? 0 : 1)) ?? opaqueDim('slice', c.node.outputs[0]!, axis);
  });
  const start = starts?.[0], end = ends?.[0];
  const part = content !== undefined && shape.length === 1 && typeof start === 'number' && typeof end === 'number' && (steps?.[0] ?? 1) === 1 ? content.slice(start, end) : undefined;
  return [{ dataType, shape: result, content: part }];
};

/** A shape of which only the rank is known: each axis gets a name of its own. */
export const unknownDims = (c: ShapeContext, what: string, rank: number | undefined): Shape | null =>
  (rank === undefined ? null : Array.from({ length: rank }, (_, axis) => opaqueDim(what, c.node.outputs[0] ?? '', axis)));

const reshape: ShapeRule = (c) => {
  const { dataType, shape, content } = input(c, 0), target = c.inputs[1]?.content;
  if (target === undefined) {
    return [{ dataType, shape: unknownDims(c, 'reshape', rankFrom(c, 1)), content }];
  }
  const result = reshaped(c, shape, target, { allowZero: intAttribute(c.node, 'allowzero', 0) === 1 });
  if (shape !== null) {
    const [before, after] = [productOf(shape), productOf(result)];
    if (typeof before === 'number' && typeof after === 'number' && before !== after) fail(c, `cannot reshape ${before} elements to [${result.join(', ')}]`);
  }
  return [{ dataType, shape: result, content }];
};

const expand: ShapeRule = (c) => {
  const { dataType, shape, content } = input(c, 0), target = c.inputs[1]?.content;
  if (target === undefined || shape === null) {
    const rank = rankFrom(c, 1);
    return [{ dataType, shape: shape === null || rank === undefined ? null : unknownDims(c, 'expand', Math.max(rank, shape.length)) }];
  }
  const wanted = target.map((dim, axis) => dim ?? opaqueDim('expand', c.node.outputs[0]!, axis));
  const result = broadcastShapes(shape, wanted) ?? fail(c, `cannot expand to [${wanted.join(', ')}]`);
  return [{ dataType, shape: result, content: content?.length === 1 && typeof result[0] === 'number' && result.length === 1 && result[0] < 64 ? Array.from({ length: result[0] }, () => content[0]!) : undefined }];
};

const squeeze: ShapeRule = (c) => {
  const { dataType, shape, content } = input(c, 0);
  const given = integers(c, 1, 'axes');
  // Without axes every axis of 1 goes, and any symbol may turn out to be 1.
  const isOpen = given === undefined && (has(c, 1) || shape?.some((dim) => typeof dim !== 'number'));
  if (shape === null || isOpen) return [{ dataType, shape: null, content }];
  const axes = given === undefined ? undefined : new Set(given.map((axis) => normalizeAxis(c, axis, shape.length)));
  return [{ dataType, shape: shape.filter((dim, axis) => (axes === undefined ? dim !== 1 : !axes.has(axis))), content }];
};

const unsqueeze: ShapeRule = (c) => {
  const { dataType, shape, content } = input(c, 0);
  const axes = integers(c, 1, 'axes');
  if (shape === null || axes === undefined) return [{ dataType, shape: null, content }];
  const rank = shape.length + axes.length, at = new Set(axes.map((axis) => normalizeAxis(c, axis, rank)));
  const rest = [...shape];
  return [{ dataType, shape: Array.from({ length: rank }, (_, axis) => (at.has(axis) ? 1 : rest.shift()!)), content }];
};

const flatten: ShapeRule = (c) => {
  const { dataType } = input(c, 0), shape = shapeOf(c, 0);
  const raw = intAttribute(c.node, 'axis', 1), axis = raw < 0 ? raw + shape.length : raw;
  return [{ dataType, shape: [productOf(shape.slice(0, axis)), productOf(shape.slice(axis))] }];
};

const transpose: ShapeRule = (c) => {
  const { dataType, shape } = input(c, 0);
  if (shape === null) return [{ dataType, shape: null }];
  const order = intsAttribute(c.node, 'perm') ?? [...shape.keys()].toReversed();
  if (order.length !== shape.length || new Set(order).size !== order.length) fail(c, `perm [${order.join(', ')}] does not fit rank ${shape.length}`);
  return [{ dataType, shape: order.map((axis) => shape[axis] ?? fail(c, `perm names axis ${axis}`)) }];
};

const pad: ShapeRule = (c) => {
  const { dataType } = input(c, 0), shape = shapeOf(c, 0);
  const pads = integers(c, 1, 'pads'), given = integers(c, 3, ''), isOpen = pads === undefined || (given === undefined && has(c, 3));
  const axes = (given ?? [...shape.keys()]).map((axis) => normalizeAxis(c, axis, shape.length));
  return [{ dataType, shape: shape.map((dim, axis) => {
    const at = axes.indexOf(axis);
    if (at < 0) return dim;
    return isOpen ? opaqueDim('pad', c.node.outputs[0]!, axis) : addDims(dim, pads[at]! + pads[at + axes.length]!);
  }) }];
};

const tile: ShapeRule = (c) => {
  const { dataType } = input(c, 0), shape = shapeOf(c, 0), repeats = c.inputs[1]?.content;
  return [{ dataType, shape: shape.map((dim, axis) => { const times = repeats?.[axis]; return times == null ? opaqueDim('tile', c.node.outputs[0]!, axis) : multiplyDims(dim, times); }) }];
};

export const layoutShapes = {
  Concat: concat, Split: split, Slice: slice, Reshape: reshape, Expand: expand, Squeeze: squeeze, Unsqueeze: unsqueeze, Flatten: flatten,
  Transpose: transpose, Pad: pad, Tile: tile,
} satisfies Record<string, ShapeRule>;
