import type { RewardSettings, RuntimeSettings } from '../../src/config/types.ts';
import { createScorer, type Scorer, type ScoreRequest } from '../../src/rewards/index.ts';

export const runtime: RuntimeSettings = {
  kind: 'local',
  command: [],
  cwd: process.cwd(),
  env: [],
  concurrency: 2,
  setupTimeoutMs: 20_000,
  scoreTimeoutMs: 20_000,
  rolloutTimeoutMs: 60_000,
  memoryMb: 256,
};

export function request(completion: string, answer: string | null, more: Partial<ScoreRequest> = {}): ScoreRequest {
  return { task: { id: 'task-1', prompt: 'question', answer, args: {} }, completion, completionTokens: completion.length, truncated: false, ...more };
}

/** The reward, or the message of the error; null where it abstains. */
export const rewardOf = (verdict: Awaited<ReturnType<Scorer['score']>>): number | string | null => (verdict.ok ? verdict.score.reward : verdict.error.message);

/** Opens scorers, throws what a user would be told, and closes them all. */
export function opened(): { open: (settings: readonly RewardSettings[], more?: Partial<RuntimeSettings>) => Promise<Scorer>; all: () => Promise<void> } {
  const scorers: Scorer[] = [];
  return {
    async open(settings, more = {}) {
      const loaded = await createScorer({ settings, runtime: { ...runtime, ...more } });
      if (!loaded.ok) throw new Error(`${loaded.error.message} ${loaded.error.fix}`);
      scorers.push(loaded.scorer);
      return loaded.scorer;
    },
    async all() {
      for (const scorer of scorers.splice(0)) await scorer[Symbol.asyncDispose]();
    },
  };
}
