/** Several calls under way at once, of conversations that go on. */
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import ort from 'onnxruntime-node';
import { openEngine } from '../../src/policy/index.ts';
import type { EngineCore } from '../../src/policy/engine-core.ts';
import type { Sample, SampleRequest } from '../../src/policy/types.ts';
import { heldSideBySide } from './conversations.ts';
import { adam, drawAll, engineOptions, never, openCore, randomPrompt, request, sequenceOf, temporaryDirectory, tinyModel, weightsOf } from './support.ts';

let scratch: Awaited<ReturnType<typeof temporaryDirectory>>;
let model: string, long: string;
beforeAll(async () => {
  scratch = await temporaryDirectory();
  model = await tinyModel(join(scratch.path, 'model'));
  long = await tinyModel(join(scratch.path, 'long'), { config: { max_position_embeddings: 512 } });
});
afterAll(async () => { await scratch[Symbol.asyncDispose](); });

heldSideBySide({ scenarios: 8 });

/** Shapes of the runs of the model: [rows, new columns, past columns]. */
function watchRuns(): { runs: number[][]; stop: () => void } {
  const { prototype } = ort.InferenceSession as unknown as { prototype: ort.InferenceSession };
  const runs: number[][] = [], run = prototype.run;
  const spy = vi.spyOn(prototype, 'run').mockImplementation(function watched(this: ort.InferenceSession, ...args: Parameters<typeof run>) {
    const { input_ids: ids, 'past_key_values.0.key': past } = args[0] as Record<string, ort.Tensor>;
    if (ids && past) runs.push([...ids.dims, past.dims[2]!]);
    return run.apply(this, args);
  });
  return { runs, stop: () => spy.mockRestore() };
}

const one = async (engine: EngineCore, asked: SampleRequest): Promise<Sample> => (await drawAll(engine, [asked]))[0]!;

describe('what was kept', () => {
  /** Tokens that a first turn of four tokens, and a second one that goes on from it, read besides those that they draw. */
  async function secondTurn(engine: EngineCore, { keep, between = async () => {} }: { keep: boolean; between?: (text: number[]) => Promise<unknown> }): Promise<number> {
    const prompt = randomPrompt(1, 20);
    const first = await one(engine, request(0, prompt, { maxTokens: 4, stopTokenIds: [], keep }));
    const text = [...prompt, ...first.outputTokenIds];
    await between(text);
    const { runs, stop } = watchRuns();
    await one(engine, request(0, [...text, 7, 8, 9], { maxTokens: 1, stopTokenIds: [] }));
    stop();
    return runs.reduce((sum, [rows = 0, columns = 0]) => sum + rows * columns, 0);
  }
  const adamStep = async (engine: EngineCore): Promise<void> => {
    const asked = request(0, randomPrompt(2, 4)), sample = await one(engine, asked);
    await engine.forwardBackward({ sequences: [sequenceOf(asked, sample, 1)] }, { kind: 'importance_sampling', reduction: 'sum' }, never);
    engine.update(adam());
  };

  test.each<[string, number, { keep: boolean; between?: (engine: EngineCore, text: number[]) => Promise<unknown> }]>([
    ['is not read again: what is new is, and the last token drawn', 4, { keep: true }],
    ['is read again if nobody asked to keep it', 27, { keep: false }],
    ['is forgotten once it is released', 27, { keep: true, between: async (engine, text) => engine.release(text) }],
    ['is forgotten when the weights change', 27, { keep: true, between: (engine) => adamStep(engine) }],
    ['is forgotten when the weights are set back', 27, { keep: true, between: async (engine) => engine.reset() }],
  ])('%s', async (_, tokens, { keep, between = async () => {} }) => {
    const engine = await openCore(model);
    expect(await secondTurn(engine, { keep, between: (text) => between(engine, text) })).toBe(tokens);
    await engine.close();
  });

  test('is read once for a group that goes on alike, and its prompt serves those who come later', async () => {
    const engine = await openCore(model), prompt = randomPrompt(3, 30);
    const [first] = await drawAll(engine, Array.from({ length: 4 }, (_, index) => request(index, prompt, { maxTokens: 3, temperature: 0, stopTokenIds: [], keep: true })));
    const { runs, stop } = watchRuns();
    await drawAll(engine, Array.from({ length: 4 }, (_, index) => request(index, [...prompt, ...first!.outputTokenIds, 5, 6], { maxTokens: 1, keep: true })));
    await one(engine, request(9, [...prompt, 11], { maxTokens: 1 }));
    stop();
    expect(runs.map(([rows, columns]) => [rows, columns])).toEqual([[1, 3], [1, 1]]);
    await engine.close();
  });
});

test('a long prompt is read in parts, so that those who are being decoded need not wait for all of it', async () => {
  const engine = await openCore(long), { runs, stop } = watchRuns();
  let late: Promise<Sample> | undefined;
  const onToken = (): void => { late ??= one(engine, request(5, randomPrompt(5, 500), { maxTokens: 2, stopTokenIds: [] })); };
  await engine.sample([0, 1, 2].map((index) => request(index, randomPrompt(index, 5), { maxTokens: 30, stopTokenIds: [] })), { cancelled: never, onSample: () => {}, onToken });
  await late;
  stop();
  const parts = runs.flatMap(([rows, columns], at) => (rows === 1 && columns! > 1 && columns! < 400 ? [at] : []));
  expect(parts.length).toBe(2);
  expect(runs.slice(parts[0]! + 1, parts[1]).length).toBeGreaterThan(0);
  await engine.close();
});

test('prompts that are read in parts and wait for places in one call are answered as each alone', async () => {
  const [engine, alone] = [await openCore(long, { maxRows: 4 }), await openCore(long, { maxRows: 1 })];
  const requests = [400, 5, 90, 300, 300, 12, 250, 70, 70].map((length, index) => request(index, randomPrompt(length, length), { maxTokens: 2 + 3 * index, exact: true }));
  const together = await drawAll(engine, requests);
  for (const [index, asked] of requests.entries()) expect(together[index]!.outputTokenIds).toEqual((await one(alone, asked)).outputTokenIds);
  await engine.close();
  await alone.close();
});

test('one who comes while many are being decoded is read with others who come, or soon', async () => {
  const engine = await openCore(long), { runs, stop } = watchRuns();
  const late: Promise<Sample>[] = [];
  const onToken = (): void => { if (late.length < 3) late.push(one(engine, request(50 + late.length, randomPrompt(50 + late.length, 9), { maxTokens: 1 }))); };
  await engine.sample(Array.from({ length: 40 }, (_, index) => request(index, randomPrompt(index, 5), { maxTokens: 12, stopTokenIds: [] })), { cancelled: never, onSample: () => {}, onToken });
  await Promise.all(late);
  stop();
  const reads = runs.flatMap(([rows, columns], at) => (columns! > 1 ? [{ rows, at }] : []));
  expect(reads.map(({ rows }) => rows)).toEqual([40, 3]);
  expect(reads[1]!.at).toBeLessThan(7);
  await engine.close();
});

test('a batch is scored alike to the bit, whatever was sampled before or is being sampled meanwhile', async () => {
  const engine = await openCore(model), requests = [3, 9, 9, 5].map((length, index) => request(index, randomPrompt(index % 3, length)));
  const samples = await drawAll(engine, requests), batch = { sequences: samples.map((sample, index) => sequenceOf(requests[index]!, sample, 1)) };
  const { logprobs } = await engine.forward(batch, never);
  const [, again] = await Promise.all([drawAll(engine, requests.map((each) => ({ ...each, keep: true, maxTokens: 30 }))), engine.forward(batch, never)]);
  expect(again.logprobs).toEqual(logprobs);
  await engine.close();
});

test('what thousands of requests leave behind is bounded by what may be kept', async () => {
  const engine = await openCore(model, { keptBytes: 200_000 });
  const serve = async (count: number): Promise<number> => {
    for (let first = 0; first < count; first += 25) await drawAll(engine, Array.from({ length: 25 }, (_, index) => request(index, randomPrompt(first + index, 8), { maxTokens: 2, keep: true })));
    return process.memoryUsage().arrayBuffers;
  };
  await serve(1000);
  const before = await serve(500), after = await serve(4000);
  expect(after - before).toBeLessThan(20e6);
  await engine.close();
});

test('a run that fails ends the calls that it was for, and the next begins afresh', async () => {
  const engine = await openCore(model), { prototype } = ort.InferenceSession as unknown as { prototype: ort.InferenceSession };
  const requests = [0, 1].map((index) => request(index, randomPrompt(index, 9), { keep: true }));
  const expected = await drawAll(engine, requests);
  const run = vi.spyOn(prototype, 'run').mockRejectedValueOnce(new Error('no memory'));
  const calls = await Promise.allSettled([drawAll(engine, requests), drawAll(engine, requests.map((each) => ({ ...each, topK: 3 })))]);
  expect(calls.map(({ status }) => status)).toEqual(['rejected', 'fulfilled']);
  run.mockRestore();
  expect((await drawAll(engine, requests)).map(({ outputTokenIds }) => outputTokenIds)).toEqual(expected.map(({ outputTokenIds }) => outputTokenIds));
  await engine.close();
});

describe('through the worker', () => {
  const collect = async (samples: AsyncIterable<Sample>): Promise<Sample[]> => {
    const all: Sample[] = [];
    for await (const sample of samples) all.push(sample);
    return all;
  };
  const endless = (index: number): SampleRequest => request(index, randomPrompt(index, 5), { maxTokens: 400, stopTokenIds: [] });

  test('a short answer does not wait for a long one that was asked for before', async () => {
    await using engine = await openEngine(engineOptions(long));
    const ends: string[] = [];
    const call = async (name: string, asked: SampleRequest): Promise<void> => { await collect(engine.sampler.sample([asked])); ends.push(name); };
    await Promise.all([call('long', endless(0)), call('short', request(1, randomPrompt(1, 5), { maxTokens: 2 })), call('filtered', request(2, randomPrompt(1, 5), { maxTokens: 2, topK: 3 }))]);
    expect(ends.at(-1)).toBe('long');
  });

  test('an answer that nobody waits for any more makes place at once, and those of others go on', async () => {
    await using engine = await openEngine(engineOptions(long, { maxRows: 2 }));
    const abort = new AbortController();
    const impatient = collect(engine.sampler.sample([endless(0), endless(1)], { signal: abort.signal, onToken: () => abort.abort() }));
    const other = collect(engine.sampler.sample([request(2, randomPrompt(2, 5), { maxTokens: 3, stopTokenIds: [] })]));
    expect((await impatient).map(({ stopReason }) => stopReason)).toEqual(['cancelled', 'cancelled']);
    expect((await impatient).every(({ outputTokenIds }) => outputTokenIds.length < 400)).toBe(true);
    expect((await other)[0]!.outputTokenIds).toHaveLength(3);
  });

  test('a call with a request that no model can answer fails alone', async () => {
    await using engine = await openEngine(engineOptions(model));
    const good = collect(engine.sampler.sample([request(0, randomPrompt(0, 5), { maxTokens: 20, stopTokenIds: [] })]));
    await expect(collect(engine.sampler.sample([request(1, [1, 2]), request(2, [])]))).rejects.toThrow('cannot sample request "r2"');
    expect((await good)[0]!.outputTokenIds).toHaveLength(20);
  });

  test('an update waits for the answers asked for before it, and those asked for behind it see the new weights', async () => {
    await using engine = await openEngine(engineOptions(long)), reference = await openEngine(engineOptions(long));
    const asked = endless(0), sample = (await collect(reference.sampler.sample([{ ...asked, maxTokens: 4 }])))[0]!;
    const batch = { sequences: [sequenceOf(asked, sample, 1)] }, loss = { kind: 'importance_sampling', reduction: 'sum' } as const;
    const calls = [
      collect(engine.sampler.sample([asked])), engine.trainer.forwardBackward(batch, loss), engine.trainer.update(adam({ learningRate: 0.05 })), collect(engine.sampler.sample([asked])),
    ] as const;
    const [before, , , after] = await Promise.all(calls);
    expect(before[0]!.outputTokenIds).toEqual((await collect(reference.sampler.sample([asked])))[0]!.outputTokenIds);
    await reference.trainer.forwardBackward(batch, loss);
    await reference.trainer.update(adam({ learningRate: 0.05 }));
    expect(after).toEqual(await collect(reference.sampler.sample([asked])));
    expect(await weightsOf(engine)).toEqual(await weightsOf(reference));
  });

  test('training goes on beside an answer that takes long', async () => {
    await using engine = await openEngine(engineOptions(long));
    const ends: string[] = [], asked = endless(0);
    const answer = collect(engine.sampler.sample([asked])).then((all) => { ends.push('answer'); return all[0]!; });
    await engine.trainer.forward({ sequences: [sequenceOf(asked, { id: '', outputTokenIds: [5], outputLogprobs: [-1], stopReason: 'length' }, 1)] });
    ends.push('forward');
    expect((await answer).outputTokenIds).toHaveLength(400);
    expect(ends).toEqual(['forward', 'answer']);
  });
});
