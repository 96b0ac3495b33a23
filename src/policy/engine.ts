/** @file The local engine, seen from the main thread: everything it does happens in its worker. */
import { Worker } from 'node:worker_threads';
import { userEnvironment } from '../util/user-environment.ts';
import { workerUrl } from '../util/worker-url.ts';
import type { CallName, Calls, Opening, Reply, Request } from './protocol.ts';
import type { Engine, EngineInfo, EngineOptions, LossMetrics, RefusedUpdate, Sample, SampleOptions, SampleRequest, Sampler, Trainer, UpdateMetrics } from './types.ts';
import type { Metrics } from '../events.ts';

/** A worker that has loaded its code, or is about to, and was not asked to open anything yet. */
let ready: Worker | null = null;

/** Begins to load what an engine is made of, in the worker that the next one will live in: half of the time that opening it takes. */
export function warmUp(): void {
  if (ready) return;
  ready = startWorker();
  // Nobody may ever need it: it keeps no process alive, and what is wrong with it the next one will say to whoever opens an engine.
  ready.unref();
  ready.on('error', () => {}).on('exit', () => { ready = null; });
}

function takeWorker(): Worker {
  const worker = ready ?? startWorker();
  ready = null;
  worker.ref();
  return worker.removeAllListeners('error').removeAllListeners('exit');
}

const startWorker = (): Worker => new Worker(workerUrl('engine.worker', import.meta.url), { env: { ...userEnvironment(), ORT_DISABLE_TELEMETRY: '1' } });

/**
 * Opens a model directory for sampling and training. Once the signal aborts, the engine ends however busy it is: its worker is asked to
 * stop first, as by every call's own signal, and then made to.
 *
 * @throws Error when the directory or its graph cannot be used, or the device is not there; the message says what to do.
 */
export async function openEngine(options: EngineOptions, { signal }: { signal?: AbortSignal | undefined } = {}): Promise<Engine> {
  signal?.throwIfAborted();
  const worker = takeWorker();
  worker.postMessage(options satisfies Opening);
  const opened = Promise.withResolvers<EngineInfo>();
  const calls = new Map<number, PendingCall>();
  const link: Link = { worker, calls, failure: null };
  const fail = (error: Error): void => {
    link.failure ??= error;
    opened.reject(error);
    for (const call of calls.values()) call.reject(error);
    calls.clear();
  };
  const replies: { [K in Reply['kind']]: (reply: Extract<Reply, { kind: K }>) => void } = {
    opened: ({ info }) => opened.resolve(info),
    'failed-to-open': ({ error, details }) => opened.reject(Object.assign(error, details)),
    samples: ({ id, samples }) => calls.get(id)?.onSamples?.(samples),
    token: ({ id, request, tokenId, logprob }) => calls.get(id)?.onToken?.(request, tokenId, logprob),
    result: ({ id, value }) => calls.get(id)?.resolve(value),
    error: ({ id, error, details }) => calls.get(id)?.reject(Object.assign(error, details)),
  };
  worker.on('message', (reply: Reply) => (replies[reply.kind] as (reply: Reply) => void)(reply));
  const terminate = (): void => {
    fail(signal?.reason as Error);
    void worker.terminate();
  };
  let patience: NodeJS.Timeout | undefined;
  const onAbort = (): void => { patience = setTimeout(terminate, PATIENCE_MS); };
  signal?.addEventListener('abort', onAbort, { once: true });
  worker.on('error', (error: Error & { code?: string }) => fail(error.code === 'ERR_WORKER_OUT_OF_MEMORY' ? gone('ran out of memory') : error));
  worker.on('exit', (code) => {
    clearTimeout(patience);
    signal?.removeEventListener('abort', onAbort);
    fail(gone(`ended unexpectedly (exit code ${code})`));
  });
  try {
    return new LocalEngine(link, await opened.promise);
  } catch (error) {
    await worker.terminate();
    throw error;
  }
}

/** How long a worker that is to stop may take to notice: it looks between the runs of a graph. */
const PATIENCE_MS = 1000;

/** It is not a bug of ours alone: a loss of the user's runs in the worker too, and may end it. */
const gone = (how: string): Error =>
  Object.assign(new Error(`the engine's worker ${how}`), { kind: 'invalid', fix: 'What was saved before is safe: run it again. If a loss of yours is in use, it runs in that worker: see that it neither exits nor hoards.' });

/** The worker and what it still owes. */
interface Link {
  readonly worker: Worker;
  readonly calls: Map<number, PendingCall>;
  /** Why the worker is gone. */
  failure: Error | null;
}

interface PendingCall {
  resolve: (value: unknown) => void;
  reject: (error: Error) => void;
  onSamples?: ((samples: readonly Sample[]) => void) | undefined;
  onToken?: SampleOptions['onToken'];
}

type Listeners = Pick<PendingCall, 'onSamples' | 'onToken'>;

class LocalEngine implements Engine, Sampler, Trainer {
  readonly info: EngineInfo;
  readonly #link: Link;
  #nextId = 0;
  #closed: Promise<void> | undefined;

  constructor(link: Link, info: EngineInfo) {
    this.#link = link;
    this.info = info;
  }

  get sampler(): Sampler { return this; }
  get trainer(): Trainer { return this; }

  async #call<K extends CallName>(call: K, argument: Calls[K], { signal, ...listeners }: Listeners & { signal?: AbortSignal | undefined } = {}): Promise<unknown> {
    signal?.throwIfAborted();
    if (this.#closed !== undefined && call !== 'close') throw new Error('the engine is closed');
    if (this.#link.failure !== null) throw this.#link.failure;
    const id = this.#nextId++;
    const cancel = new SharedArrayBuffer(4);
    const onAbort = (): void => { Atomics.store(new Int32Array(cancel), 0, 1); };
    signal?.addEventListener('abort', onAbort, { once: true });
    try {
      const { promise, resolve, reject } = Promise.withResolvers<unknown>();
      this.#link.calls.set(id, { resolve, reject, ...listeners });
      this.#link.worker.postMessage({ id, call, argument, cancel } as Request);
      return await promise;
    } finally {
      this.#link.calls.delete(id);
      signal?.removeEventListener('abort', onAbort);
    }
  }

  /** Samples cut short by the signal arrive as `cancelled`. */
  async *sample(requests: readonly SampleRequest[], { signal, onToken, onDrawn }: SampleOptions = {}): AsyncGenerator<Sample> {
    if (signal?.aborted === true) {
      for (const { id } of requests) yield { id, outputTokenIds: [], outputLogprobs: [], stopReason: 'cancelled' };
      return;
    }
    const arrived: Sample[] = [];
    let wake = Promise.withResolvers<void>();
    let failure: { error: unknown } | undefined, done = false;
    const abandoned = new AbortController();
    const call = this.#call('sample', { requests, streaming: onToken !== undefined }, {
      signal: signal === undefined ? abandoned.signal : AbortSignal.any([signal, abandoned.signal]),
      onSamples: (samples) => { arrived.push(...samples); wake.resolve(); },
      onToken,
    }).then((ms) => onDrawn?.(ms as number)).catch((error: unknown) => { failure = { error }; }).finally(() => { done = true; wake.resolve(); });
    try {
      for (;;) {
        yield* arrived.splice(0);
        if (failure !== undefined) throw failure.error;
        if (done && arrived.length === 0) return;
        await wake.promise;
        wake = Promise.withResolvers();
      }
    } finally {
      // The caller may stop listening early: the worker stops drawing then.
      abandoned.abort();
      await call;
    }
  }

  /** Costs memory where it fails, and nothing else: nobody waits for it. */
  release(tokenIds: readonly number[]): void { this.#call('release', tokenIds).catch(() => {}); }

  async forwardBackward(...[batch, loss, signal]: Parameters<Trainer['forwardBackward']>): Promise<LossMetrics> {
    return (await this.#call('forwardBackward', { batch, loss }, { signal })) as LossMetrics;
  }
  async forward(...[batch, signal]: Parameters<Trainer['forward']>): Promise<{ logprobs: number[][]; metrics: Metrics }> {
    return (await this.#call('forward', { batch }, { signal })) as { logprobs: number[][]; metrics: Metrics };
  }
  async zeroGrad(): Promise<void> { await this.#call('zeroGrad', undefined); }
  async update(...[adam]: Parameters<Trainer['update']>): Promise<UpdateMetrics | RefusedUpdate> {
    return (await this.#call('update', adam)) as UpdateMetrics | RefusedUpdate;
  }
  async writeState(directory: string): Promise<void> { await this.#call('writeState', directory); }
  async readState(directory: string): Promise<void> { await this.#call('readState', directory); }
  async reset(): Promise<void> { await this.#call('reset', undefined); }

  close(): Promise<void> {
    return (this.#closed ??= (async () => {
      const { worker, failure } = this.#link;
      if (failure !== null) return;
      // Not events.once(), which takes an error of a worker that dies meanwhile for its own.
      const exited = new Promise((resolve) => { worker.once('exit', resolve); });
      await this.#call('close', undefined).catch(() => worker.terminate());
      await exited;
    })());
  }
  async [Symbol.asyncDispose](): Promise<void> { await this.close(); }
}
