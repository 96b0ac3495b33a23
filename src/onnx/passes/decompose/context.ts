/** @file What a decomposition sees. */
import type { Builder, Value } from '../../builder.ts';
import { OnnxError, describeNode, usesOf, type Model, type Node } from '../../ir.ts';

/** Values that layers have in common (masks, angles): the first layer makes them, the others use them. */
export class Shared {
  readonly #values = new Map<string, Value>();

  once(key: string, make: () => Value): Value {
    const known = this.#values.get(key);
    if (known !== undefined) return known;
    const value = make();
    this.#values.set(key, value);
    return value;
  }
}

export interface Context {
  readonly node: Node;
  /** By position; null: absent. */
  readonly inputs: readonly (Value | null)[];
  readonly b: Builder;
  readonly model: Model;
  readonly shared: Shared;
}

/** One value per output; null for one that nothing reads. */
export type Decomposition = (context: Context) => readonly (Value | null)[];

export function required({ node, inputs }: Context, index: number): Value {
  return inputs[index] ?? refuse(node, `input ${index} is missing`);
}

/** null where the node leaves the input out, also at the end of its list. */
export const optional = ({ inputs }: Context, index: number): Value | null => inputs[index] ?? null;

export function refuse(node: Node, problem: string): never {
  throw new OnnxError(`cannot decompose ${describeNode(node)}: ${problem}`);
}

/** A newer version of an operator may have attributes that change what it computes. */
export function refuseOthers(node: Node, known: readonly string[]): void {
  const other = Object.keys(node.attributes).find((name) => !known.includes(name));
  if (other !== undefined) refuse(node, `attribute ${other} is not supported`);
}

/** Is the output there, and does anyone read it? */
export const isUsed = ({ node, model }: Context, index: number): boolean => {
  const name = node.outputs[index] ?? '';
  return name !== '' && (model.outputs.some((output) => output.name === name) || model.nodes.some((each) => usesOf(each).includes(name)));
};

/** A dimension that must be a number. */
export function sizeOf({ node }: Context, value: Value, axis: number): number {
  const dim = value.shape?.at(axis);
  return typeof dim === 'number' ? dim : refuse(node, `axis ${axis} of "${value.name}" must be a known number`);
}

/** A part of a shape as a key: equal keys are equal lengths. */
export const dimKey = (value: Value, axis: number): string => String(value.shape?.at(axis) ?? `${value.name}.${axis}`);

/** Length along an axis as an int32 vector of one. */
export const lengthOf = (b: Builder, value: Value, axis: number): Value => b.cast(b.shape(value, { start: axis, end: axis + 1 }), 'int32');

/**
 * 0, 1, … length − 1 as int32. Counted in int64: ONNX's inference carries a known length on as int64, whatever it was cast to,
 * and then finds Range's operands to differ.
 */
export const countTo = (b: Builder, length: Value): Value => b.cast(b.range(b.scalar(0, 'int64'), b.squeeze(b.cast(length, 'int64'), [0]), b.scalar(1, 'int64')), 'int32');
