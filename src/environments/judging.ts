/** What the homes of environments have in common: their time, and how verdicts come about. */
import type { RuntimeSettings } from '../config/types.ts';
import { type Failure, failure, type Verdict } from '../runtimes/index.ts';
import type { TemplateTask } from './types.ts';

/** A prompt that was read from a task must be the one that its setup gives now, or the rollout would be judged by other rules. */
export function gaveOtherPrompt({ template, prompt }: TemplateTask, given: unknown): { ok: false; failure: Failure } | null {
  if (JSON.stringify(given) === JSON.stringify(prompt)) return null;
  return failure('exception', `setup of ${template} gave another prompt than before for the same arguments; let everything it does follow from them`);
}

/** What an environment gave step by step counts with what it gives at the end. */
export function summed(earned: number, verdict: Extract<Verdict, { ok: true }>): Verdict {
  // Who abstains at the end says nothing of the whole.
  return earned === 0 || verdict.value === null ? verdict : { ...verdict, value: verdict.value + earned, info: { ...verdict.info, steps_reward: earned, final_reward: verdict.value } };
}

/** The agent ran out of turns before the environment judged: it has what the steps were worth. */
export const notOver = (earned: number): Extract<Verdict, { ok: true }> => ({ ok: true, value: earned, info: { unfinished: true } });

export interface StepTimes {
  /** Counts what is done toward the rollout's limit. */
  spend<T>(work: () => Promise<T>): Promise<T>;
  /** Milliseconds that the next step may take. */
  left(): number;
}

/** One step has `runtime.score_timeout`, all steps of a rollout together `runtime.timeout`; the time in which text is generated does not count. */
export function stepTimes({ scoreTimeoutMs, rolloutTimeoutMs }: Pick<RuntimeSettings, 'scoreTimeoutMs' | 'rolloutTimeoutMs'>): StepTimes {
  let spent = 0;
  return {
    async spend(work) {
      const since = performance.now();
      try {
        return await work();
      } finally {
        spent += performance.now() - since;
      }
    },
    left: () => Math.max(1, Math.min(scoreTimeoutMs, Math.round(rolloutTimeoutMs - spent))),
  };
}

