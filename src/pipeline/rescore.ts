/** What other rewards would have said about rollouts that happened already: no generation, only new verdicts. */
import type { RescoredRollout, Rollout } from '../events.ts';
import type { Task } from '../tasks/types.ts';
import { type GroupOptions, formGroups } from './groups.ts';
import type { Unscored } from './attempt.ts';
import { type ScoreContext, score } from './rollout.ts';

/** Judges stored rollouts again. Those whose task is gone, or that never got as far as an answer, keep what they had. */
export async function rescore(
  stored: readonly Rollout[],
  tasks: readonly Task[],
  context: ScoreContext & { train: GroupOptions },
): Promise<RescoredRollout[]> {
  const byId = new Map(tasks.map((task) => [task.id, task]));
  const again = stored.flatMap((rollout): Unscored[] => {
    const task = byId.get(rollout.taskId);
    const answered = rollout.turns.length > 0 && rollout.status !== 'cancelled';
    if (!task || !answered) return [];
    const { error: _, advantage: __, conversation, ...rest } = rollout;
    // What an environment said then, an edited one may not say now: it is asked again.
    const { verdict: ___, ...said } = conversation ?? { messages: [], environmentMs: 0 };
    return [{ task, rollout: { ...rest, ...(conversation ? { conversation: said } : {}), status: 'completed', reward: null, subscores: [] } }];
  });
  const judged = await score(
    (async function* () {
      yield* again;
    })(),
    context,
  );
  const untouched = stored.filter((rollout) => !judged.some(({ id }) => id === rollout.id)).map((rollout) => ({ ...rollout }));
  formGroups([...judged, ...untouched], context.train);
  const after = new Map([...judged, ...untouched].map((rollout) => [rollout.id, rollout]));
  const silent = new Map(judged.filter(({ reward }) => reward === null).map(({ id, error }) => [id, error?.message ?? 'the reward abstained']));
  return stored.map(({ id, taskId, groupId, prompt, completion, reward, advantage }) => {
    const [now, error] = [after.get(id)!, silent.get(id)];
    const advantages = { advantageBefore: advantage ?? null, advantageAfter: now.advantage ?? null };
    return { rolloutId: id, taskId, groupId, prompt, completion, before: reward, after: now.reward, ...advantages, ...(error === undefined ? {} : { error }) };
  });
}
