/** @file Models that have learned nothing yet: where supervised training starts, and what tests run on. */
import { mkdir } from 'node:fs/promises';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { createHash } from 'node:crypto';
import { basename, join } from 'node:path';
import { elementCount, float32Tensor, type Tensor } from '../onnx/index.ts';
import { normal } from '../util/random.ts';
import { buildDecoder, decoderParameters, decoderSize, parseDecoderConfig, requireMemory, type Parameter } from './architectures/index.ts';
import { arithmeticCharacters, characterTokenizer, type TokenizerFiles } from './character-tokenizer.ts';
import { exists, readJsonObject } from './files.ts';
import { createDirectory, writeJsonFiles } from './model-directory.ts';
import { writeOnnxFile } from './onnx-file.ts';

/** Hugging Face's `initializer_range`. */
const standardDeviation = 0.02;

/**
 * Writes a transformers.js directory with random weights: matrices from N(0, 0.02²), biases 0, norms 1. The same seed gives
 * the same bytes. `config` is a config.json of a supported architecture; `directory` must not exist yet.
 */
export async function createRandomModel({ directory, config, where = 'config.json', tokenizer, seed, whenThere = 'refuse', signal }: {
  directory: string;
  config: Readonly<Record<string, unknown>>;
  /** Names `config` in messages. */
  where?: string;
  tokenizer: TokenizerFiles;
  seed: number;
  /** Whether that is as good as made; else an error. */
  whenThere?: 'refuse' | 'take';
  signal?: AbortSignal | undefined;
}): Promise<void> {
  const decoder = parseDecoderConfig(config, where);
  const { weights: count, tables } = decoderSize(decoder);
  const { hiddenSize, intermediateSize, layers } = decoder;
  // Once as they are drawn, once as the file is made of them.
  requireMemory(2 * (count + tables), `the ${count.toLocaleString('en-US')} weights of hidden_size ${hiddenSize}, intermediate_size ${intermediateSize} and ${layers} layers, made and written,`, { where });
  const weights = new Map<string, Tensor>();
  for (const [index, parameter] of decoderParameters(decoder).entries()) weights.set(parameter.name, await randomTensor(parameter, { key: [seed, index], signal }));
  const model = buildDecoder(decoder, weights);
  const { bos_token_id, eos_token_id, pad_token_id } = config;
  await createDirectory(directory, async (temporary) => {
    await mkdir(join(temporary, 'onnx'));
    await writeJsonFiles(temporary, { 'config.json': config, 'generation_config.json': { bos_token_id, eos_token_id, pad_token_id }, ...tokenizer });
    await writeOnnxFile(join(temporary, 'onnx', 'model.onnx'), model);
  }, { whenThere });
}

/** So many numbers are drawn before others get their turn: a signal has to be heard while billions are. */
const drawnAtOnce = 2 ** 18;

async function randomTensor({ shape, kind }: Parameter, { key, signal }: { key: readonly [seed: number, index: number]; signal: AbortSignal | undefined }): Promise<Tensor> {
  const values = new Float32Array(elementCount(shape));
  switch (kind) {
    case 'matrix':
      for (let position = 0; position < values.length; position++) {
        if (position % drawnAtOnce === drawnAtOnce - 1) {
          await nextTurn();
          signal?.throwIfAborted();
        }
        values[position] = standardDeviation * normal(key, position);
      }
      break;
    case 'norm':
      values.fill(1);
      break;
    case 'bias':
      break;
  }
  return float32Tensor(shape, values);
}

/** Random weights are drawn with this seed: a shape alone then names one model. */
const SHAPE_SEED = 1;

/** The transformers.js directory that a config.json stands for: made once, below `into`, with a tokenizer of characters. */
export async function randomBase(path: string, { into, dryRun, signal }: { into: string; dryRun: boolean; signal?: AbortSignal | undefined }): Promise<string> {
  const config = await readJsonObject(path);
  const contextLength = typeof config.max_position_embeddings === 'number' ? config.max_position_embeddings : 64;
  const tokenizer = characterTokenizer({ characters: arithmeticCharacters, contextLength });
  const whole = { ...config, vocab_size: tokenizer.vocabularySize, pad_token_id: tokenizer.padTokenId, bos_token_id: tokenizer.bosTokenId, eos_token_id: tokenizer.eosTokenId };
  const digest = createHash('sha256').update(JSON.stringify([whole, tokenizer.files, SHAPE_SEED])).digest('hex').slice(0, 12);
  const directory = join(into, `${basename(path).replace(/(\.config)?\.json$/, '')}-${digest}`);
  if (!dryRun && !(await exists(directory))) await createRandomModel({ directory, config: whole, where: path, tokenizer: tokenizer.files, seed: SHAPE_SEED, whenThere: 'take', signal });
  return directory;
}
