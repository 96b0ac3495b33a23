import { expect, expectTypeOf, test } from 'vitest';
import { type MetricsFrom, type SharedNames, together } from '../../src/pipeline/metric-sources.ts';
import { mergeUpdates } from '../../src/pipeline/metrics.ts';

test('a name that two sources have does not go through the compiler', () => {
  expectTypeOf<SharedNames<{ rollouts: 'reward' | 'num_tokens'; update: 'entropy' | 'num_tokens' }>>().toEqualTypeOf<'num_tokens'>();
  expectTypeOf<SharedNames<{ rollouts: `rewards/${string}/mean`; update: 'rewards/kl/mean' }>>().toEqualTypeOf<'rewards/kl/mean'>();
  expectTypeOf<SharedNames<{ rollouts: 'reward'; update: 'entropy' }>>().toBeNever();
  // @ts-expect-error: the number of tokens is the rollouts' to say
  const update: MetricsFrom<'update'> = { num_tokens: 1 };
  expect(together({ rollouts: { num_tokens: 384 }, update: { entropy: 1 }, heldOut: { 'eval/reward': 0.5 }, time: { step_time: 2 } })).toEqual({ num_tokens: 384, entropy: 1, 'eval/reward': 0.5, step_time: 2 });
  expect(update).toBeDefined();
});

test('of several updates sums add up, extremes stay extremes, and the rest is weighted by tokens', () => {
  const updates = [
    { metrics: { 'loss:sum': 2, policy_loss: 2, entropy: 1, 'sampling/importance_ratio/min': 0.9, 'sampling/importance_ratio/max': 1.1, grad_norm: 1 }, tokens: 30 },
    { metrics: { 'loss:sum': 4, policy_loss: 4, entropy: 3, 'sampling/importance_ratio/min': 0.8, 'sampling/importance_ratio/max': 1, grad_norm: 2, kl: 0.5 }, tokens: 10 },
  ];
  expect(mergeUpdates(updates)).toEqual({
    ...{ 'loss:sum': 6, policy_loss: 2.5, entropy: 1.5, kl: 0.5, grad_norm: 1.25 },
    ...{ 'sampling/importance_ratio/min': 0.8, 'sampling/importance_ratio/max': 1.1 },
  });
  expect(mergeUpdates([])).toEqual({});
});
