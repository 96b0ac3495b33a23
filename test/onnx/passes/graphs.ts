/** @file Graphs to try passes on, and running them. */
import { Builder, type Value } from '../../../src/onnx/builder.ts';
import type { DataType, Model } from '../../../src/onnx/ir.ts';
import { createSession, type Device, type HostTensor } from '../../../src/onnx/session.ts';
import { float32Tensor } from '../../../src/onnx/tensor.ts';
import { testDevice } from '../support.ts';

/** Repeatable noise in [−1, 1). */
export function noise(seed: number): () => number {
  let state = (seed + 1) * 0x9e3779b1;
  return () => {
    state = Math.imul(state ^ (state >>> 15), 0x85ebca6b);
    state = Math.imul(state ^ (state >>> 13), 0xc2b2ae35) ^ (state >>> 16);
    return ((state >>> 0) / 2 ** 31) - 1;
  };
}

export const count = (dims: readonly number[]): number => dims.reduce((product, dim) => product * dim, 1);

export function randomFloats(dims: readonly number[], seed: number, scale = 1): Float32Array {
  const next = noise(seed);
  return Float32Array.from({ length: count(dims) }, () => next() * scale);
}

export const floats = (dims: readonly number[], seed = 1, scale = 1): HostTensor => ({ dataType: 'float32', dims, data: randomFloats(dims, seed, scale) });
export const ints64 = (dims: readonly number[], values: readonly number[]): HostTensor => ({ dataType: 'int64', dims, data: BigInt64Array.from(values.map(BigInt)) });
export const ints32 = (dims: readonly number[], values: readonly number[]): HostTensor => ({ dataType: 'int32', dims, data: Int32Array.from(values) });

export type Feeds = Readonly<Record<string, HostTensor>>;

/** Runs a model once, on the device under test; inputs that it does not have are not fed. */
export async function run(model: Model, feeds: Feeds, device: Device = testDevice): Promise<Record<string, HostTensor>> {
  const session = await createSession(model, { threads: 1, device });
  try {
    return await session.run(feeds);
  } finally {
    await session.dispose();
  }
}

/** max |a − b| / (max |b| + 1e-6): the measure of the whole floor. */
export function difference(actual: HostTensor, expected: HostTensor): number {
  if (actual.dims.join() !== expected.dims.join()) throw new Error(`shapes [${actual.dims.join()}] and [${expected.dims.join()}] differ`);
  let error = 0, size = 0;
  for (let at = 0; at < expected.data.length; at++) {
    const a = Number(actual.data[at]), b = Number(expected.data[at]);
    if (Number.isNaN(a) !== Number.isNaN(b)) return Infinity;
    error = Math.max(error, Math.abs(a - b) || 0);
    size = Math.max(size, Math.abs(b) || 0);
  }
  return error / (size + 1e-6);
}

export const operators = (model: Model): Record<string, number> =>
  model.nodes.reduce<Record<string, number>>((counts, { op }) => ({ ...counts, [op]: (counts[op] ?? 0) + 1 }), {});

/** One operator as a model, to be compared with what a pass makes of it. */
export function single(inputs: Readonly<Record<string, HostTensor>>, body: (b: Builder, values: Record<string, Value>) => readonly (Value | null)[], { symbolic = true }: { symbolic?: boolean } = {}): Model {
  const b = new Builder();
  const values = Object.fromEntries(Object.entries(inputs).map(([name, { dataType, dims }]) => [name, b.input(name, dataType as DataType, symbolic ? dims.map((dim, axis) => (axis < 2 && dims.length > 1 ? `d${dim}` : dim)) : dims)]));
  body(b, values).forEach((value, index) => { if (value !== null) b.output(`y${index}`, value); });
  return b.build();
}

export interface TinyLlama {
  layers?: number;
  heads?: number;
  kvHeads?: number;
  headSize?: number;
  hidden?: number;
  vocabulary?: number;
  tied?: boolean;
  /** With `past_key_values.*` in and `present.*` out. */
  cache?: boolean;
}

/** A Llama of a few kilobytes, written as the project's own architectures are: grouped attention, rotary halves, additive mask. */
export function tinyLlama({ layers = 2, heads = 4, kvHeads = 2, headSize = 8, hidden = 32, vocabulary = 29, tied = true, cache = true }: TinyLlama = {}): Model {
  const b = new Builder();
  let seed = 10;
  const weight = (name: string, dims: readonly number[], scale = dims.length === 1 ? 1 : dims[0]! ** -0.5): Value => b.initializer(name, float32Tensor(dims, randomFloats(dims, seed++, scale)));
  const ids = b.input('input_ids', 'int64', ['batch_size', 'sequence_length']);
  const mask = b.input('attention_mask', 'int64', ['batch_size', cache ? 'past_sequence_length + sequence_length' : 'sequence_length']);
  const positions = b.input('position_ids', 'int64', ['batch_size', 'sequence_length']);
  const past = Array.from({ length: cache ? layers : 0 }, (_, layer) => ['key', 'value'].map((kind) => b.input(`past_key_values.${layer}.${kind}`, 'float32', ['batch_size', kvHeads, 'past_sequence_length', headSize])));
  const half = headSize / 2;

  const [cos, sin] = b.within('/model/rotary_emb', () => {
    const frequencies = b.initializer('inv_freq', float32Tensor([1, 1, half], Float32Array.from({ length: half }, (_, at) => 10_000 ** (-at / half))));
    const angles = b.mul(b.cast(b.unsqueeze(positions, [2]), 'float32'), frequencies);
    return [b.unsqueeze(b.cos(angles), [1]), b.unsqueeze(b.sin(angles), [1])];
  });
  const rotate = (x: Value): Value => {
    const [left, right] = b.split(x, [half, half], 3) as [Value, Value];
    return b.concat([b.sub(b.mul(left, cos!), b.mul(right, sin!)), b.add(b.mul(right, cos!), b.mul(left, sin!))], 3);
  };
  // Query s of a row stands at index (total − sequence) + s of the mask.
  const allowed = b.within('/model/mask', () => {
    const order = b.cumsum(b.cast(mask, 'int32'), 1);
    const keys = b.unsqueeze(order, [1, 2]);
    const own = b.slice(order, { axis: 1, start: b.neg(b.shape(ids, { start: 1, end: 2 })) });
    const visible = b.and(b.lessOrEqual(keys, b.unsqueeze(own, [1, 3])), b.greater(b.unsqueeze(mask, [1, 2]), 0));
    return b.where(visible, 0, b.scalar(-1e9));
  });

  const embedding = weight('model.embed_tokens.weight', [vocabulary, hidden], 0.5);
  let x = b.gather(embedding, ids);
  const present: [string, Value][] = [];
  const linear = (name: string, from: Value, width: number, size: number): Value => b.within(`/model/${name.replaceAll('.', '/').replace('layers/', 'layers.')}`, () => b.matmul(from, weight(`model.${name}.weight`, [width, size])));
  for (let layer = 0; layer < layers; layer++) {
    const scope = `layers.${layer}`;
    const h = b.rmsNorm(x, weight(`model.${scope}.input_layernorm.weight`, [hidden]), 1e-5);
    const split = (value: Value, size: number): Value => b.transpose(b.reshape(value, [0, 0, size, headSize]), [0, 2, 1, 3]);
    const q = rotate(split(linear(`${scope}.self_attn.q_proj`, h, hidden, heads * headSize), heads));
    const [k, v] = [rotate(split(linear(`${scope}.self_attn.k_proj`, h, hidden, kvHeads * headSize), kvHeads)), split(linear(`${scope}.self_attn.v_proj`, h, hidden, kvHeads * headSize), kvHeads)]
      .map((fresh, kind) => {
        if (!cache) return fresh;
        const all = b.op('Concat', [past[layer]![kind]!, fresh], { axis: { kind: 'int', value: 2 } }, { outputNames: [`present.${layer}.${kind === 0 ? 'key' : 'value'}`] });
        present.push([all.name, all]);
        return all;
      }) as [Value, Value];
    const scores = b.mul(b.matmul(b.reshape(q, [0, kvHeads, -1, headSize]), b.transpose(k, [0, 1, 3, 2])), headSize ** -0.5);
    const weights = b.softmax(b.add(b.reshape(scores, [0, heads, -1, 0]), allowed));
    const mixed = b.matmul(b.reshape(weights, [0, kvHeads, -1, 0]), v);
    const joined = b.reshape(b.transpose(b.reshape(mixed, [0, heads, -1, headSize]), [0, 2, 1, 3]), [0, 0, heads * headSize]);
    x = b.add(x, linear(`${scope}.self_attn.o_proj`, joined, heads * headSize, hidden));
    const m = b.rmsNorm(x, weight(`model.${scope}.post_attention_layernorm.weight`, [hidden]), 1e-5);
    const gate = linear(`${scope}.mlp.gate_proj`, m, hidden, 48);
    x = b.add(x, linear(`${scope}.mlp.down_proj`, b.mul(b.mul(gate, b.sigmoid(gate)), linear(`${scope}.mlp.up_proj`, m, hidden, 48)), 48, hidden));
  }
  const last = b.rmsNorm(x, weight('model.norm.weight', [hidden]), 1e-5);
  const head = tied ? b.transpose(embedding, [1, 0]) : weight('lm_head.weight', [hidden, vocabulary]);
  b.output('logits', b.within('/lm_head', () => b.matmul(last, head)));
  for (const [name, value] of present) b.output(name, value);
  return b.build();
}

/** Ragged rows, right-padded, with what a decoder wants beside them; an empty cache where the model has one. */
export function decoderFeeds(model: Model, lengths: readonly number[] = [6, 4, 5], { vocabulary = 29, seed = 3 } = {}): Record<string, HostTensor> {
  const batch = lengths.length, longest = Math.max(...lengths), next = noise(seed);
  const ids = Array.from({ length: batch * longest }, () => Math.floor((next() + 1) / 2 * vocabulary));
  const mask = lengths.flatMap((length) => Array.from({ length: longest }, (_, at) => (at < length ? 1 : 0)));
  const positions = lengths.flatMap(() => Array.from({ length: longest }, (_, at) => at));
  const feeds: Record<string, HostTensor> = { input_ids: ints64([batch, longest], ids), attention_mask: ints64([batch, longest], mask), position_ids: ints64([batch, longest], positions) };
  for (const { name, shape } of model.inputs) {
    if (name.startsWith('past')) feeds[name] = { dataType: 'float32', dims: [batch, shape![1] as number, 0, shape![3] as number], data: new Float32Array() };
    if (name.endsWith('logits_to_keep')) feeds[name] = ints64([], [0]);
  }
  return feeds;
}
