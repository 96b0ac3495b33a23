/** The numbers of a step, under the names of the field: TRL's where it has one. */
import type { Phase, PhaseTimes, Rollout, Subscore } from '../events.ts';
import type { TrainerMetric } from '../policy/types.ts';
import { mean, standardDeviation, sum } from '../util/statistics.ts';
import { type Group, hasFailed, isAbstained, outputTokens } from './groups.ts';
import type { MetricsFrom, MetricsOf } from './metric-sources.ts';

/** Everything that the rollouts of a step say, before anything is learnt from them. */
export function rolloutMetrics(groups: readonly Group[]): MetricsFrom<'rollouts'> {
  const rollouts = groups.flatMap((group) => group.rollouts);
  const scored = groups.filter((group) => group.spread !== 'dropped');
  const rewards = rollouts.flatMap((rollout) => rollout.reward ?? []);
  const lengths = rollouts.map(outputTokens).filter((length) => length > 0);
  const logprobs = rollouts.flatMap((rollout) => rollout.turns.flatMap((turn) => turn.outputLogprobs));
  const share = (count: number, of: number) => (of === 0 ? 0 : count / of);
  const groupShare = (spread: Group['spread']) => share(groups.filter((group) => group.spread === spread).length, scored.length);
  return finite({
    ...summary(rewards, { mean: 'reward', std: 'reward_std', min: 'reward_min', max: 'reward_max' }),
    within_group_reward_std: mean(scored.map((group) => group.std!)),
    ...subscoreMetrics(rollouts),
    frac_reward_zero_std: groupShare('all-good') + groupShare('all-bad'),
    'groups/all_good': groupShare('all-good'),
    'groups/all_bad': groupShare('all-bad'),
    'groups/mixed': groupShare('mixed'),
    'groups/dropped': share(groups.length - scored.length, groups.length),
    'advantage/abs_mean': mean(scored.flatMap((group) => group.advantages!.flatMap((advantage) => (advantage === null ? [] : Math.abs(advantage))))),
    ...summary(lengths, { mean: 'completions/mean_length', min: 'completions/min_length', max: 'completions/max_length' }),
    'completions/clipped_ratio': share(rollouts.filter((rollout) => rollout.stopReason === 'length').length, rollouts.length),
    'rollouts/error_ratio': share(rollouts.filter(hasFailed).length, rollouts.length),
    'rollouts/abstained_ratio': share(rollouts.filter(isAbstained).length, rollouts.length),
    ...errorMetrics(rollouts),
    ...conversationMetrics(rollouts),
    sampling_logprob_mean: mean(logprobs),
    num_tokens: sum(lengths),
  }).metrics;
}

type SummaryNames<N extends string> = { mean: N; std?: N; min: N; max: N };

function summary<N extends string>(values: readonly number[], names: SummaryNames<N>): MetricsOf<N> {
  if (values.length === 0) return {};
  let [low, high] = [Infinity, -Infinity];
  for (const value of values) [low, high] = [Math.min(low, value), Math.max(high, value)];
  return { [names.mean]: mean(values), [names.min]: low, [names.max]: high, ...(names.std ? { [names.std]: standardDeviation(values) } : {}) } as MetricsOf<N>;
}

/** `rewards/<name>/mean` over the verdicts of every named part; parts of parts as `rewards/<name>/<part>/mean`. */
function subscoreMetrics(rollouts: readonly Rollout[]): MetricsOf<`rewards/${string}/mean`> {
  const values = new Map<string, number[]>();
  const collect = (subscores: readonly Subscore[], prefix: string) => {
    for (const { name, value, children } of subscores) {
      const path = `${prefix}/${name}`;
      values.set(path, values.get(path) ?? []);
      if (value !== null) values.get(path)!.push(value);
      if (children) collect(children, path);
    }
  };
  for (const rollout of rollouts) collect(rollout.subscores, 'rewards');
  return Object.fromEntries([...values].map(([path, parts]) => [`${path}/mean`, mean(parts)]));
}

/** Of agents that take turns. Calls are counted a rollout, failures a call, as TRL does. */
function conversationMetrics(rollouts: readonly Rollout[]): MetricsFrom<'rollouts'> {
  const talks = rollouts.flatMap((rollout) => (rollout.conversation ? [{ ...rollout.conversation, rollout }] : []));
  if (talks.length === 0) return {};
  const messages = talks.flatMap((talk) => talk.messages);
  const calls = sum(messages.map(({ toolCalls = [] }) => toolCalls.length));
  const malformed = messages.filter(({ failure }) => failure === 'malformed').length;
  const turns = talks.map(({ rollout }) => rollout.turns.length);
  return {
    'turns/mean': mean(turns),
    'turns/max': Math.max(...turns),
    'turns/max_steps_ratio': talks.filter(({ rollout }) => rollout.stopReason === 'max_steps').length / talks.length,
    'turns/environment_seconds': mean(talks.map(({ environmentMs }) => environmentMs)) / 1000,
    'tools/call_frequency': calls / talks.length,
    'tools/failure_frequency': calls === 0 ? 0 : messages.filter(({ role, failure }) => role === 'tool' && failure !== undefined && failure !== 'malformed').length / calls,
    'tools/malformed_frequency': malformed / sum(turns),
  };
}

/** `errors/<type>`: the share of all rollouts that failed this way. */
function errorMetrics(rollouts: readonly Rollout[]): MetricsFrom<'rollouts'> {
  const byType = Map.groupBy(rollouts, (rollout) => rollout.error?.type);
  return Object.fromEntries([...byType].flatMap(([type, failed]) => (type ? [[`errors/${type}`, failed.length / rollouts.length]] : [])));
}

/**
 * Where the time of a step went, in seconds as the field has it. `tokens_per_second` is that of the sampler, which may have begun before
 * the step did.
 */
export function timeMetrics(times: PhaseTimes, { tokens, samplingMs }: { tokens: number; samplingMs: number | null }): MetricsFrom<'time'> {
  const seconds = Object.fromEntries(Object.entries(times).map(([phase, ms]) => [`time/${phase}`, ms / 1000])) as Record<`time/${Phase}`, number>;
  return finite({ ...seconds, step_time: sum(Object.values(times)) / 1000, ...(samplingMs === null ? {} : { tokens_per_second: tokens / (samplingMs / 1000) }) }).metrics;
}

/** How the metrics of several updates become one; `mean` is weighted by the tokens that were learnt from. */
const merges: { [M in TrainerMetric]: 'sum' | 'min' | 'max' | 'mean' } = {
  'loss:sum': 'sum',
  policy_loss: 'mean',
  entropy: 'mean',
  kl: 'mean',
  'clip_ratio/low_mean': 'mean',
  'clip_ratio/high_mean': 'mean',
  'clip_ratio/region_mean': 'mean',
  'sampling/logp_difference/mean': 'mean',
  'sampling/logp_difference/max': 'max',
  'sampling/importance_ratio/min': 'min',
  'sampling/importance_ratio/mean': 'mean',
  'sampling/importance_ratio/max': 'max',
  'kl_sample_train/v1': 'mean',
  'kl_sample_train/v2': 'mean',
  grad_norm: 'mean',
  update_norm: 'mean',
};

export function mergeUpdates(updates: readonly { metrics: MetricsOf<TrainerMetric>; tokens: number }[]): MetricsOf<TrainerMetric> {
  const merge = (name: TrainerMetric): number | undefined => {
    const said = updates.flatMap(({ metrics, tokens }) => (metrics[name] === undefined ? [] : [{ value: metrics[name], tokens }]));
    const values = said.map(({ value }) => value);
    if (values.length === 0) return undefined;
    if (merges[name] === 'sum') return sum(values);
    if (merges[name] !== 'mean') return Math[merges[name]](...values);
    const tokens = sum(said.map((part) => part.tokens));
    return tokens === 0 ? mean(values) : sum(said.map((part) => part.value * part.tokens)) / tokens;
  };
  const merged = (Object.keys(merges) as TrainerMetric[]).map((name) => [name, merge(name)] as const);
  return Object.fromEntries(merged.filter(([, value]) => value !== undefined));
}

/** JSON turns NaN into null, silently: keep the finite values and name the others. */
export function finite<N extends string>(metrics: MetricsOf<N>): { metrics: MetricsOf<N>; dropped: string[] } {
  const entries = Object.entries<number | undefined>(metrics);
  return {
    metrics: Object.fromEntries(entries.filter(([, value]) => Number.isFinite(value))) as MetricsOf<N>,
    dropped: entries.filter(([, value]) => !Number.isFinite(value)).map(([name]) => name),
  };
}
