import type { RuntimeSettings } from '../../src/config/types.ts';
import type { ScoreRequest } from '../../src/rewards/index.ts';

export const runtime: RuntimeSettings = {
  kind: 'local',
  command: [],
  cwd: process.cwd(),
  concurrency: 2,
  setupTimeoutMs: 20_000,
  scoreTimeoutMs: 20_000,
  rolloutTimeoutMs: 60_000,
  memoryMb: 256,
};

export function request(completion: string, answer: string | null, more: Partial<ScoreRequest> = {}): ScoreRequest {
  return { task: { id: 'task-1', prompt: 'question', answer, args: {} }, completion, completionTokens: completion.length, truncated: false, ...more };
}
