import { describe, expect, test } from 'vitest';
import { band, curve, fates, meanOf, spreadOfReward, values } from '../../src/report/series.ts';
import { evaluations } from '../../src/util/held-out.ts';
import { row } from './support.ts';

describe('curve', () => {
  test('passes over steps without the metric and over rows that are no number', () => {
    const rows = [row(1, { reward: 0.1 }), row(2, { entropy: 1 }), row(3, { reward: Infinity }), row(4, { reward: 0.4 })];
    expect(curve(rows, 'reward')).toEqual([{ x: 1, y: 0.1 }, { x: 4, y: 0.4 }]);
  });

  test('breaks where other weights came back, and says nothing of the rollback row itself', () => {
    const rows = [row(1, { reward: 0.1 }), row(2, { reward: 0.2 }), row(2, { reward: 9 }, { kind: 'rollback' }), row(3, { reward: 0.3 })];
    expect(curve(rows, 'reward')).toEqual([{ x: 1, y: 0.1 }, { x: 2, y: 0.2 }, { x: 3, y: null }, { x: 3, y: 0.3 }]);
  });

  test('breaks where the stage changes, because its reward may be another', () => {
    const rows = [row(1, { reward: 0.1 }, { stage: 'easy' }), row(2, { reward: 0.9 }, { stage: 'hard' }), row(3, { reward: 0.8 }, { stage: 'hard' })];
    expect(curve(rows, 'reward').map(({ y }) => y)).toEqual([0.1, null, 0.9, 0.8]);
  });

  test('joins the start to the first stage, whatever the stage is called', () => {
    const rows = [row(0, { 'eval/reward': 0.1 }, { stage: 'start' }), row(5, { 'eval/reward': 0.5 })];
    expect(curve(rows, 'eval/reward').map(({ y }) => y)).toEqual([0.1, 0.5]);
  });

  test('values are those of the curve without its gaps', () => {
    expect(values([row(1, { kl: 1 }), row(1, {}, { kind: 'rollback' }), row(2, { kl: 2 })], 'kl')).toEqual([1, 2]);
  });
});

describe('band', () => {
  test('the spread around the reward ends where the rewards of the step end', () => {
    const rows = [row(1, { reward: 0.9, within_group_reward_std: 0.3, reward_min: 0, reward_max: 1 }), row(2, { reward: 0.5, within_group_reward_std: 0.2 })];
    const [clipped, free] = band(rows, spreadOfReward);
    expect(clipped).toEqual({ x: 1, low: 0.9 - 0.3, high: 1 });
    expect(free).toEqual({ x: 2, low: 0.5 - 0.2, high: 0.7 });
  });

  test('a slice that lacks an end is left out', () => expect(band([row(1, { reward: 1 })], spreadOfReward)).toEqual([]));
});

test('the mean of curves is drawn only where every one of them has a value', () => {
  const a = [{ x: 1, y: 1 }, { x: 2, y: null }, { x: 2, y: 2 }, { x: 3, y: 5 }];
  const b = [{ x: 1, y: 3 }, { x: 2, y: 6 }];
  expect(meanOf([a, b])).toEqual({
    middle: [{ x: 1, y: 2 }, { x: 2, y: 4 }],
    area: [{ x: 1, low: 1, high: 3 }, { x: 2, low: 2, high: 6 }],
  });
  expect(meanOf([])).toEqual({ middle: [], area: [] });
});

test('evaluations carry their interval where one was computed', () => {
  const rows = [row(0, { 'eval/reward': 0.2, 'eval/reward_low': 0.1, 'eval/reward_high': 0.3 }), row(5, { 'eval/reward': 0.4 }), row(6, { reward: 1 })];
  expect(evaluations(rows)).toEqual([
    { step: 0, value: 0.2, low: 0.1, high: 0.3, isBaseline: true },
    { step: 5, value: 0.4, low: null, high: null, isBaseline: false },
  ]);
});

test('neighbouring steps of one fate are one run; every rollback stands alone', () => {
  const rows = [
    ...[row(0, {}), row(1, {}, { promoted: true }), row(2, {}, { promoted: true }), row(3, {}, { promoted: false }), row(4, {}, { kind: 'skipped', reason: 'no spread' })],
    ...[row(4, {}, { kind: 'rollback', reason: 'entropy' }), row(4, {}, { kind: 'rollback', reason: 'again' }), row(7, {}, { promoted: true })],
  ];
  expect(fates(rows).map(({ fate, from, to }) => [fate, from, to])).toEqual([
    ['promoted', 1, 2], ['held', 3, 3], ['skipped', 4, 4], ['rolled-back', 4, 4], ['rolled-back', 4, 4], ['promoted', 7, 7],
  ]);
});
