/** @file Equal small constants, kept once. */
import { createHash } from 'node:crypto';
import { isFloat, type Model, type Tensor } from '../ir.ts';
import { elementCount } from '../tensor.ts';

/**
 * Merges initializers of equal type, shape and content. Of floats only single numbers: two weights that are equal now (norms of
 * ones, biases of zeros) are still two parameters.
 *
 * @param maxBytes larger constants are not looked at.
 */
export function mergeConstants(model: Model, { maxBytes = 4096 }: { maxBytes?: number } = {}): Model {
  const first = new Map<string, string>(), same = new Map<string, string>();
  const kept = new Set(model.outputs.map(({ name }) => name));
  for (const node of model.nodes) for (const attribute of Object.values(node.attributes)) if (attribute.kind === 'graph') for (const name of attribute.captures) kept.add(name);
  for (const [name, tensor] of model.initializers) {
    const key = kept.has(name) ? null : contentKey(tensor, maxBytes);
    if (key === null) continue;
    const known = first.get(key);
    if (known === undefined) first.set(key, name);
    else same.set(name, known);
  }
  if (same.size === 0) return model;
  return {
    ...model,
    nodes: model.nodes.map((node) => (node.inputs.some((name) => same.has(name)) ? { ...node, inputs: node.inputs.map((name) => same.get(name) ?? name) } : node)),
    initializers: new Map([...model.initializers].filter(([name]) => !same.has(name))),
  };
}

function contentKey({ dataType, dims, data }: Tensor, maxBytes: number): string | null {
  if (!(data instanceof Uint8Array) || data.byteLength > maxBytes || dataType === 'string') return null;
  if (isFloat(dataType) && elementCount(dims) !== 1) return null;
  return `${dataType}[${dims.join()}]${createHash('sha256').update(data).digest('base64')}`;
}
