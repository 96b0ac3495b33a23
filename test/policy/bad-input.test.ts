/** Broken files, foreign checkpoints, dead workers, poisoned gradients: a clear error each, and nothing lost. */
import { cp, readFile, rm, truncate, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { readSafetensors, writeSafetensors } from '../../src/models/safetensors.ts';
import { float32Tensor, floatValues, readModel, writeModel } from '../../src/onnx/index.ts';
import type { EngineCore } from '../../src/policy/engine-core.ts';
import { loadTokenizer, openEngine, warmUp } from '../../src/policy/index.ts';
import type { Sample, SampleRequest, TrainingSequence } from '../../src/policy/types.ts';
import { adam, drawAll, engineOptions, never, openCore, randomPrompt, request, sequenceOf, temporaryDirectory, tinyModel, weightsOf } from './support.ts';

let scratch: Awaited<ReturnType<typeof temporaryDirectory>>;
let model: string;
let engine: EngineCore;
let sequences: TrainingSequence[];
beforeAll(async () => {
  scratch = await temporaryDirectory();
  model = await tinyModel(join(scratch.path, 'model'));
  engine = await openCore(model);
  const requests = [0, 1, 2].map((index) => request(index, randomPrompt(index, 4)));
  sequences = (await drawAll(engine, requests)).map((sample, index) => sequenceOf(requests[index]!, sample, index - 0.5));
});
afterAll(async () => {
  await engine.close();
  await scratch[Symbol.asyncDispose]();
});

const loss = { kind: 'importance_sampling', reduction: 'sum' } as const;
/** Not part of a path that the test names. */
let copies = 0;
async function copyOf(directory: string): Promise<string> {
  const copy = join(scratch.path, `copy-${copies++}`);
  await cp(directory, copy, { recursive: true });
  return copy;
}

describe('a model directory that is not whole does not open', () => {
  const broken: [name: string, spoil: (directory: string) => Promise<unknown>, message: RegExp][] = [
    ['no model.onnx', (directory) => rm(join(directory, 'onnx'), { recursive: true }), /onnx\/model\.onnx does not exist; a model directory holds config\.json, tokenizer files and onnx\/model\.onnx/],
    ['an empty model.onnx', (directory) => writeFile(join(directory, 'onnx/model.onnx'), ''), /model\.onnx: not an ONNX model/],
    ['noise for a model.onnx', (directory) => writeFile(join(directory, 'onnx/model.onnx'), 'not a protobuf at all, but long enough to be read'), /model\.onnx: not a/],
    ['half a model.onnx', (directory) => truncate(join(directory, 'onnx/model.onnx'), 40_000), /model\.onnx: not a readable ONNX file/],
    ['no config.json', (directory) => rm(join(directory, 'config.json')), /config\.json does not exist/],
    ['half a config.json', (directory) => truncate(join(directory, 'config.json'), 60), /config\.json is not JSON: .*; restore or download the file again/],
    ['a context of nothing', (directory) => writeFile(join(directory, 'config.json'), '{"max_position_embeddings": 0}'), /config\.json: max_position_embeddings is 0, expected a whole number from 1/],
  ];
  test.each(broken)('%s', async (_, spoil, message) => {
    const directory = await copyOf(model);
    await spoil(directory);
    await expect(openCore(directory)).rejects.toThrow(message);
  });

  test('and says so through the worker', async () => {
    await expect(openEngine(engineOptions(join(scratch.path, 'nowhere')))).rejects.toThrow(/config\.json does not exist/);
  });

  test('adapters for layers that are not there', async () => {
    const train = { method: 'lora', rank: 2, alpha: 4, targets: ['c_attn'], seed: 1 } as const;
    await expect(openCore(model, { train })).rejects.toThrow(/no linear layer matches the LoRA target c_attn; there are .*q_proj/);
  });
});

describe('a tokenizer that is not whole does not load', () => {
  const broken: [name: string, spoil: (directory: string) => Promise<unknown>, message: RegExp][] = [
    ['no tokenizer.json', (directory) => rm(join(directory, 'tokenizer.json')), /tokenizer\.json cannot be read; a model directory needs tokenizer\.json and tokenizer_config\.json/],
    ['no tokenizer_config.json', (directory) => rm(join(directory, 'tokenizer_config.json')), /tokenizer_config\.json cannot be read/],
    ['half a tokenizer.json', (directory) => truncate(join(directory, 'tokenizer.json'), 500), /tokenizer\.json is not usable JSON: .*; restore or download the file again/],
    ['a tokenizer.json of another kind', (directory) => writeFile(join(directory, 'tokenizer.json'), '{"model": {"type": "Alphabet"}}'), /the tokenizer in .* cannot be used: /],
    ['half a generation_config.json', (directory) => truncate(join(directory, 'generation_config.json'), 10), /generation_config\.json is not usable JSON/],
  ];
  test.each(broken)('%s', async (_, spoil, message) => {
    const directory = await copyOf(model);
    await spoil(directory);
    await expect(loadTokenizer(directory)).rejects.toThrow(message);
  });

  test('and works again once the file is back', async () => {
    const directory = await copyOf(model);
    const text = await readFile(join(directory, 'tokenizer.json'));
    await rm(join(directory, 'tokenizer.json'));
    await expect(loadTokenizer(directory)).rejects.toThrow();
    await writeFile(join(directory, 'tokenizer.json'), text);
    expect((await loadTokenizer(directory)).encode('1+2', { addSpecialTokens: false })).toHaveLength(3);
  });
});

describe('a checkpoint that does not fit leaves the engine as it was', () => {
  let saved: string;
  beforeAll(async () => {
    await engine.forwardBackward({ sequences }, loss, never);
    engine.update(adam());
    saved = (await temporaryDirectory()).path;
    await engine.writeState(saved);
  });
  afterAll(() => rm(saved, { recursive: true }));

  const first = 'model.layers.0.self_attn.q_proj.weight';
  const rewrite = async (path: string, change: (tensors: Map<string, { dtype: 'F32'; shape: readonly number[]; data: Float32Array }>, metadata: Record<string, string>) => void): Promise<void> => {
    const { tensors, metadata } = await readSafetensors(path);
    const copy = new Map([...tensors].map(([name, { shape, data }]) => [name, { dtype: 'F32' as const, shape, data: Float32Array.from(data as Float32Array) }]));
    const fields = { ...metadata };
    change(copy, fields);
    await writeSafetensors(path, copy, { metadata: fields });
  };
  const broken: [name: string, spoil: (directory: string) => Promise<unknown>, message: RegExp][] = [
    ['no weights', (directory) => rm(join(directory, 'weights.safetensors')), /weights\.safetensors does not exist/],
    ['half the weights', (directory) => truncate(join(directory, 'weights.safetensors'), 5000), /weights\.safetensors is not a valid safetensors file/],
    ['half the moments', (directory) => truncate(join(directory, 'optimizer.safetensors'), 5000), /optimizer\.safetensors is not a valid safetensors file/],
    ['another shape of as many numbers', (directory) => rewrite(join(directory, 'weights.safetensors'), (tensors) => tensors.set('model.layers.0.self_attn.k_proj.weight', { ...tensors.get('model.layers.0.self_attn.k_proj.weight')!, shape: [16, 32] })),
      /weights\.safetensors: expected "model\.layers\.0\.self_attn\.k_proj\.weight" as F32 \[32, 16\], found F32 \[16, 32\]; this checkpoint belongs to another model or training method/],
    ['a missing weight', (directory) => rewrite(join(directory, 'weights.safetensors'), (tensors) => tensors.delete(first)), /expected "model\.layers\.0\.self_attn\.q_proj\.weight" as F32 \[32, 32\], found nothing/],
    ['a missing moment', (directory) => rewrite(join(directory, 'optimizer.safetensors'), (tensors) => tensors.delete(`second.${first}`)), /optimizer\.safetensors: expected "second\.model\.layers\.0\.self_attn\.q_proj\.weight"/],
    ['a step that is no number', (directory) => rewrite(join(directory, 'optimizer.safetensors'), (_, metadata) => { metadata['step'] = 'ten'; }), /optimizer\.safetensors: its step is "ten", expected a whole number/],
    ['no directory at all', (directory) => rm(directory, { recursive: true }), /weights\.safetensors does not exist/],
  ];
  test.each(broken)('%s', async (_, spoil, message) => {
    const directory = await copyOf(saved), before = await weightsOf(engine);
    await spoil(directory);
    await expect(engine.readState(directory)).rejects.toThrow(message);
    expect(await weightsOf(engine)).toEqual(before);
  });

  test("another model's checkpoint", async () => {
    const other = await openCore(await tinyModel(join(scratch.path, 'wider'), { config: { hidden_size: 40 } }));
    await expect(other.readState(saved)).rejects.toThrow(/this checkpoint belongs to another model or training method/);
    await other.close();
  });

  test('full weights for an engine with adapters', async () => {
    const other = await openCore(model, { train: { method: 'lora', rank: 2, alpha: 4, targets: ['q_proj'], seed: 1 } });
    await expect(other.readState(saved)).rejects.toThrow(/expected "model\.layers\.0\.self_attn\.q_proj\.lora_A" as F32 \[32, 2\], found nothing/);
    await other.close();
  });

  test('without optimizer.safetensors the moments start at zero', async () => {
    const weightsOnly = await copyOf(saved);
    await rm(join(weightsOnly, 'optimizer.safetensors'));
    await engine.readState(weightsOnly);
    await engine.writeState(weightsOnly);
    const { tensors, metadata } = await readSafetensors(join(weightsOnly, 'optimizer.safetensors'));
    expect(metadata['step']).toBe('0');
    expect([...tensors.values()].every(({ data }) => (data as Float32Array).every((value) => value === 0))).toBe(true);
    await engine.readState(saved);
  });

  test('a directory that cannot be written to', async () => {
    await expect(engine.writeState(join(scratch.path, 'nowhere'))).rejects.toThrow(/(?:weights|optimizer)\.safetensors does not exist/);
  });
});

describe('an update that must not happen', () => {
  test.each([NaN, Infinity])('an advantage of %d is refused with the name of a parameter; weights and moments stay, bit for bit', async (poison) => {
    const fresh = await openCore(model);
    await fresh.forwardBackward({ sequences }, loss, never);
    fresh.update(adam());
    await using before = await temporaryDirectory();
    await using after = await temporaryDirectory();
    await fresh.writeState(before.path);
    const ill = { ...sequences[1]!, advantages: sequences[1]!.advantages.map((advantage) => (advantage === 0 ? 0 : poison)) };
    await fresh.forwardBackward({ sequences: [sequences[0]!, ill] }, loss, never);
    const update = fresh.update(adam());
    expect(update).toMatchObject({ refused: true, parameter: 'model.embed_tokens.weight', message: 'the gradient of model.embed_tokens.weight is not finite; the weights stay as they were' });
    await fresh.writeState(after.path);
    for (const file of ['weights.safetensors', 'optimizer.safetensors']) expect(await readFile(join(after.path, file))).toEqual(await readFile(join(before.path, file)));
    // The poison is gone with the refusal.
    await fresh.forwardBackward({ sequences }, loss, never);
    expect(fresh.update(adam())).toHaveProperty('metrics');
    await fresh.close();
  });

  test('a backward pass that was cancelled leaves no part of its gradient behind', async () => {
    const fresh = await openCore(model, { microBatchTokens: 1 });
    const before = await weightsOf(fresh);
    let polls = 0;
    // Texts without a common beginning: a row each.
    const apart = sequences.map((sequence, index) => ({ ...sequence, tokenIds: [4 + index, ...sequence.tokenIds.slice(1)] }));
    await expect(fresh.forwardBackward({ sequences: apart }, loss, () => ++polls > 2)).rejects.toThrow(expect.objectContaining({ name: 'AbortError' }));
    fresh.update(adam());
    expect(await weightsOf(fresh)).toEqual(before);
    await fresh.close();
  });
});

describe('the engine on the main thread', () => {
  async function collect(samples: AsyncIterable<Sample>): Promise<Sample[]> {
    const all: Sample[] = [];
    for await (const sample of samples) all.push(sample);
    return all;
  }
  const long: SampleRequest[] = Array.from({ length: 64 }, (_, index) => request(index, randomPrompt(index, 5), { maxTokens: 58, stopTokenIds: [] }));

  test('a worker that dies fails the call in flight, those behind it and all later ones, and still closes', async () => {
    const remote = await openEngine(engineOptions(model));
    const path = join(scratch.path, 'deadly.ts');
    await writeFile(path, 'process.exit(7);');
    const [deadly, behind] = await Promise.allSettled([remote.trainer.forwardBackward({ sequences }, { kind: 'module', path, reduction: 'sum' }), remote.trainer.forward({ sequences })]);
    const reason = { kind: 'invalid', message: "the engine's worker ended unexpectedly (exit code 7)" };
    expect(deadly).toMatchObject({ status: 'rejected', reason });
    expect(behind).toMatchObject({ status: 'rejected', reason });
    await expect(remote.trainer.update(adam())).rejects.toThrow('exit code 7');
    await expect(collect(remote.sampler.sample(long))).rejects.toThrow('exit code 7');
    await expect(remote.writeState(scratch.path)).rejects.toThrow('exit code 7');
    await remote.close();
    await remote.close();
  });

  test("an error that cannot go between threads goes as its message, and the engine goes on", async () => {
    await using remote = await openEngine(engineOptions(model));
    const path = join(scratch.path, 'uncloneable.ts');
    await writeFile(path, "export default () => { throw new Error('no term', { cause: () => {} }); };");
    await expect(remote.trainer.forwardBackward({ sequences }, { kind: 'module', path, reduction: 'sum' })).rejects.toThrow(`${path}: the loss cannot be built: no term`);
    expect((await remote.trainer.forward({ sequences })).logprobs).toHaveLength(3);
  });

  test('a worker that was warmed up serves the next engine, and only that one', async () => {
    warmUp();
    warmUp();
    await using first = await openEngine(engineOptions(model));
    await using second = await openEngine(engineOptions(model));
    const [a, b] = await Promise.all([first, second].map((engine) => engine.trainer.forward({ sequences })));
    expect(a!.logprobs).toEqual(b!.logprobs);
  });

  test('weights that are being saved change only afterwards', async () => {
    await using remote = await openEngine(engineOptions(model));
    const state = async (name: string, asked: () => Promise<unknown>[]) => {
      await using directory = await temporaryDirectory();
      await Promise.all([remote.writeState(directory.path), ...asked()]);
      return readFile(join(directory.path, name), 'base64');
    };
    const update = () => [remote.trainer.forwardBackward({ sequences }, loss), remote.trainer.update(adam())];
    const before = await state('weights.safetensors', () => []);
    expect(await state('weights.safetensors', update)).toBe(before);
    const after = await state('weights.safetensors', () => []);
    expect(after).not.toBe(before);
    expect(await state('weights.safetensors', () => [remote.reset()])).toBe(after);
    expect(await state('weights.safetensors', () => [])).toBe(before);
  });

  test('saving, asked for behind an update that has not begun, waits for it and for nothing more', async () => {
    await using remote = await openEngine(engineOptions(model));
    await using first = await temporaryDirectory();
    await using second = await temporaryDirectory();
    const step = () => [remote.trainer.forwardBackward({ sequences }, loss), remote.trainer.update(adam())];
    await Promise.all([...step(), remote.writeState(first.path), ...step(), remote.writeState(second.path)]);
    const steps = await Promise.all([first, second].map(async ({ path }) => (await readSafetensors(join(path, 'optimizer.safetensors'))).metadata['step']));
    expect(steps).toEqual(['1', '2']);
  });

  test('what cannot be sent to the worker is refused at once, and leaves nothing behind', async () => {
    const remote = await openEngine(engineOptions(model));
    const unsendable = { sequences: [{ ...sequences[0]!, onScored: () => {} }] };
    await expect(remote.trainer.forward(unsendable)).rejects.toThrow('could not be cloned');
    // Nobody waits for that call any more: a rejection of it would end the process.
    await remote.close();
    await new Promise((resolve) => { setImmediate(resolve); });
  });

  test('a closed engine says so', async () => {
    const remote = await openEngine(engineOptions(model));
    await remote.close();
    await expect(remote.trainer.forward({ sequences })).rejects.toThrow('the engine is closed');
    await expect(collect(remote.sampler.sample(long))).rejects.toThrow('the engine is closed');
  });

  test('closing waits for what was asked before', async () => {
    const remote = await openEngine(engineOptions(model));
    const samples = collect(remote.sampler.sample(long.slice(0, 4)));
    await remote.close();
    expect(await samples).toHaveLength(4);
  });

  test('an aborted training call rejects as aborted', async () => {
    await using remote = await openEngine(engineOptions(model, { microBatchTokens: 1 }));
    const controller = new AbortController();
    const many = Array.from({ length: 400 }, (_, index) => sequences[index % 3]!);
    const [training, scoring] = [remote.trainer.forwardBackward({ sequences: many }, loss, controller.signal), remote.trainer.forward({ sequences: many }, controller.signal)];
    controller.abort();
    await expect(training).rejects.toThrow(expect.objectContaining({ name: 'AbortError' }));
    await expect(scoring).rejects.toThrow(expect.objectContaining({ name: 'AbortError' }));
    await expect(remote.trainer.forwardBackward({ sequences }, loss, AbortSignal.abort())).rejects.toThrow(expect.objectContaining({ name: 'AbortError' }));
  });
});

describe('weights that are not finite', () => {
  const poison = async (directory: string, value: number, weight = 'mlp.up_proj.weight') => {
    const path = join(directory, 'onnx', 'model.onnx');
    const source = readModel(path);
    const initializers = new Map([...source.initializers].map(([name, tensor]) => [name, name.endsWith(weight) ? float32Tensor(tensor.dims, floatValues(tensor).map((was, index) => (index === 7 ? value : was))) : tensor] as const));
    await writeFile(path, writeModel({ ...source, initializers }));
  };
  test.each([['NaN', NaN, 'full'], ['an infinity', -Infinity, 'full'], ['NaN under an adapter', NaN, 'lora']] as const)('are found when the engine opens: %s', async (_, value, method) => {
    const directory = await copyOf(model);
    await poison(directory, value);
    const train = method === 'full' ? { method } as const : { method, rank: 2, alpha: 4, targets: ['all-linear'], seed: 1 } as const;
    await expect(openCore(directory, { train })).rejects.toThrow(/^the weight "model\.layers\.\d\.mlp\.up_proj\.weight" holds NaN or an infinity, /);
  });
  test('are found when a checkpoint is read, and the weights stay as they were', async () => {
    await using checkpoint = await temporaryDirectory();
    await engine.writeState(checkpoint.path);
    const path = join(checkpoint.path, 'weights.safetensors');
    const { tensors, metadata } = await readSafetensors(path);
    (tensors.get('model.norm.weight')!.data as Float32Array)[0] = NaN;
    await writeSafetensors(path, tensors, { metadata });
    const before = await weightsOf(engine);
    await expect(engine.readState(checkpoint.path)).rejects.toThrow(/weights\.safetensors: the weight "model\.norm\.weight" holds NaN or an infinity; go on from another checkpoint$/);
    expect(await weightsOf(engine)).toEqual(before);
  });
  test('or that make probabilities which are not, end sampling at the first of those', async () => {
    const directory = await copyOf(model);
    await poison(directory, 3e38, 'model.norm.weight');
    const huge = await openCore(directory);
    for (const filtered of [{}, { topK: 3 }, { temperature: 0 }]) {
      await expect(drawAll(huge, [request(0, randomPrompt(0, 4), filtered)])).rejects.toMatchObject({ kind: 'invalid', message: expect.stringMatching(/^the model's probabilities are not finite \(request "r0", token \d of the answer\)/) });
    }
    await huge.close();
  });
});
