/**
 * `npm run bench:policy`: rollouts against stock transformers.js, conversations against single turns, a GRPO step against TRL, memory over many
 * steps, cost per token.
 *
 * All ratios are paired: the two sides take turns in one run, and the median of the pairwise ratios is printed.
 */
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { buildDecoder, decoderParameters, parseDecoderConfig } from '../src/models/architectures/index.ts';
import { arithmeticCharacters, characterTokenizer } from '../src/models/character-tokenizer.ts';
import { writeOnnxFile } from '../src/models/onnx-file.ts';
import { elementCount, float32Tensor } from '../src/onnx/index.ts';
import { openEngine } from '../src/policy/index.ts';
import { loadTokenizer } from '../src/policy/tokenizer/load-tokenizer.ts';
import type { Engine, SampleRequest, TrainingSequence } from '../src/policy/types.ts';
import { normal } from '../src/util/random.ts';
import { conversation, slowEnvironment } from './conversation.ts';
import { openPeer } from './peers/peer.ts';
import { median, round } from './numbers.ts';

const rounds = Number(process.env['RLRUN_BENCH_ROUNDS'] ?? 5);
const seconds = async (work: () => Promise<unknown>): Promise<number> => { const start = performance.now(); await work(); return (performance.now() - start) / 1000; };

const llama = (sizes: Record<string, unknown>): Record<string, unknown> =>
  ({ model_type: 'llama', architectures: ['LlamaForCausalLM'], rms_norm_eps: 1e-5, rope_theta: 10_000, tie_word_embeddings: true, hidden_act: 'silu', max_position_embeddings: 512, bos_token_id: 1, eos_token_id: 2, pad_token_id: 0, ...sizes });
const small = llama({ hidden_size: 128, intermediate_size: 384, num_hidden_layers: 4, num_attention_heads: 4, num_key_value_heads: 2, vocab_size: 64 });
const large = llama({ hidden_size: 576, intermediate_size: 1536, num_hidden_layers: 30, num_attention_heads: 9, num_key_value_heads: 3, vocab_size: 49_152 });

/** A transformers.js directory of that shape. Weights repeat a short random pattern: 135 million draws would take a minute. */
async function modelDirectory(root: string, name: string, config: Record<string, unknown>): Promise<string> {
  const directory = join(root, name);
  await mkdir(join(directory, 'onnx'), { recursive: true });
  const pattern = Float32Array.from({ length: 65_521 }, (_, at) => 0.02 * normal([3], at));
  const decoder = parseDecoderConfig(config, name);
  const weights = new Map(decoderParameters(decoder).map(({ name: parameter, shape, kind }, index) => {
    const values = new Float32Array(elementCount(shape)).fill(1);
    if (kind !== 'norm') for (let at = 0; at < values.length; at += pattern.length) values.set(pattern.subarray(0, Math.min(pattern.length, values.length - at)), at);
    if (kind !== 'norm') values[index % values.length] = 0.01;
    return [parameter, float32Tensor(shape, values)];
  }));
  await writeOnnxFile(join(directory, 'onnx', 'model.onnx'), buildDecoder(decoder, weights));
  const tokenizer = characterTokenizer({ characters: arithmeticCharacters, contextLength: 512 });
  for (const [file, content] of Object.entries({ 'config.json': config, 'generation_config.json': {}, ...tokenizer.files })) await writeFile(join(directory, file), JSON.stringify(content));
  return directory;
}

const prompt = (row: number, length: number, vocabulary: number): number[] => Array.from({ length }, (_, at) => 4 + ((row * 131 + at * 17) % (vocabulary - 4)));

interface RolloutShape { readonly rows: number; readonly group: number; readonly promptLength: number; readonly newTokens: number; readonly vocabulary: number }

const requestsOf = ({ rows, group, promptLength, newTokens, vocabulary }: RolloutShape, step: number): SampleRequest[] =>
  Array.from({ length: rows }, (_, row) => ({
    id: String(row), promptTokenIds: prompt(Math.floor(row / group), promptLength, vocabulary), maxTokens: newTokens,
    temperature: 1, topP: 1, topK: 0, stopTokenIds: [], stopStrings: [], key: [1, step, Math.floor(row / group), row % group],
  }));

async function drain(engine: Engine, requests: readonly SampleRequest[]): Promise<number> {
  let tokens = 0;
  for await (const sample of engine.sampler.sample(requests)) tokens += sample.outputTokenIds.length;
  return tokens;
}

/** Our sampler and stock `generate()` in turn, on one model file. Tokens count up to a row's end, if it has one. */
async function rollouts(directory: string, name: string, shape: RolloutShape, { promptOf, endToken }: { promptOf: (row: number) => number[]; endToken: number | null }): Promise<Record<string, unknown>> {
  const { AutoModelForCausalLM, Tensor, env } = await import('@huggingface/transformers');
  env.allowRemoteModels = false;
  const stock = await AutoModelForCausalLM.from_pretrained(directory, { local_files_only: true, dtype: 'fp32', device: 'cpu' });
  const engine = await openEngine({ modelDirectory: directory, device: 'cpu', threads: 0, train: { method: 'full' }, microBatchTokens: 8192, maxRows: 512, reference: false });
  const { rows, group, promptLength, newTokens } = shape;
  const ids = new BigInt64Array(Array.from({ length: rows }, (_, row) => promptOf(Math.floor(row / group))).flat().map(BigInt));
  const theirs = async (): Promise<number> => {
    const input = { input_ids: new Tensor('int64', ids, [rows, promptLength]), attention_mask: new Tensor('int64', new BigInt64Array(ids.length).fill(1n), [rows, promptLength]) };
    const output = (await stock.generate({ ...input, max_new_tokens: newTokens, do_sample: true, temperature: 1, top_k: 0, eos_token_id: endToken } as never)) as unknown as { tolist(): bigint[][] };
    return output.tolist().reduce((sum, row) => {
      const drawn = row.slice(promptLength), end = endToken === null ? -1 : drawn.indexOf(BigInt(endToken));
      return sum + (end === -1 ? drawn.length : end + 1);
    }, 0);
  };
  const requests = (step: number): SampleRequest[] => requestsOf(shape, step).map((request, row) => ({ ...request, promptTokenIds: promptOf(Math.floor(row / group)), stopTokenIds: endToken === null ? [] : [endToken] }));
  const ours: number[] = [], stockRates: number[] = [];
  for (let step = -1; step < rounds; step++) {
    let count = 0;
    const a = await seconds(async () => { count = await drain(engine, requests(step + 1)); });
    let stockCount = 0;
    const b = await seconds(async () => { stockCount = await theirs(); });
    if (step >= 0) { ours.push(count / a); stockRates.push(stockCount / b); }
  }
  await engine.close();
  await stock.dispose();
  return {
    case: `rollouts, ${name}`, ...shape, tokens_per_second: round(median(ours), 0), transformers_js: round(median(stockRates), 0),
    speedup: round(median(ours.map((value, at) => value / stockRates[at]!))), rounds,
  };
}

/** One GRPO step: rollouts of 8 tasks × 8, then forward, backward and update. TRL does the same in Python. */
async function grpoStep(directory: string): Promise<Record<string, unknown>> {
  const engine = await openEngine({ modelDirectory: directory, device: 'cpu', threads: 0, train: { method: 'full' }, microBatchTokens: 1 << 16, maxRows: 512, reference: false });
  const shape: RolloutShape = { rows: 64, group: 8, promptLength: 16, newTokens: 8, vocabulary: 64 };
  let step = 0;
  const ours = async (): Promise<void> => {
    const requests = requestsOf(shape, step++);
    const samples = new Map<string, { outputTokenIds: number[]; outputLogprobs: number[] }>();
    for await (const sample of engine.sampler.sample(requests)) samples.set(sample.id, sample);
    const sequences = requests.map((request, row) => trainingSequence(request, samples.get(request.id)!, (row % 8) / 8 - 0.4375));
    await engine.trainer.forwardBackward({ sequences }, { kind: 'ppo', ratio: 'token', clipLowThreshold: 0.8, clipHighThreshold: 1.2, reduction: 'token_mean' });
    await engine.trainer.update({ learningRate: 1e-6, beta1: 0.9, beta2: 0.999, eps: 1e-8, weightDecay: 0, maxGradNorm: 1 });
  };
  for (let warm = 0; warm < 5; warm++) await ours();
  const peer = await openPeer('./trl_step.py');
  const own: number[] = [], theirs: number[] = [];
  for (let at = 0; at < Math.max(rounds, 10); at++) {
    own.push(await seconds(ours));
    if (peer !== null) theirs.push(await peer.step());
  }
  peer?.close();
  await engine.close();
  return {
    case: 'a GRPO step, 0.85M, 64 rollouts × 8 tokens', step_ms: round(median(own) * 1000, 1), trl_ms: peer === null ? null : round(median(theirs) * 1000, 1),
    speedup: peer === null ? null : round(median(theirs.map((value, at) => value / own[at]!))),
  };
}

function trainingSequence(request: SampleRequest, { outputTokenIds, outputLogprobs }: { outputTokenIds: number[]; outputLogprobs: number[] }, advantage: number): TrainingSequence {
  const along = <T>(before: T, after: (at: number) => T): T[] => [...request.promptTokenIds.map(() => before), ...outputTokenIds.map((_, at) => after(at))];
  return { tokenIds: [...request.promptTokenIds, ...outputTokenIds], actionMask: along(0, () => 1), samplingLogprobs: along(0, (at) => outputLogprobs[at]!), advantages: along(0, () => advantage), temperature: 1 };
}

/** Resident memory at the first, middle and last of many steps, and the time per token at four lengths. */
async function steady(directory: string): Promise<Record<string, unknown>[]> {
  const engine = await openEngine({ modelDirectory: directory, device: 'cpu', threads: 0, train: { method: 'full' }, microBatchTokens: 8192, maxRows: 512, reference: false });
  const step = async (shape: RolloutShape, index: number): Promise<void> => {
    const requests = requestsOf(shape, index);
    const sequences: TrainingSequence[] = [];
    for await (const sample of engine.sampler.sample(requests)) sequences.push(trainingSequence(requests[Number(sample.id)]!, sample, (Number(sample.id) % 8) / 8 - 0.4375));
    await engine.trainer.forwardBackward({ sequences }, { kind: 'importance_sampling', reduction: 'sum' });
    await engine.trainer.update({ learningRate: 1e-6, beta1: 0.9, beta2: 0.95, eps: 1e-8, weightDecay: 0, maxGradNorm: 1 });
  };
  const tiny: RolloutShape = { rows: 16, group: 8, promptLength: 8, newTokens: 6, vocabulary: 64 };
  const steps = Number(process.env['RLRUN_BENCH_STEPS'] ?? 1000);
  const memory: number[] = [];
  for (let index = 0; index <= steps; index++) {
    await step(tiny, index);
    if (index % Math.ceil(steps / 5) === 0) memory.push(Math.round(process.memoryUsage.rss() / 2 ** 20));
  }
  const costs = [];
  for (const newTokens of [16, 32, 64, 128]) {
    const shape: RolloutShape = { rows: 32, group: 8, promptLength: 16, newTokens, vocabulary: 64 };
    await step(shape, 0);
    const times: number[] = [];
    for (let at = 0; at < 3; at++) times.push(await seconds(() => step(shape, at + 1)));
    costs.push({ new_tokens: newTokens, microseconds_per_token: round((median(times) * 1e6) / (shape.rows * newTokens), 1) });
  }
  await engine.close();
  return [{ case: `memory over ${steps} steps`, rss_mb: memory }, { case: 'cost per token at four lengths', costs }];
}

const root = await mkdtemp(join(tmpdir(), 'rlrun-bench-'));
try {
  const wanted = process.argv[2] ?? '';
  const parts: Record<string, () => Promise<Record<string, unknown> | Record<string, unknown>[]>> = {
    'rollouts-base': async () => {
      const base = fileURLToPath(new URL('../models/arith-tiny', import.meta.url));
      const { encode, endTokenIds } = await loadTokenizer(base);
      // Sums of equal length: stock `generate()` pads on the left, and nobody should be slowed down by that.
      const promptOf = (task: number): number[] => encode(`${10 + ((task * 37) % 90)}+${10 + ((task * 53) % 90)}=`, { addSpecialTokens: true });
      return rollouts(base, 'the embedded base', { rows: 512, group: 8, promptLength: promptOf(0).length, newTokens: 8, vocabulary: 59 }, { promptOf, endToken: endTokenIds[0]! });
    },
    'rollouts-random': async () => rollouts(await modelDirectory(root, 'small', small), '0.85M, random weights: nothing is drawn twice', { rows: 512, group: 8, promptLength: 6, newTokens: 8, vocabulary: 64 }, { promptOf: (task) => prompt(task, 6, 64), endToken: null }),
    'rollouts-large': async () => rollouts(await modelDirectory(root, 'large', large), '135M shape', { rows: 64, group: 8, promptLength: 16, newTokens: 32, vocabulary: 49_152 }, { promptOf: (task) => prompt(task, 16, 49_152), endToken: null }),
    conversation: async () => conversation(await modelDirectory(root, 'conversation', large), rounds),
    'slow-environment': async () => slowEnvironment(await modelDirectory(root, 'slow', large), rounds),
    grpo: async () => grpoStep(await modelDirectory(root, 'grpo', small)),
    steady: async () => steady(await modelDirectory(root, 'steady', small)),
  };
  const results = [];
  for (const [name, run] of Object.entries(parts)) if (name.startsWith(wanted)) results.push(await run());
  console.log(JSON.stringify(results.flat(), null, 2));
} finally {
  await rm(root, { recursive: true, force: true });
}
