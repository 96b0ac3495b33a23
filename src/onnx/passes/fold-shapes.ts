/** @file Shape arithmetic: what is known becomes a constant, what is not is computed once, what does nothing goes. */
import type { Builder, Value } from '../builder.ts';
import { linearTerms } from '../dims.ts';
import { intAttribute, intsAttribute, type Dim, type Model, type Node, type Shape } from '../ir.ts';
import { dataTypeOf } from '../proto.ts';
import type { Inferred } from '../shapes/context.ts';
import { inferTypes, type Types } from '../shapes/infer.ts';
import { foldIf } from './fold-if.ts';
import { removeDeadNodes, rewriteNodes, type Replacement } from './rewrite.ts';

/**
 * Replaces integer values that shape inference knows: all numbers → a constant; sums of the inputs' dimensions → one
 * `Shape` of an input per dimension, shared by all layers. Removes Reshape, Expand, Slice, Concat, Cast … that change nothing,
 * and `If` whose condition became known.
 *
 * @param without names of inputs that dimensions may not be read from, because they are about to go.
 */
export function foldShapes(model: Model, { without = new Set() }: { without?: ReadonlySet<string> } = {}): Model {
  const folded = foldIf(model);
  const types = inferTypes(folded);
  const sizes = new Sizes(folded, without);
  return removeDeadNodes(rewriteNodes(folded, (node) => knownValue(node, types, sizes) ?? nothingDone(node, types)));
}

const isInteger = ({ dataType }: Inferred): boolean => dataType === 'int64' || dataType === 'int32' || dataType === 'bool';
const isKnown = (content: readonly (Dim | null)[]): content is readonly Dim[] => content.every((dim) => dim !== null);

function knownValue(node: Node, types: Types, sizes: Sizes): Replacement | undefined {
  const outputs = node.outputs.map((name) => types.get(name));
  if (outputs.length === 0) return undefined;
  const contents = outputs.map((type) => (type !== undefined && isInteger(type) && type.shape !== null && type.shape.length <= 1 && type.content !== undefined && isKnown(type.content) ? type.content : undefined));
  if (contents.some((content) => content === undefined)) return undefined;
  return ({ b }) => {
    const values = outputs.map((type, index) => sizes.value(b, contents[index]!, type!));
    return values.every((value) => value !== null) ? values : null;
  };
}

/** Vectors and scalars of sizes, each made once. */
class Sizes {
  readonly #made = new Map<string, Value>();
  readonly #sources = new Map<string, { input: string; axis: number }>();

  constructor({ inputs }: Model, without: ReadonlySet<string>) {
    for (const { name, shape } of inputs) {
      if (without.has(name)) continue;
      shape?.forEach((dim, axis) => { if (typeof dim === 'string' && !this.#sources.has(dim)) this.#sources.set(dim, { input: name, axis }); });
    }
  }

  /** null: some part of it is no sum of the inputs' dimensions. */
  value(b: Builder, content: readonly Dim[], { dataType, shape }: Inferred): Value | null {
    if (content.every((dim) => typeof dim === 'number')) return b.constant(dataType, shape as readonly number[], content as readonly number[]);
    if (dataType === 'bool') return null;
    const rank = shape!.length;
    return this.#once(`${dataType}${rank}[${content.join()}]`, () => {
      const parts = this.#parts(b, content);
      if (parts === null) return null;
      const vector = b.concat(parts, 0);
      return b.cast(rank === 0 ? b.squeeze(vector, [0]) : vector, dataType);
    });
  }

  /** Neighbouring numbers stand in one constant. */
  #parts(b: Builder, content: readonly Dim[]): Value[] | null {
    const parts: Value[] = [];
    for (let at = 0; at < content.length; at++) {
      if (typeof content[at] === 'number') {
        const start = at;
        while (typeof content[at + 1] === 'number') at++;
        parts.push(b.int64(content.slice(start, at + 1) as number[]));
        continue;
      }
      const part = this.#size(b, content[at]!);
      if (part === null) return null;
      parts.push(part);
    }
    return parts;
  }

  #size(b: Builder, dim: Dim): Value | null {
    return this.#once(`size ${dim}`, () => {
      const whole = this.#sources.get(String(dim));
      if (whole !== undefined) return b.shape(b.value(whole.input), { start: whole.axis, end: whole.axis + 1 });
      const terms = linearTerms(dim);
      if (terms === null || terms.names.some(([name]) => !this.#sources.has(name))) return null;
      const values = terms.names.map(([name, times]) => (times === 1 ? this.#size(b, name)! : b.mul(this.#size(b, name)!, b.int64([times]))));
      if (terms.constant !== 0) values.push(b.int64([terms.constant]));
      return values.reduce((sum, value) => b.add(sum, value));
    });
  }

  #once(key: string, make: () => Value | null): Value | null {
    const known = this.#made.get(key);
    if (known !== undefined) return known;
    const value = make();
    if (value !== null) this.#made.set(key, value);
    return value;
  }
}

const sameShape = (a: Shape | null | undefined, b: Shape | null | undefined): boolean =>
  a != null && b != null && a.length === b.length && a.every((dim, axis) => dim === b[axis]);

/** Nodes that hand on one of their inputs. */
const noOps: Readonly<Record<string, (node: Node, inputs: readonly (Inferred | undefined)[], output: Inferred | undefined) => number | null>> = {
  Identity: () => 0,
  Cast: (node, [from]) => (from !== undefined && dataTypeOf(intAttribute(node, 'to', 1), node.name) === from.dataType ? 0 : null),
  Reshape: (_, [from], to) => (sameShape(from?.shape, to?.shape) ? 0 : null),
  Expand: (_, [from], to) => (sameShape(from?.shape, to?.shape) ? 0 : null),
  Tile: (_, [, repeats]) => (repeats?.content?.every((times) => times === 1) === true ? 0 : null),
  Transpose: (node) => (intsAttribute(node, 'perm')?.every((from, to) => from === to) === true ? 0 : null),
  Slice: (_, [from, , , , steps], to) => (sameShape(from?.shape, to?.shape) && (steps === undefined || steps.content?.every((step) => step === 1) === true) ? 0 : null),
  Where: (_, [condition, yes, no], to) => {
    const first = condition?.content?.[0];
    if (typeof first !== 'number' || !condition!.content!.every((chosen) => chosen === first)) return null;
    const chosen = first === 0 ? 2 : 1;
    return sameShape((chosen === 1 ? yes : no)?.shape, to?.shape) ? chosen : null;
  },
};

function nothingDone(node: Node, types: Types): Replacement | undefined {
  if (node.domain !== '') return undefined;
  const inputs = node.inputs.map((name) => types.get(name));
  if (node.op === 'Concat') return shorterConcat(node, inputs);
  const from = Object.hasOwn(noOps, node.op) ? noOps[node.op]!(node, inputs, types.get(node.outputs[0]!)) : null;
  return from === null ? undefined : ({ inputs: values }) => [values[from] ?? null];
}

/** Parts of length zero add nothing to a Concat. */
function shorterConcat(node: Node, inputs: readonly (Inferred | undefined)[]): Replacement | undefined {
  const axis = intAttribute(node, 'axis', 0);
  const kept = inputs.flatMap((type, index) => (type?.shape?.at(axis) === 0 ? [] : [index]));
  if ((kept.length === inputs.length && inputs.length > 1) || kept.length === 0) return undefined;
  return ({ b, inputs: values }) => [b.concat(kept.map((index) => values[index]!), axis)];
}
