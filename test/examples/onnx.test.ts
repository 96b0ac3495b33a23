import { execa } from 'execa';
import { expect, test } from 'vitest';

test('the two-layer network learns exclusive or with rlrun/onnx alone', async () => {
  const { stdout } = await execa(process.execPath, ['examples/onnx/two-layer-network.ts']);
  const last = stdout.trim().split('\n').at(-1)!;
  expect(Number(/loss ([\d.]+)/.exec(last)?.[1])).toBeLessThan(1e-4);
});
