/**
 * @file Continuous batching: rows are decoded side by side, and a finished one makes place for the next request.
 *
 * Requests with the same prompt share its computation. A row's random numbers depend on its own key and position alone, so its
 * text does not depend on what else is in the batch.
 */
import { f32, i64, type HostTensor, type Session } from '../onnx/index.ts';
import { uniformFloat32 } from '../util/random.ts';
import { KeyValueCache } from './key-value-cache.ts';
import { ALL_LOGITS, decoderFeeds } from './micro-batches.ts';
import { SAMPLING_INPUTS } from './sampling-graph.ts';
import type { EngineInfo, Sample, SampleRequest } from './types.ts';

/** Padded prompt tokens that one prefill may hold. */
const PREFILL_TOKENS = 8192;

export interface SamplerParts {
  /** The plain head, or the one that honours top-k and top-p. */
  readonly session: Session;
  /** Belongs to one call at a time. */
  readonly cache: KeyValueCache;
  readonly vocabularySize: number;
  /** A row that fills it ends as too long. */
  readonly contextLength: number;
  /** Weights that are inputs of the graph: read at every step, so that an update is seen at once. */
  readonly parameters: Readonly<Record<string, HostTensor>>;
  readonly maxRows: number;
  /** For stop strings. */
  readonly decode: (tokenIds: readonly number[]) => string;
  /** Polled between steps. */
  readonly cancelled: () => boolean;
  readonly onToken?: ((id: string, tokenId: number, logprob: number) => void) | undefined;
}

interface Row {
  readonly request: SampleRequest;
  readonly tokenIds: number[];
  readonly logprobs: number[];
  /** Tokens whose keys and values are in the cache. */
  cached: number;
  stopReason: Sample['stopReason'] | null;
}

/** Does top-k or top-p take part? Greedy rows choose the same token with and without them. */
export const isFiltered = ({ temperature, topK, topP }: SampleRequest): boolean => temperature > 0 && (topK > 0 || topP < 1);

/** @throws RangeError naming the request, where ONNX Runtime would only speak of indices. */
export function checkRequest({ id, promptTokenIds, maxTokens, temperature, topP, topK }: SampleRequest, { contextLength, vocabularySize }: Pick<EngineInfo, 'contextLength' | 'vocabularySize'>): void {
  const refuse = (what: string): never => { throw new RangeError(`cannot sample request "${id}": ${what}`); };
  if (promptTokenIds.length === 0) refuse('its prompt has no tokens; a model needs at least one to start from');
  if (promptTokenIds.length >= contextLength) refuse(`its prompt has ${promptTokenIds.length} tokens, and the model's context of ${contextLength} leaves no room for an answer; shorten the prompt`);
  const stranger = promptTokenIds.find((token) => !Number.isInteger(token) || token < 0 || token >= vocabularySize);
  if (stranger !== undefined) refuse(`token ${stranger} is not in the vocabulary of ${vocabularySize}; does the tokenizer belong to this model?`);
  if (!Number.isInteger(maxTokens) || maxTokens < 1) refuse(`maxTokens is ${maxTokens}, expected a whole number from 1`);
  if (!(temperature >= 0 && temperature < Infinity)) refuse(`temperature is ${temperature}, expected a number from 0`);
  if (!(topP > 0 && topP <= 1)) refuse(`topP is ${topP}, expected a number above 0 and up to 1`);
  if (!Number.isInteger(topK) || topK < 0) refuse(`topK is ${topK}, expected a whole number from 0`);
}

/** Draws all requests, either all filtered or none; yields each as it finishes. */
export async function* drawSamples(requests: readonly SampleRequest[], parts: SamplerParts): AsyncGenerator<Sample> {
  const { cache } = parts;
  cache.clear();
  const queue = [...requests];
  /** Row of the cache → what is decoded there; a finished row stays until the next relayout. */
  let rows: Row[] = [];
  for (;;) {
    if (parts.cancelled()) {
      for (const row of rows) if (row.stopReason === null) yield sampleOf(row, 'cancelled');
      for (const request of queue) yield { id: request.id, outputTokenIds: [], outputLogprobs: [], stopReason: 'cancelled' };
      return;
    }
    const active = rows.flatMap((row, index) => (row.stopReason === null ? [index] : []));
    const admitted = queue.length > 0 && (active.length <= parts.maxRows * 0.75 || active.length === 0) ? admit(queue, { places: parts.maxRows - active.length, maxRows: parts.maxRows }) : [];
    const kept = active.map((index) => rows[index]!);
    if (admitted.length > 0) {
      const added = admitted.map((request): Row => ({ request, tokenIds: [], logprobs: [], cached: 0, stopReason: null }));
      rows = [...kept, ...added];
      cache.relayout({ keep: active, added: added.length, length: longest(rows) });
      yield* prefill(added, kept.length, parts);
      continue;
    }
    if (active.length === 0) return;
    // Finished rows ride along until enough of them are gone to pay for moving the others.
    if (active.length <= rows.length * 0.75 || longest(kept) > cache.capacity) {
      cache.relayout({ keep: active, added: 0, length: longest(kept) });
      rows = kept;
    }
    yield* decodeStep(rows, parts);
  }
}

/** Columns needed once the next step's own are written. */
const longest = (rows: readonly Row[]): number => rows.reduce((most, row) => Math.max(most, row.cached, row.request.promptTokenIds.length), 0) + 1;

/**
 * Takes requests off the queue, as far as places and the prefill's budget reach; at least one. Neighbours with one prompt stay
 * together, so that it is computed once, unless they would keep more than a quarter of the rows waiting.
 */
function admit(queue: SampleRequest[], { places, maxRows }: { places: number; maxRows: number }): SampleRequest[] {
  let prompts = 0, width = 0, count = 0;
  while (count < queue.length && count < places) {
    const prompt = queue[count]!.promptTokenIds;
    let end = count + 1;
    while (end < queue.length && sameTokens(queue[end]!.promptTokenIds, prompt)) end += 1;
    width = Math.max(width, prompt.length);
    prompts += 1;
    const mustWait = end > places && end - count <= maxRows / 4;
    if (count > 0 && (mustWait || width * prompts > PREFILL_TOKENS)) break;
    count = Math.min(end, places);
  }
  return queue.splice(0, count);
}

const sameTokens = (a: readonly number[], b: readonly number[]): boolean => a === b || (a.length === b.length && a.every((token, index) => token === b[index]));

/** Computes each distinct prompt once, copies its keys and values to all its rows, and draws their first tokens. */
async function* prefill(added: readonly Row[], firstRow: number, parts: SamplerParts): AsyncGenerator<Sample> {
  const { cache } = parts;
  const places = new Map<string, number>();
  const prompts: { tokenIds: readonly number[] }[] = [];
  const promptOf = added.map(({ request: { promptTokenIds } }) => {
    const key = promptTokenIds.join();
    let place = places.get(key);
    if (place === undefined) { place = prompts.push({ tokenIds: promptTokenIds }) - 1; places.set(key, place); }
    return place;
  });
  const { feeds, width } = decoderFeeds(prompts, { dropLast: false });
  const positions = BigInt64Array.from(added, ({ request }, index) => BigInt(promptOf[index]! * width + request.promptTokenIds.length - 1));
  const outputs = await parts.session.run({
    ...parts.parameters, ...feeds, ...cache.emptyFeeds(prompts.length), ...drawFeeds(added, parts),
    logit_positions: i64(positions, [added.length]),
  });
  added.forEach((row, index) => {
    const count = row.request.promptTokenIds.length;
    cache.place({ present: outputs, source: promptOf[index]!, row: firstRow + index, count });
    row.cached = count;
  });
  yield* take(added, outputs, parts);
}

/** One token for every row. */
async function* decodeStep(rows: readonly Row[], parts: SamplerParts): AsyncGenerator<Sample> {
  const { cache } = parts;
  const count = rows.length, columns = cache.capacity + 1;
  const ids = new BigInt64Array(count), positions = new BigInt64Array(count), mask = new BigInt64Array(count * columns), places = new BigInt64Array(count);
  rows.forEach((row, index) => {
    ids[index] = BigInt(row.tokenIds.at(-1)!);
    positions[index] = BigInt(row.cached);
    const past = index * columns + cache.start(row.cached);
    mask.fill(1n, past, past + row.cached);
    mask[index * columns + columns - 1] = 1n;
    places[index] = BigInt(index);
  });
  const outputs = await parts.session.run({
    ...parts.parameters, ...ALL_LOGITS, ...cache.feeds(), ...drawFeeds(rows, parts),
    input_ids: i64(ids, [count, 1]), attention_mask: i64(mask, [count, columns]), position_ids: i64(positions, [count, 1]), logit_positions: i64(places, [count]),
  });
  const active = rows.flatMap((row, index) => (row.stopReason === null ? [[row, index] as const] : []));
  cache.append(outputs, active.map(([{ cached }, index]) => [index, cached]));
  for (const [row] of active) row.cached += 1;
  yield* take(rows, outputs, parts);
}

/** What the session's head asks for; the plain one knows nothing of filters. */
function drawFeeds(rows: readonly Row[], { session, vocabularySize }: SamplerParts): Record<string, HostTensor> {
  const column = (value: (row: Row) => number): HostTensor => {
    const values = new Float32Array(rows.length);
    for (let index = 0; index < values.length; index++) values[index] = value(rows[index]!);
    return f32(values, [rows.length, 1]);
  };
  const feeds = {
    [SAMPLING_INPUTS.inverseTemperature]: column(({ request: { temperature } }) => (temperature === 0 ? 1 : 1 / temperature)),
    // A finished row only rides along: it needs no random number.
    [SAMPLING_INPUTS.uniform]: column(({ request, tokenIds, stopReason }) => (stopReason === null ? uniformFloat32(request.key, tokenIds.length) : 0.5)),
  };
  if (!session.inputNames.includes(SAMPLING_INPUTS.candidates)) return { ...feeds, [SAMPLING_INPUTS.greedy]: column(({ request }) => (request.temperature === 0 ? 1 : 0)) };
  const kept = ({ request: { topK } }: Row): number => (topK === 0 ? vocabularySize : Math.min(topK, vocabularySize));
  return {
    ...feeds,
    [SAMPLING_INPUTS.topK]: column(kept),
    [SAMPLING_INPUTS.topP]: column(({ request }) => request.topP),
    [SAMPLING_INPUTS.candidates]: i64(BigInt64Array.of(BigInt(rows.reduce((most, row) => Math.max(most, kept(row)), 1))), [1]),
  };
}

/** Appends the drawn tokens and ends the rows that are done. */
function* take(rows: readonly Row[], outputs: Readonly<Record<string, HostTensor>>, parts: SamplerParts): Generator<Sample> {
  const tokens = outputs['token']!.data, logprobs = outputs['logprob']!.data;
  for (const [index, row] of rows.entries()) {
    if (row.stopReason !== null) continue;
    const token = Number(tokens[index]!), logprob = Number(logprobs[index]!);
    row.tokenIds.push(token);
    row.logprobs.push(logprob);
    parts.onToken?.(row.request.id, token, logprob);
    row.stopReason = stopReasonOf(row, token, parts);
    if (row.stopReason !== null) yield sampleOf(row, row.stopReason);
  }
}

function stopReasonOf({ request, tokenIds }: Row, token: number, { decode, contextLength }: SamplerParts): Sample['stopReason'] | null {
  if (request.stopTokenIds.includes(token)) return 'stop';
  if (request.stopStrings.length > 0) {
    const text = decode(tokenIds);
    if (request.stopStrings.some((stop) => text.includes(stop))) return 'stop';
  }
  return tokenIds.length >= request.maxTokens || request.promptTokenIds.length + tokenIds.length >= contextLength ? 'length' : null;
}

const sampleOf = ({ request, tokenIds, logprobs }: Row, stopReason: Sample['stopReason']): Sample =>
  ({ id: request.id, outputTokenIds: tokenIds, outputLogprobs: logprobs, stopReason });
