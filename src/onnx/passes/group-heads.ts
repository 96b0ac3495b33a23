/**
 * @file Grouped attention without repeated keys and values.
 *
 * PyTorch's exporters repeat each key head for the query heads that share it (Unsqueeze, Expand, Reshape). The product can
 * read the shared head as it is when those query heads are stacked along the sequence instead.
 */
import type { Builder, Value } from '../builder.ts';
import { intsAttribute, type Model, type Node } from '../ir.ts';
import { producersOf } from './graph.ts';
import { removeDeadNodes, rewriteNodes } from './rewrite.ts';

/** A value [B, heads, ·, ·] that repeats one of [B, kvHeads, ·, ·]. */
interface Repeated {
  readonly heads: number;
  readonly kvHeads: number;
  readonly once: () => Value;
}

/** Rewrites every `a·repeat(k)`, also through Transpose, Cast or a factor, as the product with k itself. */
export function groupHeads(model: Model): Model {
  const producers = producersOf(model);
  const known = new Map<string, Repeated>();
  return removeDeadNodes(rewriteNodes(model, (original) => {
    if (original.domain !== '') return undefined;
    return ({ node, inputs, b }) => {
      const found = node.op === 'Reshape' ? repetition(b, original, producers) : null;
      if (found !== null) known.set(node.outputs[0]!, found);
      const at = node.inputs.findIndex((name) => known.has(name));
      if (at < 0) return null;
      const repeated = known.get(node.inputs[at]!)!;
      if (node.op === 'MatMul' && at === 1) return product(b, inputs[0]!, repeated);
      const through = passes(node, inputs, at) ? { ...repeated, once: once(() => b.op(node.op, inputs.map((value, index) => (index === at ? repeated.once() : value)), node.attributes)) } : null;
      if (through !== null) known.set(node.outputs[0]!, through);
      return null;
    };
  }));
}

/** Made when the first product asks for it. */
function once(make: () => Value): () => Value {
  let made: Value | undefined;
  return () => (made ??= make());
}

/** [B, kv, T, d] → Unsqueeze → [B, kv, 1, T, d] → Expand → [B, kv, n, T, d] → Reshape → [B, kv·n, T, d] */
function repetition(b: Builder, reshape: Node, producers: ReadonlyMap<string, Node>): Repeated | null {
  const expand = producers.get(reshape.inputs[0]!), unsqueeze = producers.get(expand?.inputs[0] ?? '');
  if (expand?.op !== 'Expand' || unsqueeze?.op !== 'Unsqueeze' || !b.has(unsqueeze.inputs[0]!)) return null;
  const key = b.value(unsqueeze.inputs[0]!), wide = b.value(expand.outputs[0]!).shape, single = b.value(unsqueeze.outputs[0]!).shape;
  const result = b.typesOf(reshape, reshape.inputs.map((name) => b.value(name)))[0]?.shape;
  const from = key.shape;
  if (from?.length !== 4 || single?.length !== 5 || wide?.length !== 5 || result?.length !== 4) return null;
  const [kvHeads, heads, times] = [from[1], result[1], wide[2]];
  if (typeof kvHeads !== 'number' || typeof heads !== 'number' || typeof times !== 'number' || kvHeads * times !== heads || single[2] !== 1) return null;
  const same = result[0] === from[0] && result[2] === from[2] && result[3] === from[3];
  return same ? { heads, kvHeads, once: () => key } : null;
}

/** Keeps batch and heads where they are, and treats all heads alike. */
function passes(node: Node, inputs: readonly (Value | null)[], at: number): boolean {
  if (node.op === 'Cast' || node.op === 'Identity') return true;
  if (node.op === 'Transpose') { const perm = intsAttribute(node, 'perm'); return perm?.[0] === 0 && perm[1] === 1; }
  if (node.op !== 'Mul' && node.op !== 'Div') return false;
  const other = inputs[1 - at]?.shape;
  return other != null && other.length <= 4 && (other.at(-3) ?? 1) === 1;
}

/** Axes 0 and 3 are copied and axis 2 is inferred, so no length needs to be known. */
function product(b: Builder, left: Value, { heads, kvHeads, once: key }: Repeated): Value[] | null {
  if (left.shape?.length !== 4 || left.shape[1] !== heads) return null;
  return [b.reshape(b.matmul(b.reshape(left, [0, kvHeads, -1, 0]), key()), [0, heads, -1, 0])];
}
