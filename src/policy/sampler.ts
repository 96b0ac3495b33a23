/**
 * @file Continuous batching over a tree of texts: rows are decoded side by side, and a finished one makes place for the next request.
 *
 * Drafts share a row for as long as their texts are the same: first the prompt of a group, then every beginning that several of them
 * drew. A draft's random numbers depend on its own key and position alone, so its text does not depend on what else is in the batch.
 */
import { f32, i64, release, type HostTensor, type Session } from '../onnx/index.ts';
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

/** A completion being drawn. */
interface Draft {
  readonly request: SampleRequest;
  readonly tokenIds: number[];
  readonly logprobs: number[];
}

/** One text that the model has read, with all the drafts that stand there: a row of the cache. Without drafts it is of no use any more. */
interface Branch {
  /** Tokens whose keys and values are in the cache. */
  cached: number;
  /** The token that is read next. */
  token: number;
  drafts: Draft[];
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
  /** Row of the cache → what stands there. */
  let branches: Branch[] = [];
  for (;;) {
    if (parts.cancelled()) {
      for (const draft of branches.flatMap(({ drafts }) => drafts)) yield sampleOf(draft, 'cancelled');
      for (const request of queue) yield { id: request.id, outputTokenIds: [], outputLogprobs: [], stopReason: 'cancelled' };
      return;
    }
    const alive = branches.flatMap(({ drafts }, row) => (drafts.length > 0 ? [row] : []));
    const kept = alive.map((row) => branches[row]!);
    // Every draft may part from the others of its branch, so places are counted for all of them.
    const taken = draftCount(kept);
    const admitted = queue.length > 0 && (taken <= parts.maxRows * 0.75 || taken === 0) ? admit(queue, { places: parts.maxRows - taken, maxRows: parts.maxRows }) : [];
    if (admitted.length > 0) {
      const added = branchesOf(admitted);
      branches = [...kept, ...added];
      cache.relayout({ keep: alive, added: added.length, room: draftCount(branches), length: longest(branches) });
      yield* prefill(branches, kept.length, parts);
      continue;
    }
    if (alive.length === 0) return;
    // Rows that nobody needs ride along until enough of them are there to pay for moving the others.
    if (alive.length <= branches.length * 0.75 || longest(kept) > cache.capacity) {
      cache.relayout({ keep: alive, added: 0, room: taken, length: longest(kept) });
      branches = kept;
    }
    yield* decodeStep(branches, parts);
  }
}

const draftCount = (branches: readonly Branch[]): number => branches.reduce((sum, { drafts }) => sum + drafts.length, 0);

/** Columns needed once the next step's own are written. */
const longest = (branches: readonly Branch[]): number => branches.reduce((most, { cached }) => Math.max(most, cached), 0) + 1;

/** One branch for each distinct prompt, as if it had been read up to its end. */
function branchesOf(requests: readonly SampleRequest[]): Branch[] {
  const byPrompt = Map.groupBy(requests, ({ promptTokenIds }) => promptTokenIds.join());
  return [...byPrompt.values()].map((members) => ({
    cached: members[0]!.promptTokenIds.length,
    token: members[0]!.promptTokenIds.at(-1)!,
    drafts: members.map((request) => ({ request, tokenIds: [], logprobs: [] })),
  }));
}

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

/** Reads the prompts of the branches from row `first` on, side by side, and draws their drafts' first tokens. */
async function* prefill(branches: Branch[], first: number, parts: SamplerParts): AsyncGenerator<Sample> {
  const { cache } = parts;
  const added = branches.slice(first);
  const prompts = added.map(({ drafts }) => ({ tokenIds: drafts[0]!.request.promptTokenIds }));
  const { feeds, width } = decoderFeeds(prompts);
  const outputs = await parts.session.run({
    ...parts.parameters, ...feeds, ...cache.emptyFeeds(prompts.length), ...drawFeeds(added, parts),
    logit_positions: perDraft(added, ({ cached }, row) => row * width + cached - 1),
  });
  added.forEach(({ cached }, index) => cache.place({ present: outputs, source: index, row: first + index, count: cached }));
  yield* take(branches, first, outputs, parts);
  release(outputs);
}

/** One token for every draft. */
async function* decodeStep(branches: Branch[], parts: SamplerParts): AsyncGenerator<Sample> {
  const { cache } = parts;
  const count = branches.length, columns = cache.capacity + 1;
  const ids = new BigInt64Array(count), positions = new BigInt64Array(count), mask = new BigInt64Array(count * columns);
  branches.forEach(({ token, cached }, row) => {
    ids[row] = BigInt(token);
    positions[row] = BigInt(cached);
    const past = row * columns + cache.start(cached);
    mask.fill(1n, past, past + cached);
    mask[row * columns + columns - 1] = 1n;
  });
  const outputs = await parts.session.run({
    ...parts.parameters, ...ALL_LOGITS, ...cache.feeds(), ...drawFeeds(branches, parts),
    input_ids: i64(ids, [count, 1]), attention_mask: i64(mask, [count, columns]), position_ids: i64(positions, [count, 1]), logit_positions: perDraft(branches, (_, row) => row),
  });
  cache.append(outputs, branches.flatMap(({ drafts, cached }, row) => (drafts.length > 0 ? [[row, cached] as const] : [])));
  for (const branch of branches) if (branch.drafts.length > 0) branch.cached += 1;
  yield* take(branches, 0, outputs, parts);
  release(outputs);
}

/** int64 (N,): where the graph finds the logits of each draft. */
function perDraft(branches: readonly Branch[], position: (branch: Branch, row: number) => number): HostTensor {
  const positions = new BigInt64Array(draftCount(branches));
  let at = 0;
  branches.forEach((branch, row) => { positions.fill(BigInt(position(branch, row)), at, (at += branch.drafts.length)); });
  return i64(positions, [positions.length]);
}

/** What the session's head asks for, draft by draft; the plain one knows nothing of filters. */
function drawFeeds(branches: readonly Branch[], { session, vocabularySize }: SamplerParts): Record<string, HostTensor> {
  const drafts = branches.flatMap((branch) => branch.drafts);
  const column = (value: (draft: Draft) => number): HostTensor => {
    const values = new Float32Array(drafts.length);
    for (let index = 0; index < values.length; index++) values[index] = value(drafts[index]!);
    return f32(values, [drafts.length, 1]);
  };
  const feeds = {
    [SAMPLING_INPUTS.inverseTemperature]: column(({ request: { temperature } }) => (temperature === 0 ? 1 : 1 / temperature)),
    [SAMPLING_INPUTS.uniform]: column(({ request, tokenIds }) => uniformFloat32(request.key, (request.drawn ?? 0) + tokenIds.length)),
  };
  if (!session.inputNames.includes(SAMPLING_INPUTS.candidates)) return { ...feeds, [SAMPLING_INPUTS.greedy]: column(({ request }) => (request.temperature === 0 ? 1 : 0)) };
  const kept = ({ request: { topK } }: Draft): number => (topK === 0 ? vocabularySize : Math.min(topK, vocabularySize));
  return {
    ...feeds,
    [SAMPLING_INPUTS.topK]: column(kept),
    [SAMPLING_INPUTS.topP]: column(({ request }) => request.topP),
    [SAMPLING_INPUTS.candidates]: i64(BigInt64Array.of(BigInt(drafts.reduce((most, draft) => Math.max(most, kept(draft)), 1))), [1]),
  };
}

/** Appends the tokens drawn from the branches from row `first` on, ends the drafts that are done, and parts those that drew different tokens. */
function* take(branches: Branch[], first: number, outputs: Readonly<Record<string, HostTensor>>, parts: SamplerParts): Generator<Sample> {
  const tokens = outputs['token']!.data, logprobs = outputs['logprob']!.data;
  let at = 0;
  for (const branch of branches.slice(first)) {
    const going: Draft[] = [];
    for (const draft of branch.drafts) {
      const token = Number(tokens[at]!), logprob = Number(logprobs[at]!);
      at += 1;
      if (!Number.isFinite(logprob)) throw notFinite(draft);
      draft.tokenIds.push(token);
      draft.logprobs.push(logprob);
      parts.onToken?.(draft.request.id, token, logprob);
      const stopReason = stopReasonOf(draft, token, parts);
      if (stopReason === null) going.push(draft);
      else yield sampleOf(draft, stopReason);
    }
    branch.drafts = going;
  }
  part(branches, first, parts.cache);
}

/** One logit that is NaN or infinite makes every probability of its row NaN, and the token drawn from them means nothing. */
const notFinite = ({ request: { id }, tokenIds }: Draft): Error =>
  Object.assign(new Error(`the model's probabilities are not finite (request "${id}", token ${tokenIds.length + 1} of the answer): its weights, or what it computes from them, hold NaN or an infinity`), {
    kind: 'invalid', fix: 'Fork a sound model; after training, move the head to an earlier checkpoint (rlrun models head) and lower train.learning_rate.',
  });

/** Drafts that drew the same token go on together in their branch's row; for every other token there is a copy of it. */
function part(branches: Branch[], first: number, cache: KeyValueCache): void {
  const unused = branches.flatMap(({ drafts }, row) => (drafts.length === 0 ? [row] : []));
  for (let row = first, end = branches.length; row < end; row++) {
    const branch = branches[row]!;
    const [same, ...others] = Map.groupBy(branch.drafts, ({ tokenIds }) => tokenIds.at(-1)!);
    if (same === undefined) continue;
    [branch.token, branch.drafts] = same;
    for (const [token, drafts] of others) {
      const place = unused.pop() ?? branches.length;
      cache.copy(row, place);
      branches[place] = { cached: branch.cached, token, drafts };
    }
  }
}

function stopReasonOf({ request, tokenIds }: Draft, token: number, { decode, contextLength }: SamplerParts): Sample['stopReason'] | null {
  if (request.stopTokenIds.includes(token)) return 'stop';
  if (request.stopStrings.length > 0) {
    const text = decode(tokenIds);
    if (request.stopStrings.some((stop) => text.includes(stop))) return 'stop';
  }
  return tokenIds.length >= request.maxTokens || request.promptTokenIds.length + tokenIds.length >= contextLength ? 'length' : null;
}

const sampleOf = ({ request, tokenIds, logprobs }: Draft, stopReason: Sample['stopReason']): Sample =>
  ({ id: request.id, outputTokenIds: tokenIds, outputLogprobs: logprobs, stopReason });
