/** @file Tiny models, requests and rollouts for the tests of the engine. */
import { cp, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { arithmeticCharacters, characterTokenizer, createRandomModel } from '../../src/models/index.ts';
import { readSafetensors } from '../../src/models/safetensors.ts';
import { floatValues, float32Tensor, readModel, writeModel } from '../../src/onnx/index.ts';
import { EngineCore } from '../../src/policy/engine-core.ts';
import type { AdamParams, EngineOptions, Sample, SampleRequest, TrainingSequence } from '../../src/policy/types.ts';
import { uniform } from '../../src/util/random.ts';

export const tokenizer = characterTokenizer({ characters: arithmeticCharacters, contextLength: 64 });

/** A directory that goes away with its scope. */
export async function temporaryDirectory(): Promise<AsyncDisposable & { path: string }> {
  const path = await mkdtemp(join(tmpdir(), 'rlrun-policy-'));
  return { path, [Symbol.asyncDispose]: () => rm(path, { recursive: true, force: true }) };
}

/** config.json of a model with grouped queries and tied embeddings; `overrides` change what a test is about. */
export const tinyConfig = (overrides: Record<string, unknown> = {}): Record<string, unknown> => ({
  architectures: ['LlamaForCausalLM'], model_type: 'llama', hidden_size: 32, intermediate_size: 48, num_hidden_layers: 2, num_attention_heads: 4, num_key_value_heads: 2, head_dim: 8,
  vocab_size: tokenizer.vocabularySize, max_position_embeddings: 64, rms_norm_eps: 1e-5, rope_theta: 10000, tie_word_embeddings: true, hidden_act: 'silu',
  bos_token_id: tokenizer.bosTokenId, eos_token_id: tokenizer.eosTokenId, pad_token_id: tokenizer.padTokenId, ...overrides,
});

/** A model directory with random weights, `sharpness` times as large as freshly made ones, so that some tokens are likelier than others. */
export async function tinyModel(directory: string, { sharpness = 10, seed = 1, config = {} }: { sharpness?: number; seed?: number; config?: Record<string, unknown> } = {}): Promise<string> {
  await createRandomModel({ directory, config: tinyConfig(config), tokenizer: tokenizer.files, seed });
  const path = join(directory, 'onnx', 'model.onnx');
  const model = readModel(path);
  const initializers = new Map([...model.initializers].map(([name, tensor]) => {
    const isMatrix = name.endsWith('.weight') && tensor.dims.length === 2;
    return [name, isMatrix ? float32Tensor(tensor.dims, floatValues(tensor).map((value) => value * sharpness)) : tensor] as const;
  }));
  await writeFile(path, writeModel({ ...model, initializers }));
  return directory;
}

/** A copy of a model directory whose sequences may not share rows: a window of one column forbids it, and the graph does not read the configuration. */
export async function withoutSharing(modelDirectory: string): Promise<string> {
  const directory = `${modelDirectory}-apart`, path = join(directory, 'config.json');
  await cp(modelDirectory, directory, { recursive: true });
  await writeFile(path, JSON.stringify({ ...JSON.parse(await readFile(path, 'utf8')) as object, attention_window: 1 }));
  return directory;
}

export const engineOptions = (modelDirectory: string, overrides: Partial<EngineOptions> = {}): EngineOptions =>
  ({ modelDirectory, device: 'cpu', threads: 1, train: { method: 'full' }, microBatchTokens: 4096, maxRows: 64, reference: false, ...overrides });

export const openCore = (modelDirectory: string, overrides: Partial<EngineOptions> = {}): Promise<EngineCore> => EngineCore.open(engineOptions(modelDirectory, overrides));

/** A plain request at temperature 1; ids and random streams follow `index`. */
export const request = (index: number, promptTokenIds: readonly number[], overrides: Partial<SampleRequest> = {}): SampleRequest =>
  ({ id: `r${index}`, promptTokenIds, maxTokens: 8, temperature: 1, topP: 1, topK: 0, stopTokenIds: [tokenizer.eosTokenId], stopStrings: [], key: [7, 0, 0, index], ...overrides });

/** A prompt of random words of the vocabulary, begun as the tokenizer begins one. */
export const randomPrompt = (seed: number, length: number, vocabularySize = tokenizer.vocabularySize): number[] =>
  [tokenizer.bosTokenId, ...Array.from({ length: length - 1 }, (_, position) => 4 + Math.floor(uniform([seed], position) * (vocabularySize - 4)))];

/** All samples of the requests, in the requests' order. */
export async function drawAll(engine: Pick<EngineCore, 'sample'>, requests: readonly SampleRequest[]): Promise<Sample[]> {
  const samples = new Map<string, Sample>();
  await engine.sample(requests, { cancelled: never, onSample: (sample) => samples.set(sample.id, sample) });
  return requests.map(({ id }) => samples.get(id)!);
}

/** A sampled rollout as training data. */
export function sequenceOf({ promptTokenIds, temperature }: SampleRequest, { outputTokenIds, outputLogprobs }: Sample, advantage: number): TrainingSequence {
  const prompt = promptTokenIds.map(() => 0), output = (value: number): number[] => outputTokenIds.map(() => value);
  return {
    tokenIds: [...promptTokenIds, ...outputTokenIds], temperature,
    actionMask: [...prompt, ...output(1)], samplingLogprobs: [...prompt, ...outputLogprobs], advantages: [...prompt, ...output(advantage)],
  };
}

export const never = (): boolean => false;

/** The engine's trainable weights, as it writes them. */
export async function weightsOf(engine: Pick<EngineCore, 'writeState'>): Promise<Map<string, Float32Array>> {
  await using directory = await temporaryDirectory();
  await engine.writeState(directory.path);
  const { tensors } = await readSafetensors(join(directory.path, 'weights.safetensors'));
  return new Map([...tensors].map(([name, { data }]) => [name, data as Float32Array]));
}

/** Accumulated gradients, through an update that is plain gradient descent; w − 1000·g loses nothing to rounding. */
export async function takeGradients(engine: EngineCore): Promise<Map<string, Float32Array>> {
  const before = await weightsOf(engine);
  const update = engine.update({ learningRate: 1e15, beta1: 0, beta2: 0, eps: 1e12, weightDecay: 0, maxGradNorm: 0 });
  if ('refused' in update) throw new Error(update.message);
  const after = await weightsOf(engine);
  return new Map([...before].map(([name, from]) => [name, from.map((value, at) => (value - after.get(name)![at]!) / 1000)]));
}

/** Mean |sampler's − trainer's log-probability| over the tokens drawn for the requests. */
export async function meanDifference(from: EngineCore, requests: readonly SampleRequest[]): Promise<number> {
  const samples = await drawAll(from, requests);
  const batch = { sequences: samples.map((sample, index) => sequenceOf(requests[index]!, sample, 0.5)) };
  const { logprobs } = await from.forward(batch, never);
  const differences = batch.sequences.flatMap(({ actionMask, samplingLogprobs }, index) => actionMask.flatMap((mask, at) => (mask === 1 ? [Math.abs(logprobs[index]![at]! - samplingLogprobs[at]!)] : [])));
  return differences.reduce((sum, difference) => sum + difference, 0) / differences.length;
}

/** One sequence for every token that could follow the prefix: scored, they are the whole distribution. */
export const everyNext = (prefix: readonly number[], temperature: number): TrainingSequence[] => {
  const zeros = prefix.map(() => 0);
  return Array.from({ length: tokenizer.vocabularySize }, (_, next) =>
    ({ tokenIds: [...prefix, next], temperature, actionMask: [...zeros, 1], samplingLogprobs: [...zeros, 0], advantages: [...zeros, 0] }));
};

export const adam = (overrides: Partial<AdamParams> = {}): AdamParams =>
  ({ learningRate: 1e-3, beta1: 0.9, beta2: 0.95, eps: 1e-8, weightDecay: 0, maxGradNorm: 0, ...overrides });

/** ‖a − b‖ / ‖b‖ */
export function relativeDistance(actual: ArrayLike<number>, expected: ArrayLike<number>): number {
  if (actual.length !== expected.length) return Infinity;
  let difference = 0, size = 0;
  for (let index = 0; index < expected.length; index++) {
    difference += (actual[index]! - expected[index]!) ** 2;
    size += expected[index]! ** 2;
  }
  return Math.sqrt(difference) / (Math.sqrt(size) + 1e-12);
}
