/** Recomputation: the same gradients, and memory for the inside of one layer instead of all. */
import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import * as ort from 'onnxruntime-node';
import { describe, expect, test } from 'vitest';
import { Builder, DECODER_LAYERS, differentiate, f32, inferTypes, writeModel, type HostTensor, type Model, type Node } from '../../src/onnx/index.ts';
import { decoderCases, decoderErrors } from './decoders.ts';
import { numbersOf, runOnce } from './support.ts';

/** `depth` layers of tanh(x·W)·x, named as a decoder's. */
function deep(depth: number): Model {
  const b = new Builder();
  let x = b.input('x', 'float32', ['rows', 4]);
  for (let layer = 0; layer < depth; layer++) {
    const w = b.input(`w${layer}`, 'float32', [4, 4]);
    x = b.within(`model/layers.${layer}`, () => b.add(x, b.mul(b.tanh(b.matmul(x, w)), x)));
  }
  b.output('loss', b.sum(b.square(x)));
  return b.build();
}
const wrtOf = (depth: number): string[] => Array.from({ length: depth }, (_, layer) => `w${layer}`);

const isInside = ({ name }: Node): boolean => DECODER_LAYERS.test(name) && !name.startsWith('grad/');

/** What the backward reads of the inside of layers: `node ← value`. Shapes and indices do not count, they are small. */
function readsOfInside(model: Model): string[] {
  const types = inferTypes(model);
  const layerOf = (node: Node): string | undefined => DECODER_LAYERS.exec(node.name)?.[0];
  const forward = model.nodes.filter(({ name }) => !name.startsWith('grad/'));
  const makers = new Map(forward.filter(isInside).flatMap((node) => node.outputs.map((name) => [name, node] as const)));
  const leaving = new Set(forward.flatMap((node) => node.inputs.filter((name) => makers.has(name) && layerOf(makers.get(name)!) !== layerOf(node))));
  return model.nodes.filter(({ name }) => name.startsWith('grad/')).flatMap((node) =>
    node.inputs.filter((name) => makers.has(name) && !leaving.has(name) && types.get(name)?.dataType === 'float32').map((name) => `${node.name} ← ${name}`));
}

/** Runs a graph as it is written: ONNX Runtime's fusions round differently where a product is read twice. */
async function runUnoptimized(model: Model, feeds: Readonly<Record<string, HostTensor>>): Promise<Record<string, number[]>> {
  const session = await ort.InferenceSession.create(writeModel(model), { graphOptimizationLevel: 'disabled', intraOpNumThreads: 1 });
  const inputs = session.inputNames.map((name) => { const { dataType, data, dims } = feeds[name]!; return [name, new ort.Tensor(dataType as 'float32', data as Float32Array, dims)] as const; });
  const outputs = await session.run(Object.fromEntries(inputs));
  await session.release();
  return Object.fromEntries(Object.entries(outputs).map(([name, { data }]) => [name, [...(data as Float32Array)]]));
}

describe('recompute', () => {
  test.each(decoderCases.filter(({ title }) => /llama-traced |qwen3|gemma2|gpt2|gpt-neox|genai /.test(title)))('gives bit for bit the gradients of the graph that keeps everything: $title', async (decoder) => {
    for (const form of ['whole', 'training'] as const) {
      const kept = decoder[form](), again = decoder[form]({ recompute: DECODER_LAYERS });
      expect(again.model.nodes.length).toBeGreaterThan(kept.model.nodes.length);
      expect(await runUnoptimized(again.model, again.feeds)).toEqual(await runUnoptimized(kept.model, kept.feeds));
    }
  });

  test.each(decoderCases)('gives the gradients of PyTorch, as ONNX Runtime optimizes it: $title', async (decoder) => {
    const { model, feeds } = decoder.training({ recompute: DECODER_LAYERS });
    const results = await runOnce(model, feeds);
    expect(decoderErrors(results, decoder, 1e-5)).toEqual([]);
  });

  test('the backward reads nothing of the inside of a layer but its copies', () => {
    const depth = 3;
    expect(readsOfInside(differentiate(deep(depth), { output: 'loss', wrt: wrtOf(depth) })).length).toBeGreaterThan(depth);
    expect(readsOfInside(differentiate(deep(depth), { output: 'loss', wrt: wrtOf(depth), recompute: DECODER_LAYERS }))).toEqual([]);
  });

  test('the copies of a layer wait for all gradients of the layers behind it', () => {
    const model = differentiate(deep(3), { output: 'loss', wrt: wrtOf(3), recompute: DECODER_LAYERS });
    const producers = new Map(model.nodes.flatMap((node) => node.outputs.map((name) => [name, node] as const)));
    const needs = (name: string, seen = new Set<string>()): Set<string> => {
      for (const input of producers.get(name)?.inputs ?? []) if (!seen.has(input)) { seen.add(input); needs(input, seen); }
      return seen;
    };
    const copies = model.nodes.filter(({ name, op }) => name.includes('recompute/') && op === 'Tanh');
    const gradientOf = (layer: number): string => { const name = `grad.w${layer}`; return producers.get(name)?.op === 'Identity' ? producers.get(name)!.inputs[0]! : name; };
    expect(copies).toHaveLength(3);
    for (const copy of copies) {
      const layer = Number(/layers\.(\d+)/.exec(copy.name)![1]), before = needs(copy.outputs[0]!);
      for (let later = layer + 1; later < 3; later++) expect(before.has(gradientOf(later)), `layer ${layer} waits for layer ${later}`).toBe(true);
    }
  });

  test('a gradient that is not finite does not spread to others', async () => {
    // The second layer's weight has no part in the overflow of the first row, which the mask takes out again.
    const b = new Builder(deep(2));
    b.output('masked', b.sum(b.where(b.less(b.input('choose', 'float32', ['rows', 1]), 0.5), b.square(b.value('loss')), 0)));
    const feeds = {
      x: f32(Float32Array.of(1e30, 1, 1, 1, 0.1, 0.2, 0.3, 0.4), [2, 4]), choose: f32(Float32Array.of(1, 1), [2, 1]),
      w0: f32(new Float32Array(16).fill(0.3), [4, 4]), w1: f32(new Float32Array(16).fill(-0.2), [4, 4]),
    };
    const [kept, again] = await Promise.all([undefined, DECODER_LAYERS].map((recompute) => runOnce(differentiate(b.build(), { output: 'masked', wrt: wrtOf(2), ...(recompute ? { recompute } : {}) }), feeds)));
    for (const name of ['grad.w0', 'grad.w1']) expect(numbersOf(again![name]!)).toEqual(numbersOf(kept![name]!));
  });

  test('a pattern says what a segment is; its flags do not matter', async () => {
    const feeds = Object.fromEntries([['x', f32(Float32Array.of(0.1, 0.2, 0.3, 0.4), [1, 4])] as const, ...wrtOf(4).map((name, index) => [name, f32(new Float32Array(16).fill(0.1 * (index + 1)), [4, 4])] as const)]);
    const model = deep(4), options = { output: 'loss', wrt: wrtOf(4) };
    const expected = await runOnce(differentiate(model, options), feeds);
    for (const pattern of [/layers\.[01]|layers\.[23]/g, /layers/, /layers\.2\//y, /Tanh/]) {
      const actual = await runOnce(differentiate(model, { ...options, recompute: pattern }), feeds);
      for (const name of wrtOf(4)) expect(numbersOf(actual[`grad.${name}`]!), `${pattern}`).toEqual(numbersOf(expected[`grad.${name}`]!));
    }
  });

  test('a pattern that matches nothing is an error that shows names', () => {
    expect(() => differentiate(deep(1), { output: 'loss', wrt: ['w0'], recompute: /blocks/ })).toThrow(/recompute: no node's name matches \/blocks\/; names are like "model\/layers\.0\/MatMul"/);
  });

  test('a long batch needs much less memory: the inside of one layer, not of sixteen', async () => {
    const peak = async (recompute: boolean): Promise<number> => {
      const { stdout } = await promisify(execFile)(process.execPath, [fileURLToPath(new URL('../../bench/recompute.ts', import.meta.url)), '16 layers full, 4×384, narrow', String(recompute)]);
      const { before_mb, peak_mb } = JSON.parse(stdout) as { before_mb: number; peak_mb: number };
      return peak_mb - before_mb;
    };
    const [kept, again] = [await peak(false), await peak(true)];
    expect(again).toBeLessThan(0.4 * kept);
  });
});
