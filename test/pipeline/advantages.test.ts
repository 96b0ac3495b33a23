import { describe, expect, test } from 'vitest';
import { type AdvantageSettings, groupAdvantages, hasSpread } from '../../src/pipeline/advantages.ts';

const close = (values: readonly number[], expected: readonly number[]) => values.forEach((value, index) => expect(value).toBeCloseTo(expected[index]!, 6));

describe('advantages of the golden group R = [1, 0, 0.5, 1]', () => {
  const rewards = [1, 0, 0.5, 1];
  // Computed with NumPy in float64: mean .625, std .478714 (ddof 1) and .414578 (ddof 0), δ = 1e-4.
  test.each<[AdvantageSettings, number[]]>([
    [{ normalize: 'none', ddof: 1, delta: 0 }, [0.375, -0.625, -0.125, 0.375]],
    [{ normalize: 'std', ddof: 1, delta: 1e-4 }, [0.783186, -1.30531, -0.261062, 0.783186]],
    [{ normalize: 'std', ddof: 0, delta: 1e-4 }, [0.904316, -1.507193, -0.301439, 0.904316]],
    [{ normalize: 'leave_one_out', ddof: 1, delta: 0 }, [0.5, -0.8333333, -0.1666667, 0.5]],
    [{ normalize: 'batch_std', ddof: 1, delta: 0 }, [0.75, -1.25, -0.25, 0.75]],
  ])('%j', (settings, expected) => close(groupAdvantages(rewards, settings, 0.5), expected));
});

test('leave-one-out is the reward minus the mean of the others', () => {
  const rewards = [3, 1, 4, 1, 5];
  const others = rewards.map((_, index) => rewards.filter((__, other) => other !== index));
  const expected = rewards.map((reward, index) => reward - others[index]!.reduce((sum, value) => sum + value) / 4);
  close(groupAdvantages(rewards, { normalize: 'leave_one_out', ddof: 1, delta: 0 }, 1), expected);
});

describe('a group without spread', () => {
  test('is found by max − min, before float residue is divided by itself', () => {
    const rewards = [0.1 + 0.2 + 0.3, 0.6, 0.6, 0.6];
    expect(new Set(rewards).size).toBe(2);
    expect(hasSpread(rewards)).toBe(false);
    expect(groupAdvantages(rewards, { normalize: 'std', ddof: 0, delta: 0 }, 0)).toEqual([0, 0, 0, 0]);
  });

  test('is a group of one, or of equal rewards of any size', () => {
    expect(hasSpread([1])).toBe(false);
    expect(hasSpread([1e308, 1e308])).toBe(false);
    expect(hasSpread([1e9, 1e9 + 1e-3])).toBe(false);
    expect(hasSpread([0, 1e-6])).toBe(true);
  });
});
