/** @file The decoders of the common exporters, as model directories of an engine. */
import { cp, mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect } from 'vitest';
import { readModel } from '../../src/onnx/index.ts';
import { prepareDecoder } from '../../src/policy/decoder.ts';
import type { TrainMethod } from '../../src/policy/types.ts';
import { adam, drawAll, meanDifference, never, openCore, randomPrompt, relativeDistance, request, sequenceOf, takeGradients, withoutSharing } from './support.ts';

export const decoders = new URL('../onnx/fixtures/decoders/', import.meta.url).pathname;

export async function exportedModel(name: string, directory: string): Promise<string> {
  await mkdir(join(directory, 'onnx'), { recursive: true });
  await cp(join(decoders, `${name}.onnx`), join(directory, 'onnx', 'model.onnx'));
  await cp(join(decoders, `${name}.onnx_data`), join(directory, 'onnx', `${name}.onnx_data`)).catch(() => undefined);
  await writeFile(join(directory, 'config.json'), JSON.stringify({ max_position_embeddings: 32 }));
  return directory;
}

const trainOf = (name: string): TrainMethod => (name.endsWith('int4') ? { method: 'lora', rank: 2, alpha: 4, targets: ['all-linear'], seed: 1 } : { method: 'full' });

/** Rollouts of a group give the same gradient whether or not they are laid out as a tree. */
export async function expectSharedRows(directory: string, name: string): Promise<void> {
  // GroupQueryAttention counts positions by itself, so there a row is one text.
  expect(prepareDecoder(readModel(join(directory, 'onnx', 'model.onnx')), trainOf(name)).shared === null).toBe(name.includes('genai'));
  const [engine, apart] = [await openCore(directory, { train: trainOf(name) }), await openCore(await withoutSharing(directory), { train: trainOf(name) })];
  const requests = [5, 7].flatMap((length, prompt) => [0, 1, 2].map((sample) => request(3 * prompt + sample, randomPrompt(prompt, length, 97), { maxTokens: 4 + sample, stopTokenIds: [] })));
  const sequences = (await drawAll(engine, requests)).map((sample, index) => sequenceOf(requests[index]!, sample, index - 2));
  const gradients = [];
  for (const each of [engine, apart]) {
    await each.forwardBackward({ sequences }, { kind: 'importance_sampling', reduction: 'sum' }, never);
    gradients.push(await takeGradients(each));
    await each.close();
  }
  for (const [parameter, expected] of gradients[1]!) expect(relativeDistance(gradients[0]!.get(parameter)!, expected), parameter).toBeLessThan(1e-4);
}

/** Ragged prompts are drawn, learnt from and drawn again: sampler and trainer agree before and after. */
export async function expectSharedWeights(directory: string, name: string, train = trainOf(name)): Promise<void> {
  const engine = await openCore(directory, { train });
  const requests = [3, 11, 6].map((length, index) => request(index, randomPrompt(index, length, 97), { maxTokens: 9, stopTokenIds: [] }));
  expect(await meanDifference(engine, requests)).toBeLessThan(1e-5);
  const samples = await drawAll(engine, requests);
  await engine.forwardBackward({ sequences: samples.map((sample, index) => sequenceOf(requests[index]!, sample, index - 1)) }, { kind: 'importance_sampling', reduction: 'sum' }, never);
  expect(engine.update(adam({ learningRate: 0.01, maxGradNorm: 1 }))).toHaveProperty('metrics.grad_norm');
  expect(await meanDifference(engine, requests)).toBeLessThan(1e-5);
  const moved = await drawAll(engine, requests);
  expect(moved.flatMap(({ outputLogprobs }) => outputLogprobs)).not.toEqual(samples.flatMap(({ outputLogprobs }) => outputLogprobs));
  await engine.close();
}
