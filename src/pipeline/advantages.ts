/** What a rollout is worth against its group: the number that its tokens are weighted with. */
import type { TrainSettings } from '../config/types.ts';
import { mean, standardDeviation } from '../util/statistics.ts';

export type AdvantageSettings = TrainSettings['advantage'];

/** Rewards closer than this are equal. Tested before any division: float residue would defeat `std === 0`. */
const SPREAD_TOLERANCE = 1e-9;

/** Do these rewards differ, so that there is something to learn from them? */
export function hasSpread(rewards: readonly number[]): boolean {
  if (rewards.length < 2) return false;
  const [low, high] = [Math.min(...rewards), Math.max(...rewards)];
  return high - low > SPREAD_TOLERANCE * Math.max(1, Math.abs(low), Math.abs(high));
}

/** A − b for each reward of one group, before any scaling; `std` is needed by the two normalising forms only. */
interface GroupStatistics {
  mean: number;
  /** Of the group's rewards. */
  std: number;
  /** Of all scored rewards of the batch. */
  batchStd: number;
  size: number;
}

type AdvantageRule = (reward: number, group: GroupStatistics, delta: number) => number;

const rules: { [N in AdvantageSettings['normalize']]: AdvantageRule } = {
  /** R − mean: HUD, Tinker, Dr.GRPO. */
  none: (reward, { mean }) => reward - mean,
  /** (R − mean)/(std + δ): GRPO (DeepSeekMath, arXiv 2402.03300). */
  std: (reward, { mean, std }, delta) => (reward - mean) / (std + delta),
  /** R − mean of the others = (R − mean)·G/(G − 1): RLOO (arXiv 2402.14740). */
  leave_one_out: (reward, { mean, size }) => ((reward - mean) * size) / (size - 1),
  /** (R − group mean)/(batch std + δ): TRL's `scale_rewards: batch`. */
  batch_std: (reward, { mean, batchStd }, delta) => (reward - mean) / (batchStd + delta),
};

/** The advantages of one group, all exactly 0 when its rewards are equal. */
export function groupAdvantages(rewards: readonly number[], settings: AdvantageSettings, batchStd: number): number[] {
  if (!hasSpread(rewards)) return rewards.map(() => 0);
  const group = { mean: mean(rewards), std: standardDeviation(rewards, settings.ddof), batchStd, size: rewards.length };
  return rewards.map((reward) => rules[settings.normalize](reward, group, settings.delta));
}
