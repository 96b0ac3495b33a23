/** When a run should stop or go back, judged from its metrics alone, so that a resumed run judges as the uninterrupted one did. */
import type { GuardSettings } from '../config/types.ts';
import type { MetricsRow } from '../events.ts';
import { mean as average } from '../util/statistics.ts';
import { count } from '../util/words.ts';

export type Verdict =
  | { action: 'continue' }
  /** Put the best weights back; `reason` says what collapsed, in words. */
  | { action: 'rollback'; code: GuardCode; reason: string }
  /** End the stage; `failed` when it ends because it cannot be saved. */
  | { action: 'stop'; failed: boolean; reason: string };

export type GuardCode = 'entropy_collapse' | 'truncation_collapse' | 'held_out_collapse' | 'non_finite';

/** After this many rollbacks the run is not going to get better by itself. */
export const MAX_ROLLBACKS = 3;
const REFUSALS_IN_A_ROW = 3;
/** After so many steps without any verdict it is the reward or the environment that is broken, and time would not mend it. */
const SILENT_STEPS = 3;
/** A held-out score must lose this share of the best one, beyond both intervals, to count as a collapse. */
const HELD_OUT_FALL = 0.2;
/** A policy that still earns this share of its best reward has not collapsed. */
const REWARD_KEPT = 0.8;
/** Averages over this many steps tell a trend from one odd batch. */
const WINDOW = 3;

const percent = (share: number): string => `${Math.round(share * 100)} %`;

/** Rows since the last rollback: what was measured on weights that are gone must not count twice. */
export function currentRows(rows: readonly MetricsRow[]): readonly MetricsRow[] {
  return rows.slice(rows.findLastIndex((row) => row.kind === 'rollback') + 1);
}

const series = (rows: readonly MetricsRow[], name: string): number[] => rows.flatMap((row) => row.metrics[name] ?? []);

const windowed = (values: readonly number[]): number[] => values.slice(WINDOW - 1).map((_, end) => average(values.slice(end, end + WINDOW)));

type Guard = (rows: readonly MetricsRow[], settings: GuardSettings) => string | null;

/** Each looks at the rows of one stage since the last rollback and says what is wrong, or null. */
const guards: { [C in GuardCode]: Guard } = {
  // A policy that has learnt its task is sure of itself too: low entropy is a collapse only where the reward has fallen (and
  // supervised steps, which have no reward, are meant to make it so).
  entropy_collapse: (rows, { entropyFloor }) => {
    const [entropies, rewards] = [series(rows, 'entropy'), series(rows, 'reward')];
    const [first, recent] = [entropies[0], entropies.slice(-WINDOW)];
    if (first === undefined || entropies.length <= WINDOW || average(recent) >= first * entropyFloor) return null;
    if (rewards.length < WINDOW || average(rewards.slice(-WINDOW)) > REWARD_KEPT * Math.max(...windowed(rewards))) return null;
    return `entropy fell from ${first.toPrecision(2)} to ${average(recent).toPrecision(2)}, below ${percent(entropyFloor)} of its first value: the policy repeats itself`;
  },
  truncation_collapse: (rows, { truncatedCeiling }) => {
    const truncated = series(rows, 'completions/clipped_ratio');
    const recent = truncated.slice(-WINDOW);
    const wasFine = truncated.some((share) => share < truncatedCeiling / 2);
    if (!wasFine || recent.length < WINDOW || recent.some((share) => share <= truncatedCeiling)) return null;
    return `${percent(average(recent))} of the completions hit the token limit: the policy has forgotten how to stop`;
  },
  held_out_collapse: (rows) => {
    const evaluated = rows.filter(isMeasured);
    const [best, last] = [bestRow(evaluated), evaluated.at(-1)];
    if (!best || !last || best === last) return null;
    const [high, now] = [best.metrics['eval/reward']!, last.metrics['eval/reward']!];
    const apart = (last.metrics['eval/reward_high'] ?? now) < (best.metrics['eval/reward_low'] ?? high);
    if (!apart || high - now < HELD_OUT_FALL * Math.abs(high)) return null;
    return `the held-out score fell from ${high.toFixed(3)} (step ${best.step}) to ${now.toFixed(3)}, beyond both confidence intervals`;
  },
  non_finite: (rows) => {
    const last = rows.slice(-REFUSALS_IN_A_ROW);
    const refused = last.length === REFUSALS_IN_A_ROW && last.every((row) => row.metrics['update/refused'] === 1);
    return refused ? `${REFUSALS_IN_A_ROW} updates in a row were refused, because their gradient was not finite` : null;
  },
};

/** Does a row hold a held-out score? */
export const isMeasured = (row: MetricsRow): boolean => row.metrics['eval/reward'] !== undefined;

/** Did no rollout of the step get a verdict? Supervised steps have none. */
export const gotNoVerdict = ({ kind, metrics }: MetricsRow): boolean => kind === 'skipped' && metrics['rollouts/error_ratio'] !== undefined && metrics['reward'] === undefined;

/** The evaluated row with the best held-out score; the earlier one of equals. */
export function bestRow(rows: readonly MetricsRow[], metric = 'eval/reward'): MetricsRow | null {
  return rows.reduce<MetricsRow | null>((best, row) => {
    const value = row.metrics[metric];
    return value !== undefined && value > (best?.metrics[metric] ?? -Infinity) ? row : best;
  }, null);
}

/** What is wrong with the rows since the last rollback: the first guard that strikes. */
export function collapse(rows: readonly MetricsRow[], settings: GuardSettings): { code: GuardCode; reason: string } | null {
  for (const [code, guard] of Object.entries(guards) as [GuardCode, Guard][]) {
    const reason = guard(rows, settings);
    if (reason) return { code, reason };
  }
  return null;
}

/**
 * Judges a stage after each of its steps. `rows` are the stage's rows so far, the baseline before them (if it was measured) included;
 * `restored` is what was measured of the weights that the last rollback put back: the bar for what follows.
 */
export function judge(rows: readonly MetricsRow[], settings: GuardSettings, restored: MetricsRow | null = null): Verdict {
  const wrong = collapse([...(restored ? [restored] : []), ...currentRows(rows)], settings);
  if (wrong && settings.rollback) {
    const rollbacks = rows.filter((row) => row.kind === 'rollback').length;
    return rollbacks < MAX_ROLLBACKS
      ? { action: 'rollback', ...wrong }
      : { action: 'stop', failed: true, reason: `${wrong.reason}, after ${rollbacks} rollbacks` };
  }
  const silent = rows.slice(-SILENT_STEPS);
  if (silent.length === SILENT_STEPS && silent.every(gotNoVerdict)) {
    return { action: 'stop', failed: true, reason: `no rollout of the last ${SILENT_STEPS} steps got a verdict: ${silent.at(-1)!.reason ?? 'all failed'}` };
  }
  const evaluated = rows.filter(isMeasured);
  const last = evaluated.at(-1);
  if (!last || last !== rows.at(-1)) return { action: 'continue' };
  const score = last.metrics['eval/reward']!;
  if (settings.target !== null && score >= settings.target) {
    return { action: 'stop', failed: false, reason: `the held-out score reached ${score.toFixed(3)}; the target was ${settings.target}` };
  }
  const sinceBest = evaluated.length - 1 - evaluated.indexOf(bestRow(evaluated)!);
  if (settings.patience > 0 && sinceBest >= settings.patience) {
    return { action: 'stop', failed: false, reason: `no better held-out score in ${count(sinceBest, 'evaluation')}` };
  }
  return { action: 'continue' };
}
