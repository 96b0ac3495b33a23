/**
 * @file A norm and its inverse deviation from one pass over the data.
 *
 * A gradient asks for the deviation by a norm of its own, of which it reads the second output only.
 */
import { usesOf, type Model, type Node } from '../../ir.ts';

export function sharedNorms(model: Model): Model {
  const norms = Map.groupBy(model.nodes.filter(({ op, domain }) => op === 'SimplifiedLayerNormalization' && domain === ''), ({ inputs, attributes }) => `${inputs.join()} ${JSON.stringify(attributes)}`);
  const merged = new Map<Node, Node | null>();
  const used = new Set([...model.nodes.flatMap(usesOf), ...model.outputs.map(({ name }) => name)]);
  for (const group of norms.values()) {
    const outputs = [0, 1].map((index) => group.map((node) => node.outputs[index] ?? '').filter((name) => used.has(name)));
    // Two readers of one output would need one name.
    if (group.length < 2 || outputs.some((names) => names.length > 1)) continue;
    const [first, ...others] = group as [Node, ...Node[]];
    merged.set(first, { ...first, outputs: outputs.map(([name], index) => name ?? first.outputs[index] ?? '') });
    for (const node of others) merged.set(node, null);
  }
  return merged.size === 0 ? model : { ...model, nodes: model.nodes.flatMap((node) => { const replaced = merged.get(node); return replaced === undefined ? [node] : replaced === null ? [] : [replaced]; }) };
}
