/** The numbers of a step, under the names of the field: TRL's where it has one. */
import type { Metrics, PhaseTimes, Rollout, Subscore } from '../events.ts';
import { mean, standardDeviation, sum } from '../util/statistics.ts';
import { type Group, outputTokens } from './groups.ts';

/** Everything that the rollouts of a step say, before anything is learnt from them. */
export function rolloutMetrics(groups: readonly Group[]): Metrics {
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
    'advantage/abs_mean': mean(scored.flatMap((group) => group.advantages!.map(Math.abs))),
    ...summary(lengths, { mean: 'completions/mean_length', min: 'completions/min_length', max: 'completions/max_length' }),
    'completions/clipped_ratio': share(rollouts.filter((rollout) => rollout.stopReason === 'length').length, rollouts.length),
    'rollouts/error_ratio': share(rollouts.filter((rollout) => rollout.reward === null).length, rollouts.length),
    ...errorMetrics(rollouts),
    sampling_logprob_mean: mean(logprobs),
    num_tokens: sum(lengths),
  }).metrics;
}

type SummaryNames = { mean: string; std?: string; min: string; max: string };

function summary(values: readonly number[], names: SummaryNames): Metrics {
  if (values.length === 0) return {};
  let [low, high] = [Infinity, -Infinity];
  for (const value of values) [low, high] = [Math.min(low, value), Math.max(high, value)];
  return { [names.mean]: mean(values), [names.min]: low, [names.max]: high, ...(names.std ? { [names.std]: standardDeviation(values) } : {}) };
}

/** `rewards/<name>/mean` for every named part; parts of parts as `rewards/<name>/<part>/mean`. */
function subscoreMetrics(rollouts: readonly Rollout[]): Metrics {
  const values = new Map<string, number[]>();
  const collect = (subscores: readonly Subscore[], prefix: string) => {
    for (const { name, value, children } of subscores) {
      const path = `${prefix}/${name}`;
      values.set(path, values.get(path) ?? []);
      values.get(path)!.push(value);
      if (children) collect(children, path);
    }
  };
  for (const rollout of rollouts) collect(rollout.subscores, 'rewards');
  return Object.fromEntries([...values].map(([path, parts]) => [`${path}/mean`, mean(parts)]));
}

/** `errors/<type>`: the share of all rollouts that failed this way. */
function errorMetrics(rollouts: readonly Rollout[]): Metrics {
  const byType = Map.groupBy(rollouts, (rollout) => rollout.error?.type);
  return Object.fromEntries([...byType].flatMap(([type, failed]) => (type ? [[`errors/${type}`, failed.length / rollouts.length]] : [])));
}

/**
 * Where the time of a step went, in seconds as the field has it. `tokens_per_second` is that of the sampler, which may have begun before
 * the step did.
 */
export function timeMetrics(times: PhaseTimes, { tokens, samplingMs }: { tokens: number; samplingMs: number | null }): Metrics {
  const seconds = Object.fromEntries(Object.entries(times).map(([phase, ms]) => [`time/${phase}`, ms / 1000]));
  return finite({ ...seconds, step_time: sum(Object.values(times)) / 1000, ...(samplingMs === null ? {} : { tokens_per_second: tokens / (samplingMs / 1000) }) }).metrics;
}

/** Metrics of several forward–backward passes as one: sums and counts add up, extremes stay extremes, the rest is weighted by tokens. */
export function mergeMetrics(parts: readonly { metrics: Metrics; tokens: number }[]): Metrics {
  const names = new Set(parts.flatMap((part) => Object.keys(part.metrics)));
  return Object.fromEntries(
    [...names].map((name) => {
      const present = parts.filter((part) => part.metrics[name] !== undefined);
      const values = present.map((part) => part.metrics[name]!);
      if (/[:/]sum$/.test(name)) return [name, sum(values)];
      if (/[:/]max$/.test(name)) return [name, Math.max(...values)];
      if (/[:/]min$/.test(name)) return [name, Math.min(...values)];
      const tokens = sum(present.map((part) => part.tokens));
      return [name, tokens === 0 ? mean(values) : sum(present.map((part, index) => values[index]! * part.tokens)) / tokens];
    }),
  );
}

/** JSON turns NaN into null, silently: keep the finite values and name the others. */
export function finite(metrics: Metrics): { metrics: Metrics; dropped: string[] } {
  const entries = Object.entries(metrics);
  return {
    metrics: Object.fromEntries(entries.filter(([, value]) => Number.isFinite(value))),
    dropped: entries.filter(([, value]) => !Number.isFinite(value)).map(([name]) => name),
  };
}
