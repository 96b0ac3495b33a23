/** @file The weights of a Hugging Face directory: in one safetensors file or in several, by name, judged before they are used. */
import { join } from 'node:path';
import { float32Tensor, type Tensor } from '../onnx/index.ts';
import type { Parameter } from './architectures/index.ts';
import { ModelError } from './errors.ts';
import { exists, readJsonObject } from './files.ts';
import { requireFinite } from './finite.ts';
import { floatsOf, isFloatDtype, openSafetensors, type SafetensorsFile, type TensorEntry } from './safetensors.ts';
import { transpose } from './transpose.ts';

export interface Weights extends AsyncDisposable {
  /** Null where there is none of that name. */
  entry(name: string): TensorEntry | null;
  /** Throws when a parameter is missing, of another shape or no float, or when the decoder has tensors that none of them is. */
  check(parameters: readonly Parameter[]): void;
  /** As float32, in the graph's layout. Throws when a value is not finite. */
  read(parameter: Parameter): Promise<Tensor>;
  /** Are two tensors the same, value for value? */
  areEqual(a: string, b: string): Promise<boolean>;
}

const together = 'Check that config.json and the weights belong together';

/** `tied`: a missing embedding is the head. */
export async function openWeights(directory: string, { tied }: { tied: boolean }): Promise<Weights> {
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
  /** A decoder that was saved without its head has names without the beginning. */
  const isBare = byName.has(bare(embeddingName));
  const storedName = (name: string): string => {
    const plain = isBare ? bare(name) : name;
    return tied && name === embeddingName && !byName.has(plain) ? headName : plain;
  };
  const entry = (name: string): TensorEntry | null => byName.get(storedName(name))?.tensors.get(storedName(name)) ?? null;
  const floats = async (name: string): Promise<Float32Array> => floatsOf(await byName.get(storedName(name))!.read(storedName(name)), name);
  const invalid = (what: string, fix: string): ModelError => new ModelError('invalid', `${what} in ${directory}`, { fix });

  function checkOne(parameter: Parameter): void {
    const { name } = parameter;
    const stored = entry(name);
    const expected = parameter.transposed ? parameter.shape.toReversed() : parameter.shape;
    if (stored === null) throw new ModelError('invalid', `the weights in ${directory} have no tensor "${name}"`, { fix: missingFix[name] ?? `${together} and that no file is missing.` });
    const { dtype, shape } = stored;
    if (!isFloatDtype(dtype)) throw invalid(`tensor "${name}" holds ${dtype}, no floats,`, 'These are quantized weights: use the repository with bf16, fp16 or fp32 weights.');
    if (shape.join() !== expected.join()) {
      const isVocabulary = name === embeddingName || name === headName;
      throw invalid(`tensor "${name}" is [${shape.join(', ')}], config.json asks for [${expected.join(', ')}]`, isVocabulary ? `${together}: vocab_size and hidden_size give this tensor its shape.` : `${together}.`);
    }
  }

  return {
    entry,
    check(parameters) {
      const known = new Set(parameters.map(({ name }) => storedName(name)));
      parameters.forEach(checkOne);
      const unused = [...byName.keys()].filter((name) => !known.has(name) && (isBare || /^(model|lm_head)\./.test(name)) && !passedOver.test(name));
      if (unused.length === 0) return;
      const some = `"${unused[0]}"${unused.length > 1 ? ` and ${unused.length - 1} more tensors` : ''}`;
      throw invalid(`config.json describes no ${some}, found`, `${together}: num_hidden_layers, attention_bias and mlp_bias decide which tensors there are.`);
    },
    async read({ name, shape, transposed }) {
      const values = await floats(name);
      requireFinite(values, { name, where: directory });
      return float32Tensor(shape, transposed ? transpose(values, entry(name)!.shape as [number, number]) : values);
    },
    async areEqual(a, b) {
      const [left, right] = [await floats(a), await floats(b)];
      return left.length === right.length && left.every((value, index) => Object.is(value, right[index]) || value === right[index]);
    },
    [Symbol.asyncDispose]: close,
  };
}

export const embeddingName = 'model.embed_tokens.weight';
export const headName = 'lm_head.weight';

const bare = (name: string): string => name.replace(/^model\./, '');

/** Old files carry the rotary frequencies, which config.json says as well; the head is there twice where it is tied. */
const passedOver = /rotary_emb\.inv_freq$|^lm_head\.weight$/;

const missingFix: Readonly<Record<string, string>> = {
  [headName]: 'Where the head is the embedding, config.json has to say "tie_word_embeddings": true; otherwise a file is missing.',
};

/** `model.safetensors`, or the files that `model.safetensors.index.json` names. */
async function weightFiles(directory: string): Promise<string[]> {
  const single = 'model.safetensors';
  if (await exists(join(directory, single))) return [single];
  const indexPath = join(directory, 'model.safetensors.index.json');
  if (!(await exists(indexPath))) {
    throw new ModelError('not_found', `${directory} has no model.safetensors`, { fix: 'Use a directory with safetensors weights, or with an onnx/model.onnx.' });
  }
  const map = (await readJsonObject(indexPath)).weight_map;
  const names = typeof map === 'object' && map !== null ? [...new Set<unknown>(Object.values(map))] : [];
  if (names.length === 0 || !names.every((name): name is string => typeof name === 'string' && /^[\w.-]+\.safetensors$/.test(name))) {
    throw new ModelError('invalid', `${indexPath} has no proper weight_map`, { fix: 'Download the file again.' });
  }
  for (const name of names) {
    if (!(await exists(join(directory, name)))) throw new ModelError('not_found', `${indexPath} names ${name}, which is missing`, { fix: `Download ${name} into ${directory}; there are ${names.length} files of weights.` });
  }
  return names;
}
