import { cp, mkdtemp, readdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { AutoModelForCausalLM, Tensor, env, type PreTrainedModel } from '@huggingface/transformers';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { parseDecoderConfig } from '../../../src/models/architectures/index.ts';
import { importSafetensors } from '../../../src/models/import-safetensors.ts';
import { readSafetensors, writeSafetensors, type StoredTensor } from '../../../src/models/safetensors.ts';
import { decoders, expectedOf, fixtures as allFixtures, largestDifference, type Expected } from '../support/decoders.ts';

const fixtures = join(allFixtures, 'decoders');

let directory: string;
beforeAll(async () => {
  env.allowRemoteModels = false;
  directory = await mkdtemp(join(tmpdir(), 'rlrun-decoder-'));
});
afterAll(() => rm(directory, { recursive: true }));

async function load(model: string): Promise<PreTrainedModel> {
  const target = join(directory, model);
  await importSafetensors({ source: join(fixtures, model), target });
  return AutoModelForCausalLM.from_pretrained(target);
}

describe.each(decoders)('%s', (name) => {
  let model: PreTrainedModel;
  let expected: Expected;
  beforeAll(async () => {
    model = await load(name);
    expected = await expectedOf(`decoders/${name}`);
  });
  afterAll(() => model.dispose());

  test('its logits are those of PyTorch, also in a left-padded row', async () => {
    const { logits } = await model({ ...expected.feeds, num_logits_to_keep: new Tensor('int64', [0n], []) });
    const [, length, vocabulary] = logits.dims;
    const padded = 3 * vocabulary;
    const row = length * vocabulary;
    expect(largestDifference(logits.data.slice(0, row), expected.logits.slice(0, row))).toBeLessThan(2e-5);
    // What a padded position itself predicts means nothing.
    expect(largestDifference(logits.data.slice(row + padded), expected.logits.slice(row + padded))).toBeLessThan(2e-5);
  });

  test('stock transformers.js decodes the same tokens greedily', async () => {
    const { input_ids, attention_mask } = expected.feeds;
    const output = (await model.generate({ input_ids, attention_mask, max_new_tokens: 16, do_sample: false })) as Tensor;
    expect(output.tolist().map((row: bigint[]) => row.slice(10).map(Number))).toEqual(expected.greedy);
  });

  test('num_logits_to_keep keeps the last positions', async () => {
    const { logits } = await model({ ...expected.feeds, num_logits_to_keep: new Tensor('int64', [2n], []) });
    const [batch, kept, vocabulary] = logits.dims;
    expect([batch, kept]).toEqual([2, 2]);
    const row = (expected.logits.length / 2) as number;
    expect(largestDifference(logits.data.slice(0, 2 * vocabulary), expected.logits.slice(row - 2 * vocabulary, row))).toBeLessThan(2e-5);
  });
});

test('weights that were written one by one beside the graph are the same model', async () => {
  const target = join(directory, 'external');
  await importSafetensors({ source: join(fixtures, 'llama3-biases'), target, external: true });
  expect((await readdir(join(target, 'onnx'))).sort()).toEqual(['model.onnx', 'model.onnx_data']);
  const model = await AutoModelForCausalLM.from_pretrained(target);
  const { feeds, greedy } = await expectedOf('decoders/llama3-biases');
  const output = (await model.generate({ input_ids: feeds['input_ids'], attention_mask: feeds['attention_mask'], max_new_tokens: 16, do_sample: false })) as Tensor;
  expect(output.tolist().map((row: bigint[]) => row.slice(10).map(Number))).toEqual(greedy);
  await model.dispose();
});

describe('weights that do not fit', () => {
  const source = (): string => join(directory, 'damaged');
  async function damaged(change: (tensors: Map<string, StoredTensor>) => void, config: Record<string, unknown> = {}): Promise<void> {
    await prepare(change, config);
    return importSafetensors({ source: source(), target: join(directory, 'never') });
  }
  async function prepare(change: (tensors: Map<string, StoredTensor>) => void = () => {}, config: Record<string, unknown> = {}): Promise<void> {
    await rm(source(), { recursive: true, force: true });
    await cp(join(fixtures, 'llama-tied'), source(), { recursive: true });
    const path = join(source(), 'model.safetensors');
    const tensors = new Map((await readSafetensors(path)).tensors);
    change(tensors);
    await writeSafetensors(path, tensors);
    const json = JSON.parse(await readFile(join(source(), 'config.json'), 'utf8'));
    await writeFile(join(source(), 'config.json'), JSON.stringify({ ...json, ...config }));
  }

  test('a missing tensor is named', async () => {
    await expect(damaged((tensors) => tensors.delete('model.norm.weight'))).rejects.toThrow(/have no tensor "model.norm.weight"/);
  });
  test('a wrong shape is named with the right one', async () => {
    await expect(damaged((tensors) => tensors.set('model.norm.weight', { dtype: 'F32', shape: [3], data: new Float32Array(3) }))).rejects.toThrow(
      /"model.norm.weight" is \[3\], config.json asks for \[24\]/,
    );
  });
  test('integers are no weights', async () => {
    await expect(damaged((tensors) => tensors.set('model.norm.weight', { dtype: 'I32', shape: [24], data: new Int32Array(24) }))).rejects.toThrow(/"model.norm.weight" holds I32, no floats/);
  });
  test('untied embeddings need an lm_head', async () => {
    await expect(damaged(() => {}, { tie_word_embeddings: false })).rejects.toThrow(/no tensor "lm_head.weight"/);
  });
  test('values that are no numbers are named with their tensor', async () => {
    const spoiled = (value: number) => damaged((tensors) => void ((tensors.get('model.norm.weight')!.data as Float32Array)[3] = value));
    await expect(spoiled(Number.NaN)).rejects.toThrow(/tensor "model.norm.weight" .* has 1 of 24 values that are no finite numbers \(the first is NaN\)/);
    await expect(spoiled(-Infinity)).rejects.toThrow(/the first is infinite/);
  });
  test('layers that config.json does not count are named', async () => {
    await expect(damaged(() => {}, { num_hidden_layers: 1 })).rejects.toThrow(/describes no "model.layers.1.input_layernorm.weight" and 8 more tensors/);
    await expect(damaged(() => {}, { num_hidden_layers: 3 })).rejects.toThrow(/no tensor "model.layers.2.input_layernorm.weight"/);
  });
  test('a vocabulary of another size is named', async () => {
    await expect(damaged(() => {}, { vocab_size: 7 })).rejects.toThrow(/"model.embed_tokens.weight" is \[\d+, 24\], config.json asks for \[7, 24\]/);
  });
  test('words beyond the embedding are refused, added tokens are not', async () => {
    const withTokenizer = async (tokenizer: unknown): Promise<void> => {
      await cp(join(fixtures, 'llama-tied'), source(), { recursive: true, force: true });
      await writeFile(join(source(), 'tokenizer.json'), JSON.stringify(tokenizer));
      await importSafetensors({ source: source(), target: join(directory, 'worded') });
    };
    await rm(source(), { recursive: true, force: true });
    await expect(withTokenizer({ model: { vocab: { a: 0, b: 4000 } } })).rejects.toThrow(/has words up to id 4000, the embedding of the model has \d+ rows/);
    await withTokenizer({ model: { vocab: { a: 0 } }, added_tokens: [{ id: 4000, content: '<image>' }] });
  });
  test('8-bit floats are told apart from damage', async () => {
    await prepare();
    const path = join(source(), 'model.safetensors');
    const bytes = await readFile(path);
    // The header of a tensor of one byte per value, and as many bytes of data.
    const header = Buffer.from(JSON.stringify({ 'model.norm.weight': { dtype: 'F8_E4M3', shape: [24], data_offsets: [0, 24] } }));
    const length = Buffer.alloc(8);
    length.writeBigUInt64LE(BigInt(header.length));
    await writeFile(path, Buffer.concat([length, header, bytes.subarray(0, 24)]));
    await expect(importSafetensors({ source: source(), target: join(directory, 'never') })).rejects.toThrow(/holds 8-bit floats, which rlrun does not read \(tensor "model.norm.weight" is F8_E4M3\)/);
  });
  test('a shard that is missing is named', async () => {
    await prepare();
    await rename(join(source(), 'model.safetensors'), join(source(), 'model-00001-of-00002.safetensors'));
    const weight_map = { a: 'model-00001-of-00002.safetensors', b: 'model-00002-of-00002.safetensors' };
    await writeFile(join(source(), 'model.safetensors.index.json'), JSON.stringify({ weight_map }));
    await expect(importSafetensors({ source: source(), target: join(directory, 'never') })).rejects.toThrow(/names model-00002-of-00002.safetensors, which is missing/);
  });
  test('quantized weights are refused', async () => {
    await expect(damaged(() => {}, { quantization_config: { quant_method: 'gptq' } })).rejects.toThrow(/the weights are quantized/);
  });
  test('nothing is left of a failed import', async () => {
    await expect(damaged(() => {}, { hidden_size: 'many' })).rejects.toThrow(/hidden_size is "many", expected a whole number/);
    await expect(readFile(join(directory, 'never', 'config.json'))).rejects.toThrow(/ENOENT/);
  });
});

describe('embedding and head, as transformers decides', () => {
  /** The output of the tied model for its first row, with these tensors and settings. */
  async function logitsOf(name: string, change: (tensors: Map<string, StoredTensor>) => void, config: Record<string, unknown> = {}): Promise<Float32Array> {
    const source = join(directory, `${name}-source`);
    await cp(join(fixtures, 'llama-tied'), source, { recursive: true });
    const tensors = new Map((await readSafetensors(join(source, 'model.safetensors'))).tensors);
    change(tensors);
    await writeSafetensors(join(source, 'model.safetensors'), tensors);
    const json = JSON.parse(await readFile(join(source, 'config.json'), 'utf8'));
    await writeFile(join(source, 'config.json'), JSON.stringify({ ...json, ...config }));
    await importSafetensors({ source, target: join(directory, name) });
    const model = await AutoModelForCausalLM.from_pretrained(join(directory, name));
    const { feeds } = await expectedOf('decoders/llama-tied');
    const { logits } = await model({ ...feeds, num_logits_to_keep: new Tensor('int64', [1n], []) });
    await model.dispose();
    return logits.data as Float32Array;
  }
  const embedding = 'model.embed_tokens.weight';
  const halved = (tensor: StoredTensor): StoredTensor => ({ ...tensor, data: Float32Array.from(tensor.data as Float32Array, (value) => value / 2) }) as StoredTensor;
  const tied = (): Promise<Float32Array> => logitsOf('tied', () => {});

  test('a head with the values of the embedding is the embedding', async () => {
    expect(await logitsOf('same', (tensors) => tensors.set('lm_head.weight', tensors.get(embedding)!))).toEqual(await tied());
  });
  test('a head with other values is used, whatever config.json says', async () => {
    const expected = (await logitsOf('plain', () => {})).map((value) => value / 2);
    const other = await logitsOf('other', (tensors) => tensors.set('lm_head.weight', halved(tensors.get(embedding)!)));
    expect(largestDifference(other, expected)).toBeLessThan(1e-5);
    expect(JSON.parse(await readFile(join(directory, 'other', 'config.json'), 'utf8'))).toMatchObject({ tie_word_embeddings: false });
  });
  test('an embedding that is missing is the head', async () => {
    const moved = (tensors: Map<string, StoredTensor>): void => {
      tensors.set('lm_head.weight', tensors.get(embedding)!);
      tensors.delete(embedding);
    };
    expect(await logitsOf('moved', moved)).toEqual(await logitsOf('unmoved', () => {}));
  });
  test('a decoder that was saved without its head has shorter names', async () => {
    const shortened = (tensors: Map<string, StoredTensor>): void => {
      for (const [name, tensor] of [...tensors]) {
        tensors.delete(name);
        tensors.set(name.replace('model.', ''), tensor);
      }
    };
    expect(await logitsOf('bare', shortened)).toEqual(await logitsOf('whole', () => {}));
  });
});

describe('config.json', () => {
  const llama = { model_type: 'llama', vocab_size: 10, hidden_size: 16, intermediate_size: 8, num_hidden_layers: 2, num_attention_heads: 4 };
  const parse = (json: unknown) => parseDecoderConfig(json, 'config.json');

  test("transformers 4's spelling of the rotary settings", () => {
    const rope = { rope_theta: 500_000, max_position_embeddings: 64, rope_scaling: { rope_type: 'llama3', factor: 8, low_freq_factor: 1, high_freq_factor: 4, original_max_position_embeddings: 16 } };
    expect(parse({ ...llama, ...rope })).toMatchObject({ ropeTheta: 500_000, ropeScaling: { kind: 'llama3', factor: 8, originalContext: 16 } });
    expect(parse({ ...llama, rope_scaling: { type: 'linear', factor: 2 } }).ropeScaling).toEqual({ kind: 'linear', factor: 2 });
    expect(parse({ ...llama, rope_scaling: { type: 'dynamic', factor: 2 } }).ropeScaling).toEqual({ kind: 'none' });
    expect(parse({ ...llama, rope_scaling: null }).ropeScaling).toEqual({ kind: 'none' });
  });

  test('null is as good as absent, and no number of key heads is that of the heads', () => {
    const nothing = { hidden_act: null, head_dim: null, rope_theta: null, rope_parameters: null, layer_types: null, attention_bias: null, tie_word_embeddings: null, rms_norm_eps: null, max_position_embeddings: null };
    expect(parse({ ...llama, ...nothing, num_key_value_heads: null })).toEqual(parse(llama));
    expect(parse({ ...llama, model_type: 'mistral', num_key_value_heads: null }).keyValueHeads).toBe(4);
  });

  test('defaults are those of Hugging Face', () => {
    expect(parse(llama)).toMatchObject({ keyValueHeads: 4, headSize: 4, contextLength: 2048, normEpsilon: 1e-6, ropeTheta: 10_000, tiedEmbeddings: false, windows: [null, null] });
    expect(parse({ ...llama, model_type: 'qwen3', num_attention_heads: 64 })).toMatchObject({ keyValueHeads: 32, headSize: 128, queryKeyNorm: true, queryKeyValueBias: false });
    expect(parse({ ...llama, model_type: 'qwen2', num_key_value_heads: 2 })).toMatchObject({ queryKeyValueBias: true, outputBias: false, windows: [null, null] });
    expect(parse({ ...llama, model_type: 'mistral', num_key_value_heads: 2, sliding_window: 7 }).windows).toEqual([7, 7]);
    expect(parse({ ...llama, model_type: 'mistral', num_key_value_heads: 2, sliding_window: null }).windows).toEqual([null, null]);
  });

  test.each([
    [null, /not a JSON object/],
    [{ ...llama, model_type: 'gpt2' }, /model_type "gpt2" is not supported; supported are llama, mistral, qwen2, qwen3/],
    [{ ...llama, model_type: 'constructor' }, /model_type "constructor"/],
    [{ ...llama, vocab_size: undefined }, /vocab_size is undefined/],
    [{ ...llama, num_key_value_heads: 3 }, /num_attention_heads 4 is not a multiple of num_key_value_heads 3/],
    [{ ...llama, head_dim: 5 }, /head_dim 5 is odd/],
    [{ ...llama, hidden_act: 'gelu' }, /hidden_act "gelu"/],
    [{ ...llama, rope_scaling: { rope_type: 'longrope' } }, /rope type "longrope" is not supported/],
    [{ ...llama, rope_scaling: { rope_type: 'linear' } }, /factor is undefined, expected a number above 0/],
    [{ ...llama, partial_rotary_factor: 0.5 }, /partial_rotary_factor/],
  ])('%j is refused', (json, message) => {
    expect(() => parse(json)).toThrow(message);
  });
});
