/** @file A Hugging Face directory (config.json and safetensors) → a transformers.js directory. */
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { elementCount, type Tensor } from '../onnx/index.ts';
import { readRegularFile } from '../util/regular-file.ts';
import { buildDecoder, decoderParameters, parseDecoderConfig, type DecoderConfig } from './architectures/index.ts';
import { ModelError } from './errors.ts';
import { exists, readJsonObject } from './files.ts';
import { createDirectory, writeJsonFiles } from './model-directory.ts';
import { externalAbove, openWeightsFile, writeOnnxFile } from './onnx-file.ts';
import { embeddingName, headName, openWeights, type Weights } from './weights.ts';

export interface ImportOptions {
  source: string;
  /** Of several processes that make the same at once, one does. */
  target: string;
  /** Weights beside the graph, converted one at a time; default: when they are large. */
  external?: boolean;
  signal?: AbortSignal;
}

/** Reads `source`, builds the decoder's graph from its config.json and writes `target`. Weights become float32. */
export async function importSafetensors({ source, target, external, signal }: ImportOptions): Promise<void> {
  const configPath = join(source, 'config.json');
  const config = await readJsonObject(configPath);
  if (config.quantization_config != null) {
    throw new ModelError('invalid', `${configPath}: the weights are quantized`, { fix: 'Use the repository with the unquantized weights.' });
  }
  const described = parseDecoderConfig(config, configPath);
  await using weights = await openWeights(source, { tied: described.tiedEmbeddings });
  const decoder = await decideHead(described, weights);
  const parameters = decoderParameters(decoder);
  weights.check(parameters);
  const tokenizer = await readTokenizerFiles(source);
  requireRoomForWords(tokenizer['tokenizer.json'], { rows: decoder.vocabularySize, source });

  await createDirectory(target, async (temporary) => {
    await mkdir(join(temporary, 'onnx'));
    await writeJsonFiles(temporary, { 'config.json': { ...config, tie_word_embeddings: decoder.tiedEmbeddings, dtype: 'float32', torch_dtype: 'float32' }, ...tokenizer });
    const modelPath = join(temporary, 'onnx', 'model.onnx');
    const isExternal = external ?? parameters.reduce((sum, { shape }) => sum + 4 * elementCount(shape), 0) > externalAbove;
    const tensors = new Map<string, Tensor>();
    {
      await using file = isExternal ? await openWeightsFile(modelPath) : null;
      for (const parameter of parameters) {
        signal?.throwIfAborted();
        const tensor = await weights.read(parameter);
        tensors.set(parameter.name, file === null ? tensor : await file.append(tensor));
      }
    }
    await writeOnnxFile(modelPath, buildDecoder(decoder, tensors));
  }, { whenThere: 'take' });
}

/** As transformers decides: a head that is said to be the embedding, and is there with other values, is a head of its own. */
async function decideHead(config: DecoderConfig, weights: Weights): Promise<DecoderConfig> {
  const [embedding, head] = [weights.entry(embeddingName), weights.entry(headName)];
  if (!config.tiedEmbeddings || embedding === null || head === null) return config;
  return (await weights.areEqual(embeddingName, headName)) ? config : { ...config, tiedEmbeddings: false };
}

/** Added tokens may lie beyond the embedding, as some publishers have it: only a prompt that holds one is refused. Ordinary words may not. */
function requireRoomForWords(tokenizer: Record<string, unknown> | undefined, { rows, source }: { rows: number; source: string }): void {
  const { vocab } = (tokenizer?.model ?? {}) as { vocab?: unknown };
  const ids = Array.isArray(vocab) ? [vocab.length - 1] : Object.values(vocab ?? {}).map(Number);
  const largest = ids.reduce((max, id) => Math.max(max, id), 0);
  if (largest < rows) return;
  throw new ModelError('invalid', `tokenizer.json in ${source} has words up to id ${largest}, the embedding of the model has ${rows} rows`, { fix: 'Use the tokenizer that belongs to these weights.' });
}

/**
 * The JSON files that go with a model besides config.json. A chat template in a file of its own moves into
 * tokenizer_config.json, the only place where transformers.js looks for it.
 */
export async function readTokenizerFiles(directory: string): Promise<Record<string, Record<string, unknown>>> {
  const files: Record<string, Record<string, unknown>> = {};
  for (const name of ['generation_config.json', 'tokenizer.json', 'tokenizer_config.json', 'special_tokens_map.json', 'added_tokens.json']) {
    if (await exists(join(directory, name))) files[name] = await readJsonObject(join(directory, name));
  }
  const template = await separateTemplate(directory);
  if (files['tokenizer_config.json'] !== undefined && template !== null) files['tokenizer_config.json'] = { ...files['tokenizer_config.json'], chat_template: template };
  return files;
}

/** A chat template beside tokenizer_config.json, which counts before the one inside; as processors write it, or older ones. */
async function separateTemplate(directory: string): Promise<unknown> {
  const [plain, older] = [join(directory, 'chat_template.jinja'), join(directory, 'chat_template.json')];
  if (await exists(plain)) return readRegularFile(plain);
  return (await exists(older)) ? ((await readJsonObject(older)).chat_template ?? null) : null;
}
