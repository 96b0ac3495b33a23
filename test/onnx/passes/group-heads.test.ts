import { describe, expect, it } from 'vitest';
import { canonicalize, exposeCache, foldShapes, gatherColumns, groupHeads, stripCache } from '../../../src/onnx/passes/index.ts';
import { readModel } from '../../../src/onnx/read-model.ts';
import { Builder } from '../../../src/onnx/builder.ts';
import { decoderFeeds, difference, floats, ints64, operators, run } from './graphs.ts';

const decoder = (name: string) => foldShapes(canonicalize(readModel(`test/onnx/fixtures/decoders/${name}.onnx`)));

describe('groupHeads', () => {
  it.each(['llama-traced', 'qwen2-traced', 'qwen3-traced', 'gemma2-traced', 'gemma3-traced'])('reads the shared heads of %s as they are', async (name) => {
    const before = stripCache(decoder(name)), after = groupHeads(before), feeds = decoderFeeds(before, [7, 5], { vocabulary: 97 });
    expect((operators(before)['Expand'] ?? 0) - (operators(after)['Expand'] ?? 0)).toBe(4);
    expect(difference((await run(after, feeds))['logits']!, (await run(before, feeds))['logits']!)).toBeLessThan(2e-6);
  });

  it('leaves the cache to be kept outside', async () => {
    const before = decoder('llama-traced'), after = exposeCache(groupHeads(before)), feeds = decoderFeeds(before, [7, 7], { vocabulary: 97 });
    const past = after.inputs.filter(({ name }) => name.startsWith('past')).map(({ name }) => name);
    const readers = after.nodes.filter(({ inputs }) => inputs.some((name) => past.includes(name)));
    expect(new Set(readers.map(({ op }) => op))).toEqual(new Set(['Transpose', 'MatMul', 'Shape']));
    expect(difference((await run(after, feeds))['logits']!, (await run(before, feeds))['logits']!)).toBeLessThan(2e-6);
  });

  it('leaves heads alone that are repeated in another order', async () => {
    const b = new Builder();
    const q = b.input('q', 'float32', ['b', 4, 's', 3]), k = b.input('k', 'float32', ['b', 2, 't', 3]);
    // [k0 k1 k0 k1] instead of [k0 k0 k1 k1]
    const tiled = b.reshape(b.expand(b.unsqueeze(k, [1]), [1, 2, 1, 1, 1]), [0, 4, -1, 3]);
    b.output('y', b.matmul(q, b.transpose(tiled, [0, 1, 3, 2])));
    const model = b.build(), after = groupHeads(model), feeds = { q: floats([2, 4, 5, 3]), k: floats([2, 2, 6, 3], 2) };
    expect(operators(after)).toMatchObject({ Expand: 1, Reshape: 1, MatMul: 1 });
    expect(difference((await run(after, feeds))['y']!, (await run(model, feeds))['y']!)).toBe(0);
  });
});

describe('gatherColumns', () => {
  it('turns the rows that are read, not the table', async () => {
    const b = new Builder(), table = b.input('table', 'float32', [8, 11]), ids = b.input('ids', 'int64', ['b', 's']);
    const rows = b.transpose(table, [1, 0]);
    b.output('rows', b.gather(rows, ids));
    b.output('logits', b.matmul(b.gather(rows, ids), table));
    const before = b.build(), after = gatherColumns(before), feeds = { table: floats([8, 11]), ids: ints64([2, 3], [0, 10, 5, 5, 2, 1]) };
    const transpose = after.nodes.filter(({ op }) => op === 'Transpose');
    expect(transpose.every(({ inputs }) => inputs[0] !== 'table')).toBe(true);
    const [expected, actual] = [await run(before, feeds), await run(after, feeds)];
    for (const name of ['rows', 'logits']) expect(difference(actual[name]!, expected[name]!)).toBeLessThan(1e-6);
  });
});
