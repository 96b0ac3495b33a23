import { createHash } from 'node:crypto';
import type { RewardSettings, RuntimeSettings } from '../config/types.ts';
import type { Subscore } from '../events.ts';
import { type Loaded, loadFailure } from '../util/load-error.ts';
import { type Grader, inlineGraders } from './graders.ts';
import type { Score, Scorer, ScoreRequest } from './types.ts';

export interface ScorerOptions {
  settings: readonly RewardSettings[];
  runtime: RuntimeSettings;
  signal?: AbortSignal;
}

interface WeightedGrader {
  name: string;
  /** Positive weights sum to 1; negative ones are penalties and stay as written. */
  weight: number;
  grade: Grader;
}

/** Loads every grader of a `reward:` list. Faults in the user's settings or code come back as values. */
export async function createScorer({ settings, signal }: ScorerOptions): Promise<Loaded<'scorer', Scorer>> {
  signal?.throwIfAborted();
  const positive = settings.reduce((total, { weight }) => total + Math.max(0, weight), 0);
  if (positive === 0) return loadFailure('No reward has a positive weight, so no completion can earn anything.', 'Give at least one reward a weight above 0.', { key: 'weight' });
  const graders: WeightedGrader[] = [];
  for (const entry of settings) {
    const make = (inlineGraders as Record<string, (settings: never) => Loaded<'grader', Grader>>)[entry.kind];
    if (!make) return loadFailure(`Rewards of kind ${entry.kind} are not built yet.`, 'Use another kind.', { key: 'kind' });
    const loaded = make(entry as never);
    if (!loaded.ok) return { ok: false, error: { ...loaded.error, message: `${entry.name}: ${loaded.error.message}` } };
    graders.push({ name: entry.name, weight: entry.weight > 0 ? entry.weight / positive : entry.weight, grade: loaded.grader });
  }
  const scorer: Scorer = {
    score: (request, abort) => combine(graders, request, abort),
    hash: createHash('sha256').update(JSON.stringify(settings)).digest('hex'),
    files: [],
    [Symbol.asyncDispose]: () => Promise.resolve(),
  };
  return { ok: true, scorer };
}

/** reward = Σ weight · value. One grader without a verdict leaves the rollout without one. */
async function combine(graders: readonly WeightedGrader[], request: ScoreRequest, signal?: AbortSignal): ReturnType<Scorer['score']> {
  const subscores: Subscore[] = [];
  let reward = 0;
  for (const { name, weight, grade } of graders) {
    const verdict = await grade(request, signal);
    if (!verdict.ok) {
      const { type, message } = verdict.failure;
      return { ok: false, error: { phase: 'scoring', type, message: `reward ${name} on task ${request.task.id}: ${message}` } };
    }
    const { value, info, children } = verdict;
    reward += weight * value;
    subscores.push({ name, value, weight, ...(children ? { children } : {}), ...(info ? { info } : {}) });
  }
  const score: Score = { reward, subscores };
  return { ok: true, score };
}
