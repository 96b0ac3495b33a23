/**
 * @file What a `config.json` of the Llama family says about the decoder, in one shape for all of them.
 *
 * Llama (and SmolLM2, which is one), Mistral, Qwen2 and Qwen3 differ in few places: which projections have a bias, whether
 * queries and keys are normalised per head, which layers see only a window. Defaults are those of Hugging Face's configs.
 */
import { ModelError } from '../errors.ts';
import { decoderSize, requireMemory } from './size.ts';

export type ModelType = 'llama' | 'mistral' | 'qwen2' | 'qwen3';

/** How the rotary frequencies are stretched beyond the context of pre-training. */
export type RopeScaling =
  | { kind: 'none' }
  | { kind: 'linear'; factor: number }
  | { kind: 'llama3'; factor: number; lowFreqFactor: number; highFreqFactor: number; originalContext: number }
  | { kind: 'yarn'; factor: number; betaFast: number; betaSlow: number; originalContext: number; attentionFactor: number; truncate: boolean };

export interface DecoderConfig {
  modelType: ModelType;
  vocabularySize: number;
  hiddenSize: number;
  intermediateSize: number;
  layers: number;
  heads: number;
  keyValueHeads: number;
  headSize: number;
  contextLength: number;
  normEpsilon: number;
  ropeTheta: number;
  ropeScaling: RopeScaling;
  /** The output projection is the transposed embedding. */
  tiedEmbeddings: boolean;
  queryKeyValueBias: boolean;
  outputBias: boolean;
  mlpBias: boolean;
  /** RMS norm over each head of the queries and keys, before the rotation. */
  queryKeyNorm: boolean;
  /** Per layer: how many positions back it sees (itself included); null for all. */
  windows: readonly (number | null)[];
}

/** What the architectures do not share. */
const architectures: Readonly<Record<ModelType, Pick<DecoderConfig, 'queryKeyNorm'> & { headSize: number | null; keyValueHeads: number | null; context: number }>> = {
  llama: { queryKeyNorm: false, headSize: null, keyValueHeads: null, context: 2048 },
  mistral: { queryKeyNorm: false, headSize: null, keyValueHeads: 8, context: 131072 },
  qwen2: { queryKeyNorm: false, headSize: null, keyValueHeads: 32, context: 32768 },
  qwen3: { queryKeyNorm: true, headSize: 128, keyValueHeads: 32, context: 32768 },
};

export const supportedModelTypes = Object.keys(architectures) as readonly ModelType[];
const isModelType = (value: unknown): value is ModelType => typeof value === 'string' && Object.hasOwn(architectures, value);

type Json = Readonly<Record<string, unknown>>;

/** Reads a parsed config.json; `where` names it in messages. */
export function parseDecoderConfig(json: unknown, where: string): DecoderConfig {
  const config = asObject(json);
  if (config === null) throw invalid(where, 'it is not a JSON object');
  const { model_type: modelType } = config;
  if (!isModelType(modelType)) {
    throw invalid(where, `model_type ${JSON.stringify(modelType)} is not supported; supported are ${supportedModelTypes.join(', ')}`);
  }
  const size = (key: string, fallback?: number): number => {
    const value = config[key] ?? fallback;
    if (!Number.isSafeInteger(value) || (value as number) < 1) throw invalid(where, `${key} is ${JSON.stringify(value)}, expected a whole number from 1`);
    return value as number;
  };
  const architecture = architectures[modelType];
  const hiddenSize = size('hidden_size');
  const heads = size('num_attention_heads');
  // Said to be none, it is the number of heads; not said, it is the architecture's.
  const keyValueHeads = size('num_key_value_heads', config.num_key_value_heads === null ? heads : (architecture.keyValueHeads ?? heads));
  const layers = size('num_hidden_layers');
  // Everything is made once per layer; the deepest models have a few hundred.
  if (layers > 10_000) throw invalid(where, `num_hidden_layers is ${layers}, expected at most 10000`);
  if (heads % keyValueHeads !== 0) throw invalid(where, `num_attention_heads ${heads} is not a multiple of num_key_value_heads ${keyValueHeads}`);
  const headSize = size('head_dim', architecture.headSize ?? Math.floor(hiddenSize / heads));
  if (headSize % 2 !== 0) throw invalid(where, `head_dim ${headSize} is odd; rotary positions need pairs`);
  if ((config.hidden_act ?? 'silu') !== 'silu') throw invalid(where, `hidden_act ${JSON.stringify(config.hidden_act)} is not supported, only "silu"`);

  const contextLength = size('max_position_embeddings', architecture.context);
  const attentionBias = config.attention_bias === true;
  const decoder: DecoderConfig = {
    modelType,
    vocabularySize: size('vocab_size'),
    hiddenSize,
    intermediateSize: size('intermediate_size'),
    layers,
    heads,
    keyValueHeads,
    headSize,
    contextLength,
    normEpsilon: number(config, 'rms_norm_eps', where, 1e-6),
    ...parseRope(config, contextLength, where),
    tiedEmbeddings: config.tie_word_embeddings === true,
    queryKeyValueBias: modelType === 'qwen2' || attentionBias,
    outputBias: modelType !== 'qwen2' && attentionBias,
    mlpBias: modelType === 'llama' && config.mlp_bias === true,
    queryKeyNorm: architecture.queryKeyNorm,
    windows: parseWindows(config, modelType, layers, where),
  };
  requireMemory(decoderSize(decoder).tables, `the rotary tables of max_position_embeddings ${contextLength}`, { where });
  return decoder;
}

function parseWindows(config: Json, modelType: ModelType, layers: number, where: string): (number | null)[] {
  const everywhere = (window: number | null): (number | null)[] => Array.from({ length: layers }, () => window);
  if (modelType === 'llama') return everywhere(null);
  if (config.sliding_window === null || (modelType !== 'mistral' && config.use_sliding_window !== true)) return everywhere(null);
  const window = number(config, 'sliding_window', where, 4096);
  if (modelType === 'mistral') return everywhere(window);
  const types = Array.isArray(config.layer_types) ? config.layer_types : null;
  const firstSliding = number(config, 'max_window_layers', where, 28);
  return everywhere(null).map((_, layer) => (types === null ? layer >= firstSliding : types[layer] === 'sliding_attention') ? window : null);
}

/** Both spellings: `rope_theta` with `rope_scaling` of transformers 4, and `rope_parameters` of transformers 5. */
function parseRope(config: Json, contextLength: number, where: string): Pick<DecoderConfig, 'ropeTheta' | 'ropeScaling'> {
  const rope: Json = { ...asObject(config.rope_scaling), ...asObject(config.rope_parameters) };
  const ropeTheta = number(rope, 'rope_theta', where, number(config, 'rope_theta', where, 10_000));
  if ((rope.partial_rotary_factor ?? config.partial_rotary_factor ?? 1) !== 1) throw invalid(where, 'partial_rotary_factor other than 1 is not supported');
  const originalContext = number(rope, 'original_max_position_embeddings', where, number(config, 'original_max_position_embeddings', where, contextLength));
  const kind = rope.rope_type ?? rope.type ?? 'default';
  const scaling = (): RopeScaling => {
    switch (kind) {
      case 'default':
      case 'dynamic': // within max_position_embeddings it changes nothing, and the graph goes no further
        return { kind: 'none' };
      case 'linear':
        return { kind: 'linear', factor: number(rope, 'factor', where) };
      case 'llama3':
        return {
          kind: 'llama3',
          factor: number(rope, 'factor', where),
          lowFreqFactor: number(rope, 'low_freq_factor', where),
          highFreqFactor: number(rope, 'high_freq_factor', where),
          originalContext,
        };
      case 'yarn': {
        const factor = number(rope, 'factor', where, contextLength / originalContext);
        return {
          kind: 'yarn',
          factor,
          betaFast: number(rope, 'beta_fast', where, 32),
          betaSlow: number(rope, 'beta_slow', where, 1),
          originalContext,
          attentionFactor: number(rope, 'attention_factor', where, yarnAttentionFactor(rope, factor)),
          truncate: rope.truncate !== false,
        };
      }
      default:
        throw invalid(where, `rope type ${JSON.stringify(kind)} is not supported; supported are default, dynamic, linear, llama3, yarn`);
    }
  };
  return { ropeTheta, ropeScaling: scaling() };
}

/** Section 3.4 of the YaRN paper (arXiv:2309.00071): attention is sharpened by 0.1·ln(factor) + 1. */
function yarnAttentionFactor(rope: Json, factor: number): number {
  const scale = (weight: number): number => (factor <= 1 ? 1 : 0.1 * weight * Math.log(factor) + 1);
  const { mscale, mscale_all_dim: all } = rope;
  return typeof mscale === 'number' && typeof all === 'number' && mscale !== 0 && all !== 0 ? scale(mscale) / scale(all) : scale(1);
}

const asObject = (value: unknown): Json | null => (typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as Json) : null);

function number(config: Json, key: string, where: string, fallback?: number): number {
  const value = config[key] ?? fallback;
  if (typeof value !== 'number' || !(value > 0) || !Number.isFinite(value)) throw invalid(where, `${key} is ${JSON.stringify(value)}, expected a number above 0`);
  return value;
}

function invalid(where: string, what: string): ModelError {
  return new ModelError('invalid', `${where}: ${what}`, { fix: 'Use a model of the Llama, Mistral, Qwen2 or Qwen3 architecture, or one that already has an onnx/model.onnx.' });
}
