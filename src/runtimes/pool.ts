/**
 * Places for user code, opened when they are needed and at most `size` at a time. Each serves one conversation at a time, so a
 * fault has exactly one owner. A place that is too late, dies or breaks the protocol is replaced; everyone else goes on.
 */
import { type CallMessage, type Failure, failure, type OpenPlace, type Outcome, type Place, type ReplyMessage } from './types.ts';

export interface PoolOptions {
  open: OpenPlace;
  size: number;
  /** The first call of every new place, which has to succeed before the place is used. */
  welcome?: { method: string; params: () => unknown; check: (reply: unknown) => Failure | null };
  /** For the welcome, and for whatever starting a place takes. */
  setupTimeoutMs: number;
}

export interface CallLimits {
  timeoutMs: number;
  signal?: AbortSignal | undefined;
}

/** A place that belongs to one conversation until it is disposed. */
export interface Held extends Disposable {
  readonly call: Call;
  readonly place: { readonly ended: Failure | null };
}

export type Call = (method: string, params: unknown, limits: CallLimits) => Promise<Outcome>;

export class Pool implements AsyncDisposable {
  readonly #options: PoolOptions;
  readonly #seats = new Set<Seat>();
  readonly #idle: Seat[] = [];
  readonly #waiting: ((seat: Seat | null) => void)[] = [];
  /** Who served a rollout last: what it keeps of it makes the next call cheap. */
  readonly #homes = new Map<string, Seat>();
  #occupied = 0;
  #closed = false;

  constructor(options: PoolOptions) {
    this.#options = options;
  }

  /** Holds one place for a conversation of several calls. Rejects only when the signal aborts. */
  async use<T>(conversation: (call: Call, place: { readonly ended: Failure | null }) => Promise<T>, signal?: AbortSignal): Promise<T> {
    using held = await this.hold(signal);
    return await conversation(held.call, held.place);
  }

  /** As `use`, for whoever cannot say it in one function. */
  async hold(signal?: AbortSignal): Promise<Held> {
    const seat = await this.#take(signal);
    return { call: (method, params, limits) => seat.call(method, params, limits), place: seat, [Symbol.dispose]: () => this.#giveBack(seat) };
  }

  /** A conversation of one call. Calls of one `rollout` go to the place that served the last of them, if it is free: any other has to be able to serve them too. */
  async call(method: string, params: unknown, limits: CallLimits, rollout?: string): Promise<Outcome> {
    const home = rollout === undefined ? undefined : this.#homes.get(rollout);
    const seat = await this.#take(limits.signal, home);
    if (rollout !== undefined) this.#homes.set(rollout, seat);
    try {
      return await seat.call(method, params, limits);
    } finally {
      this.#giveBack(seat);
    }
  }

  /** There will be no more calls of this rollout. */
  forget(rollout: string): void {
    this.#homes.delete(rollout);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#closed = true;
    await Promise.all([...this.#seats].map((seat) => seat.end({ type: 'exit', message: 'was closed' })));
    for (const wake of this.#waiting.splice(0)) wake(null);
  }

  async #take(signal?: AbortSignal, home?: Seat): Promise<Seat> {
    signal?.throwIfAborted();
    const at = home === undefined ? -1 : this.#idle.indexOf(home);
    const idle = at >= 0 ? this.#idle.splice(at, 1)[0] : this.#idle.pop();
    if (idle) return idle;
    if (this.#occupied < this.#options.size) {
      this.#occupied++;
      return this.#openOrRelease(signal);
    }
    const handed = await this.#wait(signal);
    return handed ?? this.#openOrRelease(signal);
  }

  /** A seat that somebody gave back, or null for the right to open a new one. */
  #wait(signal?: AbortSignal): Promise<Seat | null> {
    return new Promise((resolve, reject) => {
      const leave = () => {
        this.#waiting.splice(this.#waiting.indexOf(wake), 1);
        reject(signal!.reason as Error);
      };
      const wake = (seat: Seat | null) => {
        signal?.removeEventListener('abort', leave);
        resolve(seat);
      };
      signal?.addEventListener('abort', leave, { once: true });
      this.#waiting.push(wake);
    });
  }

  async #openOrRelease(signal?: AbortSignal): Promise<Seat> {
    try {
      return await this.#open(signal);
    } catch (error) {
      this.#release();
      throw error;
    }
  }

  async #open(signal?: AbortSignal): Promise<Seat> {
    if (this.#closed) throw new Error('Internal error: a call into a pool that is closed.');
    const { welcome, setupTimeoutMs } = this.#options;
    for (let attempt = 1; ; attempt++) {
      const seat: Seat = new Seat(this.#options.open, () => this.#forget(seat));
      this.#seats.add(seat);
      if (!welcome) return seat;
      const outcome = await seat.call(welcome.method, welcome.params(), { timeoutMs: setupTimeoutMs, signal });
      const fault = outcome.ok ? welcome.check(outcome.value) : outcome.failure;
      // A place can die in its first moments because of what a neighbour does (removes the folder they stand in): one more try.
      const diedYoung = !outcome.ok && seat.ended && outcome.failure.type !== 'timeout' && attempt === 1;
      if (fault) await seat.end(fault);
      if (!diedYoung) return seat;
    }
  }

  #giveBack(seat: Seat): void {
    if (seat.broken) {
      void seat.end({ type: 'exit', message: 'was replaced' });
      return this.#release();
    }
    const next = this.#waiting.shift();
    if (next) next(seat);
    else this.#idle.push(seat);
  }

  /** One place fewer: whoever waits may open the next. */
  #release(): void {
    const next = this.#waiting.shift();
    if (next) next(null);
    else this.#occupied--;
  }

  /** A place that dies while nobody uses it costs nothing. */
  #forget(seat: Seat): void {
    this.#seats.delete(seat);
    const index = this.#idle.indexOf(seat);
    if (index >= 0) {
      this.#idle.splice(index, 1);
      this.#occupied--;
    }
  }
}

/** A place and the call that it is busy with. */
class Seat {
  readonly #place: Place;
  readonly #onEnded: () => void;
  #pending: { id: number; settle: (outcome: Outcome) => void } | null = null;
  #lastId = 0;
  #ended: Failure | null = null;
  #broken = false;

  constructor(open: OpenPlace, onEnded: () => void) {
    this.#onEnded = onEnded;
    this.#place = open({ onReply: (message) => this.#reply(message), onEnd: (reason) => this.#die(reason) });
  }

  get ended(): Failure | null {
    return this.#ended;
  }

  /** Ended, or to be ended once nobody uses it. */
  get broken(): boolean {
    return this.#broken || this.#ended !== null;
  }

  call(method: string, params: unknown, { timeoutMs, signal }: CallLimits): Promise<Outcome> {
    if (this.#ended) return Promise.resolve({ ok: false, failure: this.#ended });
    return new Promise((resolve, reject) => {
      const id = ++this.#lastId;
      const tooLate = () => this.end({ type: 'timeout', message: `gave no answer within ${seconds(timeoutMs)} and was stopped` });
      // A main thread that was busy itself finds timer and answer waiting together; the answer came in time.
      const timer = setTimeout(() => setImmediate(() => this.#pending?.id === id && void tooLate()), timeoutMs);
      const abort = () => {
        stopListening();
        this.#pending = null;
        void this.end({ type: 'exit', message: 'was cancelled' });
        reject(signal!.reason as Error);
      };
      const stopListening = () => {
        clearTimeout(timer);
        signal?.removeEventListener('abort', abort);
      };
      this.#pending = {
        id,
        settle: (outcome) => {
          stopListening();
          this.#pending = null;
          resolve(outcome);
        },
      };
      signal?.addEventListener('abort', abort, { once: true });
      if (signal?.aborted) return abort();
      const message: CallMessage = { id, method, params };
      this.#place.send(message);
    });
  }

  async end(reason: Failure): Promise<void> {
    this.#die(reason);
    await this.#place.kill();
  }

  #reply(message: unknown): void {
    if (!isReply(message)) return void this.end({ type: 'protocol', message: `answered with something that is no reply: ${JSON.stringify(message)?.slice(0, 200)}` });
    if ('error' in message && message.broken && message.id === 0) {
      this.#broken = true;
      if (this.#pending === null) void this.end({ type: 'exception', message: message.error.message });
      return;
    }
    if (this.#pending === null || message.id !== this.#pending.id) {
      return void this.end({ type: 'protocol', message: `answered call ${message.id}, which nobody waits for` });
    }
    if ('error' in message) {
      this.#broken ||= message.broken ?? false;
      this.#pending.settle(failure(message.error.type ?? 'exception', message.error.message));
    } else this.#pending.settle({ ok: true, value: message.result });
  }

  #die(reason: Failure): void {
    if (this.#ended) return;
    this.#ended = reason;
    this.#onEnded();
    this.#pending?.settle({ ok: false, failure: reason });
  }
}

function isReply(message: unknown): message is ReplyMessage {
  if (typeof message !== 'object' || message === null || !('id' in message) || typeof message.id !== 'number') return false;
  if ('result' in message) return true;
  return 'error' in message && typeof message.error === 'object' && message.error !== null && 'message' in message.error && typeof message.error.message === 'string';
}

export const seconds = (ms: number): string => (ms >= 1000 ? `${Math.round(ms / 100) / 10} s` : `${ms} ms`);
