/** @file What the graphs that draw tokens hand to each other. */
import type { Value } from '../onnx/index.ts';

export interface Drawn {
  token: Value;
  logprob: Value;
}

/** The likeliest tokens, sorted; what a filter left of them. */
export interface Kept {
  /** (N, candidates), the likeliest first: their logits less the maximum, and their ids. */
  sorted: Value;
  order: Value;
  /** (N, candidates): the share of the tokens before, among the top k. */
  before: Value;
  /** (N, candidates): exp of the logits, 0 where a token is filtered out. */
  mass: Value;
  total: Value;
  /** (N, 1), int64: the place of the last kept one. */
  last: Value;
  filter: Filter;
}

export interface Filter {
  topK: Value;
  topP: Value;
  candidates: Value;
}
