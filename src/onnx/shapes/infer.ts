/** @file Shape and type inference over a whole model. */
import type { Model, Node } from '../ir.ts';
import { UNKNOWN, type Inferred } from './context.ts';
import { inferredTensor, shapeRule } from './rules.ts';

/** What is known of each value, by name. */
export type Types = ReadonlyMap<string, Inferred>;

/**
 * Types of all values of a model, with symbolic dimensions. Values behind an operator that has no rule keep what the file
 * declared about them, or are absent from the result.
 *
 * @throws OnnxError when an operator's inputs contradict each other: the message names the node and its input types.
 */
export function inferTypes(model: Model): Map<string, Inferred> {
  const types = new Map<string, Inferred>();
  for (const [name, tensor] of model.initializers) types.set(name, inferredTensor(tensor));
  for (const { name, dataType, shape } of model.inputs) types.set(name, { dataType, shape });
  for (const node of model.nodes) {
    inferNode(node, types, model.opsets).forEach((type, index) => {
      const name = node.outputs[index];
      if (name === undefined || name === '') return;
      const declared = model.valueInfo.get(name);
      if (type !== undefined) types.set(name, refine(type, declared));
      else if (declared !== undefined) types.set(name, { dataType: declared.dataType, shape: declared.shape });
    });
  }
  return types;
}

/** Types of one node's outputs; undefined where nothing is known. */
export function inferNode(node: Node, types: ReadonlyMap<string, Inferred>, opsets: ReadonlyMap<string, number>): (Inferred | undefined)[] {
  const rule = shapeRule(node.domain, node.op);
  const inputs = node.inputs.map((name) => (name === '' ? undefined : types.get(name)));
  if (rule === undefined || (node.inputs.length > 0 && inputs[0] === undefined)) return node.outputs.map(() => undefined);
  const opset = opsets.get(node.domain) ?? 1;
  try {
    const result = rule({ node, inputs, opset });
    return node.outputs.map((_, index) => result[index]);
  } catch (error) {
    if (error === UNKNOWN) return node.outputs.map(() => undefined);
    throw error;
  }
}

/** What the file declares may know more than the rules do: a rank, or a number where we only have a symbol. */
function refine(type: Inferred, declared: Inferred | undefined): Inferred {
  if (declared === undefined || declared.shape === null) return type;
  if (type.shape === null) return { ...type, shape: declared.shape };
  if (type.shape.length !== declared.shape.length) return type;
  return { ...type, shape: type.shape.map((dim, axis) => (typeof declared.shape![axis] === 'number' ? declared.shape![axis]! : dim)) };
}
