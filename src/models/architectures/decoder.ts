/**
 * @file The graph of a Llama-type decoder.
 *
 * Inputs `input_ids`, `attention_mask`, `position_ids`, `num_logits_to_keep` and the cache; outputs `logits` and the grown
 * cache: what transformers.js drives. Parameters keep their Hugging Face names. Linear weights are stored `[in, out]`, as
 * MatMul wants them; the model's metadata lists those names, so that an export can turn them back.
 */
import { Builder, elementCount, float32Tensor, type Model, type Tensor, type Value } from '../../onnx/index.ts';
import type { DecoderConfig } from './config.ts';
import { rotaryTables } from './rope.ts';

/** Metadata of the graph: a JSON array of the parameters that are stored transposed. */
export const transposedMetadataKey = 'rlrun.transposed';

export interface Parameter {
  name: string;
  /** As the graph stores it. */
  shape: readonly number[];
  /** Hugging Face stores it with the axes swapped. */
  transposed: boolean;
  kind: 'matrix' | 'bias' | 'norm';
}

const prefix = (layer: number): string => `model.layers.${layer}`;

/** Every parameter of the model, in the order of the layers. */
export function decoderParameters(config: DecoderConfig): Parameter[] {
  const { hiddenSize, intermediateSize, vocabularySize, heads, keyValueHeads, headSize } = config;
  const embedding: Parameter = { name: 'model.embed_tokens.weight', shape: [vocabularySize, hiddenSize], transposed: false, kind: 'matrix' };
  const norm = (name: string, size: number): Parameter => ({ name: `${name}.weight`, shape: [size], transposed: false, kind: 'norm' });
  const linear = (name: string, from: number, to: number, hasBias: boolean): Parameter[] => [
    { name: `${name}.weight`, shape: [from, to], transposed: true, kind: 'matrix' },
    ...(hasBias ? [{ name: `${name}.bias`, shape: [to], transposed: false, kind: 'bias' } as const] : []),
  ];
  const layer = (index: number): Parameter[] => {
    const attention = `${prefix(index)}.self_attn`;
    const mlp = `${prefix(index)}.mlp`;
    return [
      norm(`${prefix(index)}.input_layernorm`, hiddenSize),
      ...linear(`${attention}.q_proj`, hiddenSize, heads * headSize, config.queryKeyValueBias),
      ...linear(`${attention}.k_proj`, hiddenSize, keyValueHeads * headSize, config.queryKeyValueBias),
      ...linear(`${attention}.v_proj`, hiddenSize, keyValueHeads * headSize, config.queryKeyValueBias),
      ...linear(`${attention}.o_proj`, heads * headSize, hiddenSize, config.outputBias),
      ...(config.queryKeyNorm ? [norm(`${attention}.q_norm`, headSize), norm(`${attention}.k_norm`, headSize)] : []),
      norm(`${prefix(index)}.post_attention_layernorm`, hiddenSize),
      ...linear(`${mlp}.gate_proj`, hiddenSize, intermediateSize, config.mlpBias),
      ...linear(`${mlp}.up_proj`, hiddenSize, intermediateSize, config.mlpBias),
      ...linear(`${mlp}.down_proj`, intermediateSize, hiddenSize, config.mlpBias),
    ];
  };
  return [
    embedding,
    ...Array.from({ length: config.layers }, (_, index) => layer(index)).flat(),
    norm('model.norm', hiddenSize),
    ...(config.tiedEmbeddings ? [] : linear('lm_head', hiddenSize, vocabularySize, false)),
  ];
}

/** The finished graph over the weights, which are keyed by parameter name and shaped as `decoderParameters` says. */
export function buildDecoder(config: DecoderConfig, weights: ReadonlyMap<string, Tensor>): Model {
  const b = new Builder();
  const parameters = decoderParameters(config);
  const inputIds = b.input('input_ids', 'int64', ['batch_size', 'sequence_length']);
  const attentionMask = b.input('attention_mask', 'int64', ['batch_size', 'total_sequence_length']);
  const positionIds = b.input('position_ids', 'int64', ['batch_size', 'sequence_length']);
  const cacheShape = ['batch_size', config.keyValueHeads, 'past_sequence_length', config.headSize] as const;
  const past = Array.from({ length: config.layers }, (_, layer) => ({
    key: b.input(`past_key_values.${layer}.key`, 'float32', cacheShape),
    value: b.input(`past_key_values.${layer}.value`, 'float32', cacheShape),
  }));
  const logitsToKeep = b.input('num_logits_to_keep', 'int64', []);
  for (const { name, shape } of parameters) b.initializer(name, weightOf(weights, name, shape));

  const linear = (x: Value, name: string): Value => {
    const y = b.matmul(x, b.value(`${name}.weight`));
    return b.has(`${name}.bias`) ? b.add(y, b.value(`${name}.bias`)) : y;
  };
  const norm = (x: Value, name: string): Value => b.rmsNorm(x, b.value(`${name}.weight`), config.normEpsilon);

  const rotation = b.within('rotary', () => rotaryRows(b, config, positionIds));
  const masks = new Map([...new Set(config.windows)].map((window) => [window, b.within('mask', () => attentionBias(b, config, { inputIds, attentionMask, window }))]));

  const presents: { key: Value; value: Value }[] = [];
  let hidden = b.gather(b.value('model.embed_tokens.weight'), inputIds);
  for (const [layer, { key: pastKey, value: pastValue }] of past.entries()) {
    const attended = b.within(`layers.${layer}/attention`, () => {
      const name = `${prefix(layer)}.self_attn`;
      const x = norm(hidden, `${prefix(layer)}.input_layernorm`);
      const heads = (projection: string, count: number, headNorm: string): Value => {
        const split = b.reshape(linear(x, `${name}.${projection}`), [0, 0, count, config.headSize]);
        return b.transpose(b.has(`${name}.${headNorm}.weight`) ? norm(split, `${name}.${headNorm}`) : split, [0, 2, 1, 3]);
      };
      const query = rotate(b, heads('q_proj', config.heads, 'q_norm'), rotation);
      const key = b.concat([pastKey, rotate(b, heads('k_proj', config.keyValueHeads, 'k_norm'), rotation)], 2);
      const value = b.concat([pastValue, heads('v_proj', config.keyValueHeads, 'none')], 2);
      presents.push({ key, value });
      return linear(attend(b, config, { query, key, value, bias: masks.get(config.windows[layer]!)! }), `${name}.o_proj`);
    });
    hidden = b.add(hidden, attended);
    const widened = b.within(`layers.${layer}/mlp`, () => {
      const x = norm(hidden, `${prefix(layer)}.post_attention_layernorm`);
      const gate = linear(x, `${prefix(layer)}.mlp.gate_proj`);
      return linear(b.mul(b.mul(gate, b.sigmoid(gate)), linear(x, `${prefix(layer)}.mlp.up_proj`)), `${prefix(layer)}.mlp.down_proj`);
    });
    hidden = b.add(hidden, widened);
  }

  const logits = b.within('head', () => {
    // The last n positions: Slice from −n to the end, and from −0 = 0 when all are wanted.
    const kept = b.slice(hidden, { axis: 1, start: b.reshape(b.neg(logitsToKeep), [1]) });
    const x = norm(kept, 'model.norm');
    return config.tiedEmbeddings ? b.matmul(x, b.transpose(b.value('model.embed_tokens.weight'), [1, 0])) : linear(x, 'lm_head');
  });
  b.output('logits', logits);
  for (const [layer, { key, value }] of presents.entries()) {
    b.output(`present.${layer}.key`, key);
    b.output(`present.${layer}.value`, value);
  }

  const transposed = parameters.filter((parameter) => parameter.transposed).map(({ name }) => name);
  return { ...b.build({ name: config.modelType }), metadata: new Map([[transposedMetadataKey, JSON.stringify(transposed)]]) };
}

function weightOf(weights: ReadonlyMap<string, Tensor>, name: string, shape: readonly number[]): Tensor {
  const tensor = weights.get(name);
  if (tensor === undefined || tensor.dims.length !== shape.length || elementCount(tensor.dims) !== elementCount(shape)) {
    throw new RangeError(`weight "${name}" should be [${shape.join(', ')}], got ${tensor === undefined ? 'nothing' : `[${tensor.dims.join(', ')}]`}`);
  }
  return tensor;
}

interface Rotation {
  cos: Value;
  sin: Value;
}

/** cos and sin of the given positions: [batch, 1, sequence, headSize / 2]. */
function rotaryRows(b: Builder, config: DecoderConfig, positionIds: Value): Rotation {
  const tables = rotaryTables(config);
  const rows = (name: string, table: Float32Array): Value => {
    const stored = b.initializer(`rotary.${name}`, float32Tensor([config.contextLength, config.headSize / 2], table));
    return b.unsqueeze(b.gather(stored, positionIds), [1]);
  };
  return { cos: rows('cos', tables.cos), sin: rows('sin', tables.sin) };
}

/** Turns the pairs (x[i], x[i + headSize / 2]) of every head. */
function rotate(b: Builder, x: Value, { cos, sin }: Rotation): Value {
  const half = (x.shape!.at(-1) as number) / 2;
  const [left, right] = b.split(x, [half, half], 3) as [Value, Value];
  return b.concat([b.sub(b.mul(left, cos), b.mul(right, sin)), b.add(b.mul(right, cos), b.mul(left, sin))], 3);
}

/** Far below any score, but finite: a row that may see nothing (padding) gets a uniform distribution, not NaN. */
const unseen = -1e9;

/**
 * What is added to the scores: 0 where a query may see a key, else a very negative number. [batch, 1, groups · sequence,
 * total], the sequence repeated for every query head of a group. Positions are columns of the mask, so left padding is fine.
 */
function attentionBias(b: Builder, config: DecoderConfig, { inputIds, attentionMask, window }: { inputIds: Value; attentionMask: Value; window: number | null }): Value {
  const length = (value: Value): Value => b.cast(b.squeeze(b.shape(value, { start: 1, end: 2 }), [0]), 'int32');
  const zero = b.scalar(0, 'int32');
  const one = b.scalar(1, 'int32');
  const total = length(attentionMask);
  const key = b.range(zero, total, one);
  const query = b.unsqueeze(b.range(b.sub(total, length(inputIds)), total, one), [1]);
  const causal = b.lessOrEqual(key, query);
  const seen = window === null ? causal : b.and(causal, b.greater(b.add(key, b.scalar(window, 'int32')), query));
  const visible = b.and(seen, b.unsqueeze(b.cast(attentionMask, 'bool'), [1, 2]));
  const bias = b.where(visible, b.scalar(0), b.scalar(unseen));
  return b.concat(Array.from({ length: config.heads / config.keyValueHeads }, () => bias), 2);
}

/**
 * softmax(q·kᵀ / √headSize + bias)·v. Keys and values are not repeated: the query heads that share them are stacked along
 * the sequence instead, [batch, keyValueHeads, groups · sequence, headSize].
 */
function attend(b: Builder, config: DecoderConfig, { query, key, value, bias }: { query: Value; key: Value; value: Value; bias: Value }): Value {
  const stacked = b.reshape(b.mul(query, config.headSize ** -0.5), [0, config.keyValueHeads, -1, config.headSize]);
  const weights = b.softmax(b.add(b.matmul(stacked, b.transpose(key, [0, 1, 3, 2])), bias));
  const mixed = b.matmul(weights, value);
  const perHead = b.reshape(mixed, [0, config.heads, -1, config.headSize]);
  return b.reshape(b.transpose(perHead, [0, 2, 1, 3]), [0, 0, config.heads * config.headSize]);
}
