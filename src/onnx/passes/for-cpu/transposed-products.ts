/**
 * @file A product that reads a transposed operand, as one product (FusedMatMul): the transpose comes free.
 *
 * ONNX Runtime would fuse them too, but first it merges the transpose with one before it (heads to the front, then keys on their
 * side) into a permutation that no product can take, and that its kernel walks element by element.
 */
import { MICROSOFT, int, intsAttribute, type Model, type Node } from '../../ir.ts';
import { inferTypes } from '../../shapes/infer.ts';
import { consumersOf, producersOf } from '../graph.ts';
import { removeDeadNodes } from '../rewrite.ts';

export function transposedProducts(model: Model): Model {
  const producers = producersOf(model);
  const types = inferTypes(model);
  const isFloat32 = ({ outputs }: Node): boolean => types.get(outputs[0]!)?.dataType === 'float32';
  const isOutput = new Set(model.outputs.map(({ name }) => name));
  // What is fed (the keys of a cache) meets a row or two per product, where the fused kernel is slower than a transpose and a product.
  const source = (name: string): string | null => {
    const node = producers.get(name);
    return node !== undefined && swapsLast(node) && producers.has(node.inputs[0]!) ? node.inputs[0]! : null;
  };
  const consumers = consumersOf(model);
  /** (a·b)ᵀ, wanted that way only, is bᵀ·aᵀ. */
  const turned = (node: Node): Node | null => {
    const product = swapsLast(node) ? producers.get(node.inputs[0]!) : undefined;
    return product?.op === 'MatMul' && product.domain === '' && consumers.get(product.outputs[0]!)?.length === 1 && isFloat32(product) && !isOutput.has(product.outputs[0]!) && product.inputs.every((name) => types.get(name)?.shape?.length === intsAttribute(node, 'perm')!.length) ? product : null;
  };
  let found = false;
  const nodes = model.nodes.map((node): Node => {
    const product = turned(node);
    if (product !== null) {
      found = true;
      const [a, b] = product.inputs as [string, string], [plainA, plainB] = [source(a), source(b)];
      return { ...product, name: node.name, outputs: node.outputs, op: 'FusedMatMul', domain: MICROSOFT, inputs: [plainB ?? b, plainA ?? a], attributes: { ...(plainB === null ? { transA: int(1) } : {}), ...(plainA === null ? { transB: int(1) } : {}) } };
    }
    if (node.op !== 'MatMul' || node.domain !== '' || !isFloat32(node)) return node;
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
