import { describe, expect, test } from 'vitest';
import { bootstrapInterval, meanInterval, normalQuantile, passAtK, standardDeviation, wilsonInterval } from '../../src/util/statistics.ts';

const rounded = (values: readonly number[]) => values.map((value) => Number(value.toFixed(4)));

test('standard deviations agree with NumPy for both ddof', () => {
  expect(standardDeviation([1, 0, 0.5, 1], 1)).toBeCloseTo(0.478714, 6);
  expect(standardDeviation([1, 0, 0.5, 1], 0)).toBeCloseTo(0.414578, 6);
  expect(standardDeviation([5], 1)).toBe(0);
});

test('normal quantiles agree with published tables', () => {
  expect(rounded([0.5, 0.8, 0.95, 0.975, 0.995, 0.001].map(normalQuantile))).toEqual([0, 0.8416, 1.6449, 1.96, 2.5758, -3.0902]);
});

describe('intervals', () => {
  test("Wilson's solve |p̂ − p| = z·√(p(1 − p)/n) for p, and at the ends reach z²/(n + z²) inwards", () => {
    const [low, high] = wilsonInterval(47, 100);
    for (const p of [low, high]) expect(Math.abs(0.47 - p)).toBeCloseTo(1.959964 * Math.sqrt((p * (1 - p)) / 100), 6);
    const squared = 1.959964 ** 2;
    expect(rounded(wilsonInterval(0, 20))).toEqual(rounded([0, squared / (20 + squared)]));
    expect(rounded(wilsonInterval(10, 10))).toEqual(rounded([10 / (10 + squared), 1]));
    expect(wilsonInterval(0, 0)).toEqual([0, 1]);
  });

  test('the bootstrap is close to the normal interval of many values, and repeats itself', () => {
    const values = Array.from({ length: 400 }, (_, index) => (index % 5) / 4);
    const half = (1.96 * standardDeviation(values, 1)) / Math.sqrt(400);
    const [low, high] = bootstrapInterval(values, { key: [1] });
    expect(low).toBeCloseTo(0.5 - half, 2);
    expect(high).toBeCloseTo(0.5 + half, 2);
    expect(bootstrapInterval(values, { key: [1] })).toEqual([low, high]);
  });

  test('the method follows from the values', () => {
    expect(meanInterval([1, 0, 1], { key: [1] })).toEqual(wilsonInterval(2, 3));
    expect(meanInterval([0.5, 0.5], { key: [1] })).toEqual([0.5, 0.5]);
  });
});

describe('pass@k', () => {
  test('is the share of k-subsets with a success, by counting them', () => {
    const attempts = [1, 1, 0, 0, 0, 0];
    const subsets = (k: number) => Array.from({ length: 64 }, (_, bits) => attempts.filter((__, index) => bits & (1 << index))).filter((subset) => subset.length === k);
    for (const k of [1, 2, 3, 5, 6]) {
      const counted = subsets(k).filter((subset) => subset.includes(1)).length / subsets(k).length;
      expect(passAtK(6, 2, k)).toBeCloseTo(counted, 12);
    }
  });

  test('does not overflow', () => {
    expect(passAtK(10_000, 1, 1)).toBeCloseTo(1e-4, 12);
    expect(passAtK(8, 0, 8)).toBe(0);
    expect(passAtK(8, 8, 1)).toBe(1);
  });
});
