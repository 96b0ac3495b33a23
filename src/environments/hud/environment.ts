/** @file A HUD environment, unmodified, as an environment of ours. Its grade is the last word: there is one answer, and tools before it. */
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import pLimit, { type LimitFunction } from 'p-limit';
import { type Failure, failure, type Outcome, type Verdict } from '../../runtimes/index.ts';
import type { RuntimeSettings } from '../../config/types.ts';
import { type Seat, Seats } from '../hosts/seats.ts';
import type { Host, HostSource } from '../hosts/types.ts';
import { gaveOtherPrompt, stepTimes } from '../judging.ts';
import type { Answer, Environment, Episode, TemplateTask, ToolSession } from '../types.ts';
import { argumentProblem, type TaskEntry } from './arguments.ts';
import { keepsState, openCapabilities, refusal } from './capabilities.ts';
import { HudSession, isAlive } from './session.ts';
import { readGrade } from './verdict.ts';

export interface HudOptions {
  source: HostSource;
  runtime: RuntimeSettings;
  files: readonly string[];
}

/** Starts the first host to see what the environment is: its tasks, and whether its sessions may share a process. */
export async function openHudEnvironment({ source, runtime, files }: HudOptions, signal?: AbortSignal): Promise<Outcome<Environment>> {
  const opened = await source.open(signal);
  if (!opened.ok) return opened;
  await using giveUp = new AsyncDisposableStack();
  const first = opened.value;
  giveUp.defer(() => first.end({ type: 'exit', message: 'was closed' }));
  const limits = { timeoutMs: runtime.setupTimeoutMs, signal };
  const greeted = await HudSession.open(first, limits);
  if (!greeted.ok) return greeted;
  using session = greeted.value;
  const refused = refusal(session.bindings);
  if (refused) return refused;
  const tasks = await session.list(limits);
  if (!tasks.ok) return tasks;
  giveUp.move();
  const hash = createHash('sha256').update(JSON.stringify([session.env, tasks.value]));
  for (const file of files) hash.update(readFileSync(file)).update('\0');
  const isStateful = keepsState(session.bindings);
  return { ok: true, value: new HudEnvironment({ source, runtime, files, first, tasks: tasks.value, hash: hash.digest('hex'), isStateful }) };
}

interface EnvironmentParts extends HudOptions {
  first: Host;
  tasks: readonly TaskEntry[];
  hash: string;
  isStateful: boolean;
}

class HudEnvironment implements Environment {
  readonly files: readonly string[];
  readonly hash: string;
  readonly #tasks: readonly TaskEntry[];
  readonly #runtime: RuntimeSettings;
  readonly #isStateful: boolean;
  readonly #seats: Seats;
  /** Calls of the environment's own code at a time. */
  readonly #calls: LimitFunction;

  constructor({ source, runtime, files, first, tasks, hash, isStateful }: EnvironmentParts) {
    this.files = files;
    this.hash = hash;
    this.#tasks = tasks;
    this.#runtime = runtime;
    this.#isStateful = isStateful;
    this.#calls = pLimit(runtime.concurrency);
    this.#seats = new Seats({ source, isShared: !isStateful, size: runtime.concurrency, first });
  }

  async setup(task: Omit<TemplateTask, 'prompt'>, signal?: AbortSignal): Promise<Outcome<TemplateTask['prompt']>> {
    const started = await this.#start(() => this.#seats.take(signal), task, signal);
    if (!started.ok) return started;
    await using scene = started.value;
    return { ok: true, value: scene.prompt };
  }

  async grade(task: TemplateTask, answers: readonly Answer[], signal?: AbortSignal): Promise<Verdict> {
    if (this.#isStateful) return failure('exception', 'this environment judges what was done in it, and what it was then is gone: it cannot judge a stored rollout');
    const begun = await this.#begin(() => this.#seats.take(signal), task, signal);
    if (!begun.ok) return begun;
    await using episode = begun.value;
    return await episode.judge(answers.at(-1)?.content ?? '', signal);
  }

  async begin(task: TemplateTask, signal: AbortSignal): Promise<Outcome<Episode>> {
    const begun = await this.#begin(() => this.#seats.take(signal), task, signal);
    if (!begun.ok) return begun;
    const { judge, tools } = begun.value;
    return {
      ok: true,
      value: {
        tools,
        ownTools: [],
        reply: async ({ content }, until) => ({ ok: true, value: { done: true, verdict: await judge(content, until) } }),
        async conclude({ content }, until) {
          const verdict = await judge(content, until);
          return verdict.ok ? { ok: true, value: verdict } : verdict;
        },
        [Symbol.asyncDispose]: () => begun.value[Symbol.asyncDispose](),
      },
    };
  }

  async #begin(take: Take, task: TemplateTask, signal?: AbortSignal): Promise<Outcome<Begun>> {
    const times = stepTimes(this.#runtime);
    const started = await this.#start(take, task, signal);
    if (!started.ok) return started;
    await using giveUp = new AsyncDisposableStack();
    const { prompt, session, seat } = giveUp.use(started.value);
    const other = gaveOtherPrompt(task, prompt);
    if (other) return other;
    const { setupTimeoutMs, scoreTimeoutMs } = this.#runtime;
    const tools = await openCapabilities(session.bindings, { address: seat.host.address, setupTimeoutMs, timeoutMs: scoreTimeoutMs, signal: signal ?? new AbortController().signal });
    if (!tools.ok) return failure(tools.failure.type, `setup of ${task.template}: ${tools.failure.message}`);
    if (tools.value) giveUp.use(tools.value);
    const kept = giveUp.move();
    const judge = async (answer: string, until?: AbortSignal): Promise<Verdict> => {
      const wasGone = seat.host.gone !== null;
      const graded = await this.#calls(() => times.spend(() => session.grade(answer, { timeoutMs: times.left(), signal: until })));
      if (graded.ok) return readGrade(graded.value);
      return (await this.#isSharedFault(graded.failure, seat)) ? this.#judgeAgain(task, { answer, isSuspect: !wasGone }, until) : graded;
    };
    return { ok: true, value: { judge, tools: tools.value, [Symbol.asyncDispose]: () => kept.disposeAsync() } };
  }

  async #start(take: Take, task: Omit<TemplateTask, 'prompt'>, signal?: AbortSignal): Promise<Outcome<Started>> {
    const refused = ({ type, message }: Failure) => failure(type, `setup of ${task.template}: ${message}`);
    const wrong = argumentProblem(this.#tasks, task);
    if (wrong) return refused(wrong.failure);
    const taken = await take();
    if (!taken.ok) return refused(taken.failure);
    await using giveUp = new AsyncDisposableStack();
    const seat = giveUp.use(taken.value);
    const limits = { timeoutMs: this.#runtime.setupTimeoutMs, signal };
    const started = await this.#calls(async () => {
      const session = await HudSession.open(seat.host, limits);
      if (!session.ok) return session;
      giveUp.use(session.value);
      const prompt = await session.value.start(task, limits);
      return prompt.ok ? { ok: true as const, value: { session: session.value, prompt: prompt.value } } : prompt;
    });
    if (started.ok) {
      const kept = giveUp.move();
      return { ok: true, value: { ...started.value, seat, [Symbol.asyncDispose]: () => kept.disposeAsync() } };
    }
    if (!(await this.#isSharedFault(started.failure, seat))) return refused(started.failure);
    return this.#start(() => this.#seats.takeAgain({ isSuspect: true }, signal), task, signal);
  }

  /** Many sessions were in a process that died or stands still, and one of them is to blame: each whose call it was is asked again in a process of its own. */
  async #isSharedFault({ type }: Failure, { host, isAlone }: Seat): Promise<boolean> {
    if (type === 'timeout' && !host.gone && !(await isAlive(host))) await host.end({ type: 'timeout', message: 'the environment stood still and was stopped' });
    return !isAlone && host.gone !== null;
  }

  async #judgeAgain(task: TemplateTask, { answer, isSuspect }: { answer: string; isSuspect: boolean }, signal?: AbortSignal): Promise<Verdict> {
    const begun = await this.#begin(() => this.#seats.takeAgain({ isSuspect }, signal), task, signal);
    if (!begun.ok) return begun;
    await using episode = begun.value;
    return await episode.judge(answer, signal);
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.#seats[Symbol.asyncDispose]();
  }
}

type Take = () => Promise<Outcome<Seat>>;

interface Started extends AsyncDisposable {
  prompt: TemplateTask['prompt'];
  session: HudSession;
  seat: Seat;
}

interface Begun extends AsyncDisposable {
  tools: ToolSession | null;
  judge(answer: string, signal?: AbortSignal): Promise<Verdict>;
}
