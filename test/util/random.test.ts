import { describe, expect, test } from 'vitest';
import { gumbels, normal, permutation, philox4x32, uniform, uniformFloat32 } from '../../src/util/random.ts';

const hex = (words: number[]) => words.map((word) => word.toString(16).padStart(8, '0')).join(' ');

describe('philox4x32', () => {
  // Known-answer vectors of the Random123 distribution (kat_vectors, philox4x32, 10 rounds).
  test.each([
    [[0, 0, 0, 0], [0, 0], '6627e8d5 e169c58d bc57ac4c 9b00dbd8'],
    [[0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff], [0xffffffff, 0xffffffff], '408f276d 41c83b0e a20bc7c6 6d5451fd'],
    [[0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344], [0xa4093822, 0x299f31d0], 'd16cfe09 94fdcceb 5001e420 24126ea1'],
  ] as const)('of counter %j and key %j is the published vector', (counter, key, expected) => {
    expect(hex(philox4x32([...counter], key))).toBe(expected);
  });
});

describe('streams', () => {
  test('depend on every coordinate, on the length of the key and on the position, and on nothing else', () => {
    const keys = [[7], [7, 0], [7, 0, 0], [7, 0, 0, 0], [8, 0, 0, 0], [7, 1, 0, 0], [7, 0, 1, 0], [7, 0, 0, 1], [7 + 2 ** 32, 0, 0, 0]];
    const draws = keys.flatMap((key) => [uniform(key, 0), uniform(key, 1)]);
    expect(new Set(draws).size).toBe(draws.length);
    expect(keys.flatMap((key) => [uniform(key, 0), uniform(key, 1)])).toEqual(draws);
  });

  test('have the moments of their distribution', () => {
    const count = 40_000;
    const moments = (draw: (position: number) => number) => {
      const values = Array.from({ length: count }, (_, position) => draw(position));
      const mean = values.reduce((sum, value) => sum + value, 0) / count;
      return [mean, values.reduce((sum, value) => sum + (value - mean) ** 2, 0) / count, Math.min(...values), Math.max(...values)] as const;
    };
    for (const draw of [uniform, uniformFloat32]) {
      const [mean, variance, low, high] = moments((position) => draw([1, 2, 3, 4], position));
      expect(mean).toBeCloseTo(0.5, 2);
      expect(variance).toBeCloseTo(1 / 12, 2);
      expect(low).toBeGreaterThan(0);
      expect(high).toBeLessThan(1);
    }
    const [mean, variance] = moments((position) => normal([1, 2], position));
    expect(mean).toBeCloseTo(0, 1);
    expect(variance).toBeCloseTo(1, 1);
  });

  test('of Gumbel numbers have their moments, and no two positions share any', () => {
    const values = new Float32Array(1000), all: number[] = [];
    for (let position = 0; position < 40; position++) {
      gumbels([1, 2, 3, 4], position, values);
      all.push(...values);
    }
    const mean = all.reduce((sum, value) => sum + value, 0) / all.length;
    expect(mean).toBeCloseTo(0.5772, 1);
    expect(all.reduce((sum, value) => sum + (value - mean) ** 2, 0) / all.length).toBeCloseTo(Math.PI ** 2 / 6, 1);
    expect(new Set(all).size).toBeGreaterThan(39_900);
    expect(() => gumbels([1], 0, new Float32Array(2049))).toThrow(RangeError);
    expect(() => gumbels([1], 2 ** 23, values)).toThrow(RangeError);
  });

  test('uniformFloat32 survives float32', () => {
    for (let position = 0; position < 1000; position++) {
      const value = uniformFloat32([3], position);
      expect(Math.fround(value)).toBe(value);
    }
  });

  test('refuse a key that would be cut', () => {
    expect(() => uniform([1, 2, 3, 4, 5], 0)).toThrow(RangeError);
    expect(() => uniform([-1], 0)).toThrow(RangeError);
  });
});

test('permutation holds every index once and differs by key', () => {
  const order = permutation([5, 1], 200);
  expect([...order].sort((a, b) => a - b)).toEqual(Array.from({ length: 200 }, (_, index) => index));
  expect(permutation([5, 1], 200)).toEqual(order);
  expect(permutation([5, 2], 200)).not.toEqual(order);
});
