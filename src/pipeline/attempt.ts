/** One try at one task: before it happens, what it needs, and what it is until somebody judges it. */
import type { Agent } from '../agents/index.ts';
import type { AgentSettings } from '../config/types.ts';
import type { Surroundings } from '../environments/index.ts';
import type { Rollout } from '../events.ts';
import type { RandomKey, SampleRequest, Sampler } from '../policy/types.ts';
import type { Task } from '../tasks/types.ts';

/** One try at one task, before it happens. */
export interface Attempt {
  id: string;
  groupId: string;
  task: Task;
  key: RandomKey;
  /** 0 is greedy. */
  temperature: number;
}

export interface RolloutContext {
  sampler: Sampler;
  agent: Agent;
  settings: AgentSettings;
  /** What answers agents that take turns; null: they have one. */
  surroundings: Surroundings | null;
  signal: AbortSignal;
  /** Hears at the end how long the sampler took, in milliseconds. */
  onDrawn?: (ms: number) => void;
}

/** A rollout that nobody has judged yet, with the task that the judge needs. */
export interface Unscored {
  rollout: Rollout;
  task: Task;
}

export function sampleRequest(attempt: Attempt, promptTokenIds: readonly number[], { agent, settings }: Pick<RolloutContext, 'agent' | 'settings'>): SampleRequest {
  return {
    id: attempt.id,
    promptTokenIds,
    maxTokens: settings.maxTokens,
    temperature: attempt.temperature,
    topP: attempt.temperature === 0 ? 1 : settings.topP,
    topK: attempt.temperature === 0 ? 0 : settings.topK,
    stopTokenIds: agent.stopTokenIds,
    stopStrings: agent.stopStrings,
    key: attempt.key,
  };
}

export function unscored({ id, groupId, task }: Attempt): Omit<Rollout, 'prompt'> {
  return { id, groupId, taskId: task.id, completion: '', turns: [], status: 'completed', stopReason: 'done', reward: null, subscores: [] };
}
