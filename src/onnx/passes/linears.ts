/** @file The linear layers of a model: products with a matrix of weights, with the names that PyTorch gave them. */
import { MICROSOFT, intAttribute, type Model, type Node } from '../ir.ts';
import { inferTypes } from '../shapes/infer.ts';
import { producersOf } from './graph.ts';
import { dependentOn, headNode } from './select-logits.ts';

export interface Linear {
  readonly node: Node;
  /** `model.layers.0.self_attn.q_proj` */
  readonly module: string;
  readonly inFeatures: number;
  readonly outFeatures: number;
  /** The initializer (or lifted input) that the weights come from, through Transpose, Cast or DequantizeLinear. */
  readonly source: string;
  /** Makes the logits. */
  readonly isHead: boolean;
}

/** All linear layers, in the order of the graph. Weights are what does not depend on what is fed. */
export function linearsOf(model: Model): Linear[] {
  const types = inferTypes(model), fed = dependentOn(model), producers = producersOf(model), head = headNode(model);
  return model.nodes.flatMap((node): Linear[] => {
    const kind = `${node.domain}.${node.op}`;
    if (kind !== '.MatMul' && kind !== '.Gemm' && kind !== `${MICROSOFT}.MatMulNBits`) return [];
    const [x, weight] = node.inputs as [string, string];
    if (!fed.has(x) || fed.has(weight) || intAttribute(node, 'transA', 0) === 1) return [];
    const [inFeatures, outFeatures] = sizes(node, types.get(weight)?.shape ?? []);
    const source = sourceOf(weight, producers);
    if (typeof inFeatures !== 'number' || typeof outFeatures !== 'number' || source === null) return [];
    return [{ node, module: moduleName(node, source, node === head), inFeatures, outFeatures, source, isHead: node === head }];
  });
}

function sizes(node: Node, shape: readonly unknown[]): readonly unknown[] {
  if (node.op === 'MatMulNBits') return [intAttribute(node, 'K', 0), intAttribute(node, 'N', 0)];
  if (shape.length !== 2) return [];
  return node.op === 'Gemm' && intAttribute(node, 'transB', 0) === 1 ? [shape[1], shape[0]] : shape;
}

/** Follows the first inputs up to where a name has no node: an initializer or an input. Unpacked bytes are indices into a table. */
function sourceOf(name: string, producers: ReadonlyMap<string, Node>): string | null {
  for (let node = producers.get(name); node !== undefined; node = producers.get(name)) {
    if (node.inputs.length === 0) return null;
    name = node.inputs[node.op === 'Gather' ? 1 : 0]!;
  }
  return name;
}

/** A weight's own name where it has one; otherwise (`onnx::MatMul_734`) where its node stands in the module tree. */
function moduleName(node: Node, source: string, isHead: boolean): string {
  const own = parameterName(source);
  const module = own?.endsWith('.weight') === true ? own.slice(0, -'.weight'.length) : modulePath(node) ?? source;
  // A tied head reads the embedding's matrix; as a module it is the head all the same.
  return isHead && /embed_tokens|wte|embed_in/.test(module) ? 'lm_head' : module;
}

/** `/model/layers.0/self_attn/q_proj/MatMul` → `model.layers.0.self_attn.q_proj`; null: the node's name holds no path. */
export function modulePath({ name, op }: Node): string | null {
  const parts = name.split('/').filter((part) => part !== '');
  const end = parts.findIndex((part) => part === op || part.startsWith(`${op}_`));
  const path = canonicalModule(parts.slice(0, end < 0 ? -1 : end).join('.'));
  return path === '' ? null : path;
}

/** A parameter's name as PyTorch has it, from how exporters spell it; null for the anonymous (`onnx::MatMul_734`). */
export function parameterName(initializer: string): string | null {
  if (initializer.includes('::') || !/[A-Za-z]/.test(initializer)) return null;
  return canonicalModule(initializer
    .replace(/:u?int\d.*$/, '')
    .replace(/\.(MatMul|Add)\.(weight|bias)/, '.$2')
    .replace(/\.weight_(Q\d+|Q4|quant|qweight|quantized|transposed)$/, '.weight'));
}

/** onnxruntime-genai renames a few modules; these are their names in the model that was exported. */
const canonicalModule = (name: string): string => name
  .replace(/^(model\.layers\.\d+)\.attn\./, '$1.self_attn.')
  .replace(/^model\.layers\.\d+\.final_norm_layernorm(?=\.|$)/, 'model.norm')
  .replace(/\.([qk]_norm)\.layernorm(?=\.|$)/, '.$1');
