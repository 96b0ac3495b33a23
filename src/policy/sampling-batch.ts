/**
 * @file Continuous batching over a tree of texts: rows are decoded side by side, a finished one makes place for the next draft, and
 * drafts join while others are under way.
 *
 * Drafts share a row for as long as their texts are the same: first the prompt of a group, then every beginning that several of them
 * drew. A draft's random numbers depend on its own key and position alone, so its text does not depend on what else is in the batch.
 */
import { i64, release, type HostTensor, type Session } from '../onnx/index.ts';
import { type Draft, draftCount, isAlive, notFinite, sampleOf, stopReasonOf, textOf } from './drafts.ts';
import { drawFeeds, perDraft } from './draw-feeds.ts';
import { CLOSE } from './exact-draw.ts';
import type { KeptTexts } from './kept-texts.ts';
import type { KeyValueCache } from './key-value-cache.ts';
import { ALL_LOGITS, decoderFeeds } from './micro-batches.ts';
import { admit, nextRun, placeColumns, readingFeeds, readingsOf, type Reading } from './reading.ts';
import { Rows } from './rows.ts';
import type { Sample } from './types.ts';

export interface BatchParts {
  /** With the head that all its drafts need. */
  readonly session: () => Promise<Session>;
  readonly cache: KeyValueCache;
  /** For the past of prompts that are being read; nobody else's while a run lasts. */
  readonly readingCache: KeyValueCache;
  readonly kept: KeptTexts;
  readonly vocabularySize: number;
  /** A row that fills it ends as too long. */
  readonly contextLength: number;
  /** Weights that are inputs of the graph: read at every step, so that an update is seen at once. */
  readonly parameters: Readonly<Record<string, HostTensor>>;
  readonly maxRows: number;
}

/** Prompts are read once they are one for so many drafts that are being decoded … */
const HELD_SHARE = 8;
/** … or after so many steps. */
const HELD_STEPS = 4;

export class SamplingBatch {
  readonly #parts: BatchParts;
  readonly #waiting: Draft[] = [];
  readonly #rows: Rows;
  #reading: Reading[] = [];
  /** Steps that prompts have been waiting for company. */
  #held = 0;

  constructor(parts: BatchParts) {
    this.#parts = parts;
    this.#rows = new Rows(parts);
  }

  get isIdle(): boolean { return this.#waiting.length === 0 && this.isResting; }

  /** Those who have not joined. */
  get waiting(): readonly Draft[] { return this.#waiting; }

  /** Nobody waits for his next token. */
  get isResting(): boolean { return this.#reading.length === 0 && this.#rows.isEmpty; }

  add(drafts: readonly Draft[]): void {
    if (drafts.length === 0) return;
    // Whose text is kept is likely to need his place again.
    if (this.isIdle) this.#rows.clear({ keepPlaces: !this.#parts.kept.isEmpty });
    else this.#rows.isOpen = true;
    this.#waiting.push(...drafts);
  }

  /** Joins who may join, then reads what is to be read or draws a token for every draft, or both. */
  async step(): Promise<void> {
    this.#dropCancelled();
    this.#admit();
    if (this.#isWorthReading()) {
      await this.#read();
      if (!this.#rows.isOpen && this.#reading.length === 0) return;
    }
    if (!this.#rows.isEmpty) await this.#decode();
  }

  /** A run costs nearly as much for one row as for several: where many are being decoded, prompts wait a little for others. */
  #isWorthReading(): boolean {
    if (this.#reading.length === 0 || !this.#rows.isOpen) return this.#reading.length > 0;
    const isWorth = this.#reading.length * HELD_SHARE >= draftCount(this.#rows.branches) || this.#held >= HELD_STEPS;
    if (!isWorth) this.#held += 1;
    return isWorth;
  }

  /** Ends everything. */
  fail(error: unknown): void {
    const callers = new Set(this.#drafts().map(({ caller }) => caller));
    this.#waiting.length = 0;
    this.#reading = [];
    this.#rows.clear({ keepPlaces: false });
    for (const caller of callers) caller.onFailure(error);
  }

  #drafts(): Draft[] {
    return [...this.#rows.branches, ...this.#reading].flatMap(({ drafts }) => drafts).concat(this.#waiting);
  }

  #dropCancelled(): void {
    const callers = new Set(this.#drafts().map(({ caller }) => caller));
    const gone = new Set([...callers].filter(({ cancelled }) => cancelled()));
    if (gone.size === 0) return;
    const dropped = this.#drafts().filter(({ caller }) => gone.has(caller));
    const without = (drafts: readonly Draft[]): Draft[] => drafts.filter(({ caller }) => !gone.has(caller));
    for (const branch of this.#rows.branches) branch.drafts = without(branch.drafts);
    this.#reading = this.#reading.map((reading) => ({ ...reading, drafts: without(reading.drafts) })).filter(({ drafts }) => drafts.length > 0);
    this.#waiting.splice(0, Infinity, ...without(this.#waiting));
    for (const draft of dropped) draft.caller.onSample(sampleOf(draft, 'cancelled'));
  }

  #admit(): void {
    const { maxRows, kept } = this.#parts;
    // Every draft may part from the others of its branch, so places are counted for all of them.
    const taken = draftCount(this.#rows.branches) + draftCount(this.#reading), places = maxRows - taken;
    if (this.#waiting.length === 0 || places <= 0 || (!this.#rows.isOpen && taken > maxRows * 0.75)) return;
    this.#reading.push(...readingsOf(admit(this.#waiting, { places, maxRows }), kept));
  }

  /** One run of the prompts that are being read; those that end in it join, with their drafts' first tokens. */
  async #read(): Promise<void> {
    const { cache, readingCache, contextLength, parameters, vocabularySize } = this.#parts;
    const run = nextRun(this.#reading, { isAwaited: !this.#rows.isEmpty, contextLength });
    const ends = run.readings.map(({ tokenIds, read }, row) => tokenIds.length === read + run.counts[row]!);
    const ended = run.readings.flatMap((reading, source) => (ends[source] ? [{ reading, source, count: run.counts[source]! }] : []));
    // A run draws at least once: where no prompt ends, it draws what nobody asked for.
    const drawn = ended.length > 0 ? ended.map(({ reading }) => reading) : [{ drafts: this.#reading[0]!.drafts.slice(0, 1) }];
    const drafts = drawn.flatMap((each) => each.drafts);
    const session = await this.#parts.session();
    const outputs = await session.run({
      ...parameters, ...readingFeeds(run, readingCache), ...drawFeeds(drafts, { session, vocabularySize }),
      logit_positions: perDraft(drawn, (row) => (ended[row] ? ended[row].source * run.width + ended[row].count - 1 : 0)),
    });
    readingCache.clear();
    run.readings.forEach((reading, source) => {
      const count = run.counts[source]!;
      if (!ends[source]) reading.columns.push({ columns: cache.columnsOf(outputs, { source, count }), count });
      reading.read += count;
    });
    this.#reading = this.#reading.filter((_, row) => !ends[row]);
    // What was begun goes on without waiting.
    this.#held = this.#reading.length > 0 ? HELD_STEPS : 0;
    const rows = this.#rows.join(ended.map(({ reading: { tokenIds, drafts } }) => ({ cached: tokenIds.length, token: tokenIds.at(-1)!, drafts })));
    ended.forEach(({ reading, source, count }, index) => {
      const row = rows[index]!, cached = reading.read;
      cache.place({ present: outputs, source, row, count, cached });
      placeColumns(cache, { reading, row, cached });
      if (reading.drafts.some(({ request }) => request.keep)) this.#keep(reading.tokenIds, row);
    });
    await this.#take(rows, outputs);
    release(outputs);
  }

  /** One token for every draft. */
  async #decode(): Promise<void> {
    const { cache, parameters, vocabularySize } = this.#parts;
    this.#rows.tidy();
    const branches = this.#rows.branches, count = branches.length, columns = cache.capacity + 1;
    const ids = new BigInt64Array(count), positions = new BigInt64Array(count), mask = new BigInt64Array(count * columns);
    branches.forEach(({ token, cached }, row) => {
      ids[row] = BigInt(token);
      positions[row] = BigInt(cached);
      const past = row * columns + cache.start(cached);
      mask.fill(1n, past, past + cached);
      mask[row * columns + columns - 1] = 1n;
    });
    const drafts = branches.flatMap((branch) => branch.drafts), session = await this.#parts.session();
    const outputs = await session.run({
      ...parameters, ...ALL_LOGITS, ...cache.feeds(), ...drawFeeds(drafts, { session, vocabularySize }),
      input_ids: i64(ids, [count, 1]), attention_mask: i64(mask, [count, columns]), position_ids: i64(positions, [count, 1]), logit_positions: perDraft(branches, (row) => row),
    });
    cache.append(outputs, branches.flatMap((branch, row) => (isAlive(branch) ? [[row, branch.cached] as const] : [])));
    for (const branch of branches) if (isAlive(branch)) branch.cached += 1;
    await this.#take([...branches.keys()], outputs);
    release(outputs);
  }

  /** Appends the tokens drawn from the branches of some rows, ends the drafts that are done, and parts those that drew different tokens. */
  async #take(rows: readonly number[], outputs: Readonly<Record<string, HostTensor>>): Promise<void> {
    const drawn = await this.#drawn(rows.flatMap((row) => this.#rows.branches[row]!.drafts), outputs);
    let at = 0;
    for (const row of rows) {
      const branch = this.#rows.branches[row]!, going: Draft[] = [];
      for (const draft of branch.drafts) {
        const { token, logprob } = drawn[at++]!;
        if (!Number.isFinite(logprob)) {
          draft.caller.onFailure(notFinite(draft));
          continue;
        }
        draft.tokenIds.push(token);
        draft.logprobs.push(logprob);
        draft.caller.onToken?.(draft.request.id, token, logprob);
        const stopReason = stopReasonOf(draft, this.#parts.contextLength);
        if (stopReason === null) going.push(draft);
        else this.#end(draft, stopReason, row);
      }
      branch.drafts = going;
    }
    this.#rows.part(rows);
  }

  /** What a run drew for some drafts. Exact ones that were close are drawn again without any company. */
  async #drawn(drafts: readonly Draft[], { token, logprob, margin }: Readonly<Record<string, HostTensor>>): Promise<{ token: number; logprob: number }[]> {
    const drawn = drafts.map((_, at) => ({ token: Number(token!.data[at]!), logprob: Number(logprob!.data[at]!) }));
    for (const [at, draft] of drafts.entries()) if (margin !== undefined && !(Number(margin.data[at]) >= CLOSE)) drawn[at] = await this.#drawAlone(draft);
    return drawn;
  }

  /** Depends on nothing but the draft: one row, no past, no padding. */
  async #drawAlone(draft: Draft): Promise<{ token: number; logprob: number }> {
    const { cache, parameters, vocabularySize } = this.#parts;
    const session = await this.#parts.session();
    const tokenIds = textOf(draft);
    const outputs = await session.run({
      ...parameters, ...decoderFeeds([{ tokenIds }]).feeds, ...cache.emptyFeeds(1), ...drawFeeds([draft], { session, vocabularySize }),
      logit_positions: i64(BigInt64Array.of(BigInt(tokenIds.length - 1)), [1]),
    });
    const drawn = { token: Number(outputs['token']!.data[0]), logprob: Number(outputs['logprob']!.data[0]) };
    release(outputs);
    return drawn;
  }

  #end(draft: Draft, stopReason: Sample['stopReason'], row: number): void {
    // The last token was drawn, but not read.
    if (draft.request.keep) this.#keep(textOf(draft).slice(0, this.#rows.branches[row]!.cached), row);
    draft.caller.onSample(sampleOf(draft, stopReason));
  }

  #keep(tokenIds: readonly number[], row: number): void {
    this.#parts.kept.add(tokenIds, (from) => this.#parts.cache.read({ row, from, cached: tokenIds.length }));
  }
}
