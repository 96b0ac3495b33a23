/** @file What a decoder takes in memory, known from its shape alone: a wrong number in a config.json must not be found out by allocating it. */
import { totalmem } from 'node:os';
import { elementCount } from '../../onnx/index.ts';
import { ModelError } from '../errors.ts';
import type { DecoderConfig } from './config.ts';
import { decoderParameters } from './decoder.ts';

const FLOAT_BYTES = 4;
/** Nodes, names and shapes of a layer's graph and its gradient, whatever its weights take: roughly. */
const GRAPH_BYTES_PER_LAYER = 1e6;

/** Bytes of all weights in float32, of the rotary tables, which have a row for every position, and of the graph. */
function decoderBytes(config: DecoderConfig): number {
  const weights = (layers: number): number => decoderParameters({ ...config, layers }).reduce((sum, { shape }) => sum + elementCount(shape), 0);
  const perLayer = weights(2) - weights(1);
  const tables = config.contextLength * config.headSize;
  return FLOAT_BYTES * (weights(1) + (config.layers - 1) * perLayer + tables) + config.layers * GRAPH_BYTES_PER_LAYER;
}

/** Throws if this machine could never hold it. `where` names the config.json. */
export function refuseBeyondMemory(config: DecoderConfig, where: string, { memory = totalmem() } = {}): void {
  const bytes = decoderBytes(config);
  if (bytes <= memory) return;
  const { hiddenSize, intermediateSize, layers, contextLength } = config;
  throw new ModelError('invalid', `${where}: a model of this shape takes ${gigabytes(bytes)} GB in float32, and this machine has ${gigabytes(memory)} GB`, {
    fix: `Check hidden_size (${hiddenSize}), intermediate_size (${intermediateSize}), num_hidden_layers (${layers}) and max_position_embeddings (${contextLength}), or use a smaller model.`,
  });
}

const gigabytes = (bytes: number): string => (bytes / 1e9).toLocaleString('en-US', { maximumFractionDigits: 1 });
