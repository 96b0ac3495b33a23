import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { extent, formatTick, linearScale, niceDomain, niceStep, niceTicks } from '../../src/plot/index.ts';

describe('niceTicks', () => {
  test('lie on 1, 2 or 5 times a power of ten, without floating-point tails', () => {
    expect(niceTicks([0, 1], 5)).toEqual([0, 0.2, 0.4, 0.6, 0.8, 1]);
    expect(niceTicks([0, 60], 6)).toEqual([0, 10, 20, 30, 40, 50, 60]);
    expect(niceTicks([-0.03, 0.31], 4)).toEqual([0, 0.1, 0.2, 0.3]);
    expect(niceTicks([1e-5, 4.2e-5], 4)).toEqual([1e-5, 2e-5, 3e-5, 4e-5]);
  });

  test('a constant domain has its one value', () => expect(niceTicks([3, 3], 4)).toEqual([3]));

  test('stay inside any domain, in order, and about as many as asked for', () => {
    const value = fc.double({ min: -1e6, max: 1e6, noNaN: true });
    fc.assert(
      fc.property(value, fc.double({ min: 1e-6, max: 1e6, noNaN: true }), fc.integer({ min: 2, max: 10 }), (low, span, count) => {
        const high = low + span;
        const step = niceStep(high - low, count);
        const ticks = niceTicks([low, high], count);
        const slack = step * 1e-6 + Math.abs(low) * 1e-12;
        for (const tick of ticks) expect(tick >= low - slack && tick <= high + slack).toBe(true);
        expect([...ticks].sort((a, b) => a - b)).toEqual(ticks);
        expect(ticks.length).toBeLessThanOrEqual(2 * count + 1);
      }),
    );
  });
});

test('niceDomain widens to round ends and gives a constant room', () => {
  expect(niceDomain([0.03, 0.97])).toEqual([0, 1]);
  expect(niceDomain([0, 1])).toEqual([0, 1]);
  expect(niceDomain([0, 0])).toEqual([-1, 1]);
  expect(niceDomain([4, 4])).toEqual([2, 6]);
});

test('extent passes over gaps and non-finite values', () => {
  expect(extent([null, 3, NaN, -1, Infinity, undefined])).toEqual([-1, 3]);
  expect(extent([null])).toBeNull();
});

test('linearScale puts a domain of no width in the middle', () => {
  expect(linearScale([0, 2], [0, 10])(0.5)).toBe(2.5);
  expect(linearScale([5, 5], [0, 10])(5)).toBe(5);
});

test('formatTick shows the decimals that tell neighbours apart', () => {
  expect([0, 0.2, 0.4].map((tick) => formatTick(tick, 0.2))).toEqual(['0', '0.2', '0.4']);
  expect(formatTick(0.25, 0.05)).toBe('0.25');
  expect(formatTick(20_000, 5000)).toBe('20k');
  expect(formatTick(2e-5, 1e-5)).toBe('2e-5');
  expect(formatTick(150, 50)).toBe('150');
});
