import { readFile } from 'node:fs/promises';
import { describe, expect, test } from 'vitest';
import { applyAdam, globalNorm, initAdam, nonFinite } from '../../src/policy/optimizer.ts';
import type { AdamParams } from '../../src/policy/types.ts';
import { adam } from './support.ts';

type Tensors = Record<string, number[]>;
interface Case { name: string; adam: AdamParams; initial: Tensors; steps: { gradients: Tensors; norm: number; weights: Tensors }[] }
const cases = JSON.parse(await readFile(new URL('fixtures/adam.json', import.meta.url), 'utf8')) as Case[];
const buffers = (tensors: Tensors): Map<string, Float32Array> => new Map(Object.entries(tensors).map(([name, values]) => [name, Float32Array.from(values)]));

describe('twenty steps end where torch.optim.AdamW ends', () => {
  test.each(cases)('$name', ({ adam: params, initial, steps }) => {
    const weights = buffers(initial), state = initAdam(weights);
    for (const { gradients: given, norm, weights: expected } of steps) {
      const gradients = buffers(given);
      const total = globalNorm(gradients);
      expect(Math.abs(total - norm) / norm).toBeLessThan(1e-6);
      const gradientScale = params.maxGradNorm > 0 && total > params.maxGradNorm ? params.maxGradNorm / total : 1;
      applyAdam({ into: weights, gradients, state, params, gradientScale });
      for (const [name, values] of Object.entries(expected)) {
        values.forEach((value, index) => expect(Math.abs(weights.get(name)![index]! - value)).toBeLessThan(1e-5));
      }
    }
    expect(steps).toHaveLength(20);
  });
});

test('the update norm is that of the change made, weight decay left out', () => {
  const weights = new Map([['w', Float32Array.of(1, -1)]]);
  const gradients = new Map([['w', Float32Array.of(3, -4)]]);
  const { updateNorm } = applyAdam({ into: weights, gradients, state: initAdam(weights), params: adam({ learningRate: 0.1 }), gradientScale: 1 });
  expect(updateNorm).toBeCloseTo(0.1 * Math.SQRT2, 6);
});

describe('a gradient that is not finite is found', () => {
  test.each([NaN, Infinity, -Infinity])('%d', (poison) => {
    const gradients = new Map([['healthy', Float32Array.of(1, 2)], ['ill', Float32Array.of(1, poison, 3)], ['also ill', Float32Array.of(poison)]]);
    expect(Number.isFinite(globalNorm(gradients))).toBe(false);
    expect(nonFinite(gradients)).toBe('ill');
  });

  test('the largest finite gradients are no reason to refuse', () => {
    const gradients = new Map([['large', Float32Array.of(3.4e38, -3.4e38)]]);
    expect(Number.isFinite(globalNorm(gradients))).toBe(true);
    expect(nonFinite(gradients)).toBeUndefined();
  });
});
