/**
 * @file From a model directory's graph to the two graphs that the engine runs: one to train, one to sample.
 *
 * Both come from the same nodes and read the same weight buffers, so sampler and trainer agree to rounding.
 */
import {
  OnnxError, biasAttention, canonicalize, decompose, elementCount, exposeCache, floatValues, fuseActivations, inferTypes, insertLora, intAttribute, liftInitializers, loraA, parameterNames, selectLogits, stripCache,
  type Model, type Tensor,
} from '../onnx/index.ts';
import { uniform } from '../util/random.ts';
import type { CacheAlignment, CacheEntry } from './key-value-cache.ts';
import { nonFinite } from './optimizer.ts';
import { ATTENTION_BIAS, SCORED } from './training-graph.ts';
import type { TrainMethod } from './types.ts';

/** A trainable tensor: a graph input whose buffer the optimizer updates. */
export interface Parameter {
  readonly name: string;
  readonly dims: readonly number[];
  /** As the model directory has it, or as PEFT initialises an adapter. */
  readonly initial: Float32Array;
}

export interface Decoder {
  /** Inputs input_ids, attention_mask, position_ids, logit_positions and the parameters; output logits (N, V). */
  readonly training: Model;
  /** The same with an input that says who sees whom, for rows that hold several texts; null where the graph would mistake columns for positions. */
  readonly shared: Model | null;
  /** The same with the cache: inputs past_key_values.*, outputs the new rows only, present.*. */
  readonly sampling: Model;
  readonly cache: readonly CacheEntry[];
  readonly cacheAlignment: CacheAlignment;
  readonly parameters: readonly Parameter[];
  readonly vocabularySize: number;
  /** How many numbers the weights of the model directory are. */
  readonly size: number;
}

/**
 * Prepares a decoder for training and sampling.
 *
 * @throws OnnxError when the graph has no logits, no cache, no positions or no float32 weights to train.
 */
export function prepareDecoder(source: Model, train: TrainMethod): Decoder {
  const isFront = source.nodes.some(({ op }) => op === 'GroupQueryAttention');
  if (!isFront && !source.inputs.some(({ name }) => name === 'position_ids')) {
    // Such a graph counts columns, so rows of different lengths would see each other's positions.
    throw new OnnxError('the graph has no input position_ids, so rows of different lengths cannot be decoded side by side: export the model with position_ids, or fork its safetensors weights');
  }
  const broken = nonFinite(float32Weights(source));
  if (broken !== undefined) throw new OnnxError(`the weight "${broken}" holds NaN or an infinity, and so would all that is computed from it: restore or download the model's files again`);
  const canonical = decompose(canonicalize(source));
  const { model, parameters } = train.method === 'full' ? withWeights(canonical, source) : withAdapters(canonical, train);
  const sampling = selectLogits(exposeCache(model));
  const training = fuseActivations(selectLogits(stripCache(model), { rows: SCORED }));
  const vocabulary = inferTypes(training).get('logits')?.shape?.at(-1);
  if (typeof vocabulary !== 'number') throw new OnnxError('the width of the logits is not known');
  return {
    training, shared: isFront ? null : sharedRows(training), sampling, parameters, cache: cacheEntries(sampling),
    cacheAlignment: isFront ? 'front' : 'back',
    vocabularySize: vocabulary,
    size: sizeOf(source),
  };
}

/** Matrices and vectors by their names; a mask, which is neither, may well hold infinities. */
function* float32Weights(model: Model): Generator<[string, Float32Array]> {
  for (const [initializer, name] of parameterNames(model)) {
    const tensor = model.initializers.get(initializer)!;
    if (tensor.dataType === 'float32' && tensor.dims.length <= 2) yield [name, floatValues(tensor)];
  }
}

/** Rows with several texts need a graph that is told positions, and attention that can be told who sees whom. */
function sharedRows(training: Model): Model | null {
  if (!training.nodes.some(({ inputs }) => inputs.includes('position_ids'))) return null;
  try {
    return biasAttention(training, { input: ATTENTION_BIAS });
  } catch (error) {
    if (error instanceof OnnxError) return null;
    throw error;
  }
}

/** Quantised matrices count as what they stand for. */
function sizeOf(model: Model): number {
  const floats = [...parameterNames(model).keys()].map((name) => elementCount(model.initializers.get(name)!.dims));
  const quantised = new Map(model.nodes.filter(({ op }) => op === 'MatMulNBits').map((node) => [node.inputs[1], intAttribute(node, 'K', 0) * intAttribute(node, 'N', 0)]));
  return [...floats, ...quantised.values()].reduce((sum, count) => sum + count, 0);
}

const QUANTISED = ['MatMulNBits', 'GatherBlockQuantized', 'DequantizeLinear', 'DynamicQuantizeMatMul', 'MatMulIntegerToFloat'];

function withWeights(model: Model, source: Model): { model: Model; parameters: Parameter[] } {
  const quantised = source.nodes.find(({ op }) => QUANTISED.includes(op));
  if (quantised !== undefined) throw new OnnxError(`the weights are quantised (${quantised.op}), and full fine-tuning would move only the rest: fork the fp32 model.onnx, or train with lora`);
  const names = [...parameterNames(model).keys()];
  const half = names.find((name) => model.initializers.get(name)?.dataType !== 'float32');
  if (half !== undefined) {
    throw new OnnxError(`the weight "${half}" is ${model.initializers.get(half)?.dataType ?? 'missing'}; full fine-tuning needs float32 weights: fork the fp32 model.onnx, or train with lora`);
  }
  if (names.length === 0) throw new OnnxError('the model has no float32 weights to train');
  const { model: lifted, tensors } = liftInitializers(model, names);
  return { model: lifted, parameters: [...tensors].map(([name, tensor]) => parameterFrom(name, tensor)) };
}

/** Weights are copied out of the file once: the optimizer writes into them. */
const parameterFrom = (name: string, tensor: Tensor): Parameter => ({ name, dims: tensor.dims, initial: floatValues(tensor).slice() });

/** PEFT's initialisation: A uniform in ±1/√in (kaiming_uniform with a = √5), B zero, so that the model starts unchanged. */
function withAdapters(model: Model, { rank, alpha, targets, seed }: Extract<TrainMethod, { method: 'lora' }>): { model: Model; parameters: Parameter[] } {
  const before = new Set(model.inputs.map(({ name }) => name));
  const adapted = insertLora(model, { targets, rank, alpha });
  const added = adapted.inputs.filter(({ name }) => !before.has(name));
  const parameters = added.map(({ name, shape }, index): Parameter => {
    const dims = (shape ?? []).map(Number);
    const initial = new Float32Array(elementCount(dims));
    if (name.endsWith(loraA(''))) {
      const bound = 1 / Math.sqrt(dims[0]!);
      for (let at = 0; at < initial.length; at++) initial[at] = (2 * uniform([seed, index], at) - 1) * bound;
    }
    return { name, dims, initial };
  });
  return { model: adapted, parameters };
}

function cacheEntries(model: Model): CacheEntry[] {
  return model.inputs.filter(({ name }) => name.startsWith('past_key_values.')).map(({ name, dataType, shape }): CacheEntry => {
    const [, heads, , headSize] = shape ?? [];
    if (typeof heads !== 'number' || typeof headSize !== 'number') throw new OnnxError(`the cache input "${name}" must declare its heads and head size, not [${(shape ?? []).join(', ')}]`);
    return { past: name, present: name.replace('past_key_values', 'present'), dataType, heads, headSize };
  });
}
