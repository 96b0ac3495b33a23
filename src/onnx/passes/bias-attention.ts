/**
 * @file A say in who attends to whom, from outside the graph.
 *
 * Exported decoders know one mask, padding, and one order, that of the columns. A bias on the scores of every attention lets the
 * caller lay out a row otherwise: several texts side by side, or a tree of texts that share their beginnings.
 */
import { intAttribute, OnnxError, type Model, type Node } from '../ir.ts';
import type { Builder, Value } from '../builder.ts';
import { producersOf } from './graph.ts';
import { removeDeadNodes, rewriteNodes } from './rewrite.ts';

/**
 * Adds an input `attention_bias` [batch, 1, sequence, sequence], float32, which is added to the scores of every attention just before
 * its Softmax: 0 where a query may look, a large negative number where it may not. For a decoder without a cache (`stripCache`).
 *
 * Where all heads share a mask that is added to the scores, the bias is added to the mask: once, not in every layer.
 *
 * @throws OnnxError when the graph has no input_ids [batch, sequence] or no attention that can be told.
 */
export function biasAttention(model: Model, { input = 'attention_bias' }: { input?: string } = {}): Model {
  const ids = model.inputs.find(({ name }) => name === 'input_ids');
  if (ids?.shape?.length !== 2) throw new OnnxError('the graph has no input_ids [batch, sequence], so the shape of an attention bias is not known');
  const [batch, sequence] = ids.shape as [string | number, string | number];
  const producers = producersOf(model);
  const biased = new Map<string, Value>();
  let count = 0;
  const result = rewriteNodes({ ...model, inputs: [...model.inputs, { name: input, dataType: 'float32', shape: [batch, 1, sequence, sequence] }] }, (softmax) => {
    if (softmax.op !== 'Softmax' || softmax.domain !== '') return undefined;
    return ({ node, inputs: [scores], b }) => {
      if (scores == null || !isAttention(node, scores)) return null;
      count += 1;
      const mask = maskOf(producers.get(softmax.inputs[0]!), b);
      if (mask === null) return b.ops('Softmax', [plus(b, scores, { input, sequence })], node.attributes);
      const both = biased.get(mask.mask.name) ?? plus(b, mask.mask, { input, sequence });
      biased.set(mask.mask.name, both);
      return b.ops('Softmax', [b.add(mask.scores, both)], node.attributes);
    };
  });
  if (count === 0) throw new OnnxError('the graph has no attention to bias: no Softmax over scores [batch, heads, query, key]');
  return removeDeadNodes(result);
}

/** A Softmax over keys, whose number is open; a router over experts has a fixed one. */
const isAttention = (node: Node, { shape }: Value): boolean => {
  const axis = intAttribute(node, 'axis', -1);
  return shape?.length === 4 && typeof shape[3] !== 'number' && (axis === -1 || axis === 3);
};

/** scores + mask, if the scores were made so and the mask [·, 1, query, key] says the same to all heads. */
function maskOf(add: Node | undefined, b: Builder): { scores: Value; mask: Value } | null {
  if (add?.op !== 'Add' || !add.inputs.every((name) => b.has(name))) return null;
  const [left, right] = add.inputs.map((name) => b.value(name)) as [Value, Value];
  const isMask = ({ shape }: Value): boolean => shape?.length === 4 && shape[1] === 1 && shape[2] !== 1 && typeof shape[3] !== 'number';
  if (isMask(right) && !isMask(left)) return { scores: left, mask: right };
  return isMask(left) && !isMask(right) ? { scores: right, mask: left } : null;
}

/**
 * `value` [batch, heads, query, key] plus the bias. Grouped heads may be stacked along the queries, [batch, kvHeads, groups·sequence,
 * key]: heads come first in memory either way, so a Reshape to [batch, all heads, sequence, key] costs nothing.
 */
function plus(b: Builder, value: Value, { input, sequence }: { input: string; sequence: string | number }): Value {
  const bias = b.cast(b.value(input), value.dataType);
  const shape = value.shape!;
  if (shape[2] === sequence) return b.add(value, bias);
  const length = b.shape(b.value('input_ids'), { start: 1, end: 2 });
  const apart = b.reshape(value, b.concat([b.int64([0, -1]), length, length], 0));
  const sum = b.add(apart, bias);
  return typeof shape[1] === 'number' ? b.reshape(sum, b.concat([b.int64([0, shape[1], -1]), length], 0)) : b.reshape(sum, b.shape(value));
}
