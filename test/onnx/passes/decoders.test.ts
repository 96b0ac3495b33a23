import { readdirSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { canonicalize, decompose, exposeCache, foldShapes, selectLogits, stripCache } from '../../../src/onnx/passes/index.ts';
import { readModel } from '../../../src/onnx/read-model.ts';
import type { HostTensor } from '../../../src/onnx/session.ts';
import { decoderFeeds, difference, ints64, run, type Feeds } from './graphs.ts';

const FOLDER = 'test/onnx/fixtures/decoders', VOCABULARY = 97;
const names = readdirSync(FOLDER).filter((name) => name.endsWith('.onnx'));

/** What the exporters leave open in the shape of a cache. */
const headSize = (file: string): number => (file.startsWith('llama-traced') || /^(phi|qwen2|gpt).*traced/.test(file) ? 8 : 16);

/** The exported graph on two rows of nine, then on one more token each. */
async function steps(file: string): Promise<{ feeds: [Feeds, Feeds]; logits: [HostTensor, HostTensor]; present: HostTensor[] }> {
  const model = readModel(`${FOLDER}/${file}`);
  const depth = headSize(file);
  const first: Feeds = Object.fromEntries(Object.entries(decoderFeeds(model, [9, 9], { vocabulary: VOCABULARY })).map(([name, feed]) => [name, name.startsWith('past') ? { ...feed, dims: [2, feed.dims[1]!, 0, depth] } : feed]));
  const prompt = await run(model, first);
  const present = Object.keys(prompt).filter((name) => name !== 'logits');
  const second: Feeds = {
    input_ids: ints64([2, 1], [4, 5]), attention_mask: ints64([2, 10], Array<number>(20).fill(1)), position_ids: ints64([2, 1], [9, 9]),
    ...Object.fromEntries(present.map((name) => [name.replace('present', 'past_key_values'), prompt[name]!])),
  };
  const next = await run(model, second);
  return { feeds: [first, second], logits: [prompt['logits']!, next['logits']!], present: present.map((name) => next[name]!) };
}

describe.each(names)('%s', (file) => {
  it('becomes a graph of primitives that reads whole sequences, and one that keeps its cache outside', async () => {
    const canonical = canonicalize(readModel(`${FOLDER}/${file}`));
    const { feeds: [first, second], logits: [prompt, next], present } = await steps(file);

    const whole = foldShapes(decompose(stripCache(canonical)));
    expect(whole.nodes.filter(({ domain }) => domain !== '')).toEqual([]);
    expect(whole.inputs.filter(({ name }) => name.startsWith('past'))).toEqual([]);
    expect(difference((await run(whole, first))['logits']!, prompt)).toBeLessThan(2e-6);

    const selected = await run(selectLogits(whole), { ...first, logit_positions: ints64([2], [17, 3]) });
    const row = (at: number): number[] => [...(prompt.data as Float32Array).subarray(at * VOCABULARY, (at + 1) * VOCABULARY)];
    expect(difference(selected['logits']!, { dataType: 'float32', dims: [2, VOCABULARY], data: Float32Array.from([...row(17), ...row(3)]) })).toBeLessThan(2e-6);

    const outside = exposeCache(foldShapes(decompose(canonical)));
    expect(outside.nodes.filter(({ op, inputs }) => op === 'Concat' && inputs.some((name) => name.startsWith('past')))).toEqual([]);
    const fresh = await run(outside, first), step = await run(outside, second);
    expect(difference(fresh['logits']!, prompt)).toBeLessThan(2e-6);
    expect(difference(step['logits']!, next)).toBeLessThan(2e-6);
    // The new rows are the last ones of the cache that the original puts together.
    Object.keys(step).filter((name) => name !== 'logits').forEach((name, index) => {
      const all = present[index]!, [batch, heads, total, depth] = all.dims as [number, number, number, number];
      const last = Float32Array.from(Array.from({ length: batch * heads }, (_, block) => [...(all.data as Float32Array).subarray((block * total + total - 1) * depth, (block + 1) * total * depth)]).flat());
      expect(difference(step[name]!, { dataType: 'float32', dims: [batch, heads, 1, depth], data: last }), name).toBeLessThan(2e-6);
    });
  });
});

/** A window counted in columns of the mask, as Gemma's trace has it, also counts the columns that a short row leaves empty. */
const countsColumns = (file: string): boolean => /^gemma.*traced/.test(file);

describe.each(names.filter((file) => !countsColumns(file)))('%s with a cache outside', (file) => {
  it('goes on with rows of different lengths, each packed at the front of its cache', async () => {
    const canonical = canonicalize(readModel(`${FOLDER}/${file}`));
    const whole = foldShapes(decompose(stripCache(canonical))), outside = exposeCache(foldShapes(decompose(canonical)));
    const lengths = [7, 4], longest = 7, depth = headSize(file);
    const prompt: Record<string, HostTensor> = decoderFeeds(outside, lengths, { vocabulary: VOCABULARY });
    for (const [name, feed] of Object.entries(prompt)) if (name.startsWith('past')) prompt[name] = { ...feed, dims: [2, feed.dims[1]!, 0, depth] };
    const fresh = await run(outside, prompt);
    const next: Feeds = {
      input_ids: ints64([2, 1], [4, 5]), position_ids: ints64([2, 1], lengths),
      attention_mask: ints64([2, longest + 1], lengths.flatMap((length) => [...Array.from({ length: longest }, (_, at) => (at < length ? 1 : 0)), 1])),
      ...Object.fromEntries(Object.keys(fresh).filter((name) => name !== 'logits').map((name) => [name.replace('present', 'past_key_values'), fresh[name]!])),
    };
    const step = (await run(outside, next))['logits']!;
    for (const [row, length] of lengths.entries()) {
      const ids = [...prompt['input_ids']!.data.subarray(row * longest, row * longest + length)].map(Number);
      const all = await run(whole, { input_ids: ints64([1, length + 1], [...ids, 4 + row]), attention_mask: ints64([1, length + 1], Array<number>(length + 1).fill(1)), position_ids: ints64([1, length + 1], [...Array(length + 1).keys()]) });
      const last = (logits: HostTensor, at: number): HostTensor => ({ dataType: 'float32', dims: [VOCABULARY], data: (logits.data as Float32Array).slice(at * VOCABULARY, (at + 1) * VOCABULARY) });
      expect(difference(last(step, row), last(all['logits']!, length)), `row ${row}`).toBeLessThan(5e-6);
    }
  });
});
