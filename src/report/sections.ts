/**
 * @file Which curves a report shows, in which order: the few metrics that matter, under five headings. The reward leads and the loss does
 * not: on-policy it is about 0 and says nothing of progress.
 */
import type { MetricsRow } from '../events.ts';
import type { BandOf } from './series.ts';

export type Unit = 'number' | 'share' | 'seconds' | 'tokens';

export interface ChartSpec {
  metric: string;
  title: string;
  unit: Unit;
  /** Around the curve, when a single job is shown. */
  band?: BandOf;
  /** Parts that add up, drawn on top of each other when a single job is shown. */
  stack?: readonly { metric: string; label: string }[];
  /** Measured now and then: every value is marked, and nothing is smoothed. */
  isSparse?: boolean;
}

export interface SectionSpec {
  id: string;
  title: string;
  /** What to look for, in a sentence. */
  lead: string;
  charts: (metrics: ReadonlySet<string>) => ChartSpec[];
}

const between = (metric: string): BandOf => (metrics) => [metrics[`${metric}_low`], metrics[`${metric}_high`]];
const lengths: BandOf = (metrics) => [metrics['completions/min_length'], metrics['completions/max_length']];
const chart = (metric: string, title: string, unit: Unit = 'number', more: Partial<ChartSpec> = {}): ChartSpec => ({ metric, title, unit, ...more });

const phases = ['rollout', 'reward', 'step', 'promote', 'eval'].map((phase) => ({ metric: `time/${phase}`, label: phase }));
const groups = [
  { metric: 'groups/all_good', label: 'all good' },
  { metric: 'groups/mixed', label: 'mixed: they teach' },
  { metric: 'groups/all_bad', label: 'all bad' },
  { metric: 'groups/dropped', label: 'dropped' },
];

export const sections: readonly SectionSpec[] = [
  {
    id: 'reward',
    title: 'Reward',
    lead: 'The reward of the rollouts, and what it is made of. One part that rises alone is a part that is being gamed.',
    charts: (metrics) => [
      ...[...metrics].filter((name) => /^rewards\/.+\/mean$/.test(name)).map((name) => chart(name, name.slice('rewards/'.length, -'/mean'.length))),
      chart('within_group_reward_std', 'Spread within a group'),
      chart('advantage/abs_mean', 'Size of the advantages'),
    ],
  },
  {
    id: 'evaluation',
    title: 'Evaluation',
    lead: 'Held-out tasks, answered greedily and by sampling. Training reward that rises alone is learning by heart.',
    charts: (metrics) => [
      chart('eval/reward', 'Held-out reward', 'number', { band: between('eval/reward'), isSparse: true }),
      chart('eval/accuracy', 'Held-out accuracy', 'share', { band: between('eval/accuracy'), isSparse: true }),
      ...[...metrics]
        .filter((name) => /^eval\/pass@\d+$/.test(name))
        .map((name) => chart(name, name.slice('eval/'.length), 'share', { band: between(name), isSparse: true })),
      chart('eval/clipped_ratio', 'Truncated answers', 'share', { isSparse: true }),
      chart('eval/error_ratio', 'Answers without a verdict', 'share', { isSparse: true }),
    ],
  },
  {
    id: 'stability',
    title: 'Stability',
    lead: 'Entropy that collapses, a policy that runs away from its start, a sampler that disagrees with the trainer.',
    charts: () => [
      chart('entropy', 'Entropy'),
      chart('kl', 'KL to the reference'),
      chart('grad_norm', 'Gradient norm'),
      chart('clip_ratio/region_mean', 'Clipped tokens', 'share'),
      chart('sampling/logp_difference/mean', 'Sampler against trainer'),
      chart('sampling/importance_ratio/min', 'Smallest importance ratio'),
      chart('kl_sample_train/v2', 'KL of sampler and trainer'),
      chart('kl_pre_post/v2', 'KL of one step'),
      chart('policy_loss', 'Loss'),
      chart('learning_rate', 'Learning rate'),
    ],
  },
  {
    id: 'completions',
    title: 'Completions',
    lead: 'Groups whose rewards all agree teach nothing. Lengths that climb to the limit are a reward about length.',
    charts: () => [
      chart('groups/mixed', 'Groups that teach', 'share', { stack: groups }),
      chart('completions/mean_length', 'Length', 'tokens', { band: lengths }),
      chart('completions/clipped_ratio', 'Truncated', 'share'),
      chart('frac_reward_zero_std', 'Groups without spread', 'share'),
      chart('rollouts/error_ratio', 'Rollouts without a verdict', 'share'),
    ],
  },
  {
    id: 'speed',
    title: 'Speed',
    lead: 'Where the time of a step goes.',
    charts: () => [
      chart('step_time', 'Time of a step', 'seconds', { stack: phases }),
      chart('tokens_per_second', 'Sampled tokens a second', 'tokens'),
      chart('num_tokens', 'Tokens of a step', 'tokens'),
    ],
  },
];

/** Every name that any row has, in order of appearance. */
export const metricNames = (rows: readonly MetricsRow[]): Set<string> => new Set(rows.flatMap(({ metrics }) => Object.keys(metrics)));
