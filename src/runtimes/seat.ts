import { type CallMessage, type Failure, failure, type OpenPlace, type Outcome, type Place, type ReplyMessage } from './types.ts';

export interface CallLimits {
  timeoutMs: number;
  signal?: AbortSignal | undefined;
}

/** A place and the calls that it is busy with. */
export class Seat {
  readonly #place: Place;
  readonly #onEnded: () => void;
  readonly #pending = new Map<number, (outcome: Outcome) => void>();
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

  call(method: string, params: unknown, limits: CallLimits): Promise<Outcome> {
    return this.callAll([{ method, params, limits }])[0]!;
  }

  /** They are answered one after the other; a call's time begins when it is sent. */
  callAll(calls: readonly { method: string; params: unknown; limits: CallLimits }[]): Promise<Outcome>[] {
    if (this.#ended) return calls.map(() => Promise.resolve({ ok: false, failure: this.#ended! }));
    const messages: CallMessage[] = [];
    const outcomes = calls.map(({ method, params, limits }) => {
      const id = ++this.#lastId;
      messages.push({ id, method, params });
      return this.#outcomeOf(id, limits);
    });
    if (!this.#ended) this.#place.send(messages);
    return outcomes;
  }

  #outcomeOf(id: number, { timeoutMs, signal }: CallLimits): Promise<Outcome> {
    return new Promise((resolve, reject) => {
      const tooLate = () => this.end({ type: 'timeout', message: `gave no answer within ${seconds(timeoutMs)} and was stopped` });
      // A main thread that was busy itself finds timer and answer waiting together; the answer came in time.
      const timer = setTimeout(() => setImmediate(() => this.#pending.has(id) && void tooLate()), timeoutMs);
      const abort = () => {
        this.#pending.delete(id);
        stopListening();
        reject(signal!.reason as Error);
        void this.end({ type: 'exit', message: 'was cancelled' });
      };
      const stopListening = () => {
        clearTimeout(timer);
        signal?.removeEventListener('abort', abort);
      };
      this.#pending.set(id, (outcome) => {
        this.#pending.delete(id);
        stopListening();
        resolve(outcome);
      });
      signal?.addEventListener('abort', abort, { once: true });
      if (signal?.aborted) abort();
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
      if (this.#pending.size === 0) void this.end({ type: 'exception', message: message.error.message });
      return;
    }
    const settle = this.#pending.get(message.id);
    if (!settle) return void this.end({ type: 'protocol', message: `answered call ${message.id}, which nobody waits for` });
    if (!('error' in message)) return settle({ ok: true, value: message.result });
    const { error, broken } = message;
    this.#broken ||= broken ?? false;
    settle(failure(error.type ?? 'exception', error.message));
    // Those behind it may have been held up for ever.
    if (broken && this.#pending.size > 0) void this.end({ type: 'exception', message: error.message });
  }

  #die(reason: Failure): void {
    if (this.#ended) return;
    this.#ended = reason;
    this.#onEnded();
    for (const settle of this.#pending.values()) settle({ ok: false, failure: reason });
  }
}

function isReply(message: unknown): message is ReplyMessage {
  if (typeof message !== 'object' || message === null || !('id' in message) || typeof message.id !== 'number') return false;
  if ('result' in message) return true;
  return 'error' in message && typeof message.error === 'object' && message.error !== null && 'message' in message.error && typeof message.error.message === 'string';
}

export const seconds = (ms: number): string => (ms >= 1000 ? `${Math.round(ms / 100) / 10} s` : `${ms} ms`);
