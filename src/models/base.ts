/** @file What lies in a model directory: can it be sampled and trained, and if not, why not? */
import { createHash } from 'node:crypto';
import { readdir, readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { isLfsPointer, maxPointerBytes } from '../util/lfs-pointer.ts';
import { supportedModelTypes } from './architectures/index.ts';
import { errorCode, fileError, ModelError } from './errors.ts';
import { readJsonObject } from './files.ts';

export interface BaseInspection {
  /** `safetensors` is converted first, `onnx` is used as it is. */
  format: 'onnx' | 'safetensors' | null;
  modelType: string | null;
  /** Of all files. */
  bytes: number;
  /** Why it cannot be trained; null when it can. */
  obstacle: string | null;
  /** What to do about the obstacle. */
  fix: string;
}

export const onnxModelPath = 'onnx/model.onnx';

/** Looks at names, sizes and config.json; the graph itself is judged when an engine opens it. */
export async function inspectBase(directory: string): Promise<BaseInspection> {
  const sizes = await fileSizes(directory);
  const bytes = [...sizes.values()].reduce((sum, size) => sum + size, 0);
  const verdict = (format: BaseInspection['format'], modelType: string | null, obstacle: string | null, fix = whatIsNeeded): BaseInspection => ({ format, modelType, bytes, obstacle, fix });

  const pointers = await lfsPointers(directory, sizes);
  if (pointers.length > 0) return verdict(null, null, `${pointers.join(', ')} ${pointers.length === 1 ? 'is a Git LFS pointer' : 'are Git LFS pointers'}`, 'Run git lfs pull in that folder, or download the files themselves.');
  const strange = strangeWeights.find(({ names, unless }) => !unless.some((name) => sizes.has(name)) && [...sizes.keys()].some((name) => names.test(name)));
  if (strange !== undefined) return verdict(null, null, strange.obstacle, strange.fix);
  if (!sizes.has('config.json')) return verdict(null, null, 'it has no config.json');
  const config = await readJsonObject(join(directory, 'config.json'));
  const modelType = typeof config.model_type === 'string' ? config.model_type : null;
  const isSupported = supportedModelTypes.some((type) => type === modelType);
  const hasSafetensors = sizes.has('model.safetensors') || sizes.has('model.safetensors.index.json');
  const missing = ['tokenizer.json', 'tokenizer_config.json'].filter((name) => !sizes.has(name));
  const tokenizer = missing.length === 0 ? null : `it has no ${missing.join(' and no ')}`;

  // Our own graph is preferred where there are weights for it: its names are Hugging Face's, so every export works.
  if (hasSafetensors && isSupported && config.quantization_config == null) return verdict('safetensors', modelType, tokenizer);
  if (sizes.has(onnxModelPath)) return verdict('onnx', modelType, tokenizer);
  const quantized = [...sizes.keys()].filter((name) => /^onnx\/model_\w+\.onnx$/.test(name));
  if (quantized.length > 0) return verdict(null, modelType, `it has only ${quantized.join(', ')}; training needs the float32 ${onnxModelPath}`);
  if (!hasSafetensors) return verdict(null, modelType, `it has neither ${onnxModelPath} nor model.safetensors`);
  if (!isSupported) return verdict(null, modelType, `model_type ${JSON.stringify(config.model_type)} needs an ${onnxModelPath}; safetensors are read for ${supportedModelTypes.join(', ')}`);
  return verdict(null, modelType, 'its weights are quantized', 'Use the repository with the weights in bf16, fp16 or fp32.');
}

const whatIsNeeded = `Use a model directory with config.json, tokenizer.json, tokenizer_config.json and ${onnxModelPath} or model.safetensors.`;

const readable = [onnxModelPath, 'model.safetensors', 'model.safetensors.index.json'];

/** What else model directories hold, by the names of their files, and how to make of it what rlrun reads. */
const strangeWeights: readonly { names: RegExp; unless: readonly string[]; obstacle: string; fix: string }[] = [
  {
    names: /^adapter_config\.json$/,
    unless: readable,
    obstacle: 'it is an adapter (PEFT), which is no model without its base',
    fix: 'Merge it into its base (merge_and_unload and save_pretrained in Python) and fork what that writes.',
  },
  {
    names: /\.gguf$/,
    unless: readable,
    obstacle: 'its weights are GGUF, which cannot be trained',
    fix: 'Use the repository with the safetensors weights that the GGUF file was made of.',
  },
  {
    names: /^(pytorch_model|consolidated|model).*\.(bin|pt|pth|ckpt)$|\.(pt|pth|ckpt)$|^(tf_model\.h5|flax_model\.msgpack)$/,
    unless: readable,
    obstacle: 'its weights are not safetensors but files of PyTorch, TensorFlow or Flax, which may hold code and are not read',
    fix: 'Load it with transformers in Python and write it with save_pretrained, which makes model.safetensors.',
  },
  {
    names: /^(model-\d+-of-\d+|consolidated(\.\d+)?)\.safetensors$/,
    unless: readable,
    obstacle: 'it has files of weights, but no model.safetensors.index.json that says what is in them',
    fix: 'Download model.safetensors.index.json and the files that it names.',
  },
];

/** Files that Git LFS should have brought. */
async function lfsPointers(directory: string, sizes: ReadonlyMap<string, number>): Promise<string[]> {
  const small = [...sizes].filter(([, size]) => size <= maxPointerBytes).map(([name]) => name);
  const found = await Promise.all(small.map(async (name) => isLfsPointer(await readFile(join(directory, name)))));
  return small.filter((_, index) => found[index]);
}

/** Sizes of the files in a directory and its `onnx` folder, by path with forward slashes. */
async function fileSizes(directory: string): Promise<Map<string, number>> {
  const sizes = new Map<string, number>();
  for (const folder of ['', 'onnx/']) {
    try {
      for (const entry of await readdir(join(directory, folder))) {
        const found = await stat(join(directory, folder, entry));
        if (found.isFile()) sizes.set(`${folder}${entry}`, found.size);
      }
    } catch (error) {
      if (folder === '' || errorCode(error) !== 'ENOENT') throw fileError(error, directory);
    }
  }
  return sizes;
}

/** Throws with the obstacle when there is one. */
export async function requireTrainable(directory: string, name: string): Promise<BaseInspection & { format: 'onnx' | 'safetensors' }> {
  const inspection = await inspectBase(directory);
  const { obstacle, format, fix } = inspection;
  if (obstacle !== null || format === null) throw new ModelError('invalid', `${name} cannot be trained: ${obstacle}`, { fix });
  return { ...inspection, format };
}

/** Changes when the model in a directory is replaced: sizes of its files and the contents of the small ones. */
export async function fingerprint(directory: string): Promise<string> {
  const smallBytes = 2 ** 20;
  const hash = createHash('sha256');
  for (const [name, size] of [...(await fileSizes(directory))].sort(([a], [b]) => (a < b ? -1 : 1))) {
    hash.update(`${name}\0${size}\0`);
    if (size <= smallBytes) hash.update(await readFile(join(directory, name)));
    else hash.update(String((await stat(join(directory, name))).mtimeMs));
  }
  return hash.digest('hex');
}
