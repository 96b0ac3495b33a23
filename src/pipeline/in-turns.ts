/** Rolling out agents that take turns: every attempt goes at its own pace, and whoever waits for its environment leaves the engine to the others. */
import { converse } from '../agents/index.ts';
import type { Surroundings } from '../environments/index.ts';
import type { Rollout, RolloutError } from '../events.ts';
import { arrivals } from '../util/arrivals.ts';
import { type Asked, askInTurns } from './ask.ts';
import { type Attempt, type RolloutContext, sampleRequest, type Unscored, unscored } from './attempt.ts';

/** Attempts everything at once; rollouts arrive as they end. */
export async function* rollOutInTurns(attempts: readonly Attempt[], context: RolloutContext, surroundings: Surroundings): AsyncGenerator<Unscored> {
  const { sampler, signal, onDrawn } = context;
  const asked = askInTurns(sampler, signal);
  yield* arrivals(attempts.map((attempt) => rollOutOne(attempt, { ...context, surroundings, asked })));
  onDrawn?.(asked.drawnMs);
}

async function rollOutOne(attempt: Attempt, context: RolloutContext & { surroundings: Surroundings; asked: Asked }): Promise<Unscored> {
  const { surroundings, agent, settings, signal, asked } = context;
  const { task } = attempt;
  const ended = (rollout: Pick<Rollout, 'prompt'> & Partial<Rollout>): Unscored => ({ task, rollout: { ...unscored(attempt), ...rollout } });
  const failed = (error: RolloutError): Unscored => ended({ prompt: '', status: 'error', error });

  const begun = await surroundings.begin(task, signal);
  if (!begun.ok) return failed({ phase: 'setup', ...begun.failure, message: `task ${task.id}: ${begun.failure.message}` });
  await using scene = begun.value;
  const composer = agent.composer(scene.tools);
  const prepared = composer.open(task);
  if (!prepared.ok) return failed(prepared.error);
  const end = await converse({
    ...scene, composer, signal,
    promptTokenIds: prepared.tokenIds,
    ...{ maxSteps: settings.maxSteps, maxTokens: settings.maxTokens, maxToolCharacters: settings.maxToolCharacters, contextLength: agent.contextLength },
    // What shares a run with a conversation depends on how long others take: its tokens must not.
    sample: (promptTokenIds, { maxTokens, drawn }) => asked.ask({ ...sampleRequest(attempt, promptTokenIds, context), maxTokens, drawn, keep: true, exact: true }),
  });
  const last = end.turns.at(-1);
  if (last) context.sampler.release([...last.promptTokenIds, ...last.outputTokenIds]);
  signal.throwIfAborted();
  const { error } = end;
  return ended({ ...end, prompt: prepared.prompt, ...(error ? { error: { ...error, message: `task ${task.id}: ${error.message}` } } : {}) });
}
