/** The rollouts of one task in one step, compared with each other. */
import type { Accounting, EventData, Rollout } from '../events.ts';
import { mean, standardDeviation, sum } from '../util/statistics.ts';
import { type AdvantageSettings, groupAdvantages, hasSpread } from './advantages.ts';

export type Spread = EventData['group-finished']['spread'];

export interface Group {
  id: string;
  taskId: string;
  rollouts: Rollout[];
  /** `dropped`: some rollout has no verdict, so the others have nothing fair to be compared with. */
  spread: Spread;
  /** Null when dropped. */
  mean: number | null;
  std: number | null;
  advantages: number[] | null;
}

/** A group of equal rewards above this is called all-good, else all-bad (Tinker's threshold). */
const GOOD_REWARD = 0.5;

export interface GroupOptions {
  advantage: AdvantageSettings;
  /** Multiplies rewards before advantages are taken. */
  rewardScale: number;
}

/** Groups rollouts by their `groupId`, in order of first appearance, and fills in everyone's advantage. */
export function formGroups(rollouts: readonly Rollout[], { advantage, rewardScale }: GroupOptions): Group[] {
  const byId = Map.groupBy(rollouts, (rollout) => rollout.groupId);
  const scored = [...byId.values()].filter((members) => members.every((rollout) => rollout.reward !== null));
  const scaled = (members: readonly Rollout[]) => members.map((rollout) => rollout.reward! * rewardScale);
  const batchStd = standardDeviation(scored.flatMap(scaled), advantage.ddof);
  return [...byId].map(([id, members]) => {
    const identity = { id, taskId: members[0]!.taskId, rollouts: members };
    if (!scored.includes(members)) return { ...identity, spread: 'dropped', mean: null, std: null, advantages: null };
    const advantages = groupAdvantages(scaled(members), advantage, batchStd);
    members.forEach((rollout, index) => (rollout.advantage = advantages[index]!));
    const rewards = members.map((rollout) => rollout.reward!);
    return { ...identity, spread: spreadOf(rewards), mean: mean(rewards), std: standardDeviation(rewards), advantages };
  });
}

function spreadOf(rewards: readonly number[]): Spread {
  if (hasSpread(rewards)) return 'mixed';
  return mean(rewards) > GOOD_REWARD ? 'all-good' : 'all-bad';
}

export const outputTokens = (rollout: Rollout): number => sum(rollout.turns.map((turn) => turn.outputTokenIds.length));

/** What became of every rollout of a step. Every one is counted exactly once among errored, dropped, no spread and trained. */
export function account(groups: readonly Group[]): Accounting {
  const count = (spread: Spread) => sum(groups.filter((group) => group.spread === spread).map((group) => group.rollouts.length));
  const all = groups.flatMap((group) => group.rollouts);
  const errored = all.filter((rollout) => rollout.reward === null).length;
  const trained = groups.filter((group) => group.spread === 'mixed').flatMap((group) => group.rollouts);
  return {
    generated: all.length,
    errored,
    droppedWithGroup: count('dropped') - errored,
    truncated: all.filter((rollout) => rollout.stopReason === 'length').length,
    noSpreadGood: count('all-good'),
    noSpreadBad: count('all-bad'),
    trained: trained.length,
    trainedTokens: sum(trained.map(outputTokens)),
  };
}
