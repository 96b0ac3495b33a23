import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { Rollout } from '../../src/events.ts';
import { mergeTurns, shareOut, trainingBatch } from '../../src/pipeline/batch.ts';
import { account, formGroups } from '../../src/pipeline/groups.ts';
import { rolloutMetrics } from '../../src/pipeline/metrics.ts';

const centred = { advantage: { normalize: 'none', ddof: 1, delta: 0 }, rewardScale: 1 } as const;

/** Null: the rollout failed. */
function rollouts(groups: readonly (readonly (number | null | 'abstained')[])[]): Rollout[] {
  return groups.flatMap((rewards, group) =>
    rewards.map((reward, index): Rollout => ({
      id: `${group}-${index}`,
      taskId: `task-${group}`,
      groupId: `group-${group}`,
      prompt: '',
      completion: '',
      turns: [{ promptTokenIds: [9], outputTokenIds: [1, 2], outputLogprobs: [-1, -2] }],
      status: reward === null ? 'error' : 'completed',
      stopReason: index === 0 ? 'length' : 'done',
      reward: reward === 'abstained' ? null : reward,
      subscores: [],
      ...(reward === null ? { error: { phase: 'scoring', type: 'timeout', message: 'slow' } } : {}),
    })),
  );
}

describe('groups', () => {
  const groups = formGroups(rollouts([[1, 0], [1, 1], [0, 0], [1, null]]), centred);

  test('are mixed, all-good, all-bad, or dropped whole for one missing verdict', () => {
    expect(groups.map(({ spread }) => spread)).toEqual(['mixed', 'all-good', 'all-bad', 'dropped']);
    expect(groups.map(({ advantages }) => advantages)).toEqual([[0.5, -0.5], [0, 0], [0, 0], null]);
    expect(groups[3]!.rollouts.map((rollout) => rollout.advantage)).toEqual([undefined, undefined]);
  });

  test('are compared without those that were abstained on, and dropped when all were', () => {
    const formed = formGroups(rollouts([['abstained', 1, 0], ['abstained', 'abstained'], ['abstained', null, 1], ['abstained', 1]]), centred);
    expect(formed.map(({ spread }) => spread)).toEqual(['mixed', 'dropped', 'dropped', 'all-good']);
    expect(formed[0]).toMatchObject({ mean: 0.5, std: 0.5, advantages: [null, 0.5, -0.5] });
    expect(formed[0]!.rollouts[0]).not.toHaveProperty('advantage');
    expect(account(formed)).toEqual({
      ...{ generated: 10, errored: 1, abstained: 5, droppedWithGroup: 1, truncated: 4 },
      ...{ noSpreadGood: 1, noSpreadBad: 0, trained: 2, trainedTokens: 4 },
    });
    expect(rolloutMetrics(formed)).toMatchObject({ reward: 0.75, 'rollouts/error_ratio': 0.1, 'rollouts/abstained_ratio': 0.5, 'groups/dropped': 0.5 });
    expect(trainingBatch(formed, { loss: {}, temperature: 1 })).toMatchObject({ sequenceCount: 10, sequences: { length: 2 } });
    expect(trainingBatch(formed, { loss: { entropyBonus: 0.1 }, temperature: 1 }).sequences).toHaveLength(5);
  });

  test('account for every rollout once', () => {
    expect(account(groups)).toEqual({
      ...{ generated: 8, errored: 1, abstained: 0, droppedWithGroup: 1, truncated: 4 },
      ...{ noSpreadGood: 2, noSpreadBad: 2, trained: 2, trainedTokens: 4 },
    });
    fc.assert(
      fc.property(fc.array(fc.array(fc.constantFrom(0, 0.5, 1, null, 'abstained' as const), { minLength: 1, maxLength: 5 }), { maxLength: 6 }), (rewards) => {
        const { generated, errored, abstained, droppedWithGroup, noSpreadGood, noSpreadBad, trained } = account(formGroups(rollouts(rewards), centred));
        expect(errored + abstained + droppedWithGroup + noSpreadGood + noSpreadBad + trained).toBe(generated);
      }),
    );
  });

  test('a reward scale multiplies advantages, not the rewards that people see', () => {
    const [group] = formGroups(rollouts([[1, 0]]), { ...centred, rewardScale: 10 });
    expect(group).toMatchObject({ mean: 0.5, advantages: [5, -5] });
  });

  test('become metrics under the names of the field', () => {
    expect(rolloutMetrics(groups)).toMatchObject({
      reward: 4 / 7,
      reward_min: 0,
      reward_max: 1,
      within_group_reward_std: 0.5 / 3,
      frac_reward_zero_std: 2 / 3,
      'groups/all_good': 1 / 3,
      'groups/all_bad': 1 / 3,
      'groups/dropped': 0.25,
      'advantage/abs_mean': 1 / 6,
      'completions/mean_length': 2,
      'completions/clipped_ratio': 0.5,
      'rollouts/error_ratio': 0.125,
      'errors/timeout': 0.125,
      sampling_logprob_mean: -1.5,
      num_tokens: 16,
    });
    expect(Object.values(rolloutMetrics(formGroups(rollouts([[null]]), centred))).every(Number.isFinite)).toBe(true);
  });
});

describe('a training batch', () => {
  test('holds the mixed groups, and denominators of everything that was generated', () => {
    const batch = trainingBatch(formGroups(rollouts([[1, 0], [1, 1]]), centred), { loss: {}, temperature: 0.7 });
    expect(batch).toMatchObject({ sequenceCount: 4, tokenCount: 8 });
    expect(batch.sequences).toEqual([
      { tokenIds: [9, 1, 2], actionMask: [0, 1, 1], samplingLogprobs: [0, -1, -2], advantages: [0, 0.5, 0.5], temperature: 0.7 },
      { tokenIds: [9, 1, 2], actionMask: [0, 1, 1], samplingLogprobs: [0, -1, -2], advantages: [0, -0.5, -0.5], temperature: 0.7 },
    ]);
  });

  test('merges turns that continue each other, and keeps apart those that do not', () => {
    const turn = (promptTokenIds: number[], outputTokenIds: number[]) => ({ promptTokenIds, outputTokenIds, outputLogprobs: outputTokenIds.map((id) => -id) });
    const [merged, ...rest] = mergeTurns([turn([1, 2], [3]), turn([1, 2, 3, 4], [5, 6])], 1, 1);
    expect(rest).toEqual([]);
    expect(merged).toMatchObject({ tokenIds: [1, 2, 3, 4, 5, 6], actionMask: [0, 0, 1, 0, 1, 1], samplingLogprobs: [0, 0, -3, 0, -5, -6], advantages: [0, 0, 1, 0, 1, 1] });
    expect(mergeTurns([turn([1, 2], [3]), turn([1, 9, 3], [5])], 1, 1).map(({ tokenIds }) => tokenIds)).toEqual([[1, 2, 3], [1, 9, 3, 5]]);
  });

  test('is shared out among updates without losing or repeating a group', () => {
    expect(shareOut([1, 2, 3, 4, 5], 2)).toEqual([[1, 2], [3, 4, 5]]);
    expect(shareOut([1], 4)).toEqual([[1]]);
  });
});
