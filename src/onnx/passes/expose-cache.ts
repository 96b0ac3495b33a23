/** @file The key/value cache, kept by the caller: the graph gives the new rows only and attends over past and new as they lie. */
import { MICROSOFT, OnnxError, describeNode, intAttribute, type Model, type Node } from '../ir.ts';
import { inferTypes } from '../shapes/infer.ts';
import { distributeMatMul } from './distribute-matmul.ts';
import { freeName, producersOf } from './graph.ts';
import { removeDeadNodes } from './rewrite.ts';
import { isPast, isPresent } from './strip-cache.ts';

/** One cache of one layer: `present` is the output's name, `concat` puts past and new rows together. */
interface CacheOutput {
  readonly present: string;
  readonly concat: Node;
  readonly fresh: string;
}

/**
 * Makes every output `present.*` the *new* key or value rows alone ([batch, kv_heads, sequence, head_size]) and distributes
 * the attention products over past and new, so that no run copies the past. The inputs `past_key_values.*` stay: rows that
 * the caller keeps, fed without a copy.
 *
 * Where a graph uses past and new together in another way, their Concat stays inside for that.
 *
 * @throws OnnxError when an output `present.*` is no Concat of a past and new rows (GroupQueryAttention: decompose it first).
 */
export function exposeCache(model: Model): Model {
  const caches = cacheOutputs(model);
  const concats = new Set(caches.map(({ concat }) => concat.outputs[0]!));
  let result = distributeMatMul(model, { where: ({ outputs }) => concats.has(outputs[0]!) });
  for (const { present, fresh } of caches) result = withOutput(result, present, fresh);
  const types = inferTypes(result);
  return removeDeadNodes({
    ...result,
    outputs: result.outputs.map((output) => (caches.some(({ present }) => present === output.name) ? { ...output, shape: types.get(output.name)?.shape ?? null } : output)),
    valueInfo: new Map([...result.valueInfo].filter(([name]) => !caches.some(({ present }) => present === name))),
  });
}

function cacheOutputs(model: Model): CacheOutput[] {
  const producers = producersOf(model);
  const past = new Set(model.inputs.filter(({ name }) => isPast(name)).map(({ name }) => name));
  return model.outputs.filter(({ name }) => isPresent(name)).map(({ name: present }) => {
    let node = producers.get(present);
    while (node?.op === 'Identity') node = producers.get(node.inputs[0]!);
    if (node?.op !== 'Concat' || node.inputs.length !== 2 || !past.has(node.inputs[0]!) || ![2, -2].includes(intAttribute(node, 'axis', 0))) {
      const fix = node?.domain === MICROSOFT || node?.op === 'Attention' ? ': decompose it first' : '';
      throw new OnnxError(`"${present}" is not past and new rows put together by a Concat along axis 2, but made by ${node === undefined ? 'no node' : describeNode(node)}${fix}`);
    }
    return { present, concat: node, fresh: node.inputs[1]! };
  });
}

/** Makes `value` the output `name`, which some other node may make so far. */
function withOutput(model: Model, name: string, value: string): Model {
  const outputs = new Set(model.outputs.map((output) => output.name));
  const old = freeName(model, `${name}/all`);
  const made = producersOf(model).has(value) && !outputs.has(value);
  const swap = (each: string): string => (each === name ? old : made && each === value ? name : each);
  const nodes = model.nodes.map((node) => (node.inputs.some((each) => swap(each) !== each) || node.outputs.some((each) => swap(each) !== each) ? { ...node, inputs: node.inputs.map(swap), outputs: node.outputs.map(swap) } : node));
  const copy: Node = { name: freeName(model, `${name}/Identity`), op: 'Identity', domain: '', inputs: [value], outputs: [name], attributes: {} };
  return { ...model, nodes: made ? nodes : [...nodes, copy] };
}
