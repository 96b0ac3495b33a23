/**
 * Places for user code, opened when they are needed and at most `size` at a time. A place that is too late, dies or breaks the protocol is
 * replaced; everyone else goes on.
 *
 * A conversation has a place to itself. Single calls that are quick travel together, since waiting for each answer costs more than many
 * rewards do; only a call that was alone is blamed for the end of its place, and those that were not are asked again, each alone.
 */
import { type CallLimits, Seat } from './seat.ts';
import { type Failure, failure, type OpenPlace, type Outcome } from './types.ts';

export interface PoolOptions {
  open: OpenPlace;
  size: number;
  /** The first call of every new place, which has to succeed before the place is used. */
  welcome?: { method: string; params: () => unknown; check: (reply: unknown) => Failure | null };
  /** For the welcome, and for whatever starting a place takes. */
  setupTimeoutMs: number;
}

/** A place that belongs to one conversation until it is disposed. */
export interface Held extends Disposable {
  readonly call: Call;
  readonly place: { readonly ended: Failure | null };
}

export type Call = (method: string, params: unknown, limits: CallLimits) => Promise<Outcome>;

interface QueuedCall {
  method: string;
  params: unknown;
  limits: CallLimits;
  /** Of which there were calls before, and will be more. */
  rollout: string | undefined;
  /** Was it with others when their place ended? */
  isAlone: boolean;
  resolve: (outcome: Outcome) => void;
  reject: (error: Error) => void;
}

/** What travels together should take about so long; nobody waits longer for a neighbour that is as quick as those before. */
const BATCH_MS = 4;
const MAX_BATCH = 32;
/** A place more costs tens of milliseconds to open. */
const OPEN_AFTER_MS = 25;

export class Pool implements AsyncDisposable {
  readonly #options: PoolOptions;
  readonly #seats = new Set<Seat>();
  readonly #idle: Seat[] = [];
  readonly #waiting: ((seat: Seat | null) => void)[] = [];
  /** Single calls that nobody has taken yet. */
  readonly #queue: QueuedCall[] = [];
  /** Who served a rollout last. */
  readonly #homes = new Map<string, Seat>();
  /** How many places serve them, or are being opened to. */
  #serving = 0;
  #patience: NodeJS.Timeout | undefined;
  /** Milliseconds that a call of a method took lately. */
  readonly #paces = new Map<string, number>();
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

  /**
   * A call that stands for itself. Rejects only when the signal aborts. Calls of one `rollout` go to the place that served the last of them if
   * that is free, since what it keeps of it makes them cheap; any other has to be able to serve them too.
   */
  call(method: string, params: unknown, limits: CallLimits, rollout?: string): Promise<Outcome> {
    limits.signal?.throwIfAborted();
    return new Promise((resolve, reject) => {
      const queued: QueuedCall = { method, params, limits, rollout, isAlone: false, resolve: (outcome) => (stopListening(), resolve(outcome)), reject: (error) => (stopListening(), reject(error)) };
      const leave = () => {
        const index = this.#queue.indexOf(queued);
        if (index >= 0) this.#queue.splice(index, 1);
        reject(limits.signal!.reason as Error);
      };
      const stopListening = () => limits.signal?.removeEventListener('abort', leave);
      limits.signal?.addEventListener('abort', leave, { once: true });
      this.#queue.push(queued);
      this.#startServing();
    });
  }

  /** There will be no more calls of this rollout. */
  forget(rollout: string): void {
    this.#homes.delete(rollout);
  }

  /** Places that are idle serve the queue at once. Another one is opened if there is none, and if they cannot empty it for a while. */
  #startServing(): void {
    if (this.#queue.length === 0) return;
    const isWorthOne = this.#serving === 0 || this.#idle.length > 0;
    if (isWorthOne) return void this.#serve();
    if (this.#serving < this.#options.size) this.#patience ??= setTimeout(() => {
      this.#patience = undefined;
      if (this.#queue.length === 0) return;
      void this.#serve();
      this.#startServing();
    }, OPEN_AFTER_MS);
  }

  async #serve(): Promise<void> {
    this.#serving++;
    await this.use(async (_call, place) => {
      const seat = place as Seat;
      // A place that could not be opened fails one call, not all.
      if (seat.ended) this.#queue.shift()?.resolve({ ok: false, failure: seat.ended });
      while (!seat.broken && this.#queue.length > 0) await this.#serveBatch(seat);
    }).catch((error: unknown) => this.#queue.shift()?.reject(error as Error));
    this.#serving--;
    this.#startServing();
  }

  async #serveBatch(seat: Seat): Promise<void> {
    const own = this.#queue.findIndex(({ rollout }) => rollout !== undefined && this.#homes.get(rollout) === seat);
    if (own > 0) this.#queue.unshift(...this.#queue.splice(own, 1));
    const [{ method, isAlone }] = this.#queue as [QueuedCall];
    const pace = this.#paces.get(method) ?? Infinity;
    const most = isAlone ? 1 : Math.max(1, Math.min(MAX_BATCH, Math.floor(BATCH_MS / pace)));
    const end = this.#queue.findIndex((call, index) => index === most || (index > 0 && (call.isAlone || call.method !== method)));
    const batch = this.#queue.splice(0, end < 0 ? this.#queue.length : end);
    for (const { rollout } of batch) if (rollout !== undefined) this.#homes.set(rollout, seat);
    const began = performance.now();
    const again: QueuedCall[] = [];
    const settled = seat.callAll(batch).map((asked, index) => {
      const call = batch[index]!;
      const settle = (outcome: Outcome) => {
        if (batch.length > 1 && !outcome.ok && outcome.failure === seat.ended) again.push(Object.assign(call, { isAlone: true }));
        else call.resolve(outcome);
      };
      return asked.then(settle, call.reject);
    });
    await Promise.all(settled);
    this.#paces.set(method, Math.max((performance.now() - began) / batch.length, 0.8 * (this.#paces.get(method) ?? 0)));
    this.#queue.unshift(...again);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#closed = true;
    await Promise.all([...this.#seats].map((seat) => seat.end({ type: 'exit', message: 'was closed' })));
    for (const wake of this.#waiting.splice(0)) wake(null);
    for (const { resolve } of this.#queue.splice(0)) resolve(failure('exit', 'was closed'));
    clearTimeout(this.#patience);
  }

  async #take(signal?: AbortSignal): Promise<Seat> {
    signal?.throwIfAborted();
    const idle = this.#idle.pop();
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
      if (!diedYoung || this.#closed) return seat;
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
