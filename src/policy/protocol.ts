/** @file What crosses between the engine's proxy and its worker. */
import type { AdamParams, EngineInfo, EngineOptions, Loss, Sample, SampleRequest, TrainingBatch } from './types.ts';

/** Calls by name: their arguments. */
export interface Calls {
  sample: { requests: readonly SampleRequest[]; streaming: boolean };
  release: readonly number[];
  forwardBackward: { batch: TrainingBatch; loss: Loss };
  forward: { batch: TrainingBatch };
  zeroGrad: undefined;
  update: AdamParams;
  writeState: string;
  readState: string;
  reset: undefined;
  close: undefined;
}
export type CallName = keyof Calls;

/**
 * One call. `cancel` is a flag in shared memory (Int32, 1 = cancelled): the worker sees it between steps, while messages would
 * wait until it is idle.
 */
export type Request = { [K in CallName]: { id: number; call: K; argument: Calls[K]; cancel: SharedArrayBuffer } }[CallName];

export type Reply =
  | { kind: 'opened'; info: EngineInfo }
  | { kind: 'failed-to-open'; error: Error; details: ErrorDetails }
  | { kind: 'samples'; id: number; samples: readonly Sample[] }
  | { kind: 'token'; id: number; request: string; tokenId: number; logprob: number }
  | { kind: 'result'; id: number; value: unknown }
  | { kind: 'error'; id: number; error: Error; details: ErrorDetails };

/** The first message to a worker: what it is to open. It answers with `opened` or `failed-to-open`, and from then on takes calls. */
export type Opening = EngineOptions;

/** What a structured clone of an error leaves out: see `ModelError`. */
export interface ErrorDetails {
  kind?: string;
  fix?: string;
}
