/** @file The engine on WebGPU: what it samples and learns is what it samples and learns on the CPU. Skipped without an adapter. */
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { TrainMethod } from '../../src/policy/types.ts';
import { openAdapter } from '../onnx/adapter.ts';
import { exportedModel } from './exporters.ts';
import { drawAll, meanDifference, never, openCore, randomPrompt, relativeDistance, request, sequenceOf, takeGradients, temporaryDirectory, tinyModel } from './support.ts';

const TOLERANCE = 1e-3;
const adapter = await openAdapter();
let scratch: Awaited<ReturnType<typeof temporaryDirectory>>;
beforeAll(async () => { scratch = await temporaryDirectory(); });
afterAll(async () => { await adapter?.dispose(); await scratch[Symbol.asyncDispose](); });

const lora: TrainMethod = { method: 'lora', rank: 2, alpha: 4, targets: ['all-linear'], seed: 1 };
const models: readonly [name: string, train: TrainMethod, make: (directory: string) => Promise<string>][] = [
  ['our own Llama', { method: 'full' }, tinyModel],
  ['our own Llama under adapters', lora, tinyModel],
  ...['qwen3-traced', 'llama-genai', 'llama-genai-int4'].map((name): [string, TrainMethod, (directory: string) => Promise<string>] =>
    [name, name.endsWith('int4') ? lora : { method: 'full' }, (directory) => exportedModel(name, directory)]),
];

describe.skipIf(adapter === null)('the engine on WebGPU', () => {
  test.each(models)('samples, scores and learns as on the CPU: %s', async (name, train, make) => {
    const directory = await make(join(scratch.path, name.replaceAll(' ', '-')));
    const [cpu, gpu] = [await openCore(directory, { train }), await openCore(directory, { train, device: 'webgpu' })];
    const plain = [3, 6, 5, 5].map((length, index) => request(index, randomPrompt(Math.min(index, 2), length, 97 > cpu.info.vocabularySize ? cpu.info.vocabularySize : 97), { maxTokens: 6, stopTokenIds: [] }));
    const filtered = plain.map((each, index) => ({ ...each, id: `filtered ${index}`, topK: 5, topP: 0.9 }));
    expect(await meanDifference(gpu, plain)).toBeLessThan(1e-4);

    // What the CPU drew, scored and learnt from by both: a tie in one draw would make all later ones incomparable.
    const samples = await drawAll(cpu, plain);
    const batch = { sequences: samples.map((sample, index) => sequenceOf(plain[index]!, sample, index - 1.5)) };
    const [expected, actual] = [await cpu.forward(batch, never), await gpu.forward(batch, never)];
    expect(relativeDistance(actual.logprobs.flat(), expected.logprobs.flat())).toBeLessThan(TOLERANCE);
    for (const engine of [cpu, gpu]) await engine.forwardBackward(batch, { kind: 'importance_sampling', reduction: 'sum' }, never);
    const [wanted, got] = [await takeGradients(cpu), await takeGradients(gpu)];
    for (const [parameter, gradient] of wanted) expect(relativeDistance(got.get(parameter)!, gradient), parameter).toBeLessThan(TOLERANCE);

    for (const sample of await drawAll(gpu, filtered)) {
      expect(sample.outputTokenIds).toHaveLength(6);
      for (const logprob of sample.outputLogprobs) expect(logprob).toBeGreaterThan(Math.log(1e-3));
    }
    await cpu.close();
    await gpu.close();
  });
});
