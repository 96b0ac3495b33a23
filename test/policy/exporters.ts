/** @file The decoders of the common exporters, as model directories of an engine. */
import { cp, mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect } from 'vitest';
import { drawAll, meanDifference, never, openCore, randomPrompt, request, sequenceOf, adam } from './support.ts';

export const decoders = new URL('../onnx/fixtures/decoders/', import.meta.url).pathname;

export async function exportedModel(name: string, directory: string): Promise<string> {
  await mkdir(join(directory, 'onnx'), { recursive: true });
  await cp(join(decoders, `${name}.onnx`), join(directory, 'onnx', 'model.onnx'));
  await cp(join(decoders, `${name}.onnx_data`), join(directory, 'onnx', `${name}.onnx_data`)).catch(() => undefined);
  await writeFile(join(directory, 'config.json'), JSON.stringify({ max_position_embeddings: 32 }));
  return directory;
}

/** Ragged prompts are drawn, learnt from and drawn again: sampler and trainer agree before and after. */
export async function expectSharedWeights(directory: string, name: string): Promise<void> {
  const engine = await openCore(directory, { train: name.endsWith('int4') ? { method: 'lora', rank: 2, alpha: 4, targets: ['all-linear'], seed: 1 } : { method: 'full' } });
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
