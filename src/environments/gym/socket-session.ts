/** @file A session over the WebSocket of an OpenEnv server, which has an environment of its own for each. */
import { failure, type Outcome, seconds } from '../../runtimes/index.ts';
import type { GymLimits, GymSession, Observed } from './types.ts';

/** `full`: the server has as many sessions as it allows. */
export type OpenedSocket = { ok: true; session: GymSession } | { ok: false; full: true; most: number } | { ok: false; full: false; message: string };

/** A server that does not hang up after our goodbye is left. */
const GOODBYE_MS = 1000;

interface Message {
  type: string;
  data: Record<string, unknown>;
}

export async function openSocket(url: string, limits: GymLimits): Promise<OpenedSocket> {
  const socket = new WebSocket(`${url.replace(/^http/, 'ws')}/ws`);
  const connection = new Connection(socket);
  const opened = await connection.opened(limits);
  if (opened !== null) return { ok: false, full: false, message: opened };
  // A server that is full says so only after it has let us in; it answers this, or that.
  const first = await connection.ask({ type: 'state' }, limits);
  const data = first.ok ? first.value.data : {};
  if (first.ok && first.value.type === 'error' && data['code'] === 'CAPACITY_REACHED') {
    socket.close();
    return { ok: false, full: true, most: typeof data['max_sessions'] === 'number' ? data['max_sessions'] : 1 };
  }
  if (!first.ok) {
    socket.close();
    return { ok: false, full: false, message: first.failure.message };
  }
  return { ok: true, session: sessionOver(connection) };
}

function sessionOver(connection: Connection): GymSession {
  const observed = ({ type, data }: Message): Outcome<Observed> => {
    if (type === 'error') return failure('exception', `the environment failed: ${String(data['message'])}`);
    if (type !== 'observation' || !('observation' in data)) return failure('protocol', `the environment answered with ${JSON.stringify({ type, data }).slice(0, 200)}; expected an observation`);
    return { ok: true, value: { observation: data['observation'], reward: data['reward'] ?? null, done: data['done'] === true } };
  };
  return {
    async reset(args, limits) {
      const answer = await connection.ask({ type: 'reset', data: args }, limits);
      return answer.ok ? observed(answer.value) : answer;
    },
    async step(action, limits) {
      const answer = await connection.ask({ type: 'step', data: action }, limits);
      if (!answer.ok) return answer;
      const { type, data } = answer.value;
      if (type === 'error' && data['code'] === 'VALIDATION_ERROR') return { ok: true, value: { refused: refusalOf(data['errors']) } };
      return observed(answer.value);
    },
    [Symbol.asyncDispose]: async () => connection.close(),
  };
}

/** Pydantic's errors, as far as whoever wrote the action can do something about them. */
export function refusalOf(errors: unknown): string {
  const list = Array.isArray(errors) ? (errors as { loc?: unknown[]; msg?: unknown }[]) : [];
  return list.map(({ loc = [], msg }) => `${loc.join('.')}: ${String(msg)}`).join('; ').slice(0, 2000) || 'it does not fit';
}

/** A WebSocket on which each message has one answer. */
class Connection {
  readonly #socket: WebSocket;
  #ended: string | null = null;
  #hear: (message: Message | null) => void = () => {};

  constructor(socket: WebSocket) {
    this.#socket = socket;
    socket.addEventListener('message', ({ data }) => this.#hear(parsed(data)));
    socket.addEventListener('close', ({ code }) => {
      this.#ended ??= `the environment hung up${code === 1000 || code === 1005 ? '' : ` (${code})`}`;
      this.#hear(null);
    });
    socket.addEventListener('error', () => {});
  }

  /** Null, or why there is no connection. */
  opened({ timeoutMs, signal }: GymLimits): Promise<string | null> {
    return new Promise((resolve, reject) => {
      const end = (settle: () => void) => {
        clearTimeout(timer);
        signal?.removeEventListener('abort', abort);
        settle();
      };
      const timer = setTimeout(() => end(() => { this.#socket.close(); resolve(`it did not accept a connection within ${seconds(timeoutMs)}`); }), timeoutMs);
      const abort = () => end(() => { this.#socket.close(); reject(signal!.reason as Error); });
      signal?.addEventListener('abort', abort, { once: true });
      this.#socket.addEventListener('open', () => end(() => resolve(null)), { once: true });
      this.#socket.addEventListener('close', () => end(() => resolve('it accepts no WebSocket')), { once: true });
    });
  }

  ask(message: { type: string; data?: Record<string, unknown> }, { timeoutMs, signal }: GymLimits): Promise<Outcome<Message>> {
    if (this.#ended !== null) return Promise.resolve(failure('exit', this.#ended));
    return new Promise((resolve, reject) => {
      const settle = (outcome: Outcome<Message>) => {
        clearTimeout(timer);
        signal?.removeEventListener('abort', abort);
        this.#hear = () => {};
        resolve(outcome);
      };
      const late = () => {
        settle(failure('timeout', `gave no answer to ${message.type} within ${seconds(timeoutMs)}`));
        this.close();
      };
      const timer = setTimeout(() => setImmediate(late), timeoutMs);
      const abort = () => {
        clearTimeout(timer);
        this.close();
        reject(signal!.reason as Error);
      };
      signal?.addEventListener('abort', abort, { once: true });
      this.#hear = (answer) => settle(answer === null ? failure(this.#ended === null ? 'protocol' : 'exit', this.#ended ?? 'the environment answered with something that is no message') : { ok: true, value: answer });
      this.#socket.send(JSON.stringify(message));
    });
  }

  close(): void {
    this.#ended ??= 'was closed';
    if (this.#socket.readyState !== WebSocket.OPEN) return this.#socket.close();
    // The server hangs up at that, and prints an error if we do first.
    this.#socket.send(JSON.stringify({ type: 'close' }));
    const leave = setTimeout(() => this.#socket.close(), GOODBYE_MS);
    this.#socket.addEventListener('close', () => clearTimeout(leave));
  }
}

function parsed(data: unknown): Message | null {
  try {
    const message = JSON.parse(String(data)) as Partial<Message> | null;
    return typeof message?.type === 'string' && typeof message.data === 'object' && message.data !== null ? (message as Message) : null;
  } catch {
    return null;
  }
}
