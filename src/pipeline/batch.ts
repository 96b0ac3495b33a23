/** From scored groups to what the trainer learns from. */
import type { Rollout, Turn } from '../events.ts';
import type { Loss, TrainingBatch, TrainingSequence } from '../policy/types.ts';
import { equalParts } from '../util/parts.ts';
import { sum } from '../util/statistics.ts';
import { type Group, outputTokens } from './groups.ts';

/**
 * The training sequences of one rollout. A turn whose prompt begins with everything before it continues the same sequence
 * (HUD's rule), so a conversation is computed once; any other turn starts a new one. Only drawn tokens carry mask 1.
 */
export function mergeTurns(turns: readonly Turn[], advantage: number, temperature: number): TrainingSequence[] {
  const sequences: { tokenIds: number[]; actionMask: number[]; samplingLogprobs: number[]; advantages: number[]; temperature: number }[] = [];
  for (const turn of turns) {
    let sequence = sequences.at(-1);
    const extendsLast = sequence?.tokenIds.every((token, index) => turn.promptTokenIds[index] === token);
    if (!sequence || !extendsLast) {
      sequence = { tokenIds: [], actionMask: [], samplingLogprobs: [], advantages: [], temperature };
      sequences.push(sequence);
    }
    const append = (tokens: readonly number[], logprobs: readonly number[] | null) =>
      tokens.forEach((token, index) => {
        sequence.tokenIds.push(token);
        sequence.actionMask.push(logprobs ? 1 : 0);
        sequence.samplingLogprobs.push(logprobs?.[index] ?? 0);
        sequence.advantages.push(logprobs ? advantage : 0);
      });
    append(turn.promptTokenIds.slice(sequence.tokenIds.length), null);
    append(turn.outputTokenIds, turn.outputLogprobs);
  }
  return sequences;
}

/** Does a loss have terms that ask for no reward? KL and entropy act on every rollout then, as in TRL, and not on those of mixed groups alone. */
export const hasRewardlessTerm = ({ kl, entropyBonus }: Pick<Loss, 'kl' | 'entropyBonus'>): boolean => (kl?.coefficient ?? 0) !== 0 || (entropyBonus ?? 0) !== 0;

/** Is there anything that this loss can learn from the group? */
export const isLearnable = (group: Pick<Group, 'spread'>, loss: Pick<Loss, 'kl' | 'entropyBonus'>): boolean =>
  group.spread === 'mixed' || (group.spread !== 'dropped' && hasRewardlessTerm(loss));

/**
 * The batch of a step: every rollout that the loss can learn something from. The denominators count all rollouts that were generated, so that
 * dropping a group that teaches nothing does not make the others louder.
 */
export function trainingBatch(groups: readonly Group[], { loss, temperature }: { loss: Pick<Loss, 'kl' | 'entropyBonus'>; temperature: number }): TrainingBatch {
  const generated: Rollout[] = groups.flatMap((group) => group.rollouts);
  const everyone = hasRewardlessTerm(loss);
  const learnable = groups.filter((group) => isLearnable(group, loss)).flatMap(({ rollouts }) => rollouts.filter(({ reward }) => everyone || reward !== null));
  return {
    sequences: learnable.flatMap((rollout) => mergeTurns(rollout.turns, rollout.advantage ?? 0, temperature)),
    sequenceCount: generated.length,
    tokenCount: sum(generated.map(outputTokens)),
  };
}

/** Deals groups out to `updates` optimizer updates, in order and as evenly as they go; never an empty share. */
export const shareOut = <T>(groups: readonly T[], updates: number): T[][] => equalParts(groups, Math.max(1, Math.min(updates, groups.length)));
