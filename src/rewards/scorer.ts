import type { RewardSettings, RuntimeSettings } from '../config/types.ts';
import type { Subscore } from '../events.ts';
import { MAX_REWARD } from '../runtimes/index.ts';
import { keyInside, type Loaded, loadFailure } from '../util/load-error.ts';
import { firstRefusal, type Grader, loadGrader } from './graders.ts';
import { openTools } from './tools.ts';
import { whenAll } from './when-all.ts';
import type { ScoreOutcome, Scorer, ScoreRequest } from './types.ts';

export interface ScorerOptions {
  settings: readonly RewardSettings[];
  runtime: RuntimeSettings;
  /** What user code prints, as it comes. */
  onOutput?: (text: string) => void;
  signal?: AbortSignal;
}

interface WeightedGrader {
  name: string;
  /** As written; shown relative to `positive`, unless it is a penalty. */
  weight: number;
  grade: Grader;
}

/**
 * Loads every grader of a `reward:` list. Faults in the settings or in the user's code come back as values; the files that were
 * read up to the fault are in them, for a watcher that waits for the repair.
 */
export async function createScorer({ settings, runtime, onOutput, signal }: ScorerOptions): Promise<Loaded<'scorer', Scorer>> {
  signal?.throwIfAborted();
  const positive = settings.reduce((total, { weight }) => total + Math.max(0, weight), 0);
  if (positive === 0) return loadFailure('No reward has a positive weight, so no completion can earn anything.', 'Give at least one reward a weight above 0.');
  const tools = openTools({ settings, runtime, onOutput });
  const graders: WeightedGrader[] = [];
  for (const [index, entry] of settings.entries()) {
    const loaded = await loadGrader(entry, tools);
    if (!loaded.ok || signal?.aborted) {
      const { files } = tools.provenance();
      await tools[Symbol.asyncDispose]();
      signal?.throwIfAborted();
      if (!loaded.ok) return { ok: false, error: { ...loaded.error, files, key: keyInside(String(index), loaded.error.key), message: `${called(entry.name)}: ${loaded.error.message}` } };
    } else {
      graders.push({ name: entry.name, weight: entry.weight, grade: loaded.grader });
    }
  }
  const scorer: Scorer = {
    ...tools.provenance(),
    refuses: ({ id, answer }) => {
      const fault = answer === null ? null : firstRefusal(graders, answer);
      return fault === null ? null : `task ${id}: ${fault}`;
    },
    score: (request, abort) => combine({ graders, positive }, request, abort),
    [Symbol.asyncDispose]: () => tools[Symbol.asyncDispose](),
  };
  return { ok: true, scorer };
}

/** A part that is called "reward", as one in reward.ts is. */
const called = (name: string): string => (name === 'reward' ? 'the reward' : `reward ${name}`);

/**
 * reward = Σ weight · value, where positive weights are scaled to sum to 1 and negative ones stay as written. Divided once, at the end, so
 * that full marks are exactly 1. One grader that fails or abstains leaves the rollout without a verdict: a sum without its part would be
 * compared with sums that have it.
 */
function combine({ graders, positive }: { graders: readonly WeightedGrader[]; positive: number }, request: ScoreRequest, signal?: AbortSignal): ScoreOutcome | Promise<ScoreOutcome> {
  return whenAll(graders.map(({ grade }) => grade(request, signal)), (verdicts) => {
    const subscores: Subscore[] = [];
    let [earned, penalty, abstained] = [0, 0, false];
    for (const [index, verdict] of verdicts.entries()) {
      const { name, weight } = graders[index]!;
      if (!verdict.ok) {
        const { type, message } = verdict.failure;
        return { ok: false, error: { phase: 'scoring', type, message: `${called(name)} on task ${request.task.id}: ${message}` } };
      }
      const { value, info, children } = verdict;
      if (value === null) abstained ||= weight !== 0;
      else if (weight > 0) earned += weight * value;
      else penalty += weight * value;
      subscores.push({ name, value, weight: weight > 0 ? weight / positive : weight, ...(children ? { children } : {}), ...(info ? { info } : {}) });
    }
    if (abstained) return { ok: true, score: { reward: null, subscores } };
    const reward = earned / positive + penalty;
    if (Math.abs(reward) > MAX_REWARD) {
      return { ok: false, error: { phase: 'scoring', type: 'invalid_reward', message: `task ${request.task.id}: the weighted rewards sum to ${reward}; the limit is ${MAX_REWARD}` } };
    }
    return { ok: true, score: { reward, subscores } };
  });
}
