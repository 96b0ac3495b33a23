/**
 * @file When a training run is well, metric by metric: the healthy range, what it means to leave it, and what to do.
 *
 * Ranges are those published for instruct models (axolotl, verl, AReaL, Tinker's cookbook); where a small model differs, the
 * rule compares with the run's own start.
 */
import { mean } from '../util/statistics.ts';

export type Level = 'ok' | 'warn' | 'bad';

/** What a rule may look at besides the value: the run so far, oldest value first, the present value last. */
export interface HealthContext {
  readonly step: number;
  history(metric: string): readonly number[];
}

/** Out of range: how far, what it means, and the fix, both in words. */
export interface Verdict {
  readonly level: 'warn' | 'bad';
  readonly message: string;
  readonly fix: string;
}

export interface HealthRule {
  /** A name of one or two words for a narrow screen. */
  readonly label: string;
  readonly unit: 'number' | 'share' | 'tokens' | 'tokens/s' | 'ms';
  /** The healthy range in words. */
  readonly healthy: string;
  /** Differences below this are rounding or chance: no trend, and a flat line. */
  readonly grain?: number;
  judge(value: number, context: HealthContext): Verdict | null;
}

/** Names of the field; see the metric table of the documentation. */
export type HealthMetric =
  | 'reward'
  | 'within_group_reward_std'
  | 'frac_reward_zero_std'
  | 'groups/all_good'
  | 'groups/all_bad'
  | 'advantage/abs_mean'
  | 'eval/reward'
  | 'entropy'
  | 'kl'
  | 'kl_sample_train/v1'
  | 'kl_sample_train/v2'
  | 'kl_pre_post/v2'
  | 'grad_norm'
  | 'clip_ratio/region_mean'
  | 'sampling/logp_difference/mean'
  | 'sampling/logp_difference/max'
  | 'sampling/importance_ratio/min'
  | 'completions/mean_length'
  | 'completions/clipped_ratio'
  | 'rollouts/error_ratio'
  | 'tools/failure_frequency'
  | 'tokens_per_second';

const percent = (share: number): string => `${share >= 0.01 ? Math.round(share * 100) : (share * 100).toFixed(1)} %`;
const short = (value: number): string => (value === 0 ? '0' : Math.abs(value) >= 0.01 ? value.toFixed(2) : value.toExponential(1));
const warn = (message: string, fix: string): Verdict => ({ level: 'warn', message, fix });
const bad = (message: string, fix: string): Verdict => ({ level: 'bad', message, fix });

/** Red above `red`, yellow above `yellow`. */
const above =
  ({ yellow, red }: { yellow: number; red: number }, message: (value: number) => string, fix: string) =>
  (value: number): Verdict | null =>
    value > red ? bad(message(value), fix) : value > yellow ? warn(message(value), fix) : null;

/** The order is the one in which findings of equal level are told: what stops the learning comes first. */
export const healthRules: { readonly [M in HealthMetric]: HealthRule } = {
  reward: {
    label: 'reward',
    unit: 'number',
    healthy: 'rises; above 0.15 by step 20',
    judge(value, { step, history }) {
      if (step < 20) return null;
      const past = history('reward');
      if (past.every((reward) => reward <= 0)) {
        return bad(`the reward has been 0 for ${past.length} steps`, 'test the grader on gold answers (rlrun check), or begin with an sft stage');
      }
      if (value < 0.15 && value <= past[0]! + 0.02) {
        return warn(`the reward is ${short(value)} at step ${step}, where it began`, 'easier tasks, a larger group, or an sft stage first');
      }
      return null;
    },
  },
  'groups/all_bad': {
    label: 'all bad',
    unit: 'share',
    healthy: 'below 50%',
    judge: above(
      { yellow: 0.5, red: 0.85 },
      (value) => `${percent(value)} of the groups failed altogether and teach nothing`,
      'easier tasks, a larger group, or an sft stage first',
    ),
  },
  frac_reward_zero_std: {
    label: 'no spread',
    unit: 'share',
    healthy: 'below 80%',
    judge: (value) =>
      value >= 1
        ? bad('no group has any spread in its rewards, so there is no gradient', 'raise the temperature, vary the tasks, or enlarge the group')
        : value >= 0.8
          ? warn(`${percent(value)} of the groups have no spread and teach nothing`, 'tasks of medium difficulty, a larger group, or a higher temperature')
          : null,
  },
  within_group_reward_std: {
    label: 'spread',
    unit: 'number',
    healthy: 'above 0',
    judge: (value) => (value > 0 ? null : bad('all rollouts of a task get the same reward', 'raise the temperature, vary the tasks, or enlarge the group')),
  },
  entropy: {
    label: 'entropy',
    unit: 'number',
    healthy: '10% to 150% of its start',
    judge(value, { history }) {
      const first = history('entropy')[0];
      if (first === undefined || first <= 0) return null;
      const share = value / first;
      if (share > 1.5) return warn(`entropy rose to ${percent(share)} of its start: the policy gets vaguer`, 'lower the learning rate, or train.entropy_bonus');
      if (share >= 0.1) return null;
      const rewards = history('reward');
      const message = `entropy fell to ${percent(share)} of its start`;
      return rewards.length > 0 && rewards.at(-1)! >= 0.95 * Math.max(...rewards)
        ? warn(`${message} while the reward holds: the policy is nearly certain`, 'stop soon, or go on with harder tasks')
        : bad(`${message}: the policy has collapsed`, 'roll back to an earlier checkpoint and lower the learning rate');
    },
  },
  kl: {
    label: 'KL',
    unit: 'number',
    healthy: 'below 0.5',
    judge: above({ yellow: 0.5, red: 2 }, (value) => `KL to the reference is ${short(value)}: the policy drifted far from its start`, 'lower the learning rate, add a KL term, or roll back'),
  },
  grad_norm: {
    label: 'grad norm',
    unit: 'number',
    healthy: 'above 0, within 5 times its usual size',
    // No absolute range: a loss that sums over tokens has norms a thousand times those of one that averages, and trains as well.
    judge(value, { history }) {
      if (value === 0) return bad('the gradient is 0', 'the groups have no spread: raise the temperature or vary the tasks');
      const past = history('grad_norm').slice(0, -1);
      if (past.length < 5) return null;
      const times = value / past.toSorted((a, b) => a - b)[past.length >> 1]!;
      const message = () => `the gradient's norm is ${short(value)}, ${Math.round(times)} times its usual size`;
      return above({ yellow: 5, red: 50 }, message, 'lower the learning rate, or set train.max_grad_norm')(times);
    },
  },
  'eval/reward': {
    label: 'eval',
    unit: 'number',
    healthy: 'rises with the training reward',
    judge(value, { history }) {
      const past = history('eval/reward');
      const best = Math.max(...past);
      const drop = best - value;
      const scale = Math.max(Math.abs(best), 1e-9);
      if (past.length < 2 || drop <= 0.1 * scale) return null;
      const fix = 'the reward may be gamed or the tasks learnt by heart: keep the best checkpoint, look at rollouts';
      const message = `the held-out score fell from ${short(best)} to ${short(value)}`;
      return drop > 0.3 * scale ? bad(message, fix) : warn(message, fix);
    },
  },
  'completions/clipped_ratio': {
    label: 'truncated',
    unit: 'share',
    healthy: 'below 30%',
    grain: 0.02,
    judge: above(
      { yellow: 0.3, red: 0.8 },
      (value) => `${percent(value)} of the completions hit the token limit, so the reward is about truncation`,
      'raise agent.max_tokens, or reward shorter answers',
    ),
  },
  'completions/mean_length': {
    label: 'length',
    unit: 'tokens',
    healthy: 'below three times its start',
    judge(value, { history }) {
      const first = history('completions/mean_length')[0];
      return first !== undefined && first > 0 && value > 3 * first
        ? warn(`completions are ${(value / first).toFixed(1)} times as long as at the start`, 'if the reward follows length, it is being gamed: weigh length in the reward')
        : null;
    },
  },
  'sampling/logp_difference/mean': {
    label: 'sampler Δ',
    unit: 'number',
    healthy: 'below 1e-4 in fp32, below 0.1 quantised',
    grain: 1e-4,
    judge: above(
      { yellow: 0.1, red: 1 },
      (value) => `sampler and trainer disagree by ${short(value)} nats a token`,
      'wrong weights, temperature or tokens reach one of them: this is a fault, please report it',
    ),
  },
  'sampling/logp_difference/max': {
    label: 'sampler Δ',
    unit: 'number',
    healthy: 'below 1',
    grain: 1e-3,
    judge: above({ yellow: 1, red: 5 }, (value) => `sampler and trainer disagree by ${short(value)} nats on one token`, 'look for wrong weights, temperature or tokens'),
  },
  'sampling/importance_ratio/min': {
    label: 'ratio min',
    unit: 'number',
    healthy: 'above 0.1',
    judge: (value) => (value < 0.01 ? warn(`the smallest importance ratio is ${short(value)}: the batch is stale`, 'fewer updates per batch') : null),
  },
  'kl_sample_train/v1': {
    label: 'KL sampler',
    unit: 'number',
    healthy: 'within ±0.01',
    grain: 1e-4,
    judge: (value) => above({ yellow: 0.01, red: 0.1 }, () => `sampler and trainer differ by a KL of ${short(value)}`, 'fewer updates per batch, or a lower learning rate')(Math.abs(value)),
  },
  'kl_sample_train/v2': {
    label: 'KL sampler',
    unit: 'number',
    healthy: 'below 0.01',
    grain: 1e-4,
    judge: above({ yellow: 0.01, red: 0.1 }, (value) => `sampler and trainer differ by a KL of ${short(value)}`, 'fewer updates per batch, or a lower learning rate'),
  },
  'kl_pre_post/v2': {
    label: 'KL of step',
    unit: 'number',
    healthy: 'below 0.05',
    grain: 1e-3,
    judge: above({ yellow: 0.05, red: 0.5 }, (value) => `one step moved the policy by a KL of ${short(value)}`, 'lower the learning rate'),
  },
  'clip_ratio/region_mean': {
    label: 'clipped',
    unit: 'share',
    healthy: 'below 10%',
    judge: above({ yellow: 0.1, red: 0.3 }, (value) => `${percent(value)} of the tokens are clipped`, 'fewer updates per batch, or a lower learning rate'),
  },
  'advantage/abs_mean': {
    label: 'advantage',
    unit: 'number',
    healthy: 'above 0',
    judge: (value) => (value > 0 && value < 1e-3 ? warn(`the mean advantage is only ${short(value)}: rewards lie too close`, 'a reward with more contrast') : null),
  },
  'rollouts/error_ratio': {
    label: 'errors',
    unit: 'share',
    healthy: 'below 2%',
    grain: 0.01,
    judge: above({ yellow: 0.02, red: 0.2 }, (value) => `${percent(value)} of the rollouts failed without a verdict`, 'read the errors (in view 2, or with rlrun jobs latest): the reward or the environment throws or times out'),
  },
  'tools/failure_frequency': {
    label: 'tool errors',
    unit: 'share',
    healthy: 'below 10%',
    judge: above({ yellow: 0.1, red: 0.5 }, (value) => `${percent(value)} of the tool calls fail`, 'look at one in view 2: the call may be malformed'),
  },
  'groups/all_good': {
    label: 'all good',
    unit: 'share',
    healthy: 'below 50%',
    judge: (value) => (value > 0.5 ? warn(`${percent(value)} of the groups are all right and teach nothing more`, 'harder tasks, or stop here') : null),
  },
  tokens_per_second: {
    label: 'tokens/s',
    unit: 'tokens/s',
    healthy: 'steady',
    judge(value, { history }) {
      const speeds = history('tokens_per_second');
      const [usual, lately] = [speeds.slice(-23, -3).toSorted((a, b) => a - b), speeds.slice(-3)];
      // Speed varies with the tasks of a step and with all else on the machine: compared are slow steps with slow steps.
      const [slow, typical] = [0.1, 0.5].map((share) => usual[Math.floor(share * usual.length)]!) as [number, number];
      // One slow step is chance: three of them are not.
      if (speeds.length < 8 || Math.max(value, ...lately) >= slow / 2) return null;
      return warn(`sampling slowed to ${percent(mean(lately) / typical)} of its usual speed`, 'longer completions, another program on the machine, or memory pressure');
    },
  },
};
