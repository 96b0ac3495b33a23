/** @file A program that speaks JSON lines (docs/subprocess.md) as an environment: one rollout at a time in each copy of it. */
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { type Call, failure, type Outcome, PlaceError, Pool, programFiles, programPlace, readVerdict, type Verdict } from '../runtimes/index.ts';
import { userEnvironment } from '../util/user-environment.ts';
import { gaveOtherPrompt, notOver, stepTimes, summed } from './judging.ts';
import type { Answer, Environment, Episode, OpenedEnvironment, OpenEnvironmentOptions, Reply, TemplateTask, Tool } from './types.ts';
import { readYield, type Yielded } from './yields.ts';

type Runtime = OpenEnvironmentOptions['runtime'];

export async function openProgram({ runtime, onOutput }: OpenEnvironmentOptions): Promise<OpenedEnvironment> {
  const { kind, command, cwd, env, memoryMb, concurrency, setupTimeoutMs } = runtime;
  if (kind !== 'subprocess' || command.length === 0) {
    return { ok: false, files: [], failure: { type: 'exception', message: 'there is no program to ask: write runtime: { kind: subprocess, command: [...] }' } };
  }
  const open = await programPlace({ command, cwd, env: userEnvironment(env), replies: 'stdout', memoryMb, ...(onOutput ? { onOutput } : {}) });
  const files = programFiles(command, cwd);
  const hash = files.reduce((sum, file) => sum.update(readFileSync(file)).update('\0'), createHash('sha256')).digest('hex');
  return { ok: true, environment: new ProgramEnvironment(new Pool({ open, size: concurrency, setupTimeoutMs }), { runtime, files, hash }) };
}

/** A task that a copy of the program has been given. */
interface Opened {
  prompt: TemplateTask['prompt'];
  tools: Tool[];
  /** Does it want every answer (`step`), or only the one to grade? */
  steps: boolean;
}

class ProgramEnvironment implements Environment {
  readonly files: readonly string[];
  readonly hash: string;
  readonly #pool: Pool;
  readonly #runtime: Runtime;

  constructor(pool: Pool, { runtime, files, hash }: { runtime: Runtime; files: readonly string[]; hash: string }) {
    this.#pool = pool;
    this.#runtime = runtime;
    this.files = files;
    this.hash = hash;
  }

  setup({ template, args }: Omit<TemplateTask, 'prompt'>, signal?: AbortSignal): Promise<Outcome<TemplateTask['prompt']>> {
    return this.#pool.use(async (call) => {
      const opened = await this.#open(call, { template, args }, signal);
      return opened.ok ? { ok: true as const, value: opened.value.prompt } : opened;
    }, signal);
  }

  grade(task: TemplateTask, answers: readonly Answer[], signal?: AbortSignal): Promise<Verdict> {
    return this.#pool.use(async (call): Promise<Verdict> => {
      const begun = await this.#begin(call, task, signal);
      if (!begun.ok) return begun;
      const { episode } = begun;
      for (const [index, answer] of answers.entries()) {
        if (index === answers.length - 1 && !episode.steps) break;
        const reply = await episode.reply(answer, signal);
        if (!reply.ok) return reply;
        if (reply.value.done && reply.value.verdict) return reply.value.verdict;
      }
      return episode.conclude(answers.at(-1)!, signal);
    }, signal);
  }

  async begin(task: TemplateTask, signal: AbortSignal): Promise<Outcome<Episode>> {
    using giveBack = new DisposableStack();
    const held = giveBack.use(await this.#pool.hold(signal));
    const begun = await this.#begin(held.call, task, signal);
    if (!begun.ok) return begun;
    const { ownTools, reply, conclude } = begun.episode;
    const keep = giveBack.move();
    return { ok: true, value: { tools: null, ownTools, reply, conclude: async (answer, until) => asOutcome(await conclude(answer, until)), [Symbol.asyncDispose]: async () => keep.dispose() } };
  }

  async #begin(call: Call, task: TemplateTask, signal: AbortSignal | undefined) {
    const times = stepTimes(this.#runtime);
    const opened = await times.spend(() => this.#open(call, task, signal));
    if (!opened.ok) return opened;
    const other = gaveOtherPrompt(task, opened.value.prompt);
    if (other) return other;
    const { steps, tools } = opened.value;
    let earned = 0;
    const ask = (method: string, answer: Answer, until?: AbortSignal) => {
      const params = { completion: answer.content, ...(answer.toolCalls.length > 0 ? { tool_calls: answer.toolCalls } : {}) };
      return times.spend(() => call(method, params, { timeoutMs: times.left(), signal: until }));
    };
    const conclude = async (answer: Answer, until?: AbortSignal): Promise<Verdict> => {
      const graded = await ask('grade', answer, until);
      if (!graded.ok) return graded;
      const verdict = readVerdict(graded.value);
      return verdict.ok ? summed(earned, verdict) : verdict;
    };
    const reply = async (answer: Answer, until?: AbortSignal): Promise<Outcome<Reply>> => {
      if (!steps) return { ok: true, value: { done: true, verdict: await conclude(answer, until) } };
      const stepped = await ask('step', answer, until);
      if (!stepped.ok) return stepped;
      const said = readStep(stepped.value);
      if (!said.ok) return said;
      if (said.value === 'done') return { ok: true, value: { done: true, verdict: await conclude(answer, until) } };
      if (said.value.kind === 'verdict') return { ok: true, value: { done: true, verdict: summed(earned, said.value.verdict) } };
      const { messages, reward } = said.value as Extract<Yielded, { kind: 'messages' }>;
      earned += reward ?? 0;
      return { ok: true, value: { done: false, messages, reward } };
    };
    // A program that is told every answer may not be able to judge a game that is not over.
    const concludeEarly = async (answer: Answer, until?: AbortSignal): Promise<Verdict> => (steps ? notOver(earned) : conclude(answer, until));
    return { ok: true as const, episode: { steps, ownTools: tools, reply, conclude: concludeEarly } };
  }

  async #open(call: Call, { template, args }: Omit<TemplateTask, 'prompt'>, signal?: AbortSignal): Promise<Outcome<Opened>> {
    const refused = (type: Parameters<typeof failure>[0], message: string) => failure(type, `setup of ${template}: ${message}`);
    const outcome = await call('setup', { template, args }, { timeoutMs: this.#runtime.setupTimeoutMs, signal });
    if (!outcome.ok) return refused(outcome.failure.type, outcome.failure.message);
    try {
      const { prompt, tools } = readYield(outcome.value, { isFirst: true }) as Extract<Yielded, { kind: 'prompt' }>;
      return { ok: true, value: { prompt, tools, steps: (outcome.value as { steps?: unknown } | null)?.steps === true } };
    } catch (error) {
      if (!(error instanceof PlaceError)) throw error;
      return refused('protocol', error.message);
    }
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.#pool[Symbol.asyncDispose]();
  }
}

const asOutcome = (verdict: Verdict): Outcome<Verdict> => (verdict.ok ? { ok: true, value: verdict } : verdict);

/** `{ "done": true }` asks to be graded; `{ "done": true, "reward": … }` is a verdict; anything else is the next turn or a verdict. */
function readStep(given: unknown): Outcome<Yielded | 'done'> {
  const isDone = typeof given === 'object' && given !== null && (given as { done?: unknown }).done === true;
  if (isDone && !('reward' in (given as object)) && !('score' in (given as object))) return { ok: true, value: 'done' };
  try {
    return { ok: true, value: readYield(given, { isFirst: false }) };
  } catch (error) {
    if (!(error instanceof PlaceError)) throw error;
    return failure(error.type, error.message);
  }
}
