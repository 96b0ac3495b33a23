import { describe, expect, test } from 'vitest';
import { findings, healthRules, levelOf, type HealthContext, type HealthMetric, type Level } from '../../src/health/index.ts';

const context = (step: number, series: Record<string, number[]> = {}): HealthContext => ({ step, history: (metric) => series[metric] ?? [] });

/** Each rule inside and outside its range: metric, value, level, step, and the run so far where the rule looks at it. */
const cases: [HealthMetric, number, Level, HealthContext?][] = [
  ['reward', 0, 'ok', context(5, { reward: [0, 0] })],
  ['reward', 0, 'bad', context(20, { reward: Array(20).fill(0) })],
  ['reward', 0.1, 'warn', context(20, { reward: [0.1, 0.1] })],
  ['reward', 0.6, 'ok', context(20, { reward: [0.1, 0.6] })],
  ['groups/all_bad', 0.4, 'ok'],
  ['groups/all_bad', 0.6, 'warn'],
  ['groups/all_bad', 0.87, 'bad'],
  ['groups/all_good', 0.5, 'ok'],
  ['groups/all_good', 0.9, 'warn'],
  ['frac_reward_zero_std', 0.79, 'ok'],
  ['frac_reward_zero_std', 0.8, 'warn'],
  ['frac_reward_zero_std', 1, 'bad'],
  ['within_group_reward_std', 0.1, 'ok'],
  ['within_group_reward_std', 0, 'bad'],
  ['entropy', 0.9, 'ok', context(9, { entropy: [1, 0.9] })],
  ['entropy', 1.6, 'warn', context(9, { entropy: [1, 1.6] })],
  ['entropy', 0.05, 'bad', context(9, { entropy: [1, 0.05], reward: [0.8, 0.2] })],
  ['entropy', 0.05, 'warn', context(9, { entropy: [1, 0.05], reward: [0.2, 0.98] })],
  ['kl', 0.4, 'ok'],
  ['kl', 0.6, 'warn'],
  ['kl', 2.1, 'bad'],
  ['grad_norm', 0, 'bad'],
  ['grad_norm', 0.5, 'ok'],
  ['grad_norm', 700, 'ok', context(9, { grad_norm: [650, 600, 700, 900, 500, 700] })],
  ['grad_norm', 0.5, 'ok', context(3, { grad_norm: [0.01, 0.5] })],
  ['grad_norm', 11, 'warn', context(9, { grad_norm: [1, 1, 2, 1, 0.5, 11] })],
  ['grad_norm', 101, 'bad', context(9, { grad_norm: [1, 1, 2, 1, 0.5, 101] })],
  ['eval/reward', 0.7, 'ok', context(20, { 'eval/reward': [0.2, 0.72, 0.7] })],
  ['eval/reward', 0.6, 'warn', context(20, { 'eval/reward': [0.2, 0.72, 0.6] })],
  ['eval/reward', 0.4, 'bad', context(20, { 'eval/reward': [0.2, 0.72, 0.4] })],
  ['completions/clipped_ratio', 0.3, 'ok'],
  ['completions/clipped_ratio', 0.31, 'warn'],
  ['completions/clipped_ratio', 0.81, 'bad'],
  ['completions/mean_length', 29, 'ok', context(9, { 'completions/mean_length': [10, 29] })],
  ['completions/mean_length', 31, 'warn', context(9, { 'completions/mean_length': [10, 31] })],
  ['sampling/logp_difference/mean', 1e-5, 'ok'],
  ['sampling/logp_difference/mean', 0.2, 'warn'],
  ['sampling/logp_difference/mean', 1.2, 'bad'],
  ['sampling/logp_difference/max', 0.9, 'ok'],
  ['sampling/logp_difference/max', 2, 'warn'],
  ['sampling/importance_ratio/min', 0.5, 'ok'],
  ['sampling/importance_ratio/min', 0.001, 'warn'],
  ['kl_sample_train/v1', -0.005, 'ok'],
  ['kl_sample_train/v1', -0.02, 'warn'],
  ['kl_sample_train/v2', 0.2, 'bad'],
  ['kl_pre_post/v2', 0.04, 'ok'],
  ['kl_pre_post/v2', 0.06, 'warn'],
  ['clip_ratio/region_mean', 0.05, 'ok'],
  ['clip_ratio/region_mean', 0.2, 'warn'],
  ['clip_ratio/region_mean', 0.4, 'bad'],
  ['advantage/abs_mean', 1e-4, 'warn'],
  ['advantage/abs_mean', 0.2, 'ok'],
  ['rollouts/error_ratio', 0.01, 'ok'],
  ['rollouts/error_ratio', 0.05, 'warn'],
  ['rollouts/error_ratio', 0.5, 'bad'],
  ['tools/failure_frequency', 0.2, 'warn'],
  ['tokens_per_second', 400, 'warn', context(9, { tokens_per_second: [1000, 1000, 1000, 1000, 1000, 450, 450, 400] })],
  ['tokens_per_second', 300, 'ok', context(9, { tokens_per_second: [1000, 1000, 1000, 1000, 1000, 1000, 1000, 300] })],
  // Where speed varies that much from step to step, three steps in a row below the mean are chance.
  ['tokens_per_second', 15_000, 'ok', context(12, { tokens_per_second: [20_000, 260_000, 12_000, 300_000, 18_000, 19_000, 410_000, 230_000, 16_000, 12_000, 19_000, 15_000] })],
  ['tokens_per_second', 900, 'ok', context(9, { tokens_per_second: [1000, 1000, 1000, 1000, 1000, 1000, 1000, 900] })],
];

test.each(cases)('%s at %d is %s', (metric, value, level, at = context(9)) => {
  expect(levelOf(metric, value, at)).toBe(level);
});

test('every rule has a case, a label that fits a narrow screen, and a range in words', () => {
  expect(new Set(cases.map(([metric]) => metric))).toEqual(new Set(Object.keys(healthRules)));
  for (const rule of Object.values(healthRules)) {
    expect(rule.label.length).toBeLessThanOrEqual(13);
    expect(rule.healthy).not.toBe('');
  }
});

describe('findings', () => {
  test('say what is wrong and what to do, the worst first', () => {
    const found = findings({ 'completions/clipped_ratio': 0.5, kl: 3, reward: 0.5 }, context(30, { reward: [0.1, 0.5] }));
    expect(found.map(({ metric, level }) => [metric, level])).toEqual([
      ['kl', 'bad'],
      ['completions/clipped_ratio', 'warn'],
    ]);
    expect(found[1]!.message).toBe('50 % of the completions hit the token limit, so the reward is about truncation');
    expect(found[1]!.fix).toContain('agent.max_tokens');
  });

  test('name the cause of missing spread and not each of its symptoms', () => {
    const symptoms = { 'groups/all_bad': 0.9, frac_reward_zero_std: 0.9 };
    expect(findings(symptoms, context(9)).map(({ metric }) => metric)).toEqual(['groups/all_bad']);
    const none = findings({ frac_reward_zero_std: 1, within_group_reward_std: 0, grad_norm: 0 }, context(9));
    expect(none.map(({ metric }) => metric)).toEqual(['frac_reward_zero_std']);
  });

  test('metrics without a rule are never out of range', () => {
    expect(findings({ learning_rate: 1e9 }, context(1))).toEqual([]);
    expect(levelOf('learning_rate', 1e9, context(1))).toBe('ok');
  });
});
