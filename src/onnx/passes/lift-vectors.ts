/**
 * @file Products with a vector, as products with a matrix of one column or one row.
 *
 * ONNX Runtime 1.30 merges a transpose into the product that reads it, also where the other operand is a vector, and its fused kernel
 * then takes the matrix for one that is not on its side: numbers are wrong without a word. It moves transposes through a graph as
 * well, so that any product with a vector may come to have one.
 */
import { ints, type Model, type Node } from '../ir.ts';
import type { Types } from '../shapes/infer.ts';
import { tensorFrom } from '../tensor.ts';
import { freeName } from './graph.ts';

/** Lifts the vectors of all products with a matrix. The results are the same. */
export function liftVectors(model: Model, types: Types): Model {
  const rank = (name: string | undefined): number | undefined => types.get(name ?? '')?.shape?.length;
  const vectorOf = ({ op, domain, inputs: [left, right] }: Node): 'row' | 'column' | null => {
    if (op !== 'MatMul' || domain !== '') return null;
    if (rank(right) === 1 && rank(left) !== 1) return 'column';
    return rank(left) === 1 && rank(right) !== 1 ? 'row' : null;
  };
  if (!model.nodes.some((node) => vectorOf(node) !== null)) return model;

  const initializers = new Map(model.initializers);
  const old = (model.opsets.get('') ?? 13) < 13;
  const axisName = freeName(model, 'vector/axis');
  /** Squeeze or Unsqueeze along the axis; before opset 13 it is an attribute. */
  const view = (op: 'Squeeze' | 'Unsqueeze', axis: number, { name, from, to }: { name: string; from: string; to: string }): Node => {
    const constant = `${axisName}_${axis}`;
    if (!old) initializers.set(constant, tensorFrom('int64', [1], [axis]));
    return { name, op, domain: '', inputs: old ? [from] : [from, constant], outputs: [to], attributes: old ? { axes: ints([axis]) } : {} };
  };
  const nodes = model.nodes.flatMap((node): Node[] => {
    const kind = vectorOf(node);
    if (kind === null) return [node];
    const [left, right] = node.inputs as [string, string], y = node.outputs[0]!, column = kind === 'column';
    const matrix = `${y}/${kind}`, product = `${y}/matrix`;
    return [
      view('Unsqueeze', column ? 1 : 0, { name: `${node.name}/${kind}`, from: column ? right : left, to: matrix }),
      { ...node, inputs: column ? [left, matrix] : [matrix, right], outputs: [product] },
      view('Squeeze', column ? -1 : -2, { name: `${node.name}/vector`, from: product, to: y }),
    ];
  });
  return { ...model, nodes, initializers };
}
