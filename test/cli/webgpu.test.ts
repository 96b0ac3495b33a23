/** @file A whole job on WebGPU, through the binary. Skipped without an adapter. */
import { afterAll, beforeAll, expect, test } from 'vitest';
import { openAdapter } from '../onnx/adapter.ts';
import { build, workspace } from './binary.ts';
import { writeTinyProject } from './tiny-model.ts';

const adapter = await openAdapter();
beforeAll(() => build(), 180_000);
afterAll(() => adapter?.dispose());

/** A Vulkan driver says on stderr that there is no screen. */
const wordsOfDriver = /^(Warning: .*|error: XDG_RUNTIME_DIR .*)\n/gm;

test.skipIf(adapter === null)('model.device=webgpu samples, learns and evaluates to the numbers of the CPU', async () => {
  await using folder = await workspace();
  await writeTinyProject(folder.cwd, { sft: 3, grpo: 2 });
  const metrics = async (device: string): Promise<Record<string, number>[]> => {
    const { stdout, exitCode, stderr } = await folder.run('tiny.yaml', '--json', '--set', `model.device=${device}`, '--set', `model.name=tiny-${device}`);
    expect({ exitCode, stderr: stderr.replace(wordsOfDriver, '') }).toEqual({ exitCode: 0, stderr: '' });
    const events = stdout.split('\n').filter(Boolean).map((line) => JSON.parse(line) as { type: string; metrics: Record<string, number> });
    return events.filter(({ type }) => type === 'step-finished').map((event) => event.metrics);
  };
  const [cpu, gpu] = [await metrics('cpu'), await metrics('webgpu')];
  expect(gpu).toHaveLength(5);
  for (const [index, expected] of cpu.entries()) {
    for (const name of ['policy_loss', 'entropy', 'grad_norm']) expect(Math.abs(gpu[index]![name]! - expected[name]!), `step ${index + 1}, ${name}`).toBeLessThan(1e-3 * (Math.abs(expected[name]!) + 1));
  }
});
