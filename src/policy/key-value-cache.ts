/**
 * @file Keys and values of rows being decoded, kept on the host.
 *
 * ONNX Runtime copies every output, so the cache never goes through it: past rows are fed without a copy, and only each step's new
 * rows come back, to be written in here. One buffer per cache input, (rows, heads, capacity, head size), grown in steps: columns
 * that no row has reached yet are read by every step, so there are never many.
 */
import type { DataType, HostTensor } from '../onnx/index.ts';

/** A cache input of the graph, e.g. `past_key_values.0.key`. */
export interface CacheEntry {
  readonly past: string;
  readonly present: string;
  readonly dataType: DataType;
  readonly heads: number;
  readonly headSize: number;
}

type Bytes = Float32Array | Uint16Array;
const allocate = (dataType: DataType, length: number): Bytes => (dataType === 'float16' ? new Uint16Array(length) : new Float32Array(length));

/** Columns to keep for rows of up to `length` tokens. */
function roomFor(length: number): number {
  const step = Math.max(16, 2 ** Math.floor(Math.log2(Math.max(length, 1)) - 3));
  return Math.ceil(length / step) * step;
}

export class KeyValueCache {
  readonly #entries: readonly CacheEntry[];
  #buffers: Bytes[];
  #rows = 0;
  #capacity = 0;

  constructor(entries: readonly CacheEntry[]) {
    this.#entries = entries;
    this.#buffers = entries.map(({ dataType }) => allocate(dataType, 0));
  }

  get rows(): number { return this.#rows; }
  get capacity(): number { return this.#capacity; }

  /** Keeps these rows (in this order), then adds `added` empty ones, with room for `length` columns. */
  relayout({ keep, added, length }: { keep: readonly number[]; added: number; length: number }): void {
    const capacity = roomFor(length), rows = keep.length + added, before = this.#capacity;
    if (capacity === before && added === 0 && keep.length === this.#rows && keep.every((row, index) => row === index)) return;
    const shared = Math.min(before, capacity);
    this.#buffers = this.#entries.map(({ dataType, heads, headSize }, index) => {
      const from = this.#buffers[index]!, to = allocate(dataType, rows * heads * capacity * headSize);
      keep.forEach((row, place) => {
        for (let head = 0; head < heads; head++) {
          const start = (row * heads + head) * before * headSize;
          to.set(from.subarray(start, start + shared * headSize), (place * heads + head) * capacity * headSize);
        }
      });
      return to;
    });
    this.#rows = rows;
    this.#capacity = capacity;
  }

  /** Past inputs of the graph: views, nothing is copied. */
  feeds(): Record<string, HostTensor> {
    return Object.fromEntries(this.#entries.map(({ past, dataType, heads, headSize }, index) =>
      [past, { dataType, dims: [this.#rows, heads, this.#capacity, headSize], data: this.#buffers[index]! }]));
  }

  /** Past inputs for rows that have no past. */
  static emptyFeeds(entries: readonly CacheEntry[], rows: number): Record<string, HostTensor> {
    return Object.fromEntries(entries.map(({ past, dataType, heads, headSize }) => [past, { dataType, dims: [rows, heads, 0, headSize], data: allocate(dataType, 0) }]));
  }

  /** Writes `count` new columns of a run's row `source` into row `row`, from column `at` on. */
  write({ present, source, row, at, count }: { present: Readonly<Record<string, HostTensor>>; source: number; row: number; at: number; count: number }): void {
    this.#entries.forEach(({ present: name, heads, headSize }, index) => {
      const { data, dims } = present[name]!, width = dims[2]!, to = this.#buffers[index]!;
      for (let head = 0; head < heads; head++) {
        const start = (source * heads + head) * width * headSize;
        to.set((data as Float32Array).subarray(start, start + count * headSize), ((row * heads + head) * this.#capacity + at) * headSize);
      }
    });
  }
}
