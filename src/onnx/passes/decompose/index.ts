/** @file Fused operators as the primitives that have gradient rules and kernels on every device. */
import { intAttribute, type Dim, type Model } from '../../ir.ts';
import { inferTypes } from '../../shapes/infer.ts';
import { withDims } from '../graph.ts';
import { removeDeadNodes, rewriteNodes } from '../rewrite.ts';
import { activations } from './activations.ts';
import { attentions } from './attention.ts';
import { Shared, type Decomposition } from './context.ts';
import { norms } from './norms.ts';
import { quantized } from './quantized.ts';
import { rotary } from './rotary.ts';

const decompositions = { ...norms, ...activations, ...rotary, ...attentions, ...quantized } satisfies Record<string, Decomposition>;

/** An operator that can be decomposed, as `domain.Operator` (the ONNX domain is empty: `.Attention`). */
export type Decomposable = keyof typeof decompositions;

/** Fused and yet differentiable on every device: taken apart only when asked for by name. */
const KEPT: ReadonlySet<string> = new Set<Decomposable>(['.Gelu']);

/**
 * Replaces fused operators by primitives. What layers have in common (causal masks, rotary tables) is computed once.
 *
 * @param only which operators, as `com.microsoft.GroupQueryAttention` or `.Gelu`; default: all but `.Gelu`, which has a gradient rule.
 * @throws OnnxError for a form of an operator that is not supported: the message names the node and the form.
 */
export function decompose(model: Model, { only }: { only?: readonly Decomposable[] } = {}): Model {
  const chosen = (key: string): key is Decomposable => Object.hasOwn(decompositions, key) && (only === undefined ? !KEPT.has(key) : only.includes(key as Decomposable));
  const shared = new Shared();
  return removeDeadNodes(rewriteNodes(withHeadSizes(model, chosen), (node) => {
    const key = `${node.domain}.${node.op}`;
    return chosen(key) ? (context) => decompositions[key]({ ...context, shared }) : undefined;
  }));
}

/** Exporters leave the head size of the cache open (`kv_cache_dim`); the attention that reads it knows it. */
function withHeadSizes(model: Model, chosen: (key: string) => boolean): Model {
  const inputs = new Map(model.inputs.map((input) => [input.name, input]));
  const known = new Map<string, Dim>();
  const nodes = model.nodes.filter(({ op, domain }) => op === 'GroupQueryAttention' && chosen(`${domain}.${op}`));
  const types = nodes.length > 0 ? inferTypes(model) : new Map<string, never>();
  for (const node of nodes) {
    const width = types.get(node.inputs[0]!)?.shape?.at(-1), open = inputs.get(node.inputs[3] ?? '')?.shape?.at(-1);
    const heads = intAttribute(node, 'num_heads', 0) + ((node.inputs[1] ?? '') === '' ? 2 * intAttribute(node, 'kv_num_heads', 0) : 0);
    if (typeof width === 'number' && typeof open === 'string') known.set(open, width / heads);
  }
  return withDims(model, known);
}
