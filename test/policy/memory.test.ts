import ort from 'onnxruntime-node';
import { join } from 'node:path';
import { expect, test, vi } from 'vitest';
import { drawAll, never, openCore, randomPrompt, request, sequenceOf, temporaryDirectory, tinyModel } from './support.ts';

/** Its type says that it makes sessions; it is their class as well. */
const { prototype } = ort.InferenceSession as unknown as { prototype: ort.InferenceSession };

test('what ONNX Runtime returns to a step is given back without waiting for the garbage collector', async () => {
  await using scratch = await temporaryDirectory();
  const engine = await openCore(await tinyModel(join(scratch.path, 'model')), { microBatchTokens: 16 });
  const run = vi.spyOn(prototype, 'run');

  const requests = [4, 9, 6].map((length, index) => request(index, randomPrompt(index, length)));
  const samples = await drawAll(engine, requests);
  const sampling = run.mock.calls.length;
  await engine.forwardBackward({ sequences: samples.map((sample, index) => sequenceOf(requests[index]!, sample, 1)) }, { kind: 'importance_sampling', reduction: 'sum' }, never);
  expect(sampling).toBeGreaterThan(2);
  expect(run.mock.calls.length).toBeGreaterThan(sampling + 1);

  const returned = await Promise.all(run.mock.results.map(({ value }) => value as ReturnType<ort.InferenceSession['run']>));
  const kept = returned.flatMap((outputs) => Object.entries(outputs).filter(([, { data }]) => !((data as Float32Array).buffer as ArrayBuffer).detached));
  expect(kept.map(([name]) => name)).toEqual([]);
  run.mockRestore();
  await engine.close();
});
