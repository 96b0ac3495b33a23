/**
 * @file A job that never ran but could have: a small model learns to add. Events come in the loop's own order, with its metric
 * names, so that screens can be looked at and measured without a model.
 */
import type { EventData, EventType, JobEvent, PhaseTimes, TaskSummary } from '../../src/events.ts';
import { uniform } from '../../src/util/random.ts';

export interface ArithJobOptions {
  steps?: number;
  tasks?: number;
  group?: number;
  seed?: number;
  /** Milliseconds since the epoch at which the job begins. */
  start?: number;
  /** The policy breaks down at this step and is rolled back to an earlier checkpoint. */
  collapseAt?: number | null;
  evalEvery?: number;
}

const checkpointId = (step: number): string => `ck-${step.toString(16).padStart(8, '0')}`;
const checkpointName = (step: number): string => `step-${String(step).padStart(6, '0')}`;

export function* arithJob({ steps = 60, tasks = 64, group = 8, seed = 7, start = Date.UTC(2026, 0, 5, 9, 30), collapseAt = 34, evalEvery = 10 }: ArithJobOptions = {}): Generator<JobEvent> {
  let time = start;
  let draws = 0;
  const random = (): number => uniform([seed], draws++);
  const noise = (): number => random() + random() + random() - 1.5;
  const event = <K extends EventType>(type: K, data: EventData[K], afterMs = 0): JobEvent => {
    time += afterMs;
    return { type, time, ...data } as JobEvent;
  };

  yield event('job-started', {
    jobId: 'arith-20260105-093000-7c1e',
    pipeline: 'arith',
    file: '/home/ada/arith/pipelines/arith.yaml',
    model: 'arith-rl',
    base: 'builtin:arith-tiny',
    device: 'cpu',
    seed,
    loss: 'importance_sampling',
    stages: [{ name: 'grpo', kind: 'grpo', steps }],
    totalSteps: steps,
    parameters: 2_365_440,
    trainableParameters: 2_365_440,
    threads: 0,
    parentJob: null,
    resumedFrom: null,
    head: null,
    directory: '.rlrun/jobs/arith-20260105-093000-7c1e',
  });
  /** 0: knows nothing, 1: never wrong. */
  let skill = 0.16;
  let head: number | null = null;
  const evaluation = (step: number, baseline: boolean): EventData['eval-finished'] => {
    const reward = Math.max(0.01, Math.min(0.995, skill ** 0.7 + noise() * 0.012));
    const interval: [number, number] = [Math.max(0, reward - 0.032), Math.min(1, reward + 0.032)];
    return { step, metrics: { 'eval/reward': reward, 'eval/reward_low': interval[0], 'eval/reward_high': interval[1], 'eval/clipped_ratio': 0.01 }, tasks: 500, interval, baseline };
  };
  yield event('eval-started', { step: 0, tasks: 500 });
  const before = evaluation(0, true);
  let after = before;
  yield event('eval-finished', before, 900);
  yield event('stage-started', { index: 0, name: 'grpo', kind: 'grpo', steps });

  for (let step = 1; step <= steps; step++) {
    const collapsing = collapseAt !== null && step >= collapseAt && step < collapseAt + 3;
    const target = 1 - 0.86 * Math.exp((-3.4 * step) / Math.min(steps, 400));
    skill = collapsing ? skill * 0.55 : skill + 0.25 * (target - skill) + noise() * 0.012;
    skill = Math.max(0.02, Math.min(0.99, skill));

    const summaries = Array.from({ length: tasks }, (_, index): TaskSummary & { answer: number; ease: number } => {
      const [a, b] = [1 + Math.floor(random() * 98), 1 + Math.floor(random() * 98)];
      const minus = random() < 0.5 && a > b;
      return { id: `arith-${a}${minus ? 'm' : 'p'}${b}`, groupId: `${step}-${index}`, prompt: `${a} ${minus ? '-' : '+'} ${b} =`, answer: minus ? a - b : a + b, ease: noise() * 0.9 };
    });
    yield event('step-started', { step, stage: 'grpo', tasks: summaries.map(({ id, groupId, prompt }) => ({ id, groupId, prompt })), group });
    yield event('phase-started', { step, phase: 'rollout' });
    const total = tasks * group;
    const tokensPerSecond = 2600 + noise() * 160 - (step > steps * 0.7 ? 120 : 0);
    for (let part = 1; part <= 4; part++) yield event('rollout-progress', { step, finished: 0, total, tokens: part * total, tokensPerSecond }, 170);
    yield event('phase-started', { step, phase: 'reward' });

    let [sum, sumOfSpreads, good, bad, truncated, tokens, errored, dropped] = [0, 0, 0, 0, 0, 0, 0, 0];
    const groupEvents: JobEvent[] = [];
    for (const [index, task] of summaries.entries()) {
      const chance = 1 / (1 + Math.exp(-(Math.log(skill / (1 - skill)) + task.ease * 2.2)));
      const rewards: (number | null)[] = [];
      for (let attempt = 0; attempt < group; attempt++) {
        const failed = random() < 0.0006;
        const right = random() < chance;
        const cut = !right && random() < (collapsing ? 0.7 : 0.05);
        const off = right ? 0 : random() < 0.5 ? (random() < 0.5 ? 1 : -1) : 10 * Math.ceil(random() * 3);
        const text = cut ? `${task.answer}${String(Math.floor(random() * 1e6))}` : String(task.answer + off);
        const closeness = right ? 1 : cut ? 0 : Math.max(0, 0.3 - Math.abs(off) / 100);
        const reward = failed ? null : right ? 1 : closeness;
        rewards.push(reward);
        truncated += cut ? 1 : 0;
        tokens += text.length + 1;
        errored += failed ? 1 : 0;
        yield event('rollout-finished', {
          ...{ step, id: `${task.groupId}-${attempt}`, taskId: task.id, groupId: task.groupId, index: attempt, completion: cut ? text : `${text}\n` },
          ...{ status: failed ? 'error' : 'completed', stopReason: cut ? 'length' : 'done', reward, tokens: text.length + 1 },
          subscores: failed ? [] : [{ name: 'numeric_match', value: right ? 1 : 0, weight: 0.9 }, { name: 'close', value: closeness, weight: 0.1 }],
          error: failed ? { phase: 'scoring', type: 'timeout', message: 'the reward took longer than 10s' } : null,
        }, 0.1);
      }
      const known = rewards.filter((reward) => reward !== null);
      const whole = known.length === group;
      const mean = known.reduce((a, b) => a + b, 0) / Math.max(1, known.length);
      const std = Math.sqrt(known.reduce((a, b) => a + (b - mean) ** 2, 0) / Math.max(1, known.length));
      const equal = std < 1e-9;
      const spread = !whole ? 'dropped' : equal ? (mean >= 0.5 ? 'all-good' : 'all-bad') : 'mixed';
      sum += known.reduce((a, b) => a + b, 0);
      sumOfSpreads += std;
      good += spread === 'all-good' ? 1 : 0;
      bad += spread === 'all-bad' ? 1 : 0;
      dropped += spread === 'dropped' ? known.length : 0;
      groupEvents.push(event('group-finished', { step, groupId: task.groupId, taskId: summaries[index]!.id, mean: whole ? mean : null, std: whole ? std : null, spread, advantages: whole ? known.map((reward) => reward - mean) : null }));
      if (index % 16 === 15) yield event('rollout-progress', { step, finished: (index + 1) * group, total, tokens, tokensPerSecond });
    }
    yield* groupEvents;
    yield event('phase-started', { step, phase: 'step' });
    const evaluated = step % evalEvery === 0 || step === steps;
    const entropy = collapsing ? 0.06 : 0.18 + 1.1 * (1 - skill) + noise() * 0.03;
    const times: PhaseTimes = { rollout: 680 + noise() * 40, reward: 52, step: 390 + noise() * 30, promote: 21, eval: evaluated ? 240 : 0 };
    let metrics = {
      reward: sum / total,
      reward_std: Math.sqrt((sum / total) * (1 - sum / total)),
      reward_min: 0,
      reward_max: 1,
      within_group_reward_std: sumOfSpreads / tasks,
      frac_reward_zero_std: (good + bad) / tasks,
      'groups/all_good': good / tasks,
      'groups/all_bad': bad / tasks,
      'rewards/numeric_match/mean': sum / total,
      entropy,
      kl: 0.34 * (1 - Math.exp((-3 * step) / steps)) + Math.abs(noise()) * 0.01 + (collapsing ? 1.9 : 0),
      grad_norm: 0.4 + 0.5 * (1 - skill) + Math.abs(noise()) * 0.15 + (collapsing ? 14 : 0),
      'sampling/logp_difference/mean': 2e-6 * (1 + Math.abs(noise())),
      'kl_sample_train/v2': 1e-9,
      'completions/mean_length': tokens / total,
      'completions/clipped_ratio': truncated / total,
      'rollouts/error_ratio': errored / total,
      policy_loss: noise() * 1e-3,
      learning_rate: 1e-4,
      num_tokens: tokens,
      tokens_per_second: tokensPerSecond,
      step_time: (times.rollout + times.reward + times.step + times.promote + times.eval) / 1000,
    };
    if (evaluated) {
      yield event('phase-started', { step, phase: 'eval' }, times.step);
      yield event('eval-started', { step, tasks: 500 });
      after = evaluation(step, false);
      metrics = { ...metrics, ...after.metrics };
      yield event('eval-finished', after, times.eval);
    }
    yield event('phase-started', { step, phase: 'promote' }, evaluated ? 0 : times.step);
    const checkpoint = { id: checkpointId(step), name: checkpointName(step), parent: head === null ? null : checkpointId(head), step, meanReward: sum / total, evalReward: evaluated ? (metrics as Record<string, number>)['eval/reward']! : null };
    yield event('checkpoint-saved', { step, checkpoint });
    yield event('promoted', { step, checkpoint: checkpoint.id, previous: head === null ? null : checkpointId(head), reason: 'always' });
    head = step;
    const accounting = { generated: total, errored, abstained: 0, droppedWithGroup: dropped, truncated, noSpreadGood: good * group, noSpreadBad: bad * group, trained: total - errored - dropped - (good + bad) * group, trainedTokens: tokens };
    yield event('step-finished', { step, stage: 'grpo', metrics, times, accounting }, times.promote);
    if (collapseAt !== null && step === collapseAt + 2) {
      const back = collapseAt - 2;
      yield event('rolled-back', { step, from: checkpoint.id, to: checkpointId(back), head: checkpointId(back), reason: 'entropy fell below a tenth of its start' });
      head = back;
      skill = 1 - 0.86 * Math.exp((-3.4 * back) / Math.min(steps, 400));
    }
  }
  yield event('stage-finished', { index: 0, name: 'grpo', kind: 'grpo' });
  yield event('job-finished', {
    ...{ status: 'completed', reason: 'all steps done', steps, head: checkpointId(head ?? 0), durationMs: time - start, resumeCommand: null },
    before: before.metrics,
    after: after.metrics,
  });
}

/** An edit of the reward while watching: the files, the change, the rescored rollouts, the decision. */
export function* rewardEdit({ step = 20, time = Date.UTC(2026, 0, 5, 9, 31) } = {}): Generator<JobEvent> {
  const file = 'rewards/brevity.ts';
  yield { type: 'watch-started', time, files: ['pipelines/arith.yaml', file, 'rewards/text.ts'] };
  yield { type: 'watch-changed', time, file, kind: 'reward', changes: [{ path: 'reward.1 (rewards/brevity.ts)', before: 'a3f19c02', after: '5be0d771' }], message: '' };
  yield {
    ...{ type: 'rescored', time: time + 140, step, file, durationMs: 137 },
    rollouts: Array.from({ length: 64 }, (_, index) => {
      const before = index % 3 === 0 ? 1 : 0.1 * (index % 4);
      const after = index % 5 === 0 ? before : Math.max(0, before - 0.05 * (index % 7));
      return { rolloutId: `r${index}`, taskId: `t${index % 8}`, groupId: `g${index % 8}`, prompt: `${index + 11} + ${index * 3} =`, completion: `${index * 4 + 11}\n`, before, after, advantageBefore: before - 0.4, advantageAfter: after - 0.3 };
    }),
  };
  yield { type: 'watch-decision', time: time + 150, action: 'drain', from: 'ck-00000013', reason: 'the step under way ends, then the job begins again from step-000019' };
}
