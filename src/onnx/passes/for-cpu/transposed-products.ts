/**
 * @file A product that reads a transposed operand, as one product (FusedMatMul): the transpose comes free.
 *
 * ONNX Runtime would fuse them too, but first it merges the transpose with one before it (heads to the front, then keys on their
 * side) into a permutation that no product can take, and that its kernel walks element by element.
 */
import { MICROSOFT, int, intsAttribute, type Model, type Node } from '../../ir.ts';
import { inferTypes } from '../../shapes/infer.ts';
import { producersOf } from '../graph.ts';
import { removeDeadNodes } from '../rewrite.ts';

export function transposedProducts(model: Model): Model {
  const producers = producersOf(model);
  const types = inferTypes(model);
  // What is fed (the keys of a cache) meets a row or two per product, where the fused kernel is slower than a transpose and a product.
  const source = (name: string): string | null => {
    const node = producers.get(name);
    return node !== undefined && swapsLast(node) && producers.has(node.inputs[0]!) ? node.inputs[0]! : null;
  };
  let found = false;
  const nodes = model.nodes.map((node): Node => {
    if (node.op !== 'MatMul' || node.domain !== '' || types.get(node.outputs[0]!)?.dataType !== 'float32') return node;
    const [a, b] = node.inputs.map(source);
    if (a == null && b == null) return node;
    found = true;
    return {
      ...node, op: 'FusedMatMul', domain: MICROSOFT, inputs: [a ?? node.inputs[0]!, b ?? node.inputs[1]!],
      attributes: { ...(a == null ? {} : { transA: int(1) }), ...(b == null ? {} : { transB: int(1) }) },
    };
  });
  // ONNX Runtime also runs what nothing reads.
  return found ? removeDeadNodes({ ...model, nodes, opsets: new Map([...model.opsets, [MICROSOFT, model.opsets.get(MICROSOFT) ?? 1]]) }) : model;
}

/** A batch of matrices on their side. A single one is a weight, whose transpose may be made once and for all. */
function swapsLast(node: Node): boolean {
  const perm = node.op === 'Transpose' && node.domain === '' ? intsAttribute(node, 'perm') : undefined;
  return perm !== undefined && perm.length > 2 && perm.every((axis, at) => axis === (at < perm.length - 2 ? at : 2 * perm.length - 3 - at));
}
