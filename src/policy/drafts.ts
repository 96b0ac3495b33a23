/** @file Completions being drawn, and the rows of the batch where they stand. */
import type { Sample, SampleRequest } from './types.ts';

/** Whoever asked for some samples. */
export interface Caller {
  /** Polled between runs. */
  readonly cancelled: () => boolean;
  /** For stop strings. */
  readonly decode: (tokenIds: readonly number[]) => string;
  readonly onToken?: ((id: string, tokenId: number, logprob: number) => void) | undefined;
  readonly onSample: (sample: Sample) => void;
  /** No sample of his will come any more. */
  readonly onFailure: (error: unknown) => void;
}

/** A completion being drawn. */
export interface Draft {
  readonly request: SampleRequest;
  readonly caller: Caller;
  readonly tokenIds: number[];
  readonly logprobs: number[];
}

/** One text that the model has read, with all the drafts that stand there: a row of the cache. Without drafts it is of no use any more. */
export interface Branch {
  /** Tokens whose keys and values are in the cache. */
  cached: number;
  /** The token that is read next. */
  token: number;
  drafts: Draft[];
}

export const draftOf = (request: SampleRequest, caller: Caller): Draft => ({ request, caller, tokenIds: [], logprobs: [] });

/** All that the model is to have read of a draft. */
export const textOf = ({ request, tokenIds }: Draft): number[] => [...request.promptTokenIds, ...tokenIds];

export const draftCount = (branches: readonly Pick<Branch, 'drafts'>[]): number => branches.reduce((sum, { drafts }) => sum + drafts.length, 0);

export const isAlive = ({ drafts }: Branch): boolean => drafts.length > 0;

/** Columns needed once the next step's own are written. */
export const longest = (branches: readonly Branch[]): number => branches.reduce((most, { cached }) => Math.max(most, cached), 0) + 1;

export const sameTokens = (a: readonly number[], b: readonly number[]): boolean => a === b || (a.length === b.length && a.every((token, index) => token === b[index]));

export function stopReasonOf({ request, caller, tokenIds }: Draft, contextLength: number): Sample['stopReason'] | null {
  if (request.stopTokenIds.includes(tokenIds.at(-1)!)) return 'stop';
  if (request.stopStrings.length > 0) {
    const text = caller.decode(tokenIds);
    if (request.stopStrings.some((stop) => text.includes(stop))) return 'stop';
  }
  return tokenIds.length >= request.maxTokens || request.promptTokenIds.length + tokenIds.length >= contextLength ? 'length' : null;
}

/** One logit that is NaN or infinite makes every probability of its row NaN, and the token drawn from them means nothing. */
export const notFinite = ({ request: { id }, tokenIds }: Draft): Error =>
  Object.assign(new Error(`the model's probabilities are not finite (request "${id}", token ${tokenIds.length + 1} of the answer): its weights, or what it computes from them, hold NaN or an infinity`), {
    kind: 'invalid', fix: 'Fork a sound model; after training, move the head to an earlier checkpoint (rlrun models head) and lower train.learning_rate.',
  });

export const sampleOf = ({ request, tokenIds, logprobs }: Draft, stopReason: Sample['stopReason']): Sample =>
  ({ id: request.id, outputTokenIds: tokenIds, outputLogprobs: logprobs, stopReason });
