/** @file Sampling for everybody who asks: plain and filtered drafts, each in a batch of their own, run by run in turn. */
import { setTimeout } from 'node:timers/promises';
import { checkRequest } from './check-request.ts';
import { draftOf, type Caller } from './drafts.ts';
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

/** Conversations whose last answers ended together ask for the next ones within about this time: they should begin together. */
const GATHER_MS = 2;

export class ContinuousSampler {
  readonly #parts: SamplerParts;
  /** The two heads walk the vocabulary in different orders: a row must not get the other one because of its neighbours. */
  readonly #batches: { readonly filtered: boolean; readonly batch: SamplingBatch }[];
  #isRunning = false;

  constructor(parts: SamplerParts) {
    this.#parts = parts;
    const { contextLength, vocabularySize } = parts.info;
    this.#batches = [false, true].map((filtered) => ({
      filtered,
      batch: new SamplingBatch({ ...parts, contextLength, vocabularySize, cache: parts.newCache(), session: ({ margins }) => parts.session({ filtered, margins }) }),
    }));
  }

  /** Resolves when every request has its sample. */
  async sample(requests: readonly SampleRequest[], { cancelled, onSample, onToken }: SampleControls): Promise<void> {
    for (const request of requests) checkRequest(request, this.#parts.info);
    if (requests.length === 0) return;
    const shares = this.#batches.map(({ filtered, batch }) => ({ filtered, batch, requests: requests.filter((request) => isFiltered(request) === filtered) }));
    // What cannot be made fails this call alone.
    for (const { filtered, requests } of shares) for (const margins of new Set(requests.map(({ exact = false }) => exact))) await this.#parts.session({ filtered, margins });
    const decode = requests.some(({ stopStrings }) => stopStrings.length > 0) ? await this.#parts.textDecoder() : () => '';
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    let open = requests.length;
    const caller: Caller = {
      cancelled, decode, onToken, onFailure: reject,
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
    if (this.#batches.every(({ batch }) => batch.mayWait)) await setTimeout(GATHER_MS);
    for (;;) {
      const busy = this.#batches.filter(({ batch }) => !batch.isIdle);
      if (busy.length === 0) break;
      for (const { batch } of busy) await batch.step().catch((error: unknown) => batch.fail(error));
    }
    this.#isRunning = false;
  }
}
