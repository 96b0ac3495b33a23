/** @file Questions that passes ask about a graph. */
import { usesOf, type Dim, type Model, type Node } from '../ir.ts';
import { substituteDim } from '../dims.ts';

/** Value → the node that makes it. */
export const producersOf = (model: Model): ReadonlyMap<string, Node> =>
  new Map(model.nodes.flatMap((node) => node.outputs.filter((name) => name !== '').map((name) => [name, node] as const)));

/** Value → the nodes that read it, in order. */
export function consumersOf(model: Model): ReadonlyMap<string, readonly Node[]> {
  const consumers = new Map<string, Node[]>();
  for (const node of model.nodes) {
    for (const name of new Set(usesOf(node))) {
      const known = consumers.get(name);
      if (known === undefined) consumers.set(name, [node]);
      else known.push(node);
    }
  }
  return consumers;
}

/** The model with some symbols replaced by what is now known of them, in everything that is declared. */
export function withDims(model: Model, values: ReadonlyMap<string, Dim>): Model {
  if (values.size === 0) return model;
  const known = <T extends { readonly shape: readonly Dim[] | null }>(info: T): T =>
    ({ ...info, shape: info.shape?.map((dim) => substituteDim(dim, values)) ?? null });
  return {
    ...model,
    inputs: model.inputs.map(known),
    outputs: model.outputs.map(known),
    valueInfo: new Map([...model.valueInfo].map(([name, info]) => [name, known(info)])),
  };
}

/** A name that nothing in the model has yet. */
export function freeName(model: Model, base: string): string {
  const taken = new Set([...model.inputs.map(({ name }) => name), ...model.initializers.keys(), ...model.nodes.flatMap(({ name, outputs }) => [name, ...outputs])]);
  for (let count = 0; ; count++) {
    const name = count === 0 ? base : `${base}_${count}`;
    if (!taken.has(name)) return name;
  }
}
