import type { GymHome, RuntimeSettings } from '../../config/types.ts';
import type { Outcome } from '../../runtimes/index.ts';

/** Everything that bounds and describes such an environment. */
export type Gym = Omit<RuntimeSettings, 'kind' | 'command' | 'cwd' | 'memoryMb' | 'home'> & GymHome;

/** What a Gym-like server says to `reset` and `step`. */
export interface Observed {
  observation: unknown;
  /** Of this step; null: none. */
  reward: unknown;
  done: boolean;
}

/** One episode under way at a server. */
export interface GymSession extends AsyncDisposable {
  reset(args: Record<string, unknown>, limits: GymLimits): Promise<Outcome<Observed>>;
  /** An action that the server refuses is the agent's own fault: `refused` says why. */
  step(action: Record<string, unknown>, limits: GymLimits): Promise<Outcome<Observed | { refused: string }>>;
}

export interface GymLimits {
  timeoutMs: number;
  signal?: AbortSignal | undefined;
}
