import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { createSession, f32, readModel, type Session } from '../../src/onnx/index.ts';
import { prepareDecoder } from '../../src/policy/decoder.ts';
import type { EngineCore } from '../../src/policy/engine-core.ts';
import { openEngine } from '../../src/policy/index.ts';
import { KeptTexts } from '../../src/policy/kept-texts.ts';
import { KeyValueCache } from '../../src/policy/key-value-cache.ts';
import { ContinuousSampler } from '../../src/policy/sampler.ts';
import { samplingGraph } from '../../src/policy/sampling-graph.ts';
import type { Engine, Sample, SampleRequest } from '../../src/policy/types.ts';
import { drawAll, engineOptions, everyNext, meanDifference, never, openCore, randomPrompt, request, sequenceOf, temporaryDirectory, tinyModel, tokenizer } from './support.ts';

let scratch: Awaited<ReturnType<typeof temporaryDirectory>>;
let model: string, large: string;
let engine: EngineCore;
beforeAll(async () => {
  scratch = await temporaryDirectory();
  model = await tinyModel(join(scratch.path, 'model'));
  large = await tinyModel(join(scratch.path, 'large'), { sharpness: 4, config: { vocab_size: 3000 } });
  engine = await openCore(model);
});
afterAll(async () => {
  await engine.close();
  await scratch[Symbol.asyncDispose]();
});

/** Eight ragged prompts, four requests each. */
const ragged = (overrides: Partial<SampleRequest> = {}, vocabularySize?: number): SampleRequest[] => [3, 17, 6, 30, 2, 9, 12, 5].flatMap((length, prompt) =>
  Array.from({ length: 4 }, (_, sample) => request(4 * prompt + sample, randomPrompt(prompt, length, vocabularySize), { key: [1, 2, prompt, sample], maxTokens: 4 + 5 * sample, ...overrides })));

describe('sampler and trainer agree on log-probabilities', () => {
  test.each([1, 3, 10, 64])('with %d rows side by side', async (maxRows) => {
    const from = await openCore(model, { maxRows });
    expect(await meanDifference(from, ragged())).toBeLessThan(1e-5);
    expect(await meanDifference(from, ragged({ temperature: 0.7 }))).toBeLessThan(1e-5);
    await from.close();
  });

  test('over a vocabulary that is searched in two levels', async () => {
    const from = await openCore(large, { maxRows: 7 });
    expect(await meanDifference(from, ragged({}, 3000))).toBeLessThan(1e-5);
    await from.close();
  });

  test('with adapters, in a model with windows and norms of queries and keys, and after an update', async () => {
    const config = { model_type: 'qwen3', use_sliding_window: true, sliding_window: 7, max_window_layers: 1, tie_word_embeddings: false };
    const directory = await tinyModel(join(scratch.path, 'qwen3'), { config });
    const from = await openCore(directory, { maxRows: 9, train: { method: 'lora', rank: 4, alpha: 16, targets: ['all-linear'], seed: 2 } });
    expect(await meanDifference(from, ragged())).toBeLessThan(1e-5);
    const requests = ragged(), samples = await drawAll(from, requests);
    await from.forwardBackward({ sequences: samples.map((sample, index) => sequenceOf(requests[index]!, sample, (index % 3) - 1)) }, { kind: 'importance_sampling', reduction: 'sum' }, never);
    from.update({ learningRate: 0.02, beta1: 0.9, beta2: 0.95, eps: 1e-8, weightDecay: 0, maxGradNorm: 0 });
    expect(await meanDifference(from, ragged())).toBeLessThan(1e-5);
    const moved = await drawAll(from, requests);
    expect(moved.map(({ outputTokenIds }) => outputTokenIds)).not.toEqual(samples.map(({ outputTokenIds }) => outputTokenIds));
    await from.close();
  });
});

describe("a row's text depends on nothing but itself", () => {
  const texts = (samples: readonly Sample[]): number[][] => samples.map(({ outputTokenIds }) => outputTokenIds);

  test('not on how many rows there are, nor on their order', async () => {
    const requests = ragged();
    const expected = texts(await drawAll(engine, requests));
    for (const maxRows of [1, 5]) {
      const from = await openCore(model, { maxRows });
      expect(texts(await drawAll(from, requests))).toEqual(expected);
      expect(texts(await drawAll(from, requests.toReversed())).reverse()).toEqual(expected);
      await from.close();
    }
  });

  test('not on whether others are filtered or greedy', async () => {
    const mixed = ragged().map((each, index) => ({ ...each, ...[{}, { topK: 5 }, { topP: 0.6 }, { temperature: 0 }][index % 4] }));
    const together = texts(await drawAll(engine, mixed));
    const alone: number[][] = [];
    for (const each of mixed) alone.push(...texts(await drawAll(engine, [each])));
    expect(together).toEqual(alone);
  });

  test('but it does on its random stream', async () => {
    const [once, again, other] = await drawAll(engine, [request(0, [1, 9], { key: [1, 0, 0, 0] }), request(1, [1, 9], { key: [1, 0, 0, 0] }), request(2, [1, 9], { key: [1, 0, 0, 1] })]);
    expect(again!.outputTokenIds).toEqual(once!.outputTokenIds);
    expect(other!.outputTokenIds).not.toEqual(once!.outputTokenIds);
  });

  test.each([['plain', {}], ['exact', { exact: true }], ['filtered', { topK: 5 }], ['exact and filtered', { topK: 5, exact: true }]])('a later answer goes on in the stream of its rollout (%s)', async (_, more) => {
    const key: SampleRequest['key'] = [1, 0, 0, 0], stopTokenIds: number[] = [];
    const [whole] = await drawAll(engine, [request(0, [1, 9], { key, stopTokenIds, maxTokens: 8, ...more })]);
    const later = [1, 9, ...whole!.outputTokenIds.slice(0, 3)];
    const [rest, anew] = await drawAll(engine, [3, 0].map((drawn, index) => request(index, later, { key, stopTokenIds, maxTokens: 5, drawn, ...more })));
    expect(rest!.outputTokenIds).toEqual(whole!.outputTokenIds.slice(3));
    expect(anew!.outputTokenIds).not.toEqual(rest!.outputTokenIds);
  });
});

describe('work that is done once', () => {
  /** The engine's sampler over a session that notes the shape of every run: [rows, new columns, past columns]. */
  async function recorded(requests: readonly SampleRequest[], maxRows: number): Promise<{ prefills: number[][]; steps: number[][]; samples: number }> {
    const decoder = prepareDecoder(readModel(join(model, 'onnx', 'model.onnx')), { method: 'full' });
    const session = await createSession(samplingGraph(decoder.sampling, { filtered: false }), { threads: 1 });
    const newCache = (): KeyValueCache => new KeyValueCache(decoder.cache, decoder.cacheAlignment);
    const prefills: number[][] = [], steps: number[][] = [];
    const counting: Session = { ...session, run: (feeds) => {
      const past = feeds['past_key_values.0.key']!.dims[2]!;
      (past === 0 ? prefills : steps).push([...feeds['input_ids']!.dims, past]);
      return session.run(feeds);
    } };
    let samples = 0;
    const parameters = Object.fromEntries(decoder.parameters.map(({ name, dims, initial }) => [name, f32(initial, dims)]));
    const sampler = new ContinuousSampler({
      session: async () => counting, newCache, readingCache: newCache(), kept: new KeptTexts({ budget: 0, bytesPerToken: 1 }),
      info: engine.info, parameters, maxRows, textDecoder: async () => () => '',
    });
    await sampler.sample(requests, { cancelled: never, onSample: ({ outputTokenIds }) => { samples += outputTokenIds.length > 0 ? 1 : 0; } });
    await session.dispose();
    return { prefills, steps, samples };
  }
  const groups = (count: number, size: number): SampleRequest[] => Array.from({ length: count * size }, (_, index) =>
    request(index, randomPrompt(Math.floor(index / size), 5 + (Math.floor(index / size) % 3)), { maxTokens: 1 + (index % 7), stopTokenIds: [] }));

  test('the prompt of a group is computed once, whatever the number of rows', async () => {
    for (const [maxRows, size] of [[64, 4], [16, 4], [12, 3]] as const) {
      const { prefills, samples } = await recorded(groups(10, size), maxRows);
      expect(samples).toBe(10 * size);
      expect(prefills.reduce((sum, [rows = 0]) => sum + rows, 0), `${maxRows} rows`).toBe(10);
    }
  });

  test('what several requests have drawn alike is computed once', async () => {
    const requests = Array.from({ length: 12 }, (_, index) => request(index, randomPrompt(1, 6), { maxTokens: 6, stopTokenIds: [], temperature: index < 6 ? 0 : 1 }));
    const { prefills, steps, samples } = await recorded(requests, 64);
    expect(samples).toBe(12);
    expect(prefills).toEqual([[1, 6, 0]]);
    // Six greedy rows stay one; those that are drawn part one by one.
    expect(steps).toHaveLength(5);
    expect(steps[0]![0]).toBeLessThan(8);
    expect(steps.every(([rows = 0]) => rows <= 7)).toBe(true);
  });

  test('no run has more rows than allowed, and finished rows are replaced', async () => {
    const { prefills, steps } = await recorded(groups(10, 4), 8);
    expect(Math.max(...steps.map(([rows = 0]) => rows))).toBeLessThanOrEqual(8);
    expect(prefills.length).toBeGreaterThan(4);
    // Rows that were done at once cost less than eight rows all the way for each batch of eight.
    expect(steps.length).toBeLessThan(5 * 6);
  });

  test('a group that is larger than all rows is drawn in parts', async () => {
    const { samples } = await recorded(groups(1, 30), 8);
    expect(samples).toBe(30);
  });
});

test('with top-k and top-p, log-probabilities are those of the renormalised distribution', async () => {
  const requests = ragged({ topK: 6, topP: 0.8, temperature: 1.2 }).slice(0, 12);
  const samples = await drawAll(engine, requests);
  // The reference asks the trainer for every token's probability at each place.
  for (const [index, sample] of samples.slice(0, 4).entries()) {
    const { promptTokenIds } = requests[index]!;
    for (const [at, token] of sample.outputTokenIds.entries()) {
      const prefix = [...promptTokenIds, ...sample.outputTokenIds.slice(0, at)];
      const sequences = everyNext(prefix, 1.2);
      const { logprobs } = await engine.forward({ sequences }, never);
      const ranked = logprobs.map((values, next) => ({ next, p: Math.exp(values.at(-1)!) })).sort((a, b) => b.p - a.p).slice(0, 6);
      const top = ranked.reduce((sum, { p }) => sum + p, 0);
      const kept = ranked.filter((_, rank) => ranked.slice(0, rank).reduce((sum, { p }) => sum + p, 0) / top < 0.8);
      const chosen = kept.find(({ next }) => next === token);
      expect(chosen, `token ${token} is among the kept`).toBeDefined();
      expect(sample.outputLogprobs[at]).toBeCloseTo(Math.log(chosen!.p / kept.reduce((sum, { p }) => sum + p, 0)), 4);
    }
  }
});

test('sampled first tokens come as often as the trainer says (chi-square)', async () => {
  const prompt = randomPrompt(3, 6), draws = 6000;
  const samples = await drawAll(engine, Array.from({ length: draws }, (_, index) => request(index, prompt, { maxTokens: 1, stopTokenIds: [], key: [21, 0, 0, index] })));
  const sequences = everyNext(prompt, 1);
  const { logprobs } = await engine.forward({ sequences }, never);
  const counts = sequences.map(() => 0);
  for (const { outputTokenIds } of samples) counts[outputTokenIds[0]!]! += 1;
  const cells = logprobs.map((values, token) => ({ expected: draws * Math.exp(values.at(-1)!), seen: counts[token]! })).filter(({ expected }) => expected >= 5);
  const statistic = cells.reduce((sum, { expected, seen }) => sum + (seen - expected) ** 2 / expected, 0), freedom = cells.length - 1;
  expect(freedom).toBeGreaterThan(5);
  expect(Math.abs(Math.cbrt(statistic / freedom) - (1 - 2 / (9 * freedom))) / Math.sqrt(2 / (9 * freedom))).toBeLessThan(3.5);
});

describe('a completion ends', () => {
  const greedy = (overrides: Partial<SampleRequest> = {}): SampleRequest => request(0, randomPrompt(8, 5), { temperature: 0, stopTokenIds: [], maxTokens: 20, ...overrides });
  const one = async (overrides: Partial<SampleRequest>): Promise<Sample> => (await drawAll(engine, [greedy(overrides)]))[0]!;

  test('at max_tokens', async () => {
    const sample = await one({ maxTokens: 3 });
    expect(sample).toMatchObject({ id: 'r0', stopReason: 'length' });
    expect(sample.outputTokenIds).toHaveLength(3);
    expect(sample.outputLogprobs).toHaveLength(3);
  });

  test('after its first stop token, which belongs to it', async () => {
    const free = await one({}), stop = free.outputTokenIds.find((token, at) => at >= 2 && !free.outputTokenIds.slice(0, at).includes(token))!;
    const end = free.outputTokenIds.indexOf(stop) + 1;
    const sample = await one({ stopTokenIds: [tokenizer.eosTokenId, stop] });
    expect(sample).toEqual({ id: 'r0', outputTokenIds: free.outputTokenIds.slice(0, end), outputLogprobs: free.outputLogprobs.slice(0, end), stopReason: 'stop' });
  });

  test('once its text contains a stop string, also one over several tokens', async () => {
    const characters = ['<pad>', '<bos>', '<eos>', '<unk>', ...'0123456789+-*/=(),.:;?!<>%^ abcdefghijklmnopqrstuvwxyz\n'];
    const free = await one({ temperature: 1 });
    const text = free.outputTokenIds.map((token) => characters[token]!), places = text.map((_, at) => at).slice(2, -2);
    const at = places.find((place) => text[place]!.length === 1 && text[place + 1]!.length === 1 && !text.slice(0, place + 1).join('').includes(text[place]! + text[place + 1]!))!;
    const sample = await one({ temperature: 1, stopStrings: ['not in there', text[at]! + text[at + 1]!] });
    expect(sample.stopReason).toBe('stop');
    expect(sample.outputTokenIds).toEqual(free.outputTokenIds.slice(0, at + 2));
  });

  test("where the model's context ends", async () => {
    const [sample] = await drawAll(engine, [greedy({ promptTokenIds: randomPrompt(8, 60), maxTokens: 100 })]);
    expect(sample!.outputTokenIds).toHaveLength(4);
    expect(sample!.stopReason).toBe('length');
  });
});

test('greedy takes the most likely token at every place, and says its probability at temperature 1', async () => {
  const [sample] = await drawAll(engine, [request(0, randomPrompt(2, 7), { temperature: 0, stopTokenIds: [] })]);
  const prompt = randomPrompt(2, 7);
  for (const [at, token] of sample!.outputTokenIds.entries()) {
    const sequences = everyNext([...prompt, ...sample!.outputTokenIds.slice(0, at)], 1);
    const logprobs = (await engine.forward({ sequences }, never)).logprobs.map((values) => values.at(-1)!);
    expect(token).toBe(logprobs.indexOf(Math.max(...logprobs)));
    expect(sample!.outputLogprobs[at]).toBeCloseTo(Math.max(...logprobs), 4);
  }
});

describe('a request that no model can answer is refused by name, before anything is drawn', () => {
  test.each([
    ['a prompt longer than the context', { promptTokenIds: randomPrompt(1, 64) }, 'cannot sample request "r1": its prompt has 64 tokens, and the model\'s context of 64 leaves no room for an answer; shorten the prompt'],
    ['an empty prompt', { promptTokenIds: [] }, 'cannot sample request "r1": its prompt has no tokens; a model needs at least one to start from'],
    ['a token of another vocabulary', { promptTokenIds: [1, 59] }, 'cannot sample request "r1": token 59 is not in the vocabulary of 59; does the tokenizer belong to this model?'],
    ['no room for tokens', { maxTokens: 0 }, 'cannot sample request "r1": maxTokens is 0, expected a whole number from 1'],
    ['a negative temperature', { temperature: -1 }, 'cannot sample request "r1": temperature is -1, expected a number from 0'],
    ['a mass of nothing', { topP: 0 }, 'cannot sample request "r1": topP is 0, expected a number above 0 and up to 1'],
    ['half a token', { topK: 0.5 }, 'cannot sample request "r1": topK is 0.5, expected a whole number from 0'],
  ] as const)('%s', async (_, overrides, message) => {
    await expect(drawAll(engine, [request(0, [1, 5]), request(1, [1, 5], overrides)])).rejects.toThrow(message);
    expect(await drawAll(engine, [request(0, [1, 5])])).toHaveLength(1);
  });
});

test('no requests are no samples', async () => {
  expect(await drawAll(engine, [])).toEqual([]);
});

describe('through the worker', () => {
  let remote: Engine;
  beforeAll(async () => { remote = await openEngine(engineOptions(model, { maxRows: 8 })); });
  afterAll(() => remote.close());

  const collect = async (samples: AsyncIterable<Sample>): Promise<Map<string, Sample>> => {
    const all = new Map<string, Sample>();
    for await (const sample of samples) all.set(sample.id, sample);
    return all;
  };

  test('samples are those of the engine inside, one for each request', async () => {
    const requests = ragged(), expected = await drawAll(engine, requests);
    const samples = await collect(remote.sampler.sample(requests));
    for (const sample of expected) {
      expect(samples.get(sample.id)!.outputTokenIds).toEqual(sample.outputTokenIds);
      expect(samples.get(sample.id)!.stopReason).toBe(sample.stopReason);
    }
    expect(samples.size).toBe(requests.length);
  });

  test('tokens stream as they are drawn, in order, before their sample is done', async () => {
    const streamed = new Map<string, { tokens: number[]; logprobs: number[] }>(), done = new Set<string>();
    const onToken = (id: string, token: number, logprob: number): void => {
      expect(done.has(id)).toBe(false);
      const row = streamed.get(id) ?? { tokens: [], logprobs: [] };
      streamed.set(id, row);
      row.tokens.push(token);
      row.logprobs.push(logprob);
    };
    for await (const { id, outputTokenIds, outputLogprobs } of remote.sampler.sample(ragged(), { onToken })) {
      expect(streamed.get(id)).toEqual({ tokens: outputTokenIds, logprobs: outputLogprobs });
      done.add(id);
    }
    expect(done.size).toBe(32);
  });

  test('an abort ends the rows in flight and the queue as cancelled, with what was drawn so far', async () => {
    const controller = new AbortController();
    const requests = Array.from({ length: 40 }, (_, index) => request(index, randomPrompt(index, 5), { maxTokens: 50, stopTokenIds: [] }));
    let tokens = 0;
    const onToken = (): void => { if (++tokens === 20) controller.abort(); };
    const samples = await collect(remote.sampler.sample(requests, { signal: controller.signal, onToken }));
    expect(samples.size).toBe(40);
    expect(new Set([...samples.values()].map(({ stopReason }) => stopReason))).toContain('cancelled');
    const drawn = [...samples.values()].reduce((sum, { outputTokenIds }) => sum + outputTokenIds.length, 0);
    expect(drawn).toBeLessThan(40 * 50);
    expect([...samples.values()].filter(({ outputTokenIds }) => outputTokenIds.length === 0).length).toBeGreaterThan(0);
  });

  test('a signal that was aborted before cancels everything at once', async () => {
    const samples = await collect(remote.sampler.sample(ragged(), { signal: AbortSignal.abort() }));
    expect([...samples.values()]).toEqual(ragged().map(({ id }) => ({ id, outputTokenIds: [], outputLogprobs: [], stopReason: 'cancelled' })));
  });

  test('who stops listening stops the drawing, and the engine goes on with the next call', async () => {
    for await (const sample of remote.sampler.sample(ragged())) { expect(sample.outputTokenIds.length).toBeGreaterThan(0); break; }
    expect((await collect(remote.sampler.sample(ragged().slice(0, 3)))).size).toBe(3);
  });

  test('no requests are no samples', async () => {
    expect((await collect(remote.sampler.sample([]))).size).toBe(0);
  });

  test('a refused request rejects the iteration', async () => {
    await expect(collect(remote.sampler.sample([request(3, [])]))).rejects.toThrow('cannot sample request "r3": its prompt has no tokens');
  });
});
