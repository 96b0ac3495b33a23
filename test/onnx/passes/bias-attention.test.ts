import { expect, test } from 'vitest';
import { biasAttention, canonicalize, foldShapes, groupHeads, readModel, stripCache, type Model } from '../../../src/onnx/index.ts';
import { decoderFeeds, difference, ints64, operators, run, tinyLlama, type Feeds } from './graphs.ts';

const decoder = (name: string): Model => foldShapes(canonicalize(readModel(`test/onnx/fixtures/decoders/${name}.onnx`)));

/** Two texts of one beginning, [a b c d] and [a b e f], in one row: [a b c d e f]. */
const tree = { ids: [3, 8, 5, 11, 7, 2], positions: [0, 1, 2, 3, 2, 3], parents: [-1, 0, 1, 2, 1, 4] };

function bias(): Float32Array {
  const width = tree.ids.length, values = new Float32Array(width * width).fill(-1e9);
  for (let query = 0; query < width; query++) for (let at = query; at >= 0; at = tree.parents[at]!) values[query * width + at] = 0;
  return values;
}

const feedsOf = (model: Model, ids: number[], positions: number[]): Feeds => {
  const dims = [1, ids.length], some: Feeds = decoderFeeds(model, [ids.length]);
  return { ...some, input_ids: ints64(dims, ids), attention_mask: ints64(dims, ids.map(() => 1)), position_ids: ints64(dims, positions) };
};

test.each([
  ['a mask added to the scores', tinyLlama()],
  ['an exported graph', decoder('llama-traced')],
  ['an exported graph with grouped heads', groupHeads(stripCache(decoder('llama-traced')))],
  ['queries with norms', decoder('qwen3-traced')],
] as const)('a row that holds a tree gives the logits of its texts: %s', async (_, source) => {
  const plain = stripCache(source), biased = biasAttention(plain), width = tree.ids.length;
  const { logits: row } = await run(biased, { ...feedsOf(plain, tree.ids, tree.positions), attention_bias: { dataType: 'float32', dims: [1, 1, width, width], data: bias() } });
  const vocabulary = row!.dims[2]!, at = (columns: number[]): number[] => columns.flatMap((column) => [...(row!.data as Float32Array).subarray(column * vocabulary, (column + 1) * vocabulary)]);
  for (const columns of [[0, 1, 2, 3], [0, 1, 4, 5]]) {
    const { logits: alone } = await run(plain, feedsOf(plain, columns.map((column) => tree.ids[column]!), [0, 1, 2, 3]));
    expect(difference({ ...alone!, data: Float32Array.from(at(columns)) }, alone!)).toBeLessThan(1e-5);
  }
});

test('a mask that all layers share is biased once', () => {
  const plain = stripCache(tinyLlama());
  const before = operators(plain)['Add'] ?? 0;
  expect((operators(biasAttention(plain))['Add'] ?? 0) - before).toBe(1);
});

test('a graph without attention is refused', () => {
  const plain = stripCache(tinyLlama());
  const without = { ...plain, nodes: plain.nodes.map((node) => (node.op === 'Softmax' ? { ...node, op: 'LogSoftmax' } : node)) };
  expect(() => biasAttention(without)).toThrow(/no attention to bias/);
  expect(() => biasAttention({ ...plain, inputs: plain.inputs.filter(({ name }) => name !== 'input_ids') })).toThrow(/input_ids/);
});
