/** @file Reading prompts: who may join, and what one run reads of them. */
import { i64, type HostTensor } from '../onnx/index.ts';
import { sameTokens, type Draft } from './drafts.ts';
import type { KeyValueCache } from './key-value-cache.ts';
import type { KeptColumns, KeptTexts } from './kept-texts.ts';
import { ALL_LOGITS, decoderFeeds } from './micro-batches.ts';

/** A prompt on its way into the batch, with all the drafts that begin there. */
export interface Reading {
  readonly tokenIds: readonly number[];
  readonly drafts: Draft[];
  /** Keys and values of the tokens read so far: those that were kept, then those of each run. */
  readonly columns: KeptColumns[];
  read: number;
}

/** A run of the model: the next `counts[i]` tokens of each reading, padded to `width`. */
export interface ReadingRun {
  readonly readings: readonly Reading[];
  readonly counts: readonly number[];
  readonly width: number;
}

/** Padded prompt tokens that one prefill may hold. */
const PREFILL_TOKENS = 8192;

/** While others wait for their next token, longer prompts than this are read in parts … */
const AT_ONCE = 64;
/** … of so many padded tokens: about as long as a step of as many rows. */
const PART_TOKENS = 256;
/** Rows that differ by less are not worth a run of their own. */
const EVEN = 16;

/**
 * Takes drafts off the queue, as far as places and the prefill's budget reach; at least one. Neighbours with one prompt stay
 * together, so that it is computed once, unless they would keep more than a quarter of the rows waiting.
 */
export function admit(queue: Draft[], { places, maxRows }: { places: number; maxRows: number }): Draft[] {
  let prompts = 0, width = 0, count = 0;
  while (count < queue.length && count < places) {
    const prompt = queue[count]!.request.promptTokenIds;
    let end = count + 1;
    while (end < queue.length && sameTokens(queue[end]!.request.promptTokenIds, prompt)) end += 1;
    width = Math.max(width, prompt.length);
    prompts += 1;
    const mustWait = end > places && end - count <= maxRows / 4;
    if (count > 0 && (mustWait || width * prompts > PREFILL_TOKENS)) break;
    count = Math.min(end, places);
  }
  return queue.splice(0, count);
}

/** One reading for each distinct prompt, as far as it is kept read already. Its last token is always read: the first draw needs its logits. */
export function readingsOf(drafts: readonly Draft[], kept: KeptTexts): Reading[] {
  const byPrompt = Map.groupBy(drafts, ({ request }) => request.promptTokenIds.join());
  return [...byPrompt.values()].map((members): Reading => {
    const tokenIds = members[0]!.request.promptTokenIds;
    const { length, columns } = kept.find(tokenIds, tokenIds.length - 1);
    return { tokenIds, drafts: members, columns, read: length };
  });
}

const remaining = ({ tokenIds, read }: Reading): number => tokenIds.length - read;

/** What the next run reads. Where nobody waits for it, all of everything; else every prompt goes on, and the run ends soon. */
export function nextRun(readings: readonly Reading[], { isAwaited, contextLength }: { isAwaited: boolean; contextLength: number }): ReadingRun {
  const lengths = readings.map(remaining), most = Math.max(...lengths), least = Math.min(...lengths);
  const even = lengths.reduce((width, length) => (length <= Math.max(2 * least, EVEN) ? Math.max(width, length) : width), least);
  const part = Math.max(EVEN, Math.floor(PART_TOKENS / readings.length));
  // Graphs that count positions by themselves have tables of the context's length, for padding too.
  const room = contextLength - Math.max(...readings.map(({ read }) => read));
  const width = Math.min(isAwaited && most > AT_ONCE ? Math.min(even, part) : most, room);
  return { readings, width, counts: lengths.map((length) => Math.min(length, width)) };
}

/** Decoder inputs of a run, and the past, which `cache` holds for as long as it takes. */
export function readingFeeds({ readings, counts, width }: ReadingRun, cache: KeyValueCache): Record<string, HostTensor> {
  const rows = readings.length, past = Math.max(...readings.map(({ read }) => read));
  const parts = readings.map(({ tokenIds, read }, row) => tokenIds.slice(read, read + counts[row]!));
  if (past === 0) return { ...decoderFeeds(parts.map((tokenIds) => ({ tokenIds }))).feeds, ...cache.emptyFeeds(rows) };
  cache.relayout({ keep: [], added: rows, length: past });
  const columns = cache.capacity + width;
  const ids = new BigInt64Array(rows * width), positions = new BigInt64Array(rows * width), mask = new BigInt64Array(rows * columns);
  readings.forEach((reading, row) => {
    placeColumns(cache, { reading, row, cached: reading.read });
    parts[row]!.forEach((token, column) => {
      ids[row * width + column] = BigInt(token);
      positions[row * width + column] = BigInt(reading.read + column);
    });
    const start = row * columns + cache.start(reading.read);
    mask.fill(1n, start, start + reading.read);
    // Padding too, which nobody sees that stands before it: GroupQueryAttention takes the mask's sum for the length of past and run.
    mask.fill(1n, (row + 1) * columns - width, (row + 1) * columns);
  });
  return {
    ...ALL_LOGITS, ...cache.feeds(),
    input_ids: i64(ids, [rows, width]), attention_mask: i64(mask, [rows, columns]), position_ids: i64(positions, [rows, width]),
  };
}

/** Gives a row what was read of a prompt, as the first of the `cached` columns that it is to hold. */
export function placeColumns(cache: KeyValueCache, { reading, row, cached }: { reading: Reading; row: number; cached: number }): void {
  let at = 0;
  for (const { columns, count } of reading.columns) {
    cache.write(columns, { row, at, count, cached });
    at += count;
  }
}
