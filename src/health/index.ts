/** @file Metrics → how the run is doing, in words. Screens, logs and reports ask here, so that they never disagree. */
import { healthRules, type HealthContext, type HealthMetric, type HealthRule, type Level, type Verdict } from './rules.ts';
import type { Metrics } from '../events.ts';

export { asSentence } from './sentence.ts';
export { healthRules, type HealthContext, type HealthMetric, type HealthRule, type Level, type Verdict };

/** A metric that left its healthy range. */
export interface Finding extends Verdict {
  readonly metric: HealthMetric;
  readonly value: number;
}

export const isHealthMetric = (name: string): name is HealthMetric => Object.hasOwn(healthRules, name);

/** The light of one metric; metrics without a rule are always well. */
export function levelOf(metric: string, value: number, context: HealthContext): Level {
  return isHealthMetric(metric) ? (healthRules[metric].judge(value, context)?.level ?? 'ok') : 'ok';
}

/**
 * Everything that is out of range, the worst first. `groups/all_bad` explains a lack of spread better than the symptoms
 * that follow from it, so those are told only when nothing explains them.
 */
export function findings(metrics: Metrics, context: HealthContext): Finding[] {
  const found: Finding[] = [];
  for (const metric of Object.keys(healthRules) as HealthMetric[]) {
    const value = metrics[metric];
    const verdict = value === undefined ? null : healthRules[metric].judge(value, context);
    if (verdict !== null) found.push({ metric, value: value!, ...verdict });
  }
  const has = (metric: HealthMetric): boolean => found.some((finding) => finding.metric === metric);
  const explained = has('groups/all_bad') || has('groups/all_good');
  return found
    .filter(({ metric, value }) => !(explained && metric === 'frac_reward_zero_std' && value < 1))
    .filter(({ metric }) => !(has('frac_reward_zero_std') && (metric === 'within_group_reward_std' || metric === 'grad_norm')))
    .sort((a, b) => Number(b.level === 'bad') - Number(a.level === 'bad'));
}
