/** @file Rows of a transposed table, read as columns of the table. */
import { intAttribute, intsAttribute, type Model } from '../ir.ts';
import { producersOf } from './graph.ts';
import { removeDeadNodes, rewriteNodes } from './rewrite.ts';

/**
 * `Gather(Transpose(W), ids)` → `Transpose(Gather(W, ids, axis 1))`: a tied model that stores the head's [hidden, words] (as
 * onnxruntime-genai does) then turns the rows that it reads instead of the whole table on every run.
 */
export function gatherColumns(model: Model): Model {
  const producers = producersOf(model);
  return removeDeadNodes(rewriteNodes(model, (node) => {
    const transpose = node.op === 'Gather' && node.domain === '' && intAttribute(node, 'axis', 0) === 0 ? producers.get(node.inputs[0]!) : undefined;
    if (transpose?.op !== 'Transpose' || intsAttribute(transpose, 'perm')?.join() !== '1,0') return undefined;
    return ({ b, inputs }) => {
      const rank = inputs[1]!.shape?.length;
      if (rank === undefined) return null;
      return [b.transpose(b.gather(b.value(transpose.inputs[0]!), inputs[1]!, 1), [...Array.from({ length: rank }, (_, axis) => axis + 1), 0])];
    };
  }));
}
