/** The rollouts of one task in one step, compared with each other. */
import type { Accounting, EventData, Rollout } from '../events.ts';
import { mean, standardDeviation, sum } from '../util/statistics.ts';
import { type AdvantageSettings, groupAdvantages, hasSpread } from './advantages.ts';

export type Spread = EventData['group-finished']['spread'];

export interface Group {
  id: string;
  taskId: string;
  rollouts: Rollout[];
  /** `dropped`: a rollout failed, so the others have nothing fair to be compared with; or the rewards abstained on all of them. */
  spread: Spread;
  /** Null when dropped. */
  mean: number | null;
  std: number | null;
  /** In the order of the rollouts; null for those that were abstained on, which mean and spread leave out. */
  advantages: (number | null)[] | null;
}

/** A group of equal rewards above this is called all-good, else all-bad (Tinker's threshold). */
const GOOD_REWARD = 0.5;

export interface GroupOptions {
  advantage: AdvantageSettings;
  /** Multiplies rewards before advantages are taken. */
  rewardScale: number;
}

/** Did something go wrong with it, so that nobody knows what it is worth? What a reward abstained on is whole. */
export const hasFailed = ({ reward, status }: Rollout): boolean => reward === null && status !== 'completed';

/** Was it judged, and the judges would not say? */
export const isAbstained = ({ reward, status }: Rollout): boolean => reward === null && status === 'completed';

/** Why rollouts have no verdict, by the first that failed. */
export function silence(rollouts: readonly Rollout[]): string {
  const example = rollouts.find(({ error }) => error)?.error;
  if (example) return example.message;
  return rollouts.some(isAbstained) ? 'the reward abstained (gave null) on every answer' : 'nothing was sampled';
}

type Judged = Rollout & { reward: number };
const isJudged = (rollout: Rollout): rollout is Judged => rollout.reward !== null;

/** Groups rollouts by their `groupId`, in order of first appearance, and fills in the advantage of everyone who has a reward. */
export function formGroups(rollouts: readonly Rollout[], { advantage, rewardScale }: GroupOptions): Group[] {
  const groups = [...Map.groupBy(rollouts, (rollout) => rollout.groupId)].map(([id, members]) => {
    const judged = members.some(hasFailed) ? [] : members.filter(isJudged);
    return { id, members, judged, scaled: judged.map(({ reward }) => reward * rewardScale) };
  });
  const batchStd = standardDeviation(groups.flatMap(({ scaled }) => scaled), advantage.ddof);
  return groups.map(({ id, members, judged, scaled }) => {
    const identity = { id, taskId: members[0]!.taskId, rollouts: members };
    if (judged.length === 0) return { ...identity, spread: 'dropped', mean: null, std: null, advantages: null };
    const advantages = groupAdvantages(scaled, advantage, batchStd);
    judged.forEach((rollout, index) => (rollout.advantage = advantages[index]!));
    const rewards = judged.map(({ reward }) => reward);
    return { ...identity, spread: spreadOf(rewards), mean: mean(rewards), std: standardDeviation(rewards), advantages: members.map((member) => member.advantage ?? null) };
  });
}

function spreadOf(rewards: readonly number[]): Spread {
  if (hasSpread(rewards)) return 'mixed';
  return mean(rewards) > GOOD_REWARD ? 'all-good' : 'all-bad';
}

export const outputTokens = (rollout: Rollout): number => sum(rollout.turns.map((turn) => turn.outputTokenIds.length));

/** What became of every rollout of a step. Every one is counted exactly once among errored, abstained, dropped, no spread and trained. */
export function account(groups: readonly Group[]): Accounting {
  const judgedIn = (spread: Spread) => groups.filter((group) => group.spread === spread).flatMap((group) => group.rollouts.filter(isJudged));
  const all = groups.flatMap((group) => group.rollouts);
  const trained = judgedIn('mixed');
  return {
    generated: all.length,
    errored: all.filter(hasFailed).length,
    abstained: all.filter(isAbstained).length,
    droppedWithGroup: judgedIn('dropped').length,
    truncated: all.filter((rollout) => rollout.stopReason === 'length').length,
    noSpreadGood: judgedIn('all-good').length,
    noSpreadBad: judgedIn('all-bad').length,
    trained: trained.length,
    trainedTokens: sum(trained.map(outputTokens)),
  };
}
