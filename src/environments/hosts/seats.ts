/** @file Who may use a host. Where an environment keeps nothing between calls, many at once; else one at a time, each a host of its own while it lasts. */
import pLimit, { type LimitFunction } from 'p-limit';
import type { Failure, Outcome } from '../../runtimes/index.ts';
import { queued } from './queued.ts';
import type { Host, HostSource } from './types.ts';

/** A connection each, on both sides: systems allow a process some thousand. */
const SHARING = 256;

/** A host in somebody's hands; disposing gives it back. */
export interface Seat extends AsyncDisposable {
  readonly host: Host;
  /** Does nobody else use it at the moment? */
  readonly isAlone: boolean;
}

export interface SeatOptions {
  source: HostSource;
  isShared: boolean;
  /** Hosts at a time, where they are not shared. */
  size: number;
  /** One that runs already. */
  first: Host;
}

export class Seats implements AsyncDisposable {
  readonly #source: HostSource;
  readonly #isShared: boolean;
  readonly #limit: LimitFunction;
  readonly #alone: LimitFunction;
  readonly #hosts = new Set<Host>();
  readonly #idle: Host[] = [];
  #current: Host | null = null;
  #opening: Promise<Outcome<Host>> | null = null;

  constructor({ source, isShared, size, first }: SeatOptions) {
    this.#source = source;
    this.#isShared = isShared;
    this.#limit = pLimit(isShared ? SHARING : source.isOurs ? size : 1);
    this.#alone = pLimit(size);
    this.#hosts.add(first);
    if (isShared) this.#current = first;
    else this.#idle.push(first);
  }

  /** Waits for its turn. Rejects only when the signal aborts. */
  take(signal?: AbortSignal): Promise<Outcome<Seat>> {
    return this.#isShared
      ? queued(this.#limit, signal, async () => seat(await this.#common(), { isAlone: false, giveBack: async () => {} }))
      : queued(this.#limit, signal, async () => seat(await this.#free(signal), { isAlone: true, giveBack: async (host) => { if (!host.gone) this.#idle.push(host); } }));
  }

  /** For whoever lost its host. A suspect gets one that nobody else has, ended when it is given back; the others share the next. */
  takeAgain({ isSuspect }: { isSuspect: boolean }, signal?: AbortSignal): Promise<Outcome<Seat>> {
    // Whoever is here has a place in the first queue already.
    if (!isSuspect) return this.#common().then((host) => seat(host, { isAlone: false, giveBack: async () => {} }));
    return queued(this.#alone, signal, async () => seat(await this.#open(signal), { isAlone: true, giveBack: (host) => this.#end(host) }));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#opening;
    await Promise.all([...this.#hosts].map((host) => this.#end(host)));
  }

  /** Whoever comes first opens the next, for all who wait. */
  async #common(): Promise<Outcome<Host>> {
    if (this.#current && !this.#current.gone) return { ok: true, value: this.#current };
    this.#opening ??= this.#open().then((opened) => {
      this.#opening = null;
      if (opened.ok) this.#current = opened.value;
      return opened;
    });
    return this.#opening;
  }

  async #free(signal?: AbortSignal): Promise<Outcome<Host>> {
    const idle = this.#idle.pop();
    if (!idle) return this.#open(signal);
    return idle.gone ? this.#free(signal) : { ok: true, value: idle };
  }

  async #open(signal?: AbortSignal): Promise<Outcome<Host>> {
    const opened = await this.#source.open(signal);
    if (opened.ok) {
      this.#hosts.add(opened.value);
      void opened.value.ended?.then(() => this.#hosts.delete(opened.value));
    }
    return opened;
  }

  async #end(host: Host): Promise<void> {
    await host.end(CLOSED);
    this.#hosts.delete(host);
  }
}

const CLOSED: Failure = { type: 'exit', message: 'was closed' };

const seat = (host: Outcome<Host>, { isAlone, giveBack }: { isAlone: boolean; giveBack: (host: Host) => Promise<void> }): Outcome<Seat> =>
  host.ok ? { ok: true, value: { host: host.value, isAlone, [Symbol.asyncDispose]: () => giveBack(host.value) } } : host;
