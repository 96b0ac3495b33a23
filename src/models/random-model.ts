/** @file Models that have learned nothing yet: where supervised training starts, and what tests run on. */
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { elementCount, float32Tensor, type Tensor } from '../onnx/index.ts';
import { normal } from '../util/random.ts';
import { buildDecoder, decoderParameters, parseDecoderConfig, type Parameter } from './architectures/index.ts';
import type { TokenizerFiles } from './character-tokenizer.ts';
import { createDirectory, writeJsonFiles } from './model-directory.ts';
import { writeOnnxFile } from './onnx-file.ts';

/** Hugging Face's `initializer_range`. */
const standardDeviation = 0.02;

/**
 * Writes a transformers.js directory with random weights: matrices from N(0, 0.02²), biases 0, norms 1. The same seed gives
 * the same bytes. `config` is a config.json of a supported architecture; `directory` must not exist yet.
 */
export async function createRandomModel({ directory, config, tokenizer, seed }: {
  directory: string;
  config: Readonly<Record<string, unknown>>;
  tokenizer: TokenizerFiles;
  seed: number;
}): Promise<void> {
  const decoder = parseDecoderConfig(config, 'config.json');
  const weights = new Map(decoderParameters(decoder).map((parameter, index) => [parameter.name, randomTensor(parameter, [seed, index])]));
  const model = buildDecoder(decoder, weights);
  const { bos_token_id, eos_token_id, pad_token_id } = config;
  await createDirectory(directory, async (temporary) => {
    await mkdir(join(temporary, 'onnx'));
    await writeJsonFiles(temporary, { 'config.json': config, 'generation_config.json': { bos_token_id, eos_token_id, pad_token_id }, ...tokenizer });
    await writeOnnxFile(join(temporary, 'onnx', 'model.onnx'), model);
  });
}

function randomTensor({ shape, kind }: Parameter, key: readonly [seed: number, index: number]): Tensor {
  const values = new Float32Array(elementCount(shape));
  switch (kind) {
    case 'matrix':
      for (let position = 0; position < values.length; position++) values[position] = standardDeviation * normal(key, position);
      break;
    case 'norm':
      values.fill(1);
      break;
    case 'bias':
      break;
  }
  return float32Tensor(shape, values);
}
