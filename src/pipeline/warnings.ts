/** What is not as it should be, in words and with the fix. Ranges: TRL's, verl's and AReaL's own, see docs of each metric. */
import type { StageSettings } from '../config/types.ts';
import type { Emit, MetricsRow } from '../events.ts';
import { collapse, currentRows } from './guards.ts';
import { mean } from '../util/statistics.ts';

interface Warning {
  message: string;
  fix: string;
}

type Rule = (rows: readonly MetricsRow[], stage: StageSettings) => Warning | null;

/** One odd batch is no news: rules look at the mean of the last steps, once there are as many. */
const WINDOW = 5;

function recent(rows: readonly MetricsRow[], name: string): number | null {
  const values = rows.flatMap((row) => row.metrics[name] ?? []).slice(-WINDOW);
  return values.length < WINDOW ? null : mean(values);
}

const percent = (share: number): string => `${Math.round(share * 100)} %`;

const above = (name: string, limit: number, say: (value: number, stage: StageSettings) => Warning): Rule => (rows, stage) => {
  const value = recent(rows, name);
  return value !== null && value > limit ? say(value, stage) : null;
};

const rules = {
  groups_all_bad: above('groups/all_bad', 0.8, (share) => ({
    message: `${percent(share)} of the groups earn nothing in any attempt: almost no gradient.`,
    fix: 'Use easier tasks, a larger group, or an sft stage before this one.',
  })),
  groups_all_good: above('groups/all_good', 0.8, (share) => ({
    message: `${percent(share)} of the groups are solved by every attempt: almost nothing left to learn here.`,
    fix: 'Use harder tasks, or stop: set guard.target or guard.patience.',
  })),
  truncated: above('completions/clipped_ratio', 0.3, (share, stage) => ({
    message: `${percent(share)} of the completions hit the limit of ${stage.agent.maxTokens} tokens: rewards are about length, not about answers.`,
    fix: `Raise agent.max_tokens (now ${stage.agent.maxTokens}), or add a stop string.`,
  })),
  errors: above('rollouts/error_ratio', 0.02, (share) => ({
    message: `${percent(share)} of the rollouts have no verdict; each takes its whole group with it.`,
    fix: 'See the errors in the rollouts file of a step (rlrun trace), and fix the reward or raise runtime.score_timeout.',
  })),
  grad_norm: above('grad_norm', 10, (norm) => ({
    message: `The gradient norm is ${norm.toFixed(1)}: steps are larger than they should be.`,
    fix: 'Lower train.learning_rate, or set train.max_grad_norm: 1.',
  })),
  kl: above('kl', 2, (kl) => ({
    message: `The policy has drifted ${kl.toFixed(2)} nats per token from where it began.`,
    fix: 'Lower train.learning_rate, raise the KL coefficient, or roll back.',
  })),
  clip_ratio: above('clip_ratio/region_mean', 0.3, (share) => ({
    message: `${percent(share)} of the token ratios are clipped.`,
    fix: 'Lower train.updates or train.learning_rate.',
  })),
  sampler_mismatch: above('sampling/logp_difference/mean', 0.01, (difference) => ({
    message: `Sampler and trainer disagree by ${difference.toPrecision(2)} nats per token: they do not compute the same policy.`,
    fix: 'Set agent.top_p: 1 and agent.top_k: 0; if they are, please report this.',
  })),
  stalled: (rows) => {
    const steps = rows.filter((row) => row.kind === 'step' || row.kind === 'skipped').slice(-WINDOW);
    return steps.length === WINDOW && steps.every((row) => row.kind === 'skipped')
      ? { message: `${WINDOW} steps in a row had nothing to learn from.`, fix: 'Raise agent.temperature, enlarge the group, or vary the tasks.' }
      : null;
  },
  collapse: (rows, stage) => {
    const wrong = stage.guard.rollback ? null : collapse(currentRows(rows), stage.guard);
    return wrong && { message: `${wrong.reason[0]!.toUpperCase()}${wrong.reason.slice(1)}.`, fix: 'Roll back and lower train.learning_rate, or set guard.rollback: true.' };
  },
} satisfies Record<string, Rule>;

/** Says each thing when it begins to be wrong, and again only after it has been right in between. */
export function createWarner(stage: StageSettings, emit: Emit): (rows: readonly MetricsRow[]) => void {
  const standing = new Set<string>();
  return (rows) => {
    const now = currentRows(rows);
    for (const [code, rule] of Object.entries<Rule>(rules)) {
      const warning = rule(now, stage);
      if (warning && !standing.has(code)) emit('warning', { step: rows.at(-1)?.step ?? null, code, ...warning });
      if (warning) standing.add(code);
      else standing.delete(code);
    }
  };
}
