/**
 * The names of a step's numbers, by who says them. Two sources that say different things under one name would be a number that is wrong
 * without anybody noticing: `together` does not compile then.
 */
import type { Metrics, Phase, RolloutError } from '../events.ts';
import type { TrainerMetric } from '../policy/types.ts';

/** Of everything that was sampled in a step, whether anything is learnt from it or not. Supervised steps sample nothing: theirs is the number of tokens alone. */
export type RolloutMetric =
  | 'reward'
  | 'reward_std'
  | 'reward_min'
  | 'reward_max'
  | 'within_group_reward_std'
  | `rewards/${string}/mean`
  | 'frac_reward_zero_std'
  | `groups/${'all_good' | 'all_bad' | 'mixed' | 'dropped'}`
  | 'advantage/abs_mean'
  | `completions/${'mean_length' | 'min_length' | 'max_length' | 'clipped_ratio'}`
  | 'rollouts/error_ratio'
  | 'rollouts/abstained_ratio'
  | `errors/${RolloutError['type']}`
  | `tools/${'call_frequency' | 'failure_frequency' | 'malformed_frequency'}`
  | `turns/${'mean' | 'max' | 'max_steps_ratio' | 'environment_seconds'}`
  | 'sampling_logprob_mean'
  | 'num_tokens';

/** Of the update: what the trainer says of the tokens that were learnt from, and what the job decided. */
export type UpdateMetric = TrainerMetric | 'learning_rate' | 'update/refused';

interface MetricSources {
  rollouts: RolloutMetric;
  update: UpdateMetric;
  heldOut: `eval/${string}`;
  time: `time/${Phase}` | 'step_time' | 'tokens_per_second';
}
type Source = keyof MetricSources;

/** Numbers under some of these names. */
export type MetricsOf<Name extends string> = { [N in Name]?: number };
export type MetricsFrom<S extends Source> = MetricsOf<MetricSources[S]>;
/** Names that are all of one pattern are an index, and none of them may be undefined. */
export type HeldOutMetrics = Record<MetricSources['heldOut'], number>;

/** The names that more than one source has. */
export type SharedNames<Sources> = { [A in keyof Sources]: { [B in Exclude<keyof Sources, A>]: Extract<Sources[A], Sources[B]> }[Exclude<keyof Sources, A>] }[keyof Sources];

/** Everything that is known of a step. */
export const together = (parts: [SharedNames<MetricSources>] extends [never] ? { [S in Source]: MetricsFrom<S> } : never): Metrics => Object.assign({}, ...Object.values(parts)) as Metrics;
