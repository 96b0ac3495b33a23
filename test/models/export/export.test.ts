import { existsSync } from 'node:fs';
import { cp, mkdir, readdir, readFile, rename, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { AutoModelForCausalLM, AutoTokenizer, Tensor, env, type PreTrainedModel } from '@huggingface/transformers';
import { afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { exportCheckpoint, floatsOf, readSafetensors, writeSafetensors, type ExportDtype, type ExportOptions, type StoredModel, type StoredTensor } from '../../../src/models/index.ts';
import { quantizeMatrix } from '../../../src/models/export/quantize.ts';
import { float32Tensor, floatValues, numberValues, parameterNames, readModel, writeModel, type Model, type Tensor as OnnxTensor } from '../../../src/onnx/index.ts';
import { normal } from '../../../src/util/random.ts';
import { processMark } from '../../../src/util/process-mark.ts';
import { goneMark } from '../../util/marks.ts';
import { decoders, expectedOf, fixtures, forkDecoder, largestDifference, type Expected } from '../support/decoders.ts';
import { createProject, draft, type Project } from '../support/tiny.ts';

let project: Project;
beforeAll(() => {
  env.allowRemoteModels = false;
});
beforeEach(async () => {
  project = await createProject();
});
afterEach(() => project[Symbol.asyncDispose]());

const out = (): string => join(project.directory, 'out');

async function exported(model: StoredModel, options: Partial<ExportOptions> = {}): Promise<string> {
  const { directory = out() } = options;
  await exportCheckpoint({ model, checkpoint: (await model.head())?.id ?? null, format: 'transformers.js', dtype: 'fp32', ...options, directory });
  return directory;
}

/** A checkpoint with other weights than the base: what training would have left. */
async function trainAll(model: StoredModel): Promise<Map<string, Float32Array>> {
  const graph = readModel(join(model.record.baseDirectory, 'onnx', 'model.onnx'));
  const weights = new Map([...parameterNames(graph).keys()].map((name, index) => {
    const tensor = graph.initializers.get(name)!;
    return [name, { dtype: 'F32', shape: tensor.dims, data: floatValues(tensor).map((value, at) => value + 0.01 * normal([3, index], at)) } as StoredTensor];
  }));
  await model.commit(draft(1, null), { promote: true, write: (directory) => writeSafetensors(join(directory, 'weights.safetensors'), weights) });
  return new Map([...weights].map(([name, stored]) => [name, stored.data as Float32Array]));
}

async function logitsOf(model: PreTrainedModel, { feeds }: Expected): Promise<Float32Array> {
  const { logits } = await model({ ...feeds, num_logits_to_keep: new Tensor('int64', [0n], []) });
  return logits.data as Float32Array;
}

async function greedyOf(model: PreTrainedModel, { feeds, promptLength }: Expected): Promise<number[][]> {
  const { position_ids: _, ...inputs } = feeds;
  const output = (await model.generate({ ...inputs, max_new_tokens: 16, do_sample: false })) as Tensor;
  return output.tolist().map((row: bigint[]) => row.slice(promptLength).map(Number));
}

/** ‖actual − expected‖ / ‖expected‖ */
function relativeError(actual: Float32Array, expected: Float32Array): number {
  const norm = (values: Float32Array): number => Math.hypot(...values);
  return norm(actual.map((value, index) => value - expected[index]!)) / norm(expected);
}

describe('a transformers.js directory', () => {
  test.each(['in the graph', 'in a file beside it'])('stock transformers.js loads it, weights %s, and decodes as PyTorch does', async (place) => {
    const expected = await expectedOf('decoders/llama-tied');
    const directory = await exported(await forkDecoder(project, 'llama-tied'), { external: place !== 'in the graph' });
    expect((await readdir(join(directory, 'onnx'))).sort()).toEqual(place === 'in the graph' ? ['model.onnx'] : ['model.onnx', 'model.onnx_data']);
    const model = await AutoModelForCausalLM.from_pretrained(directory);
    expect(await greedyOf(model, expected)).toEqual(expected.greedy);
    expect((await AutoTokenizer.from_pretrained(directory)).encode('1+2')).toHaveLength(4);
    await model.dispose();
  });

  test("holds the checkpoint's weights, and can be forked again", async () => {
    const model = await forkDecoder(project, 'qwen3-linear');
    const weights = await trainAll(model);
    const directory = await exported(model);
    const graph = readModel(join(directory, 'onnx', 'model.onnx'));
    for (const [name, values] of weights) expect(floatValues(graph.initializers.get(name)!)).toEqual(values);
    await project.store.fork({ source: './out', slug: 'again' });
    expect((await project.store.model('again')).record.baseDirectory).toBe(directory);
  });

  test.each([['fp16', 0.005], ['q8', 0.05], ['q4', 0.6]] as const)('%s loads by itself and stays close to PyTorch', async (dtype, tolerance) => {
    for (const name of ['llama-tied', 'llama3-biases'] as const) {
      const expected = await expectedOf(`decoders/${name}`);
      const directory = await exported(await forkDecoder(project, name), { dtype, directory: join(project.directory, `${name}-${dtype}`) });
      const model = await AutoModelForCausalLM.from_pretrained(directory);
      const actual = await logitsOf(model, expected);
      // Row 1 is left-padded; what padded positions predict means nothing.
      const row = actual.length / 2;
      const error = relativeError(actual.slice(0, row), expected.logits.slice(0, row));
      expect(error).toBeLessThan(tolerance);
      expect(error).toBeGreaterThan(0);
      expect((await greedyOf(model, expected)).flat().every(Number.isSafeInteger)).toBe(true);
      await model.dispose();
    }
  });

  // 8-bit products round the activations too.
  test.each([['q8', 8, 0.03], ['q4', 4, 1e-5]] as const)('%s computes what its rounded weights say', async (dtype, bits, tolerance) => {
    for (const name of ['llama-tied', 'mistral-window'] as const) {
      const expected = await expectedOf(`decoders/${name}`);
      const stored = await forkDecoder(project, name);
      const directory = await exported(stored, { dtype, directory: join(project.directory, `${name}-${dtype}`) });
      const reference = join(project.directory, `${name}-${dtype}-reference`);
      await exported(stored, { directory: reference });
      const graphPath = join(reference, 'onnx', 'model.onnx');
      await writeFile(graphPath, writeModel(withRoundedWeights(readModel(graphPath), bits)));
      const [quantized, rounded] = [await AutoModelForCausalLM.from_pretrained(directory), await AutoModelForCausalLM.from_pretrained(reference)];
      expect(relativeError(await logitsOf(quantized, expected), await logitsOf(rounded, expected))).toBeLessThan(tolerance);
      await quantized.dispose();
      await rounded.dispose();
    }
  });

  test('quantized weights are smaller', async () => {
    const model = await forkDecoder(project, 'llama-tied');
    const bytes: Partial<Record<ExportDtype, number>> = {};
    for (const [dtype, file] of [['fp32', 'model.onnx'], ['fp16', 'model_fp16.onnx'], ['q8', 'model_quantized.onnx'], ['q4', 'model_q4.onnx']] as const) {
      const directory = await exported(model, { dtype, directory: join(project.directory, dtype) });
      const graph = readModel(join(directory, 'onnx', file));
      bytes[dtype] = [...graph.initializers.values()].reduce((sum, { data }) => sum + (data instanceof Uint8Array ? data.byteLength : data.length), 0);
    }
    expect(bytes.fp16!).toBeLessThan(0.55 * bytes.fp32!);
    expect(bytes.q8!).toBeLessThan(bytes.fp16!);
    expect(bytes.q4!).toBeLessThan(0.75 * bytes.q8!);
  });
});

/** The float graph with every quantized matrix replaced by what its integers stand for. */
function withRoundedWeights(model: Model, bits: 8 | 4): Model {
  const embedding = 'model.embed_tokens.weight';
  const round = (name: string, tensor: OnnxTensor): OnnxTensor => {
    if (tensor.dims.length !== 2 || name.startsWith('rotary')) return tensor;
    const transposed = name !== embedding;
    const { rows, columns, packed, scales } = quantizeMatrix(tensor, bits, { transposed });
    const [bytes, scale] = [packed.data as Uint8Array, floatValues(scales)];
    const blocks = Math.ceil(columns / 32);
    const values = new Float32Array(rows * columns);
    for (let row = 0; row < rows; row++) {
      for (let column = 0; column < columns; column++) {
        const index = row * blocks * 32 + column;
        const level = bits === 8 ? bytes[index]! : (bytes[index >> 1]! >> (4 * (index & 1))) & 15;
        values[transposed ? column * rows + row : row * columns + column] = (level - 2 ** (bits - 1)) * scale[row * blocks + Math.floor(column / 32)]!;
      }
    }
    return float32Tensor(tensor.dims, values);
  };
  return { ...model, initializers: new Map([...model.initializers].map(([name, tensor]) => [name, round(name, tensor)])) };
}

test('blocks are rounded to within half a step, the largest value exactly', () => {
  const values = Float32Array.from({ length: 3 * 40 }, (_, index) => normal([1], index));
  for (const bits of [8, 4] as const) {
    const { packed, scales } = quantizeMatrix(float32Tensor([3, 40], values), bits, { transposed: false });
    expect(packed.dims).toEqual([3, 2, (32 * bits) / 8]);
    const steps = numberValues(scales);
    for (let at = 0; at < values.length; at++) {
      const [row, column] = [Math.floor(at / 40), at % 40];
      const index = row * 64 + column;
      const bytes = packed.data as Uint8Array;
      const level = bits === 8 ? bytes[index]! : (bytes[index >> 1]! >> (4 * (index & 1))) & 15;
      const scale = steps[row * 2 + Math.floor(column / 32)]!;
      // One level is missing on the side away from the extreme: there the error may reach a whole step.
      expect(Math.abs((level - 2 ** (bits - 1)) * scale - values[at]!)).toBeLessThanOrEqual(Math.abs(scale) * (level === 2 ** bits - 1 ? 1 : 0.5001));
    }
  }
});

describe('Hugging Face weights', () => {
  test.each(decoders)('%s comes back as it came', async (name) => {
    const directory = await exported(await forkDecoder(project, name), { format: 'safetensors' });
    const written = await readSafetensors(join(directory, 'model.safetensors'));
    const files = (await readdir(join(fixtures, 'decoders', name))).filter((file) => file.startsWith('model') && file.endsWith('.safetensors'));
    const original = new Map<string, StoredTensor>();
    for (const file of files) for (const [key, tensor] of (await readSafetensors(join(fixtures, 'decoders', name, file))).tensors) original.set(key, tensor);
    expect([...written.tensors.keys()].sort()).toEqual([...original.keys()].sort());
    for (const [key, tensor] of original) {
      expect(written.tensors.get(key)!.shape).toEqual(tensor.shape);
      expect(floatsOf(written.tensors.get(key)!, key)).toEqual(floatsOf(tensor, key));
    }
    expect(written.metadata['format']).toBe('pt');
    expect(JSON.parse(await readFile(join(directory, 'config.json'), 'utf8'))).toMatchObject({ torch_dtype: 'float32' });
  });

  test('of a checkpoint, in half precision', async () => {
    const model = await forkDecoder(project, 'llama-tied');
    const weights = await trainAll(model);
    const { tensors } = await readSafetensors(join(await exported(model, { format: 'safetensors', dtype: 'fp16' }), 'model.safetensors'));
    const norm = tensors.get('model.norm.weight')!;
    expect(norm.dtype).toBe('F16');
    expect(largestDifference(floatsOf(norm, 'norm'), weights.get('model.norm.weight')!)).toBeLessThan(1e-3);
  });

  test('a missing parameter is named', async () => {
    const model = await forkDecoder(project, 'llama-tied');
    const path = join(model.record.baseDirectory, 'config.json');
    await writeFile(path, JSON.stringify({ ...JSON.parse(await readFile(path, 'utf8')), tie_word_embeddings: false }));
    await expect(exported(model, { format: 'safetensors' })).rejects.toThrow('parameter "lm_head.weight" is not in the graph');
    expect(existsSync(out())).toBe(false);
  });
});

describe('LoRA', () => {
  const train = { method: 'lora', rank: 3, alpha: 6, targets: ['q_proj', 'v_proj', 'down_proj'], seed: 1 } as const;

  /** The adapter that PEFT saved, as a checkpoint: matrices the way the engine keeps them. */
  async function adapted(): Promise<StoredModel> {
    const model = await forkDecoder(project, 'llama-tied', { train });
    const { tensors } = await readSafetensors(join(fixtures, 'peft', 'adapter_model.safetensors'));
    const adapters = new Map([...tensors].map(([key, { shape, data }]) => {
      const [rows, columns] = shape as [number, number];
      const turned = Float32Array.from({ length: data.length }, (_, at) => Number(data[(at % rows) * columns + Math.floor(at / rows)]));
      return [key.replace('base_model.model.', '').replace(/\.weight$/, ''), { dtype: 'F32', shape: [columns, rows], data: turned } as StoredTensor];
    }));
    await model.commit(draft(1, null), { promote: true, write: (directory) => writeSafetensors(join(directory, 'weights.safetensors'), adapters) });
    return model;
  }

  test.each([['llama-tied', true], ['llama3-biases', false]] as const)('an adapter on the head is merged into a head: %s (tied: %s)', async (name, tied) => {
    const model = await forkDecoder(project, name, { train: { ...train, targets: ['lm_head'] } });
    const config = JSON.parse(await readFile(join(model.record.baseDirectory, 'config.json'), 'utf8')) as { hidden_size: number; vocab_size: number; tie_word_embeddings: boolean };
    expect(config.tie_word_embeddings).toBe(tied);
    const tensor = (shape: readonly [number, number], seed: number): StoredTensor => ({ dtype: 'F32', shape, data: Float32Array.from({ length: shape[0] * shape[1] }, (_, at) => 0.3 * normal([seed], at)) });
    const adapters = new Map([['lm_head.lora_A', tensor([config.hidden_size, 3], 1)], ['lm_head.lora_B', tensor([3, config.vocab_size], 2)]]);
    await model.commit(draft(1, null), { promote: true, write: (directory) => writeSafetensors(join(directory, 'weights.safetensors'), adapters) });
    const expected = await expectedOf(`decoders/${name}`);
    const graph = await AutoModelForCausalLM.from_pretrained(await exported(model));
    const logits = await logitsOf(graph, expected);
    expect(largestDifference(logits, expected.logits)).toBeGreaterThan(0.1);
    await graph.dispose();

    const weights = await exported(model, { format: 'safetensors', directory: join(project.directory, 'weights') });
    expect(JSON.parse(await readFile(join(weights, 'config.json'), 'utf8'))).toMatchObject({ tie_word_embeddings: false });
    await project.store.fork({ source: './weights', slug: 'again' });
    const again = await AutoModelForCausalLM.from_pretrained((await project.store.model('again')).record.baseDirectory);
    expect(largestDifference(await logitsOf(again, expected), logits)).toBeLessThan(2e-5);
    await again.dispose();
  });

  test('merged into the weights, it computes and decodes as PEFT does', async () => {
    const expected = await expectedOf('peft');
    const model = await AutoModelForCausalLM.from_pretrained(await exported(await adapted()));
    expect(largestDifference(await logitsOf(model, expected), expected.logits)).toBeLessThan(2e-5);
    expect(await greedyOf(model, expected)).toEqual(expected.greedy);
    await model.dispose();
  });

  test('as an adapter it is the file that PEFT saved', async () => {
    const directory = await exported(await adapted(), { format: 'peft' });
    const read = (path: string) => readSafetensors(join(path, 'adapter_model.safetensors'));
    const [written, original] = [await read(directory), await read(join(fixtures, 'peft'))];
    expect([...written.tensors.keys()].sort()).toEqual([...original.tensors.keys()].sort());
    for (const [key, tensor] of original.tensors) expect(written.tensors.get(key)).toEqual(tensor);
    const config = async (path: string) => JSON.parse(await readFile(join(path, 'adapter_config.json'), 'utf8'));
    const saved = await config(join(fixtures, 'peft'));
    const { base_model_name_or_path: base, ...rest } = await config(directory);
    expect(base).toBe(join(project.directory, 'llama-tied'));
    expect(saved).toMatchObject({ ...rest, target_modules: expect.arrayContaining(rest.target_modules) });
    expect(rest.target_modules).toEqual(['down_proj', 'q_proj', 'v_proj']);
  });

  describe('names a base that holds the weights it was trained on', () => {
    const nameOf = async (directory: string): Promise<string> => (JSON.parse(await readFile(join(directory, 'adapter_config.json'), 'utf8')) as { base_model_name_or_path: string }).base_model_name_or_path;
    const trainAdapter = async (model: StoredModel): Promise<void> => {
      const [name, [rows, columns]] = ['model.layers.0.self_attn.q_proj', readModel(join(model.record.baseDirectory, 'onnx', 'model.onnx')).initializers.get('model.layers.0.self_attn.q_proj.weight')!.dims as [number, number]];
      const tensor = (shape: [number, number]): StoredTensor => ({ dtype: 'F32', shape, data: Float32Array.from({ length: shape[0] * shape[1] }, (_, at) => normal([5], at)) });
      await model.commit(draft(1, null), { promote: true, write: (directory) => writeSafetensors(join(directory, 'weights.safetensors'), new Map([[`${name}.lora_A`, tensor([rows, 3])], [`${name}.lora_B`, tensor([3, columns])]])) });
    };

    test('a checkpoint of another model is written beside the adapter', async () => {
      const weights = await trainAll(await forkDecoder(project, 'llama-tied'));
      await project.store.fork({ source: 'llama-tied', slug: 'adapter', train });
      const model = await project.store.model('adapter');
      expect(model.record.base).toBe('llama-tied@step-000001');
      await trainAdapter(model);
      const directory = await exported(model, { format: 'peft' });
      expect(await nameOf(directory)).toBe(join(directory, 'base'));
      const base = await readSafetensors(join(directory, 'base', 'model.safetensors'));
      expect(base.tensors.get('model.norm.weight')!.data).toEqual(weights.get('model.norm.weight'));
      expect((await readdir(join(directory, 'base'))).sort()).toEqual((await readdir(await exported(model, { format: 'safetensors', directory: join(project.directory, 'whole') }))).filter((name) => name !== 'rlrun-export.json').sort());
      // A fork of the fork stands on the same weights.
      await project.store.fork({ source: 'adapter', slug: 'again' });
      expect((await project.store.model('again')).record.base).toBe('llama-tied@step-000001');
    });

    test('a built-in base is written beside the adapter', async () => {
      await project.store.fork({ source: 'builtin:tiny', slug: 'tiny', train: { ...train, targets: ['q_proj'] } });
      const model = await project.store.model('tiny');
      await trainAdapter(model);
      const directory = await exported(model, { format: 'peft' });
      expect(await nameOf(directory)).toBe(join(directory, 'base'));
      expect(existsSync(join(directory, 'base', 'model.safetensors'))).toBe(true);
      expect((await AutoTokenizer.from_pretrained(directory)).encode('1+2')).toHaveLength(4);
    });

    test('a directory whose weights are others by now is not named', async () => {
      const model = await adapted();
      const path = join(project.directory, 'llama-tied', 'model.safetensors');
      const { tensors } = await readSafetensors(path);
      await writeSafetensors(path, new Map([...tensors].map(([name, { shape }]) => [name, { dtype: 'F32', shape, data: new Float32Array(shape.reduce((a, b) => a * b, 1)) }])));
      const directory = await exported(model, { format: 'peft' });
      expect(await nameOf(directory)).toBe(join(directory, 'base'));
    });
  });

  test('a fork that trains all weights starts from the merged ones', async () => {
    await adapted();
    await project.store.fork({ source: 'llama-tied', slug: 'full', train: { method: 'full' } });
    const full = await project.store.model('full');
    expect(await full.head()).toBeNull();
    expect(full.record.source?.slug).toBe('llama-tied');
    const expected = await expectedOf('peft');
    const model = await AutoModelForCausalLM.from_pretrained(full.record.baseDirectory);
    expect(await greedyOf(model, expected)).toEqual(expected.greedy);
    await model.dispose();
  });

  test('diff against the base shows what the adapters change', async () => {
    const model = await adapted();
    const { from, to, tensors } = await model.diff('base', 'step-000001');
    expect([from.name, to.name]).toEqual(['base', 'step-000001']);
    const moved = tensors.filter(({ relativeChange }) => relativeChange > 0).map(({ name }) => name);
    expect(moved.every((name) => /\.(q_proj|v_proj|down_proj)\.weight$/.test(name))).toBe(true);
    expect(moved).toHaveLength(6);
    expect((await model.diff('base', 'base')).relativeChange).toBe(0);
  });

  test('there is no adapter of a fully trained model, or before the first checkpoint', async () => {
    const full = await forkDecoder(project, 'qwen3-linear');
    await expect(exported(full, { format: 'peft' })).rejects.toMatchObject({ kind: 'usage', message: 'model "qwen3-linear" is trained in full and has no adapter' });
    const fresh = await forkDecoder(project, 'llama-tied', { train });
    await expect(exported(fresh, { format: 'peft' })).rejects.toThrow('has no checkpoint yet');
  });
});

describe('where it goes', () => {
  const hidden = async () => (await readdir(project.directory)).filter((name) => name.startsWith('.') && name !== '.rlrun');

  test('an earlier export is replaced on request, and says what it is', async () => {
    const model = await forkDecoder(project, 'llama-tied');
    await exported(model, { dtype: 'fp16' });
    await mkdir(join(out(), 'empty', 'folders'), { recursive: true });
    await expect(exported(model)).rejects.toMatchObject({ kind: 'conflict', message: `${out()} exists already` });
    await exported(model, { replace: true });
    expect(await readdir(join(out(), 'onnx'))).toEqual(['model.onnx']);
    expect(JSON.parse(await readFile(join(out(), 'rlrun-export.json'), 'utf8'))).toMatchObject({ model: 'llama-tied', checkpoint: null, format: 'transformers.js', dtype: 'fp32', files: { 'onnx/model.onnx': { bytes: expect.any(Number) } } });
    expect(await hidden()).toEqual([]);
  });

  test('what a person made, added or changed is never replaced', async () => {
    const model = await forkDecoder(project, 'llama-tied');
    const mine = join(project.directory, 'mine');
    await mkdir(mine);
    await writeFile(join(mine, 'config.json'), '{}');
    await expect(exported(model, { directory: mine, replace: true })).rejects.toMatchObject({ kind: 'conflict', message: `${mine} exists and was not made by an export of rlrun, so it is not replaced` });
    expect(await readdir(mine)).toEqual(['config.json']);

    await exported(model);
    await mkdir(join(out(), 'notes'));
    await writeFile(join(out(), 'notes', 'mine.txt'), 'mine');
    await writeFile(join(out(), 'config.json'), '{}');
    await expect(exported(model, { replace: true })).rejects.toThrow(`${out()} holds what the export did not write (config.json, notes/mine.txt), so it is not replaced`);
    expect(await readFile(join(out(), 'notes', 'mine.txt'), 'utf8')).toBe('mine');
    expect(await hidden()).toEqual([]);
  });

  test('a listing that names files elsewhere takes none of them away', async () => {
    const model = await forkDecoder(project, 'llama-tied');
    await exported(model);
    await writeFile(join(project.directory, 'mine.txt'), 'mine');
    const path = join(out(), 'rlrun-export.json');
    const listing = JSON.parse(await readFile(path, 'utf8')) as { files: Record<string, unknown> };
    await writeFile(path, JSON.stringify({ ...listing, files: { ...listing.files, '../mine.txt': { bytes: 4 } } }));
    await exported(model, { replace: true });
    expect(await readFile(join(project.directory, 'mine.txt'), 'utf8')).toBe('mine');
  });

  test('nothing goes where models live, or where what must stay lies', async () => {
    const model = await forkDecoder(project, 'llama-tied');
    await exported(model);
    await project.store.fork({ source: './out', slug: 'second' });
    await symlink(project.root, join(project.directory, 'link'));
    const refused = async (directory: string, keep: string[] = []): Promise<void> => {
      await expect(exported(model, { directory, keep, replace: true })).rejects.toMatchObject({ kind: 'conflict' });
    };
    const before = (await readdir(project.directory, { recursive: true })).sort();
    for (const part of ['', 'models', 'models/new', 'jobs/new', 'bases', 'hub/new']) await refused(join(project.root, part));
    await refused(join(project.directory, 'link'));
    await refused(join(project.directory, 'link', 'models', 'new'));
    await refused(project.directory);
    // Its own base, another's, and inside of one.
    await refused(join(project.directory, 'llama-tied'));
    await refused(out());
    await refused(join(out(), 'onnx', 'new'));
    await refused(join(project.directory, 'free'), [join(project.directory, 'free', 'work')]);
    expect((await readdir(project.directory, { recursive: true })).sort()).toEqual(before);
  });

  test('what killed exports left is swept by the next, and one that was moved aside gets its place back', async () => {
    const model = await forkDecoder(project, 'llama-tied');
    await exported(model);
    const gone = goneMark().replace(/\.\w+$/, '');
    const beside = (name: string): string => join(project.directory, name);
    await rename(out(), beside(`.out.${gone}-1.old`));
    await mkdir(beside(`.out.${gone}-2.tmp`));
    await mkdir(beside(`.other.${processMark()}-0.tmp`));
    await exported(model, { directory: beside('third') });
    expect(await readdir(join(out(), 'onnx'))).toEqual(['model.onnx']);
    expect(await hidden()).toEqual([`.other.${processMark()}-0.tmp`]);
    // The new one was there already: what lies aside is only the old one.
    await cp(out(), beside(`.out.${gone}-3.old`), { recursive: true });
    await exported(model, { replace: true });
    expect(await hidden()).toEqual([`.other.${processMark()}-0.tmp`]);
  });

  test('quantized Hugging Face weights are refused', async () => {
    await expect(exported(await forkDecoder(project, 'llama-tied'), { format: 'safetensors', dtype: 'q4' })).rejects.toThrow('Hugging Face weights are fp32 or fp16, not q4');
  });

  test('weights that do not fit the base are named', async () => {
    const model = await forkDecoder(project, 'llama-tied');
    const weights = new Map<string, StoredTensor>([['model.norm.weight', { dtype: 'F32', shape: [3], data: new Float32Array(3) }]]);
    await model.commit(draft(1, null), { promote: true, write: (directory) => writeSafetensors(join(directory, 'weights.safetensors'), weights) });
    await expect(exported(model)).rejects.toThrow(/weight "model.norm.weight" is \[3\], the base has \[24\]/);
  });
});
