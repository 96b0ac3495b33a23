/** @file Templates of a TypeScript module as an environment: any number of rollouts in the places that the runtime allows. */
import { failure, openUserCode, type Outcome, type Pool, type UserCode } from '../runtimes/index.ts';
import { workerUrl } from '../util/worker-url.ts';
import { gaveOtherPrompt, notOver, stepTimes, summed } from './judging.ts';
import type { PlayCall } from './template.worker.ts';
import type { Answer, Environment, Episode, OpenedEnvironment, OpenEnvironmentOptions, Reply, TemplateTask } from './types.ts';
import type { Yielded } from './yields.ts';

export async function openModule(options: OpenEnvironmentOptions): Promise<OpenedEnvironment> {
  const { source, runtime } = options;
  const opened = await openUserCode({ ...options, entry: workerUrl('template.worker', import.meta.url), paths: [source] });
  return opened.ok ? { ok: true, environment: new ModuleEnvironment(opened.code, { source, runtime }) } : opened;
}

class ModuleEnvironment implements Environment {
  readonly #pool: Pool;
  readonly #code: UserCode;
  readonly #options: Pick<OpenEnvironmentOptions, 'source' | 'runtime'>;
  #begun = 0;

  constructor(code: UserCode, options: Pick<OpenEnvironmentOptions, 'source' | 'runtime'>) {
    this.#code = code;
    this.#pool = code.pool;
    this.#options = options;
  }

  get files() { return this.#code.files; }
  get hash() { return this.#code.hash; }

  async setup({ template, args }: Omit<TemplateTask, 'prompt'>, signal?: AbortSignal) {
    const opening = await this.#open({ template, args }, null, signal);
    return opening.ok ? { ok: true as const, value: opening.value.prompt } : opening;
  }

  async grade(task: TemplateTask, answers: readonly Answer[], signal?: AbortSignal) {
    const id = this.#nextRollout();
    let isOver = false;
    try {
      const times = stepTimes(this.#options.runtime);
      const opening = await times.spend(() => this.#open(task, { id, said: [] }, signal));
      if (!opening.ok) return opening;
      const other = gaveOtherPrompt(task, opening.value.prompt);
      if (other) return other;
      let earned = 0;
      const said: Yielded[] = [opening.value];
      for (let count = 1; count <= answers.length; count++) {
        const step = await times.spend(() => this.#play(task, { answers: answers.slice(0, count), rollout: { id, said: said.map((each) => JSON.stringify(each)) } }, times.left(), signal));
        if (!step.ok) return step;
        if (step.value.kind === 'verdict') {
          isOver = true;
          return summed(earned, step.value.verdict);
        }
        said.push(step.value);
        if (step.value.kind === 'messages') earned += step.value.reward ?? 0;
      }
      return notOver(earned);
    } finally {
      this.#forget(id, { isOver });
    }
  }

  async begin(task: TemplateTask, signal: AbortSignal): Promise<Outcome<Episode>> {
    const rollout = { id: this.#nextRollout(), said: [] as string[] };
    const times = stepTimes(this.#options.runtime);
    const opening = await times.spend(() => this.#open(task, rollout, signal));
    if (!opening.ok) return opening;
    const other = gaveOtherPrompt(task, opening.value.prompt);
    if (other) return other;
    rollout.said.push(JSON.stringify(opening.value));
    const answers: Answer[] = [];
    let [earned, isOver] = [0, false];
    return {
      ok: true,
      value: {
        tools: null,
        ownTools: opening.value.tools,
        reply: async (answer, until): Promise<Outcome<Reply>> => {
          answers.push(answer);
          const said = await times.spend(() => this.#play(task, { answers, rollout }, times.left(), until));
          if (!said.ok) return said;
          rollout.said.push(JSON.stringify(said.value));
          isOver = said.value.kind === 'verdict';
          if (said.value.kind === 'verdict') return { ok: true, value: { done: true, verdict: summed(earned, said.value.verdict) } };
          const { messages, reward } = said.value as Extract<Yielded, { kind: 'messages' }>;
          earned += reward ?? 0;
          return { ok: true, value: { done: false, messages, reward } };
        },
        conclude: async () => ({ ok: true, value: notOver(earned) }),
        [Symbol.asyncDispose]: async () => this.#forget(rollout.id, { isOver }),
      },
    };
  }

  async #open(task: Omit<TemplateTask, 'prompt'>, rollout: PlayCall['rollout'], signal?: AbortSignal): Promise<Outcome<Extract<Yielded, { kind: 'prompt' }>>> {
    const said = await this.#play(task, { answers: [], rollout }, this.#options.runtime.setupTimeoutMs, signal);
    if (!said.ok) return failure(said.failure.type, `setup of ${task.template}: ${said.failure.message}`);
    return { ok: true, value: said.value as Extract<Yielded, { kind: 'prompt' }> };
  }

  #play({ template, args }: Omit<TemplateTask, 'prompt'>, { answers, rollout }: Pick<PlayCall, 'answers' | 'rollout'>, timeoutMs: number, signal?: AbortSignal): Promise<Outcome<Yielded>> {
    const call: PlayCall = { source: this.#options.source, template, args, answers, rollout };
    return this.#pool.call('play', call, { timeoutMs, signal }, rollout?.id) as Promise<Outcome<Yielded>>;
  }

  /** Rollouts of a run are told apart within their places alone: the number means nothing elsewhere. */
  #nextRollout(): string {
    return String(this.#begun++);
  }

  /** A template that has judged is forgotten where it ran. Nobody waits for the others: a place that is gone has forgotten by itself. */
  #forget(id: string, { isOver }: { isOver: boolean }): void {
    if (!isOver) this.#pool.call('forget', { id }, { timeoutMs: this.#options.runtime.setupTimeoutMs }, id).catch(() => {});
    this.#pool.forget(id);
  }

  [Symbol.asyncDispose]() {
    return this.#code[Symbol.asyncDispose]();
  }
}
