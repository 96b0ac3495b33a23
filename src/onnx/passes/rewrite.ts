/** @file What passes are made of: replacing nodes by others, and removing what nothing uses. */
import { Builder, requireCurrentOpset, type Value } from '../builder.ts';
import { OnnxError, usesOf, type Model, type Node } from '../ir.ts';

/** A pass is a function from model to model. */
export type Pass = (model: Model) => Model;

/**
 * What stands in for a node: one value per output (null for an output that nothing may use), or null to keep the node.
 * `inputs` are the node's inputs as they are by now; absent optional ones are null.
 */
export type Replacement = (context: { node: Node; inputs: readonly (Value | null)[]; b: Builder; model: Model }) => readonly (Value | null)[] | null;

/**
 * Walks the nodes in order and replaces those that `choose` has a replacement for. New nodes are named after the node they
 * replace (`/layers.0/norm/Mul`), inputs and outputs of the model keep their names.
 */
export function rewriteNodes(model: Model, choose: (node: Node) => Replacement | undefined): Model {
  requireCurrentOpset(model);
  const declared = new Map(model.outputs.map((output) => [output.name, output]));
  const b = new Builder({ ...model, nodes: [], valueInfo: new Map([...declared, ...model.valueInfo]) });
  b.reserve(model.nodes.flatMap((node) => [node.name, ...node.outputs]));
  // Control-flow bodies name outer values inside bytes that are not rewritten: these names must go on existing.
  const captured = new Set(model.nodes.flatMap((node) => Object.values(node.attributes).flatMap((attribute) => (attribute.kind === 'graph' ? attribute.captures : []))));
  const aliases = new Map<string, Value | null>();
  const current = (name: string): string => {
    const alias = aliases.get(name);
    if (alias === null) throw new OnnxError(`"${name}" is used, but the pass that replaced its node does not make it`);
    return alias?.name ?? name;
  };
  for (const node of model.nodes) {
    const moved: Node = aliases.size === 0 ? node : { ...node, inputs: node.inputs.map(current) };
    // Behind an operator without a shape rule nothing is known; a replacement that only hands values on may still be used.
    const inputs = (): (Value | null)[] => moved.inputs.map((name) => (name === '' ? null : b.has(name) ? b.value(name) : { name, dataType: 'float32', shape: null }));
    const replacement = choose(node);
    const values = replacement && b.within(node.name || node.op, () => replacement({ node: moved, inputs: inputs(), b, model }));
    if (values == null) b.append(moved);
    else {
      node.outputs.forEach((name, index) => {
        const value = values[index] ?? null;
        if (name === '') return;
        if (captured.has(name) && value !== null) b.op('Identity', [value], {}, { outputNames: [name] });
        else aliases.set(name, value);
      });
    }
  }
  for (const { name } of model.outputs) b.output(name, b.has(current(name)) ? b.value(current(name)) : { ...declared.get(name)!, name: current(name) });
  const outputs = model.outputs.map((output) => ({ ...output, ...typeOfOutput(b, output) }));
  return withoutCopies({ ...b.build(), valueInfo: model.valueInfo, outputs }, captured);
}

/** An output that is a copy of an inner value takes that value's place, so that passes leave no Identity behind. */
function withoutCopies(model: Model, captured: ReadonlySet<string>): Model {
  const made = new Set(model.nodes.flatMap(({ outputs }) => outputs)), outputs = new Set(model.outputs.map(({ name }) => name));
  const names = new Map<string, string>(), copies = new Set<Node>();
  for (const node of model.nodes) {
    const [from, to] = [node.inputs[0]!, node.outputs[0]!];
    if (node.op !== 'Identity' || node.domain !== '' || !outputs.has(to) || outputs.has(from) || !made.has(from) || names.has(from) || captured.has(from)) continue;
    names.set(from, to);
    copies.add(node);
  }
  if (copies.size === 0) return model;
  const renamed = (list: readonly string[]): readonly string[] => (list.some((name) => names.has(name)) ? list.map((name) => names.get(name) ?? name) : list);
  return { ...model, nodes: model.nodes.filter((node) => !copies.has(node)).map((node) => ({ ...node, inputs: renamed(node.inputs), outputs: renamed(node.outputs) })) };
}

/** Passes may learn a shape; they never forget one. */
function typeOfOutput(b: Builder, declared: Model['outputs'][number]): Partial<Model['outputs'][number]> {
  if (declared.shape !== null || !b.has(declared.name)) return {};
  const { dataType, shape } = b.value(declared.name);
  return { dataType, shape };
}

/** Drops nodes and initializers that no output needs. Inputs stay, used or not: they are the graph's contract. */
export function removeDeadNodes(model: Model): Model {
  const live = new Set(model.outputs.map(({ name }) => name));
  const kept: Node[] = [];
  for (const node of model.nodes.toReversed()) {
    if (!node.outputs.some((name) => live.has(name))) continue;
    for (const name of usesOf(node)) live.add(name);
    kept.push(node);
  }
  return {
    ...model,
    nodes: kept.reverse(),
    initializers: new Map([...model.initializers].filter(([name]) => live.has(name))),
    valueInfo: new Map([...model.valueInfo].filter(([name]) => live.has(name))),
  };
}
