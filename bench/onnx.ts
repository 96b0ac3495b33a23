/**
 * `npm run bench:onnx`: forward and backward of two decoders against the speed of their own matrix products, and against PyTorch.
 *
 * All products of matrices in the graph are timed as a graph of nothing else, in the same rounds, with the same shapes and operators,
 * twice: `cached` lets operands of one shape share their memory, which then stays in the processor's cache, as it never does in a
 * model: an upper bound. `own_memory` gives every operand memory of its own, as weights and activations have it. The ratios are the
 * products' time over the whole step's. Products of a matrix with a vector count as work beside the products.
 * PyTorch is asked in turn with us, one step each, when a Python with torch is there (RLRUN_PYTHON, or python3).
 */
import { setTimeout } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { execa } from 'execa';
import { buildDecoder, decoderParameters, parseDecoderConfig } from '../src/models/architectures/index.ts';
import { Builder, createSession, elementCount, f32, float32Tensor, inferTypes, intAttribute, release, type Dim, type HostTensor, type Model, type Node, type Value } from '../src/onnx/index.ts';
import { prepareDecoder } from '../src/policy/decoder.ts';
import { denominators } from '../src/policy/losses/weights.ts';
import { microBatches, trainingFeeds } from '../src/policy/micro-batches.ts';
import { trainingGraph } from '../src/policy/training-graph.ts';
import type { Loss, TrainMethod, TrainingSequence } from '../src/policy/types.ts';
import { uniform } from '../src/util/random.ts';
import { openPeer, type Peer } from './peers/peer.ts';
import { median, round } from './numbers.ts';

interface Case {
  readonly name: string;
  readonly config: Record<string, unknown>;
  readonly train: TrainMethod;
  readonly rows: number;
  readonly length: number;
  /** Tokens at the end of each row that are scored. */
  readonly scored: number;
  readonly rounds: number;
}

const llama = (sizes: Record<string, unknown>): Record<string, unknown> =>
  ({ model_type: 'llama', rms_norm_eps: 1e-5, rope_theta: 10_000, tie_word_embeddings: true, hidden_act: 'silu', max_position_embeddings: 512, ...sizes });

const cases: readonly Case[] = [
  {
    name: '135M LoRA r=16, 8×128', rows: 8, length: 129, scored: 64, rounds: 7,
    config: llama({ hidden_size: 576, intermediate_size: 1536, num_hidden_layers: 30, num_attention_heads: 9, num_key_value_heads: 3, vocab_size: 49_152 }),
    train: { method: 'lora', rank: 16, alpha: 32, targets: ['all-linear'], seed: 0 },
  },
  {
    name: '0.85M full, 64×24', rows: 64, length: 25, scored: 8, rounds: 35,
    config: llama({ hidden_size: 128, intermediate_size: 384, num_hidden_layers: 4, num_attention_heads: 4, num_key_value_heads: 4, vocab_size: 64 }),
    train: { method: 'full' },
  },
];

const factor = Number(process.env['RLRUN_BENCH_ROUNDS'] ?? 7) / 7;
const loss: Loss = { kind: 'importance_sampling', reduction: 'sum' };
const timed = async (work: () => Promise<unknown>): Promise<number> => { const start = performance.now(); await work(); return performance.now() - start; };

function randomWeights(config: Record<string, unknown>): Model {
  const decoder = parseDecoderConfig(config, 'bench');
  return buildDecoder(decoder, new Map(decoderParameters(decoder).map(({ name, shape, kind }, index) => {
    const values = new Float32Array(elementCount(shape));
    // A short pattern: the bench needs no good random numbers, and 135 million of them take a while.
    for (let at = 0; at < values.length; at++) values[at] = kind === 'norm' ? 1 : 0.04 * (((at * 2654435761 + index) % 1000) / 1000 - 0.5);
    return [name, float32Tensor(shape, values)];
  })));
}

function batchOf({ rows, length, scored, config }: Case): TrainingSequence[] {
  const vocabulary = Number(config['vocab_size']);
  return Array.from({ length: rows }, (_, row): TrainingSequence => {
    const inside = (value: (at: number) => number): number[] => Array.from({ length }, (_, at) => (at >= length - scored ? value(at) : 0));
    return {
      tokenIds: Array.from({ length }, (_, at) => Math.floor(uniform([1, row], at) * vocabulary)),
      actionMask: inside(() => 1), samplingLogprobs: inside(() => -Math.log(vocabulary)), advantages: inside((at) => uniform([2, row], at) - 0.5), temperature: 1,
    };
  });
}

/** One matrix product of the graph. */
interface Product { node: Node; shapes: [readonly number[], readonly number[]]; constant: [boolean, boolean]; flops: number }

function products(model: Model, feeds: Readonly<Record<string, HostTensor>>): Product[] {
  const concrete: Model = { ...model, inputs: model.inputs.map((info) => ({ ...info, shape: feeds[info.name]!.dims })), valueInfo: new Map() };
  const types = inferTypes(concrete);
  const numbers = (name: string): number[] => types.get(name)!.shape!.map((dim: Dim) => { if (typeof dim !== 'number') throw new Error(`${name}: ${dim}`); return dim; });
  const isProduct = ({ op, inputs, outputs }: Node): boolean =>
    (op === 'MatMul' || op === 'Gemm') && numbers(outputs[0]!).slice(-2).every((size) => size > 1) && inputs.every((name) => numbers(name).length > 1);
  return concrete.nodes.filter(isProduct).map((node) => {
    const [a, b] = [numbers(node.inputs[0]!), numbers(node.inputs[1]!)];
    const inner = intAttribute(node, 'transA', 0) === 1 ? a.at(-2)! : a.at(-1)!;
    const constant: [boolean, boolean] = [model.initializers.has(node.inputs[0]!), model.initializers.has(node.inputs[1]!)];
    return { node, shapes: [a, b], constant, flops: 2 * elementCount(numbers(node.outputs[0]!)) * inner };
  });
}

type Memory = 'cached' | 'own';

/** Nothing but the products, each as it stands in the graph: constants stay constants, since ONNX Runtime packs them beforehand. */
async function productsAlone(all: readonly Product[], kind: Memory): Promise<() => Promise<unknown>> {
  const b = new Builder();
  const feeds: Record<string, HostTensor> = {}, memory = new Map<string, Float32Array>(), held = new Map<string, Value>();
  // Inputs keep names of their own where they share memory: equal products of equal operands would be computed once.
  const operand = (dims: readonly number[], constant: boolean, value: string, place: string): Value => {
    const shape = dims.join('x'), name = kind === 'own' ? value : constant ? `constant ${shape}` : place;
    const known = held.get(name);
    if (known !== undefined) return known;
    const key = kind === 'own' ? value : shape;
    const data = memory.get(key) ?? new Float32Array(elementCount(dims)).fill(0.01);
    memory.set(key, data);
    if (!constant) feeds[name] = f32(data, dims);
    const made = constant ? b.initializer(name, float32Tensor(dims, data)) : b.input(name, 'float32', dims);
    held.set(name, made);
    return made;
  };
  // One element of each: copying results to JavaScript is not part of a product.
  const samples = all.map(({ node, shapes, constant }, index) => {
    const operands = shapes.map((dims, side) => operand(dims, constant[side]!, node.inputs[side]!, `x${index}.${side}`));
    return b.slice(b.reshape(b.op(node.op, operands, node.attributes), [-1]), { axis: 0, start: 0, end: 1 });
  });
  b.output('y', b.concat(samples, 0));
  const session = await createSession(b.build());
  return () => session.run(feeds);
}

function torchPeer(bench: Case): Promise<Peer | null> {
  const lora = bench.train.method === 'lora' ? bench.train.rank : 0;
  return openPeer('./torch_step.py', [JSON.stringify({ ...bench.config, rows: bench.rows, length: bench.length, scored: bench.scored, lora })]);
}

async function measure(bench: Case): Promise<Record<string, unknown>> {
  const decoder = prepareDecoder(randomWeights(bench.config), bench.train);
  let graph: Model | undefined;
  const differentiateMs = await timed(async () => { graph = trainingGraph(decoder.training, { loss, parameters: decoder.parameters.map(({ name }) => name) }); });
  const session = await createSession(graph!);
  const sequences = batchOf(bench);
  const micro = microBatches(sequences, { budget: Infinity, sharedWidth: 0 })[0]!;
  const feeds = {
    ...Object.fromEntries(decoder.parameters.map(({ name, dims, initial }) => [name, f32(initial, dims)])),
    ...trainingFeeds(micro, { loss, totals: denominators({ sequences }), reference: null }),
  };
  await session.run(feeds);
  // Of the step alone: the products on their own memory need gigabytes more.
  const peakMemory = process.resourceUsage().maxRSS;
  const all = products(graph!, feeds);
  const alone = { cached: await productsAlone(all, 'cached'), own: await productsAlone(all, 'own') };
  const peer = await torchPeer(bench);

  const rounds = Math.ceil(bench.rounds * factor);
  const ours: number[] = [], cached: number[] = [], own: number[] = [], theirs: number[] = [];
  for (let round = -1; round < rounds; round++) {
    const whole = await timed(async () => release(await session.run(feeds)));
    const hot = await timed(alone.cached), cold = await timed(alone.own);
    const torch = peer === null ? NaN : (await peer.step()) * 1000;
    // PyTorch's threads stay awake for a while and would take a core from what comes next.
    if (peer !== null) await setTimeout(100);
    if (round >= 0) { ours.push(whole); cached.push(hot); own.push(cold); theirs.push(torch); } // the first round warms up
  }
  peer?.close();
  const flops = all.reduce((total, product) => total + product.flops, 0);
  const paired = (a: readonly number[], b: readonly number[]): number => median(a.map((value, index) => value / b[index]!));
  return {
    case: bench.name,
    nodes: graph!.nodes.length,
    differentiate_ms: round(differentiateMs, 0),
    step_ms: round(median(ours), 1),
    tokens_per_second: round((bench.rows * (bench.length - 1)) / (median(ours) / 1000), 0),
    gflop: round(flops / 1e9),
    gflops: round(flops / 1e6 / median(ours), 1),
    gemm_cached_gflops: round(flops / 1e6 / median(cached), 1),
    gemm_own_memory_gflops: round(flops / 1e6 / median(own), 1),
    ratio_to_gemm_cached: round(paired(cached, ours)),
    ratio_to_gemm_own_memory: round(paired(own, ours)),
    pytorch_ms: peer === null ? null : round(median(theirs), 1),
    speedup_over_pytorch: peer === null ? null : round(paired(theirs, ours)),
    rounds,
    peak_memory_mb: Math.round(peakMemory / 1024),
  };
}

/** In a process of its own: the peak of memory is a process's. */
async function measureApart(bench: Case): Promise<unknown[]> {
  const { stdout } = await execa(process.execPath, [fileURLToPath(import.meta.url), bench.name]);
  return JSON.parse(stdout) as unknown[];
}

// `node bench/onnx.ts 135M` measures the case whose name begins so.
const chosen = process.argv[2];
const results: unknown[] = [];
for (const bench of cases) {
  if (chosen === undefined) results.push(...(await measureApart(bench)));
  else if (bench.name.startsWith(chosen)) results.push(await measure(bench));
}
console.log(JSON.stringify(results, null, 2));
