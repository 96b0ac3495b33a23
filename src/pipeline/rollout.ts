/** Rolling out and scoring: from tasks to rollouts with a verdict. Scoring begins while the rest is still being sampled. */
import { type Agent, preparingOnce } from '../agents/index.ts';
import type { Rollout } from '../events.ts';
import type { Sample, SampleRequest } from '../policy/types.ts';
import type { ScoreOutcome, Scorer } from '../rewards/types.ts';
import type { Task } from '../tasks/types.ts';
import { type Attempt, type RolloutContext, sampleRequest, type Unscored, unscored } from './attempt.ts';

/** Attempts everything at once; rollouts arrive as they end. A task that cannot be put to the model is a failed rollout. */
export async function* rollOut(attempts: readonly Attempt[], context: RolloutContext): AsyncGenerator<Unscored> {
  if (context.surroundings) return yield* (await import('./in-turns.ts')).rollOutInTurns(attempts, context, context.surroundings);
  const { agent, sampler, signal, onDrawn } = context;
  const pending = new Map<string, { attempt: Attempt; prompt: string; request: SampleRequest }>();
  // The attempts of a group read the same prompt.
  const { prepare } = preparingOnce(agent);
  for (const attempt of attempts) {
    const prepared = prepare(attempt.task);
    if (prepared.ok) {
      pending.set(attempt.id, { attempt, prompt: prepared.prompt, request: sampleRequest(attempt, prepared.tokenIds, context) });
    } else {
      yield { task: attempt.task, rollout: { ...unscored(attempt), prompt: '', status: 'error', error: prepared.error } };
    }
  }
  const requests = [...pending.values()].map(({ request }) => request);
  for await (const sample of sampler.sample(requests, { signal, ...(onDrawn ? { onDrawn } : {}) })) {
    signal.throwIfAborted();
    const { attempt, prompt, request } = pending.get(sample.id)!;
    yield { task: attempt.task, rollout: { ...unscored(attempt), prompt, ...completionOf(sample, request, agent) } };
  }
  signal.throwIfAborted();
}

/** Rollouts that are under way, perhaps of a step that has not begun yet. */
export interface BegunRollouts {
  attempts: readonly Attempt[];
  /** Milliseconds that the sampler took; null until it is done. */
  samplingMs: number | null;
  /** To be gone through once. */
  drawn: AsyncIterable<Unscored>;
  /** Resolves when the sampler is free again. */
  abandon(): Promise<void>;
}

/** As `rollOut`, beginning at once, and not when somebody asks for the first: that one hears of a failure. */
export function rollOutAhead(attempts: readonly Attempt[], context: Omit<RolloutContext, 'onDrawn'>): BegunRollouts {
  const abandoned = new AbortController();
  const onDrawn = (ms: number) => (rollouts.samplingMs = ms);
  const begun = rollOut(attempts, { ...context, onDrawn, signal: AbortSignal.any([context.signal, abandoned.signal]) });
  const asked = [begun.next()];
  asked[0]!.catch(() => {});
  const iterator = { next: () => asked.pop() ?? begun.next(), return: () => begun.return(undefined) };
  const rollouts: BegunRollouts = {
    attempts,
    samplingMs: null,
    drawn: { [Symbol.asyncIterator]: () => iterator },
    async abandon() {
      abandoned.abort();
      await begun.return(undefined).catch(() => {});
    },
  };
  return rollouts;
}

function completionOf(sample: Sample, request: SampleRequest, agent: Agent): Pick<Rollout, 'completion' | 'turns' | 'status' | 'stopReason'> {
  return {
    completion: agent.decode(sample.outputTokenIds),
    turns: [
      { promptTokenIds: [...request.promptTokenIds], outputTokenIds: sample.outputTokenIds, outputLogprobs: sample.outputLogprobs },
    ],
    status: sample.stopReason === 'cancelled' ? 'cancelled' : 'completed',
    stopReason: sample.stopReason === 'length' ? 'length' : 'done',
  };
}

export interface ScoreContext {
  scorer: Scorer;
  signal: AbortSignal;
  onDrawn?: (rollout: Rollout) => void;
  onScored?: (rollout: Rollout) => void;
  /** The last rollout has been sampled; only verdicts are still missing. */
  onSampled?: () => void;
}

/**
 * Judges rollouts as they arrive, and returns them in the order of their ids, so that the order in which they ended leaves no trace. A
 * grader that fails gives no verdict: `reward` stays null.
 */
export async function score(drawn: AsyncIterable<Unscored>, context: ScoreContext): Promise<Rollout[]> {
  const rollouts: Rollout[] = [];
  const late: Promise<void>[] = [];
  try {
    for await (const { rollout, task } of drawn) {
      context.onDrawn?.(rollout);
      rollouts.push(rollout);
      const judged = judge(rollout, task, context);
      // Waited for below, and nobody's fault until then.
      judged?.catch(() => {});
      if (judged) late.push(judged);
    }
    context.onSampled?.();
    await Promise.all(late);
    return rollouts.sort((a, b) => (a.id < b.id ? -1 : 1));
  } finally {
    await Promise.allSettled(late);
  }
}

/** A promise only where user code decides: what is built in answers at once, hundreds of times between two calls to the engine. */
function judge(rollout: Rollout, task: Task, { scorer, signal, onScored }: ScoreContext): Promise<void> | undefined {
  const keep = (outcome: ScoreOutcome): void => {
    signal.throwIfAborted();
    if (outcome.ok) {
      rollout.reward = outcome.score.reward;
      rollout.subscores = outcome.score.subscores;
    } else {
      rollout.status = 'error';
      rollout.error = outcome.error;
    }
    onScored?.(rollout);
  };
  signal.throwIfAborted();
  if (rollout.status !== 'completed') return void onScored?.(rollout);
  const { completion, conversation, stopReason } = rollout;
  const completionTokens = rollout.turns.at(-1)?.outputTokenIds.length ?? 0;
  const outcome = scorer.score({ task, completion, completionTokens, truncated: stopReason === 'length', ...(conversation ? { conversation, stopReason } : {}) }, signal);
  if (outcome instanceof Promise) return outcome.then(keep);
  keep(outcome);
}
