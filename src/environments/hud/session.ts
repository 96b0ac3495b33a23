/** @file One session with a HUD environment: a task that is started, and later graded, perhaps over another connection. */
import { setTimeout as delay } from 'node:timers/promises';
import { failure, type Outcome } from '../../runtimes/index.ts';
import type { Host } from '../hosts/types.ts';
import type { TemplateTask } from '../types.ts';
import type { TaskEntry } from './arguments.ts';
import type { Binding } from './capabilities.ts';
import { Channel } from './channel.ts';
import type { Limits } from './dial.ts';
import { readPrompt } from './prompt.ts';

const HEARTBEAT_MS = 5000;
/** Python tidies up between the end of its sockets and its own. */
const NEWS_MS = 5000;
/** An environment notices late that a connection is gone; until then it does not let another have its session. */
const RESUME = { attempts: 20, pauseMs: 100 };

export class HudSession implements Disposable {
  readonly #host: Host;
  readonly #id: string;
  #channel: Channel;
  readonly env: { name: string; version: string };
  readonly bindings: readonly Binding[];

  private constructor(host: Host, channel: Channel, { id, env, bindings }: Hello) {
    this.#host = host;
    this.#channel = channel;
    this.#id = id;
    this.env = env;
    this.bindings = bindings;
  }

  static async open(host: Host, limits: Limits): Promise<Outcome<HudSession>> {
    const opened = await greet(host, {}, limits);
    return opened.ok ? { ok: true, value: new HudSession(host, opened.value.channel, opened.value.hello) } : opened;
  }

  async list(limits: Limits): Promise<Outcome<TaskEntry[]>> {
    const listed = await this.#call('tasks.list', {}, limits);
    if (!listed.ok) return listed;
    const tasks = (listed.value as { tasks?: unknown } | null)?.tasks;
    const isList = Array.isArray(tasks) && tasks.every((task: unknown) => typeof (task as TaskEntry | null)?.id === 'string');
    return isList ? { ok: true, value: tasks as TaskEntry[] } : failure('protocol', 'the environment lists no tasks in its answer to tasks.list');
  }

  async start({ template, args }: Omit<TemplateTask, 'prompt'>, limits: Limits): Promise<Outcome<TemplateTask['prompt']>> {
    const started = await this.#call('tasks.start', { id: template, args }, limits);
    return started.ok ? readPrompt(started.value) : started;
  }

  /** Grades the task that was started. A connection that broke in the meantime has parked it: another takes it up. */
  async grade(answer: string, limits: Limits): Promise<Outcome> {
    if (this.#channel.ended) {
      const resumed = await this.#resume(limits);
      if (!resumed.ok) return resumed;
    }
    return this.#call('tasks.grade', { answer }, limits);
  }

  [Symbol.dispose](): void {
    this.#channel[Symbol.dispose]();
  }

  async #call(method: string, params: Record<string, unknown>, limits: Limits): Promise<Outcome> {
    return becauseOf(this.#host, await this.#channel.call(method, params, limits));
  }

  async #resume(limits: Limits): Promise<Outcome<null>> {
    for (let attempt = 1; ; attempt++) {
      const opened = await greet(this.#host, { session_id: this.#id }, limits);
      if (opened.ok) {
        this.#channel = opened.value.channel;
        return { ok: true, value: null };
      }
      if (attempt === RESUME.attempts || !/has a live connection/.test(opened.failure.message)) return opened;
      await delay(RESUME.pauseMs, undefined, { signal: limits.signal });
    }
  }
}

interface Hello {
  id: string;
  env: { name: string; version: string };
  bindings: readonly Binding[];
}

async function greet(host: Host, params: { session_id?: string }, limits: Limits): Promise<Outcome<{ channel: Channel; hello: Hello }>> {
  if (host.gone) return { ok: false, failure: host.gone };
  const opened = await Channel.open(host.address, limits);
  if (!opened.ok) return becauseOf(host, opened);
  using giveUp = new DisposableStack();
  const channel = giveUp.use(opened.value);
  const said = await becauseOf(host, await channel.call('hello', params, limits));
  if (!said.ok) return said;
  const { session_id: id, env, bindings } = (said.value ?? {}) as { session_id?: unknown; env?: Partial<Hello['env']>; bindings?: unknown };
  if (typeof id !== 'string' || !(bindings === undefined || bindings === null || isBindings(bindings))) return failure('protocol', 'the environment answered hello without a session_id and bindings; is this hud/1.0?');
  giveUp.move();
  return { ok: true, value: { channel, hello: { id, env: { name: String(env?.name ?? ''), version: String(env?.version ?? '') }, bindings: bindings ?? [] } } };
}

const isBindings = (given: unknown): given is Binding[] =>
  Array.isArray(given) && given.every((each: Partial<Binding> | null) => typeof each?.name === 'string' && typeof each.protocol === 'string' && typeof each.url === 'string');

/** An event loop that is free answers at once. */
export async function isAlive(host: Host): Promise<boolean> {
  if (host.gone) return false;
  const opened = await Channel.open(host.address, { timeoutMs: HEARTBEAT_MS });
  if (!opened.ok) return false;
  using channel = opened.value;
  return (await channel.call('hello', {}, { timeoutMs: HEARTBEAT_MS })).ok;
}

/** A connection only says that it is closed; a process that ended says why, a while after its sockets are gone. */
async function becauseOf<T>(host: Host, outcome: Outcome<T>): Promise<Outcome<T>> {
  if (outcome.ok || outcome.failure.type !== 'exit' || host.ended === null) return outcome;
  const lives = isAlive(host).then((alive) => (alive ? null : delay(NEWS_MS, null, { ref: false })));
  const news = await Promise.race([host.ended, lives]);
  return news ? { ok: false, failure: news } : outcome;
}
