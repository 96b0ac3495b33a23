import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { readModel } from '../../src/onnx/index.ts';
import { prepareDecoder } from '../../src/policy/decoder.ts';
import { trainingGraph } from '../../src/policy/training-graph.ts';
import type { TrainMethod } from '../../src/policy/types.ts';
import { decoders, exportedModel, expectSharedRows, expectSharedWeights } from './exporters.ts';
import { openCore, temporaryDirectory, tinyModel } from './support.ts';

let scratch: Awaited<ReturnType<typeof temporaryDirectory>>;
beforeAll(async () => { scratch = await temporaryDirectory(); });
afterAll(() => scratch[Symbol.asyncDispose]());

describe('one set of weights is sampled and trained in graphs of other exporters', () => {
  // Absolute positions · windows inside GroupQueryAttention · int4 weights under adapters.
  test.each(['gpt2-traced', 'gemma2-genai', 'llama-genai-int4'])('%s', async (name) => {
    await expectSharedWeights(await exportedModel(name, join(scratch.path, name)), name);
  });
});

describe('an adapter on the head', () => {
  const lora = (...targets: string[]): TrainMethod => ({ method: 'lora', rank: 2, alpha: 4, targets, seed: 1 });

  // Tied · its own · behind a softcap · int4.
  test.each(['llama-traced', 'llama-genai-untied', 'gemma2-genai', 'llama-genai-int4'])('is sampled and trained: %s', async (name) => {
    await expectSharedWeights(await exportedModel(name, join(scratch.path, `${name}-head`)), name, lora('lm_head', 'q_proj'));
  });

  test.each([true, false])('is sampled and trained in our own graph (tied: %s)', async (tied) => {
    const directory = await tinyModel(join(scratch.path, `tied-${tied}`), { config: { tie_word_embeddings: tied, vocab_size: 97 } });
    await expectSharedWeights(directory, 'tiny', lora('lm_head'));
  });
});

test.each(['llama-traced', 'llama-genai-int4', 'qwen3-genai', 'gemma2-genai', 'phi-traced', 'gpt2-traced', 'gpt-neox-traced'])(
  'every LoRA target that is offered is one, and its adapters have gradients: %s',
  (name) => {
    const model = readModel(join(decoders, `${name}.onnx`));
    const adapted = (target: string) => prepareDecoder(model, { method: 'lora', rank: 2, alpha: 4, targets: [target], seed: 1 });
    for (const target of offeredTargets(() => adapted('nothing'))) {
      const { training, parameters } = adapted(target);
      const { outputs } = trainingGraph(training, { loss: { kind: 'importance_sampling', reduction: 'sum' }, parameters: parameters.map((parameter) => parameter.name) });
      expect(outputs.filter((output) => output.name.startsWith('grad.')).length, target).toBe(parameters.length);
    }
  },
);

/** What the message that refuses a target says there is. */
function offeredTargets(refused: () => unknown): string[] {
  try {
    refused();
  } catch (error) {
    return /there are (.+)$/.exec((error as Error).message)![1]!.split(', ');
  }
  throw new Error('nothing was refused');
}

test.each(['llama-traced', 'qwen3-traced'])('a group in one row or in several: %s', async (name) => {
  await expectSharedRows(await exportedModel(name, join(scratch.path, `${name}-rows`)), name);
});

test('a graph that counts columns instead of taking positions is refused', async () => {
  const directory = await exportedModel('gemma3-traced', join(scratch.path, 'gemma3'));
  await expect(openCore(directory)).rejects.toThrow('the graph has no input position_ids');
});

test('quantised weights cannot be moved themselves', async () => {
  const directory = await exportedModel('llama-genai-int4', join(scratch.path, 'int4'));
  await expect(openCore(directory, { train: { method: 'full' } })).rejects.toThrow(/lora/);
});
