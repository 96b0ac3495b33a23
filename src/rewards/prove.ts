import type { Task } from '../tasks/types.ts';
import type { Scorer } from './types.ts';

export interface ProveOptions {
  scorer: Scorer;
  /** A handful is enough: a reward that is wrong is mostly wrong everywhere. */
  tasks: readonly Task[];
  /** For graders of length; characters where it is left out. */
  countTokens?: (text: string) => number;
  signal?: AbortSignal;
}

/** What a reward says of one task's gold answer, of the gold answer again, and of nothing. */
export interface RewardProof {
  taskId: string;
  gold: number | null;
  again: number | null;
  empty: number | null;
  faults: { kind: ProofFault; message: string }[];
}

/** `no_answer`, `abstained`: there is nothing to prove it with, or it would not say; these are gaps, not faults of the reward. */
export type ProofFault = 'no_answer' | 'abstained' | 'gold_not_full' | 'empty_not_less' | 'not_repeatable' | 'error';

const FULL = 1 - 1e-9;

/** Proves a reward before any model is run: full marks for the gold answer, less for silence, and the same number twice. */
export function proveReward({ scorer, tasks, countTokens = (text) => text.length, signal }: ProveOptions): Promise<RewardProof[]> {
  return Promise.all(
    tasks.map(async (task) => {
      const faults: RewardProof['faults'] = [];
      const rewardOf = async (completion: string): Promise<number | null> => {
        const verdict = await scorer.score({ task, completion, completionTokens: countTokens(completion), truncated: false }, signal);
        if (!verdict.ok) {
          if (!faults.some(({ message }) => message === verdict.error.message)) faults.push({ kind: 'error', message: verdict.error.message });
          return null;
        }
        const { reward, subscores } = verdict.score;
        if (reward === null) {
          const silent = subscores.filter(({ value }) => value === null).map(({ name }) => name);
          const message = `task ${task.id}: ${silent.join(' and ')} gave no verdict (null) on ${completion === '' ? 'an empty answer' : `the gold answer ${JSON.stringify(completion.slice(0, 60))}`}`;
          if (!faults.some((fault) => fault.message === message)) faults.push({ kind: 'abstained', message });
          return null;
        }
        if (completion === task.answer && reward < FULL && !faults.some(({ kind }) => kind === 'gold_not_full')) {
          const low = subscores.filter(({ weight, value }) => value !== null && (weight > 0 ? value < 1 : weight < 0 && value > 0)).map(({ name, value }) => `${name} gave ${value}`);
          faults.push({ kind: 'gold_not_full', message: `task ${task.id}: the gold answer ${JSON.stringify(completion.slice(0, 60))} earns ${reward} instead of 1 (${low.join(', ')})` });
        }
        return reward;
      };
      const empty = await rewardOf('');
      if (task.answer === null) faults.push({ kind: 'no_answer', message: `task ${task.id} has no answer, so its reward cannot be proved` });
      const gold = task.answer === null ? null : await rewardOf(task.answer);
      const again = task.answer === null ? await rewardOf('') : await rewardOf(task.answer);
      const first = task.answer === null ? empty : gold;
      if (empty !== null && empty >= (gold ?? FULL)) faults.push({ kind: 'empty_not_less', message: `task ${task.id}: an empty answer earns ${empty}, as much as ${gold === null ? 'full marks' : 'the gold answer'}` });
      if (first !== null && again !== null && first !== again) faults.push({ kind: 'not_repeatable', message: `task ${task.id}: the same answer earned ${first} and then ${again}` });
      return { taskId: task.id, gold, again, empty, faults };
    }),
  );
}
