/** One and two whole optimizer steps of a tiny Llama, against PyTorch in float64 and PEFT: see fixtures/make_steps.py. */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { importSafetensors } from '../../src/models/import-safetensors.ts';
import { readSafetensors, writeSafetensors, type Safetensors, type StoredTensor } from '../../src/models/safetensors.ts';
import type { EngineCore } from '../../src/policy/engine-core.ts';
import type { AdamParams, Loss, TrainMethod, TrainingBatch } from '../../src/policy/types.ts';
import { never, openCore, relativeDistance, takeGradients, temporaryDirectory, weightsOf } from './support.ts';

const fixtures = new URL('fixtures/', import.meta.url).pathname;
interface Steps {
  temperature: number; adam: AdamParams; losses: Record<string, Loss>;
  rollouts: { prompt: number[]; output: number[]; logprobs: number[]; advantage: number }[];
  expected: Record<string, { losses: [number, number]; norms: [number, number] }>;
}
const steps = JSON.parse(await readFile(join(fixtures, 'steps', 'steps.json'), 'utf8')) as Steps;

const batch: TrainingBatch = {
  sequences: steps.rollouts.map(({ prompt, output, logprobs, advantage }) => ({
    tokenIds: [...prompt, ...output], temperature: steps.temperature,
    actionMask: [...prompt.map(() => 0), ...output.map(() => 1)], samplingLogprobs: [...prompt.map(() => 0), ...logprobs],
    advantages: [...prompt.map(() => 0), ...output.map(() => advantage)],
  })),
};

let scratch: Awaited<ReturnType<typeof temporaryDirectory>>;
let model: string;
beforeAll(async () => {
  scratch = await temporaryDirectory();
  model = join(scratch.path, 'llama');
  await importSafetensors({ source: join(fixtures, 'llama'), target: model });
});
afterAll(() => scratch[Symbol.asyncDispose]());

const transposed = ({ shape: [rows = 0, columns = 0], data }: StoredTensor): Float32Array =>
  Float32Array.from({ length: rows * columns }, (_, at) => Number(data[(at % rows) * columns + Math.floor(at / rows)]));

/** PyTorch's tensor as the graph lays it out: linear layers and adapters the other way round. */
function expectedTensor(file: Safetensors, prefix: string, name: string): Float32Array {
  const isAdapter = name.endsWith('lora_A') || name.endsWith('lora_B');
  const tensor = file.tensors.get(`${prefix}.${isAdapter ? `${name}.weight` : name}`)!;
  return isAdapter || name.endsWith('_proj.weight') ? transposed(tensor) : (tensor.data as Float32Array);
}

/** Gives the adapters PEFT's values. */
async function loadAdapters(engine: EngineCore, file: Safetensors): Promise<void> {
  await using directory = await temporaryDirectory();
  const tensors = engine.info.parameterShapes.map(({ name, shape }) => [name, { dtype: 'F32', shape, data: expectedTensor(file, 'before', name) }] as const);
  await writeSafetensors(join(directory.path, 'weights.safetensors'), new Map(tensors));
  await engine.readState(directory.path);
}

const lora: TrainMethod = { method: 'lora', rank: 4, alpha: 8, targets: ['q_proj', 'v_proj', 'down_proj'], seed: 1 };
const cases = Object.keys(steps.expected).map((name) => {
  const [method = '', loss = ''] = name.split('-');
  return { name, method, loss };
});

describe.each(cases)('$method fine-tuning with $loss', ({ name, method, loss }) => {
  let file: Safetensors, engine: EngineCore;
  beforeAll(async () => {
    file = await readSafetensors(join(fixtures, 'steps', `${name}.safetensors`));
    engine = await openCore(model, { train: method === 'lora' ? lora : { method: 'full' }, microBatchTokens: 24 });
  });
  beforeEach(async () => {
    engine.reset();
    if (method === 'lora') await loadAdapters(engine, file);
  });
  afterAll(() => engine.close());

  test("has PyTorch's gradients", async () => {
    await engine.forwardBackward(batch, steps.losses[loss]!, never);
    for (const [parameter, gradient] of await takeGradients(engine)) {
      expect(relativeDistance(gradient, expectedTensor(file, 'gradient', parameter)), parameter).toBeLessThan(1e-4);
    }
  });

  test('takes the steps that PyTorch takes', async () => {
    const expected = steps.expected[name]!;
    const before = await weightsOf(engine);
    expect(before.size).toBe(method === 'lora' ? 12 : 20);
    for (const [index, prefix] of (['after1', 'after2'] as const).entries()) {
      const { metrics } = await engine.forwardBackward(batch, steps.losses[loss]!, never);
      expect(Math.abs(metrics['loss:sum']! - expected.losses[index]!)).toBeLessThan(1e-4 * Math.max(1, Math.abs(expected.losses[index]!)));
      const update = engine.update(steps.adam);
      if ('refused' in update) throw new Error(update.message);
      expect(Math.abs(update.metrics['grad_norm']! - expected.norms[index]!) / expected.norms[index]!).toBeLessThan(1e-4);
      for (const [parameter, after] of await weightsOf(engine)) {
        const from = before.get(parameter)!;
        const delta = after.map((value, at) => value - from[at]!), reference = expectedTensor(file, prefix, parameter).map((value, at) => value - from[at]!);
        expect(relativeDistance(delta, reference), `${prefix} ${parameter}`).toBeLessThan(1e-4);
      }
    }
  });
});
