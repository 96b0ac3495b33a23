/** @file A Hugging Face directory (config.json and safetensors) → a transformers.js directory. */
import { mkdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { elementCount, float32Tensor, type Tensor } from '../onnx/index.ts';
import { allFinite } from '../util/statistics.ts';
import { buildDecoder, decoderParameters, parseDecoderConfig, type Parameter } from './architectures/index.ts';
import { ModelError } from './errors.ts';
import { exists, readJsonObject } from './files.ts';
import { createDirectory, writeJsonFiles } from './model-directory.ts';
import { externalAbove, openWeightsFile, writeOnnxFile } from './onnx-file.ts';
import { floatsOf, isFloatDtype, openSafetensors, type SafetensorsFile } from './safetensors.ts';

export interface ImportOptions {
  source: string;
  /** Must not exist yet. */
  target: string;
  /** Weights beside the graph, converted one at a time; default: when they are large. */
  external?: boolean;
  signal?: AbortSignal;
}

/** Reads `source`, builds the decoder's graph from its config.json and writes `target`. Weights become float32. */
export async function importSafetensors({ source, target, external, signal }: ImportOptions): Promise<void> {
  const configPath = join(source, 'config.json');
  const config = await readJsonObject(configPath);
  if (config.quantization_config !== undefined) {
    throw new ModelError('invalid', `${configPath}: the weights are quantized`, { fix: 'Use the repository with the unquantized weights.' });
  }
  const decoder = parseDecoderConfig(config, configPath);
  const parameters = decoderParameters(decoder);
  await using weights = await openWeights(source);
  for (const parameter of parameters) weights.check(parameter);

  await createDirectory(target, async (temporary) => {
    await mkdir(join(temporary, 'onnx'));
    await writeJsonFiles(temporary, { 'config.json': { ...config, dtype: 'float32', torch_dtype: 'float32' }, ...(await readTokenizerFiles(source)) });
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
  });
}

/** The weights of a directory, in one file or in several, by parameter. */
interface Weights extends AsyncDisposable {
  /** Throws when the parameter is missing or of another shape. */
  check(parameter: Parameter): void;
  /** As float32, in the graph's layout. */
  read(parameter: Parameter): Promise<Tensor>;
}

async function openWeights(directory: string): Promise<Weights> {
  const files: SafetensorsFile[] = [];
  const byName = new Map<string, SafetensorsFile>();
  const close = async (): Promise<void> => {
    for (const file of files) await file[Symbol.asyncDispose]();
  };
  try {
    for (const name of await weightFiles(directory)) {
      const file = await openSafetensors(join(directory, name));
      files.push(file);
      for (const tensor of file.tensors.keys()) byName.set(tensor, file);
    }
  } catch (error) {
    await close();
    throw error;
  }
  const storedShape = ({ shape, transposed }: Parameter): readonly number[] => (transposed ? shape.toReversed() : shape);
  return {
    check(parameter) {
      const { name } = parameter;
      const stored = byName.get(name)?.tensors.get(name);
      const expected = storedShape(parameter);
      if (stored === undefined) {
        throw new ModelError('invalid', `the weights in ${directory} have no tensor "${name}"`, { fix: 'Check that config.json and the weights belong together and that no file is missing.' });
      }
      if (stored.shape.join() !== expected.join() || !isFloatDtype(stored.dtype)) {
        throw new ModelError('invalid', `tensor "${name}" in ${directory} is ${stored.dtype} [${stored.shape.join(', ')}], config.json asks for floats [${expected.join(', ')}]`, {
          fix: 'Check that config.json and the weights belong together.',
        });
      }
    },
    async read(parameter) {
      const stored = await byName.get(parameter.name)!.read(parameter.name);
      const values = floatsOf(stored, parameter.name);
      if (!allFinite(values)) throw new ModelError('invalid', `tensor "${parameter.name}" in ${directory} holds NaN or an infinity, and so would all that is computed from it`, { fix: 'Restore or download the weights again.' });
      return float32Tensor(parameter.shape, parameter.transposed ? transpose(values, stored.shape as [number, number]) : values);
    },
    [Symbol.asyncDispose]: close,
  };
}

/** `model.safetensors`, or the files that `model.safetensors.index.json` names. */
async function weightFiles(directory: string): Promise<string[]> {
  const single = 'model.safetensors';
  if (await exists(join(directory, single))) return [single];
  const indexPath = join(directory, 'model.safetensors.index.json');
  if (!(await exists(indexPath))) {
    throw new ModelError('not_found', `${directory} has no model.safetensors`, { fix: 'Use a directory with safetensors weights, or with an onnx/model.onnx.' });
  }
  const map = (await readJsonObject(indexPath)).weight_map;
  const names = typeof map === 'object' && map !== null ? [...new Set(Object.values(map))] : [];
  if (names.length === 0 || !names.every((name) => typeof name === 'string' && /^[\w.-]+\.safetensors$/.test(name))) {
    throw new ModelError('invalid', `${indexPath} has no proper weight_map`, { fix: 'Download the file again.' });
  }
  return names as string[];
}

/** [rows, columns] → [columns, rows], in tiles that stay in the cache. */
export function transpose(values: Float32Array, [rows, columns]: readonly [number, number]): Float32Array {
  const tile = 32;
  const result = new Float32Array(values.length);
  for (let top = 0; top < rows; top += tile) {
    const bottom = Math.min(top + tile, rows);
    for (let left = 0; left < columns; left += tile) {
      const right = Math.min(left + tile, columns);
      for (let row = top; row < bottom; row++) {
        for (let column = left; column < right; column++) result[column * rows + row] = values[row * columns + column]!;
      }
    }
  }
  return result;
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
  if (await exists(plain)) return readFile(plain, 'utf8');
  return (await exists(older)) ? ((await readJsonObject(older)).chat_template ?? null) : null;
}
