/** @file `If` with a condition that is known: the chosen branch stands in its place. */
import { type Model, type Node } from '../ir.ts';
import { readBody } from '../read-model.ts';
import { inferTypes } from '../shapes/infer.ts';
import { freeName } from './graph.ts';

/** Puts the chosen branch of every `If` with a known condition into the graph. Repeats until none is left, as branches nest. */
export function foldIf(model: Model): Model {
  for (;;) {
    if (!model.nodes.some(({ op }) => op === 'If')) return model;
    const types = inferTypes(model);
    const node = model.nodes.find(({ op, domain, inputs }) => op === 'If' && domain === '' && typeof types.get(inputs[0]!)?.content?.[0] === 'number');
    if (node === undefined) return model;
    model = inlined(model, node, types.get(node.inputs[0]!)!.content![0] !== 0);
  }
}

function inlined(model: Model, node: Node, condition: boolean): Model {
  const body = readBody(node.attributes[condition ? 'then_branch' : 'else_branch']!);
  // A body's names are its own: they may repeat in the other branch, or in another If. Bodies inside it name them in bytes
  // that are not rewritten, so what those use keeps its name.
  const nested = new Set(body.nodes.flatMap(({ attributes }) => Object.values(attributes).flatMap((attribute) => (attribute.kind === 'graph' ? attribute.captures : []))));
  const scope = node.name || node.outputs[0]!;
  const own = [...body.initializers.keys(), ...body.nodes.flatMap(({ outputs }) => outputs)].filter((name) => name !== '' && !nested.has(name));
  const names = new Map(own.map((name) => [name, freeName(model, `${scope}/${name}`)]));
  const renamed = (name: string): string => names.get(name) ?? name;
  const inner = body.nodes.map((each): Node => ({ ...each, name: each.name && `${scope}/${each.name}`, inputs: each.inputs.map(renamed), outputs: each.outputs.map(renamed) }));
  const results = node.outputs.map((output, index): Node => ({ name: `${scope}/output_${index}`, op: 'Identity', domain: '', inputs: [renamed(body.outputs[index]!)], outputs: [output], attributes: {} }));
  const at = model.nodes.indexOf(node);
  return {
    ...model,
    nodes: [...model.nodes.slice(0, at), ...inner, ...results, ...model.nodes.slice(at + 1)],
    initializers: new Map([...model.initializers, ...[...body.initializers].map(([name, tensor]) => [renamed(name), tensor] as const)]),
  };
}
