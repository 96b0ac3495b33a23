/** @file Sampling for everybody who asks: drafts that need the same head share a batch, and the batches take turns, run by run. */
import { setTimeout } from 'node:timers/promises';
import { checkRequest } from './check-request.ts';
import { draftOf, type Caller, type Draft } from './drafts.ts';
import { isFiltered } from './draw-feeds.ts';
import type { KeptTexts } from './kept-texts.ts';
import { SamplingBatch, type BatchParts } from './sampling-batch.ts';
import type { HeadOptions } from './sampling-graph.ts';
import type { EngineInfo, Sample, SampleRequest } from './types.ts';
import type { KeyValueCache } from './key-value-cache.ts';
import type { Session } from '../onnx/index.ts';

export interface SamplerParts extends Omit<BatchParts, 'session' | 'cache' | 'contextLength' | 'vocabularySize'> {
  readonly info: EngineInfo;
  readonly session: (options: HeadOptions) => Promise<Session>;
  readonly newCache: () => KeyValueCache;
  readonly kept: KeptTexts;
  readonly textDecoder: () => Promise<Caller['decode']>;
}

export interface SampleControls {
  readonly cancelled: () => boolean;
  readonly onSample: (sample: Sample) => void;
  readonly onToken?: Caller['onToken'];
}

/** Conversations whose last answers ended together ask for the next ones one soon after the other, and should begin together … */
const GATHER_MS = 2;
/** … but nobody waits longer than this. */
const GATHER_MS_IN_ALL = 20;

/** Heads walk the vocabulary in different orders: a row must not get another one because of its neighbours. */
const HEADS: readonly Required<HeadOptions>[] = [
  { filtered: false, exact: false }, { filtered: true, exact: false },
  { filtered: false, exact: true }, { filtered: true, exact: true },
];

interface Share {
  readonly batch: SamplingBatch;
  readonly session: () => Promise<Session>;
  readonly takes: (request: SampleRequest) => boolean;
}

export class ContinuousSampler {
  readonly #parts: SamplerParts;
  readonly #shares: readonly Share[];
  #isRunning = false;

  constructor(parts: SamplerParts) {
    this.#parts = parts;
    const { contextLength, vocabularySize } = parts.info;
    this.#shares = HEADS.map((head) => {
      const session = (): Promise<Session> => parts.session(head);
      return {
        session, batch: new SamplingBatch({ ...parts, contextLength, vocabularySize, session, cache: parts.newCache() }),
        takes: (request) => isFiltered(request) === head.filtered && (request.exact ?? false) === head.exact,
      };
    });
  }

  /** Resolves when every request has its sample. */
  async sample(requests: readonly SampleRequest[], { cancelled, onSample, onToken }: SampleControls): Promise<void> {
    for (const request of requests) checkRequest(request, this.#parts.info);
    if (requests.length === 0) return;
    const shares = this.#shares.map((share) => ({ ...share, requests: requests.filter(share.takes) })).filter(({ requests }) => requests.length > 0);
    // What cannot be made fails this call alone.
    await Promise.all(shares.map(({ session }) => session()));
    const decode = requests.some(({ stopStrings }) => stopStrings.length > 0) ? await this.#parts.textDecoder() : () => '';
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    let open = requests.length;
    let failed = false;
    const caller: Caller = {
      decode, onToken,
      cancelled: () => failed || cancelled(),
      onFailure(error) {
        failed = true;
        reject(error);
      },
      onSample(sample) {
        onSample(sample);
        if (--open === 0) resolve();
      },
    };
    for (const { batch, requests } of shares) batch.add(requests.map((request) => draftOf(request, caller)));
    void this.#run();
    return promise;
  }

  async #run(): Promise<void> {
    if (this.#isRunning) return;
    this.#isRunning = true;
    await this.#gather();
    for (;;) {
      const busy = this.#shares.filter(({ batch }) => !batch.isIdle);
      if (busy.length === 0) break;
      for (const { batch } of busy) await batch.step().catch((error: unknown) => batch.fail(error));
    }
    this.#isRunning = false;
  }

  /** Waits for others as long as they keep coming, if nothing else is under way and only conversations would begin. */
  async #gather(): Promise<void> {
    const waiting = (): readonly Draft[] => this.#shares.flatMap(({ batch }) => batch.waiting);
    const isPatient = (): boolean => this.#shares.every(({ batch }) => batch.isResting) && waiting().every(({ request }) => request.keep);
    const until = performance.now() + GATHER_MS_IN_ALL;
    for (let before = 0; isPatient() && waiting().length > before && waiting().length < this.#parts.maxRows && performance.now() < until; ) {
      before = waiting().length;
      await setTimeout(GATHER_MS);
    }
  }
}
