/**
 * @file x·σ(αx) as one operator (SiLU where α is 1): one pass over memory instead of two, and a gradient of fewer.
 *
 * Exporters write the two. The fused operator has a gradient rule and a kernel on every device.
 */
import { MICROSOFT, float, type Model, type Node } from '../ir.ts';
import { producersOf } from './graph.ts';
import { removeDeadNodes, rewriteNodes } from './rewrite.ts';

export function fuseActivations(model: Model): Model {
  const producers = producersOf(model);
  const gated = (node: Node): string | undefined => {
    if (node.op !== 'Mul' || node.domain !== '') return undefined;
    return node.inputs.find((name, index) => { const gate = producers.get(node.inputs[1 - index]!); return gate?.op === 'Sigmoid' && gate.domain === '' && gate.inputs[0] === name; });
  };
  if (!model.nodes.some((node) => gated(node) !== undefined)) return model;
  return removeDeadNodes(rewriteNodes(model, (original) => {
    const gate = gated(original);
    return gate === undefined ? undefined : ({ b, inputs }) => {
      const x = inputs[original.inputs.indexOf(gate)]!;
      return x.dataType === 'float32' ? [b.op('QuickGelu', [x], { alpha: float(1) }, { domain: MICROSOFT })] : null;
    };
  }));
}
