/** @file A Gym-like environment: the model reads observations, its answers are actions, and what the steps are worth is summed. */
import { failure, invalid, type Outcome, readVerdict, type Verdict } from '../../runtimes/index.ts';
import { gaveOtherPrompt, notOver, stepTimes } from '../judging.ts';
import type { Answer, Environment, Episode, Reply, TemplateTask } from '../types.ts';
import { type ActionField, actionOf, observationText } from './fields.ts';
import type { Gym, GymSession, Observed } from './types.ts';

export interface GymParts {
  runtime: Gym;
  action: ActionField;
  /** Waits for its turn. */
  openSession: (signal?: AbortSignal) => Promise<Outcome<GymSession>>;
  files: readonly string[];
  hash: string;
  dispose: () => Promise<void>;
}

export class GymEnvironment implements Environment {
  readonly files: readonly string[];
  readonly hash: string;
  readonly #parts: GymParts;

  constructor(parts: GymParts) {
    this.files = parts.files;
    this.hash = parts.hash;
    this.#parts = parts;
  }

  async setup(task: Omit<TemplateTask, 'prompt'>, signal?: AbortSignal): Promise<Outcome<TemplateTask['prompt']>> {
    const opened = await this.#reset(task, signal);
    if (!opened.ok) return opened;
    const { session, prompt } = opened.value;
    await session[Symbol.asyncDispose]();
    return { ok: true, value: prompt };
  }

  async grade(task: TemplateTask, answers: readonly Answer[], signal?: AbortSignal): Promise<Verdict> {
    const until = signal ?? new AbortController().signal;
    const begun = await this.begin(task, until);
    if (!begun.ok) return begun;
    await using episode = begun.value;
    for (const answer of answers) {
      const reply = await episode.reply(answer, until);
      if (!reply.ok) return reply;
      if (reply.value.done) return reply.value.verdict ?? invalid('ended without a reward for any step');
    }
    const verdict = await episode.conclude(answers.at(-1)!, until);
    return verdict.ok ? (verdict.value ?? invalid('gave no reward')) : verdict;
  }

  async begin(task: TemplateTask, signal: AbortSignal): Promise<Outcome<Episode>> {
    const { runtime, action } = this.#parts;
    const times = stepTimes(runtime);
    const opened = await this.#reset(task, signal);
    if (!opened.ok) return opened;
    const { session, prompt } = opened.value;
    const other = gaveOtherPrompt(task, prompt);
    if (other) {
      await session[Symbol.asyncDispose]();
      return other;
    }
    let [earned, isRewarded] = [0, false];
    return {
      ok: true,
      value: {
        tools: null,
        ownTools: [],
        async reply({ content }, until): Promise<Outcome<Reply>> {
          const stepped = await times.spend(() => session.step(actionOf(content, action), { timeoutMs: times.left(), signal: until }));
          if (!stepped.ok) return stepped;
          // A turn is gone, and the agent knows why.
          if ('refused' in stepped.value) return { ok: true, value: { done: false, messages: [{ role: 'user', content: `Error: ${stepped.value.refused}` }] } };
          const reward = rewardOf(stepped.value);
          if (reward !== null && !reward.ok) return { ok: true, value: { done: true, verdict: reward } };
          const given = reward?.value ?? null;
          if (given !== null) [earned, isRewarded] = [earned + given, true];
          if (stepped.value.done) return { ok: true, value: { done: true, verdict: isRewarded ? { ok: true, value: earned } : null } };
          const text = observationText(stepped.value.observation, runtime.observationField);
          return { ok: true, value: { done: false, messages: [{ role: 'user', content: text }], reward: given ?? undefined } };
        },
        conclude: async () => ({ ok: true, value: notOver(earned) }),
        [Symbol.asyncDispose]: () => session[Symbol.asyncDispose](),
      },
    };
  }

  async #reset({ template, args }: Omit<TemplateTask, 'prompt'>, signal?: AbortSignal): Promise<Outcome<{ session: GymSession; prompt: string }>> {
    const { runtime, openSession } = this.#parts;
    const session = await openSession(signal);
    if (!session.ok) return failure(session.failure.type, `setup of ${template}: ${session.failure.message}`);
    const observed = await session.value.reset(args, { timeoutMs: runtime.setupTimeoutMs, signal }).catch(async (error: unknown) => {
      await session.value[Symbol.asyncDispose]();
      throw error;
    });
    if (observed.ok && !observed.value.done) return { ok: true, value: { session: session.value, prompt: observationText(observed.value.observation, runtime.promptField) } };
    await session.value[Symbol.asyncDispose]();
    return observed.ok ? failure('exception', `setup of ${template}: it is over before it begins`) : failure(observed.failure.type, `setup of ${template}: ${observed.failure.message}`);
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.#parts.dispose();
  }
}

function rewardOf({ reward }: Observed): Verdict | null {
  return reward === null ? null : readVerdict(reward);
}
