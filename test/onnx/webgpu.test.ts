/**
 * @file The same numbers on WebGPU: every fixture of the floor, many to a graph, since a session of its own for each would take
 * minutes. Skipped where there is no adapter, unless VK_DRIVER_FILES names a driver.
 */
import { afterAll, describe, expect, test } from 'vitest';
import { Builder, DECODER_LAYERS, differentiate, exposeCache, type HostTensor, type Model, type Node } from '../../src/onnx/index.ts';
import { openAdapter } from './adapter.ts';
import { errorsOf, feedsOf, gradientModel, operatorCases } from './cases.ts';
import { decoderCases, decoderErrors } from './decoders.ts';
import { contribErrors, contribFeeds, contribOperators, decomposed } from './passes/contrib.ts';
import { decoderFeeds, tinyLlama } from './passes/graphs.ts';
import { numbersOf, relativeError, runOnce } from './support.ts';

const TOLERANCE = 1e-3;

const adapter = await openAdapter();
afterAll(async () => { await adapter?.dispose(); });

/** One model of a large graph, under names of its own. */
interface Part { readonly model: Model; readonly feeds: Readonly<Record<string, HostTensor>> }

function sideBySide(models: readonly Model[]): Model {
  const parts = models.map((model, index): Model => {
    const own = (name: string): string => (name === '' ? '' : `${index}/${name}`);
    const named = <T extends { readonly name: string }>(info: T): T => ({ ...info, name: own(info.name) });
    return {
      ...model, inputs: model.inputs.map(named), outputs: model.outputs.map(named), valueInfo: new Map(),
      nodes: model.nodes.map((node): Node => ({ ...node, name: own(node.name), inputs: node.inputs.map(own), outputs: node.outputs.map(own) })),
      initializers: new Map([...model.initializers].map(([name, tensor]) => [own(name), tensor])),
    };
  });
  return {
    ...parts[0]!, opsets: new Map(parts.flatMap(({ opsets }) => [...opsets])), inputs: parts.flatMap(({ inputs }) => inputs), outputs: parts.flatMap(({ outputs }) => outputs),
    nodes: parts.flatMap(({ nodes }) => nodes), initializers: new Map(parts.flatMap(({ initializers }) => [...initializers])),
  };
}

/** Runs all of them in one session; the results of each, by its own names. */
async function runTogether(parts: readonly Part[]): Promise<Record<string, HostTensor>[]> {
  const feeds = Object.fromEntries(parts.flatMap((part, index) => Object.entries(part.feeds).map(([name, feed]) => [`${index}/${name}`, feed])));
  const results = await runOnce(sideBySide(parts.map(({ model }) => model)), feeds, 'webgpu');
  return parts.map(({ model }, index) => Object.fromEntries(model.outputs.map(({ name }) => [name, results[`${index}/${name}`]!])));
}

/** In as few graphs as their opsets allow, of a size that a failing session still points somewhere. */
function batches<T extends Part>(parts: readonly T[], size = 64): T[][] {
  const byOpset = [...Map.groupBy(parts, ({ model }) => model.opsets.get('')!).values()];
  return byOpset.flatMap((group) => Array.from({ length: Math.ceil(group.length / size) }, (_, index) => group.slice(index * size, (index + 1) * size)));
}
const titleOf = (batch: readonly { title: string }[]): string => `${batch[0]!.title} … ${batch.at(-1)!.title}`;

describe.skipIf(adapter === null)('on WebGPU', () => {
  const operators = operatorCases.flatMap(([title, fixture]) => {
    const model = gradientModel(fixture);
    return model === null ? [] : [{ title, fixture, model, feeds: feedsOf(model, fixture) }];
  });
  test.each(batches(operators).map((batch) => ({ title: titleOf(batch), batch })))('gradients agree with PyTorch: $title', async ({ batch }) => {
    const results = await runTogether(batch);
    expect(batch.flatMap(({ title, fixture }, index) => errorsOf(results[index]!, fixture, TOLERANCE).map((error) => [title, ...error]))).toEqual([]);
  });

  const fused = contribOperators.flatMap((operator) => operator.cases.map((fixture) => ({ title: `${operator.operator} ${fixture.name}`, fixture, model: decomposed(operator, fixture), feeds: contribFeeds(fixture) })));
  test.each(batches(fused).map((batch) => ({ title: titleOf(batch), batch })))('decomposed operators agree with the CPU kernel: $title', async ({ batch }) => {
    const results = await runTogether(batch);
    expect(batch.flatMap(({ title, fixture }, index) => contribErrors(results[index]!, fixture).filter(([, error]) => !(error <= TOLERANCE)).map((error) => [title, ...error]))).toEqual([]);
  });

  test.each(decoderCases)('loss and every parameter gradient agree with PyTorch: $title', async (decoder) => {
    const [whole, training] = await runTogether([decoder.whole(), decoder.training()]);
    expect(decoderErrors(whole!, decoder, TOLERANCE)).toEqual([]);
    expect(decoderErrors(training!, decoder, TOLERANCE)).toEqual([]);
  });

  test.each(decoderCases.filter(({ title }) => /^(llama-traced|qwen3-genai) $/.test(title)))('layers computed a second time give the same gradients: $title', async (decoder) => {
    const [results] = await runTogether([decoder.training({ recompute: DECODER_LAYERS })]);
    expect(decoderErrors(results!, decoder, TOLERANCE)).toEqual([]);
  });

  test('attention over an empty cache is attention over the new rows alone', async () => {
    const decoder = exposeCache(tinyLlama()), feeds = decoderFeeds(decoder, [5, 3]);
    const [expected, actual] = [await runOnce(decoder, feeds), await runOnce(decoder, feeds, 'webgpu')];
    for (const { name } of decoder.outputs) expect(relativeError(numbersOf(actual[name]!), numbersOf(expected[name]!)), name).toBeLessThanOrEqual(TOLERANCE);
  });

  test('a decoder of wider layers and longer rows has the gradients that it has on the CPU', async () => {
    const decoder = tinyLlama({ hidden: 64, heads: 4, kvHeads: 2, headSize: 16, vocabulary: 61, cache: false });
    const b = new Builder(decoder);
    b.output('loss', b.mean(b.square(b.value('logits'))));
    const wrt = [...decoder.initializers].filter(([name, { dims }]) => name.startsWith('model.') && dims.length > 0).map(([name]) => name);
    const model = differentiate(b.build(), { output: 'loss', wrt }), feeds = decoderFeeds(decoder, [70, 33, 51], { vocabulary: 61 });
    const [expected, actual] = [await runOnce(model, feeds), await runOnce(model, feeds, 'webgpu')];
    expect(wrt.length).toBeGreaterThan(15);
    for (const { name } of model.outputs) expect(relativeError(numbersOf(actual[name]!), numbersOf(expected[name]!)), name).toBeLessThanOrEqual(TOLERANCE);
  });
});
