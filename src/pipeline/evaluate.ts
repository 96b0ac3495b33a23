/** How good is the model on tasks that it does not learn from? */
import type { Agent } from '../agents/index.ts';
import type { AgentSettings, EvalSettings } from '../config/types.ts';
import type { Surroundings } from '../environments/index.ts';
import type { Rollout } from '../events.ts';
import type { Sampler } from '../policy/types.ts';
import type { Scorer } from '../rewards/types.ts';
import type { Task } from '../tasks/types.ts';
import { type Interval, mean, meanInterval, passAtK, wilsonInterval } from '../util/statistics.ts';
import type { Attempt } from './attempt.ts';
import { hasFailed, isAbstained } from './groups.ts';
import type { HeldOutMetrics } from './metric-sources.ts';
import { rollOut, score } from './rollout.ts';
import { STREAMS } from './schedule.ts';

/** A reward above this is a success (HUD's convention): what accuracy and pass@k count. */
export const SUCCESS_REWARD = 0.7;

export interface EvaluateOptions {
  tasks: readonly Task[];
  settings: EvalSettings;
  confidence: number;
  seed: number;
  sampler: Sampler;
  agent: Agent;
  agentSettings: AgentSettings;
  scorer: Scorer;
  surroundings: Surroundings | null;
  signal: AbortSignal;
}

export interface Evaluation {
  metrics: HeldOutMetrics;
  /** Of `eval/reward`. */
  interval: Interval;
  tasks: number;
  rollouts: Rollout[];
}

/**
 * Answers each held-out task once greedily, and `samples` times at the agent's temperature. The random streams do not depend on the step, so
 * two evaluations differ by the weights alone. A task without a verdict is left out of the mean and shows in `eval/error_ratio` or
 * `eval/abstained_ratio`.
 */
export async function evaluate(options: EvaluateOptions): Promise<Evaluation> {
  const { settings, agentSettings, seed, confidence } = options;
  const tasks = options.tasks.slice(0, settings.tasks);
  const attempt = (task: Task, slot: number, sample: number, temperature: number): Attempt => ({
    id: `eval-${String(slot).padStart(5, '0')}-${String(sample).padStart(3, '0')}`,
    groupId: `eval-${String(slot).padStart(5, '0')}`,
    task,
    key: [seed, STREAMS.evaluation, slot, sample],
    temperature,
  });
  const attempts = tasks.flatMap((task, slot) => [
    attempt(task, slot, 0, 0),
    ...Array.from({ length: settings.samples }, (_, sample) => attempt(task, slot, sample + 1, agentSettings.temperature)),
  ]);
  const rollouts = await score(rollOut(attempts, { ...options, settings: agentSettings }), options);
  const greedy = rollouts.filter((rollout) => rollout.id.endsWith('-000'));
  const rewards = greedy.flatMap((rollout) => rollout.reward ?? []);
  const interval = meanInterval(rewards, { confidence, key: [seed, STREAMS.interval] });
  const passed = rewards.filter(isSuccess).length;
  const accuracyInterval = wilsonInterval(passed, rewards.length, confidence);
  const measured: HeldOutMetrics = rewards.length === 0 ? {} : {
    'eval/reward': mean(rewards),
    'eval/reward_low': interval[0],
    'eval/reward_high': interval[1],
    'eval/accuracy': passed / rewards.length,
    'eval/accuracy_low': accuracyInterval[0],
    'eval/accuracy_high': accuracyInterval[1],
    'eval/clipped_ratio': greedy.filter((rollout) => rollout.stopReason === 'length').length / greedy.length,
    ...passMetrics(rollouts.filter((rollout) => !rollout.id.endsWith('-000')), options),
  };
  const share = (which: (rollout: Rollout) => boolean) => (greedy.length === 0 ? 0 : greedy.filter(which).length / greedy.length);
  return { metrics: { ...measured, 'eval/error_ratio': share(hasFailed), 'eval/abstained_ratio': share(isAbstained) }, interval, tasks: tasks.length, rollouts };
}

const isSuccess = (reward: number): boolean => reward > SUCCESS_REWARD;

/** pass@1, @2, @4 … up to the number of samples, each the mean over tasks of the unbiased estimate, with an interval over tasks. */
function passMetrics(sampled: readonly Rollout[], { settings, confidence, seed }: EvaluateOptions): HeldOutMetrics {
  const counts = [...Map.groupBy(sampled, (rollout) => rollout.groupId).values()]
    .map((attempts) => attempts.flatMap((rollout) => rollout.reward ?? []))
    .filter((rewards) => rewards.length === settings.samples)
    .map((rewards) => rewards.filter(isSuccess).length);
  if (settings.samples === 0 || counts.length === 0) return {};
  const sizes = Array.from({ length: Math.floor(Math.log2(settings.samples)) + 1 }, (_, power) => 2 ** power);
  return Object.assign(
    {},
    ...sizes.map((k) => {
      const estimates = counts.map((passed) => passAtK(settings.samples, passed, k));
      const [low, high] = meanInterval(estimates, { confidence, key: [seed, STREAMS.interval, k] });
      return { [`eval/pass@${k}`]: mean(estimates), [`eval/pass@${k}_low`]: low, [`eval/pass@${k}_high`]: high };
    }),
  ) as HeldOutMetrics;
}
