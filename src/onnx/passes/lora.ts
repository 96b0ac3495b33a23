/**
 * @file Low-rank adapters (LoRA, arXiv:2106.09685) on linear layers: y = x·W + (x·A)·B · α/r.
 *
 * A is [in, r] and B is [r, out], as MatMul reads them; PEFT stores both transposed (`lora_A.weight` [r, in], `lora_B.weight`
 * [out, r]).
 */
import type { Builder, Value } from '../builder.ts';
import { MICROSOFT, OnnxError, floatAttribute, int, intAttribute, type Model, type Node, type Tensor } from '../ir.ts';
import { inferTypes, type Types } from '../shapes/infer.ts';
import { floatValues, tensorFrom } from '../tensor.ts';
import { consumersOf, freeName, producersOf } from './graph.ts';
import { linearsOf, type Linear } from './linears.ts';
import { dequantized } from './quantized-weights.ts';
import { removeDeadNodes, rewriteNodes } from './rewrite.ts';

/** A part of a linear layer's output that has an adapter of its own: all of it, or q, k or v of a packed projection. */
interface Target {
  readonly module: string;
  readonly from: number;
  readonly to: number;
}

/** Which layers get adapters, and of what size. */
export interface LoraOptions {
  /**
   * Which layers: names as PEFT takes them (`q_proj` means every module of that name, `layers.0.self_attn.q_proj` one), patterns,
   * or `all-linear`, which is every linear layer but the head. A packed `qkv_proj` has the modules `q_proj`, `k_proj` and `v_proj`.
   */
  readonly targets: readonly (string | RegExp)[];
  /** r: the inner width of an adapter. */
  readonly rank: number;
  /** Adapters count α/r times. */
  readonly alpha: number;
}

/** Name of the input A [in, r] of a module's adapter. */
export const loraA = (module: string): string => `${module}.lora_A`;
/** Name of the input B [r, out] of a module's adapter. */
export const loraB = (module: string): string => `${module}.lora_B`;

/**
 * Adds adapters: two float32 inputs per target, `<module>.lora_A` [in, r] and `<module>.lora_B` [r, out]. With B = 0 the model is
 * what it was. Works on MatMul, Gemm and MatMulNBits, for activations of any rank; a half-precision layer computes its adapter
 * in float32.
 *
 * @throws OnnxError when a target matches no linear layer: the message lists what there is.
 */
export function insertLora(model: Model, { targets, rank, alpha }: LoraOptions): Model {
  const chosen = chooseTargets(model, targets);
  return rewriteNodes(model, (original) => {
    const found = chosen.get(original);
    return found && (({ node, b }) => {
      const { linear, parts } = found, output = node.outputs[0]!;
      const [base] = b.append({ ...node, outputs: [`${output}/base`] }) as [Value];
      const x = b.cast(b.value(node.inputs[0]!), 'float32');
      const deltas = parts.map((part) => adapter(b, x, part, { rank, scale: alpha / rank, inFeatures: linear.inFeatures }));
      const delta = joined(b, x, parts, deltas, linear.outFeatures);
      return [b.op('Add', [base, b.cast(delta, base.dataType)], {}, { outputNames: [output] })];
    });
  });
}

function adapter(b: Builder, x: Value, { module, from, to }: Target, { rank, scale, inFeatures }: { rank: number; scale: number; inFeatures: number }): Value {
  // A layer that is used twice has one adapter.
  const input = (name: string, shape: readonly number[]): Value => (b.has(name) ? b.value(name) : b.input(name, 'float32', shape));
  const inner = b.matmul(x, input(loraA(module), [inFeatures, rank]));
  return b.matmul(scale === 1 ? inner : b.mul(inner, scale), input(loraB(module), [rank, to - from]));
}

/** Adapters side by side over the columns of a packed projection; columns without one get zeros. */
function joined(b: Builder, x: Value, parts: readonly Target[], deltas: readonly Value[], width: number): Value {
  const pieces: Value[] = [];
  let at = 0;
  const zeros = (count: number): Value => {
    const one = b.sum(x, [-1], { keepDims: true });
    return b.expand(b.mul(one, 0), [...(one.shape ?? []).slice(0, -1).map(() => 1), count]);
  };
  parts.forEach(({ from, to }, index) => {
    if (from > at) pieces.push(zeros(from - at));
    pieces.push(deltas[index]!);
    at = to;
  });
  if (at < width) pieces.push(zeros(width - at));
  return pieces.length === 1 ? pieces[0]! : b.op('Concat', pieces, { axis: { kind: 'int', value: -1 } });
}

/** Linear layers by node, with what of their output is adapted. */
function chooseTargets(model: Model, targets: readonly (string | RegExp)[]): Map<Node, { linear: Linear; parts: readonly Target[] }> {
  const parts = partsOf(model);
  const used = new Set<string | RegExp>();
  const chosen = new Map<Node, { linear: Linear; parts: readonly Target[] }>();
  for (const [linear, [whole, ...inner]] of parts) {
    const hit = ({ module }: Target): boolean => {
      const hits = targets.filter((target) => matches(target, module, linear));
      for (const target of hits) used.add(target);
      return hits.length > 0;
    };
    // "all-linear" on a packed projection means its parts, as PEFT would see them in the model that was exported.
    const own = inner.filter(hit), wanted = own.length > 0 ? own : [whole!].filter(hit);
    if (wanted.length > 0) chosen.set(linear.node, { linear, parts: wanted });
  }
  const idle = targets.filter((target) => !used.has(target));
  if (idle.length > 0) {
    const names = [...new Set(parts.flatMap(([, each]) => each.map(({ module }) => module.split('.').at(-1)!)))];
    throw new OnnxError(`no linear layer matches the LoRA target ${idle.map(String).join(', ')}; there are ${names.join(', ')}`);
  }
  return chosen;
}

const matches = (target: string | RegExp, module: string, { isHead }: Linear): boolean => {
  if (target instanceof RegExp) return target.test(module);
  return target === 'all-linear' ? !isHead : module === target || module.endsWith(`.${target}`);
};

/** Every linear layer as its whole output, then as the parts of a packed projection, if it is one. */
function partsOf(model: Model): [Linear, Target[]][] {
  const consumers = consumersOf(model), types = inferTypes(model);
  return linearsOf(model).map((linear) => {
    const whole: Target = { module: linear.module, from: 0, to: linear.outFeatures };
    const sizes = linear.module.endsWith('qkv_proj') ? packedSizes(linear.node.outputs[0]!, consumers, types) : null;
    if (sizes === null) return [linear, [whole]];
    let at = 0;
    const inner = ['q_proj', 'k_proj', 'v_proj'].map((name, index): Target => ({ module: linear.module.replace(/qkv_proj$/, name), from: at, to: (at += sizes[index]!) }));
    return [linear, [whole, ...inner]];
  });
}

/** How wide q, k and v are in a packed projection: what takes it apart knows, behind a bias as well. */
function packedSizes(name: string, consumers: ReadonlyMap<string, readonly Node[]>, types: Types): number[] | null {
  for (const node of consumers.get(name) ?? []) {
    if (node.op === 'Add') return packedSizes(node.outputs[0]!, consumers, types);
    if (node.domain === MICROSOFT && node.op === 'GroupQueryAttention') {
      const heads = intAttribute(node, 'num_heads', 0), kvHeads = intAttribute(node, 'kv_num_heads', 0), width = types.get(name)?.shape?.at(-1);
      return typeof width === 'number' ? [heads, kvHeads, kvHeads].map((count) => (count * width) / (heads + 2 * kvHeads)) : null;
    }
    const sizes = node.op === 'Split' && node.outputs.length === 3 ? types.get(node.inputs[1] ?? '')?.content : undefined;
    if (sizes?.every((size) => typeof size === 'number') === true) return sizes as number[];
  }
  return null;
}

/**
 * Bakes adapters into the weights of the graph that they were made for: W + A·B·α/r, where W is.
 *
 * @param model the graph without adapters, canonical or as it was exported.
 * @param adapters `<module>.lora_A` and `<module>.lora_B`, float32.
 * @returns the same graph with other weights. A matrix that others read too (a tied embedding) stays theirs, and the layer gets
 * its own; a quantized layer becomes a float one.
 * @throws OnnxError when an adapter has no layer, no partner or another shape.
 */
export function mergeLora(model: Model, adapters: ReadonlyMap<string, Tensor>, { alpha }: { alpha: number }): Model {
  const left = new Set(adapters.keys());
  const consumers = consumersOf(model), producers = producersOf(model);
  const initializers = new Map(model.initializers), nodes = new Map<Node, readonly Node[]>();
  for (const [linear, targets] of partsOf(model)) {
    const parts = targets.filter(({ module }) => adapters.has(loraA(module)) && adapters.has(loraB(module)));
    if (parts.length === 0) continue;
    const delta = new Float32Array(linear.inFeatures * linear.outFeatures);
    for (const part of parts) {
      addProduct(delta, linear, part, { a: adapters.get(loraA(part.module))!, b: adapters.get(loraB(part.module))!, alpha });
      left.delete(loraA(part.module));
      left.delete(loraB(part.module));
    }
    const source = initializers.get(linear.source);
    if (source === undefined) throw new OnnxError(`cannot merge into "${linear.module}": its weight "${linear.source}" is no initializer; bake it first`);
    const place = placeOf(linear, { producers, consumers });
    if (place.own) {
      initializers.set(linear.source, withDelta(source, delta, linear, place.transposed));
    } else {
      const name = freeName({ ...model, initializers }, `${linear.module}.weight`);
      const weight = linear.node.op === 'MatMulNBits' ? dequantized(model, linear.node) : upright(source, linear, place.transposed);
      initializers.set(name, withDelta(weight, delta, linear, false));
      nodes.set(linear.node, withWeight(linear.node, name));
    }
  }
  if (left.size > 0) throw new OnnxError(`no linear layer of the graph has the adapter ${[...left].slice(0, 3).join(', ')}`);
  return removeDeadNodes({ ...model, nodes: model.nodes.flatMap((node) => nodes.get(node) ?? [node]), initializers });
}

/** delta[i, from + j] += α/r · Σ a[i, k]·b[k, j], less what the layer will scale it by. */
function addProduct(delta: Float32Array, { node, inFeatures, outFeatures }: Linear, { module, from, to }: Target, { a, b, alpha }: { a: Tensor; b: Tensor; alpha: number }): void {
  const rank = a.dims[1] ?? 0, width = to - from;
  if (a.dims.join() !== `${inFeatures},${rank}` || b.dims.join() !== `${rank},${width}`) {
    throw new OnnxError(`the adapter of "${module}" should be [${inFeatures}, r] and [r, ${width}], but is [${a.dims.join(', ')}] and [${b.dims.join(', ')}]`);
  }
  const left = floatValues(a), right = floatValues(b), scale = alpha / rank / (node.op === 'Gemm' ? floatAttribute(node, 'alpha', 1) : 1);
  for (let row = 0; row < inFeatures; row++) {
    for (let inner = 0; inner < rank; inner++) {
      const factor = left[row * rank + inner]! * scale, start = row * outFeatures + from;
      for (let column = 0; column < width; column++) delta[start + column]! += factor * right[inner * width + column]!;
    }
  }
}

/** W + delta [in, out] in W's own layout and type. */
function withDelta(tensor: Tensor, delta: Float32Array, { inFeatures, outFeatures }: Linear, transposed: boolean): Tensor {
  const values = floatValues(tensor).slice();
  for (let row = 0; row < inFeatures; row++) {
    for (let column = 0; column < outFeatures; column++) values[transposed ? column * inFeatures + row : row * outFeatures + column]! += delta[row * outFeatures + column]!;
  }
  return tensorFrom(tensor.dataType, tensor.dims, values);
}

/** The matrix as [in, out]. */
function upright(tensor: Tensor, { inFeatures, outFeatures }: Linear, transposed: boolean): Tensor {
  const values = floatValues(tensor);
  const turned = transposed ? Float32Array.from({ length: values.length }, (_, at) => values[(at % outFeatures) * inFeatures + Math.floor(at / outFeatures)]!) : values;
  return tensorFrom(tensor.dataType, [inFeatures, outFeatures], turned);
}

/** How the initializer lies under the layer, and whether the layer alone reads it: then it can be changed where it is. */
function placeOf({ node, source, module }: Linear, { producers, consumers }: { producers: ReadonlyMap<string, Node>; consumers: ReadonlyMap<string, readonly Node[]> }): { transposed: boolean; own: boolean } {
  let own = node.op !== 'MatMulNBits', transposed = node.op === 'Gemm' && intAttribute(node, 'transB', 0) === 1;
  for (let name = node.inputs[1]!; ; ) {
    own &&= (consumers.get(name) ?? []).length === 1;
    if (name === source) return { transposed, own };
    const maker = producers.get(name)!;
    if (maker.op === 'Transpose') transposed = !transposed;
    else if (maker.op !== 'Identity' && maker.op !== 'Cast') throw new OnnxError(`cannot merge into "${module}": its weight comes through ${maker.op}; merge into the graph as it was exported`);
    name = maker.inputs[0]!;
  }
}

/** The layer on a matrix of its own, [in, out]. */
function withWeight(node: Node, weight: string): Node[] {
  const [x, , third, , , bias] = node.inputs;
  if (node.op === 'Gemm') return [{ ...node, inputs: [x!, weight, ...(third === undefined ? [] : [third])], attributes: { ...node.attributes, transB: int(0) } }];
  const product: Node = { ...node, op: 'MatMul', domain: '', inputs: [x!, weight], attributes: {} };
  if ((bias ?? '') === '') return [product];
  const inner = `${node.outputs[0]!}/product`;
  return [{ ...product, outputs: [inner] }, { name: `${node.name}/Add`, op: 'Add', domain: '', inputs: [inner, bias!], outputs: node.outputs, attributes: {} }];
}
