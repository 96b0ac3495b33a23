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

/**
 * Where a short row stands among the columns of the longest one. `back`: new columns follow its past at once, as graphs need that
 * measure distances in columns (sliding windows). `front`: from the first column on, as GroupQueryAttention has it.
 */
export type CacheAlignment = 'front' | 'back';

type Bytes = Float32Array | Uint16Array;

/** Consecutive columns of one text, outside the cache: for each cache input (heads, count, head size). */
export interface Columns {
  readonly count: number;
  readonly data: readonly Bytes[];
}

const allocate = (dataType: DataType, length: number): Bytes => (dataType === 'float16' ? new Uint16Array(length) : new Float32Array(length));

export const bytesOf = (buffers: readonly Bytes[]): number => buffers.reduce((sum, { byteLength }) => sum + byteLength, 0);

/** What a column of all cache inputs takes. */
export const bytesPerToken = (entries: readonly CacheEntry[]): number =>
  entries.reduce((sum, { heads, headSize, dataType }) => sum + heads * headSize * (dataType === 'float16' ? 2 : 4), 0);

/** Buffers up to this size in all are kept for later layouts: fresh memory costs small models more than the copy into it. */
const SPARE_BYTES = 64 * 2 ** 20;
/** A layout is copied out of the one before: with two that lie ready between calls, a call allocates nothing. */
const SPARES = 2;

/** Columns to keep for rows of up to `length` tokens. */
function columnsFor(length: number): number {
  const step = Math.max(16, 2 ** Math.floor(Math.log2(Math.max(length, 1)) - 3));
  return Math.ceil(length / step) * step;
}

/**
 * With `back`, appending would mean to move every row one column to the left. What moves instead is the view on the buffer, one
 * column to the right: each row's last column is then the first one of the row behind it, which is free as long as that row is
 * shorter than the capacity.
 *
 * ```
 *   buffer   . . a a a│. b b b b│          a, b: two rows of 3 and 4 columns, capacity 5
 *   view     └───0────┴────0────┘
 *   appended . . a a a│A b b b b│B         the view, one further: . a a a A│b b b b B
 *              └───1────┴────1────┘
 * ```
 */
export class KeyValueCache {
  readonly #entries: readonly CacheEntry[];
  readonly #alignment: CacheAlignment;
  #buffers: Bytes[];
  /** Buffers of earlier layouts, the largest first. */
  #spares: Bytes[][] = [];
  #rows = 0;
  /** Rows that the buffers have room for. */
  #room = 0;
  #capacity = 0;
  /** Columns by which the view has moved. */
  #shift = 0;

  constructor(entries: readonly CacheEntry[], alignment: CacheAlignment) {
    this.#entries = entries;
    this.#alignment = alignment;
    this.#buffers = entries.map(({ dataType }) => allocate(dataType, 0));
  }

  get capacity(): number { return this.#capacity; }

  /** Rows that can be there before a new layout is needed. */
  get room(): number { return this.#room; }

  /** Can a row of so many columns be there, and every row take one more step, without a new layout? */
  fits(length: number): boolean { return length <= this.#capacity && this.#shift < this.#capacity; }

  /** The first column of a row that holds `cached` columns. */
  start(cached: number): number { return this.#alignment === 'front' ? 0 : this.#capacity - cached; }

  /** Keeps these rows (in this order), then adds `added` empty ones, with room for `length` columns and for copies up to `room` rows. */
  relayout({ keep, added, room = 0, length }: { keep: readonly number[]; added: number; room?: number; length: number }): void {
    const capacity = columnsFor(length), rows = keep.length + added, before = this.#capacity;
    const isSame = capacity === before && added === 0 && room <= this.#room && keep.length === this.#rows && keep.every((row, index) => row === index);
    if (isSame && this.#shift === 0) return;
    const shared = Math.min(before, capacity);
    const [from, to] = this.#alignment === 'front' ? [0, 0] : [this.#shift + before - shared, capacity - shared];
    const old = this.#buffers;
    this.#room = Math.max(room, rows);
    this.#buffers = this.#blank(this.#entries.map(({ heads, headSize }) => (this.#room * heads + 1) * capacity * headSize));
    this.#entries.forEach(({ heads, headSize }, index) => {
      const source = old[index]!, target = this.#buffers[index]!;
      keep.forEach((row, place) => {
        for (let head = 0; head < heads; head++) {
          const start = ((row * heads + head) * before + from) * headSize;
          target.set(source.subarray(start, start + shared * headSize), ((place * heads + head) * capacity + to) * headSize);
        }
      });
    });
    this.#spare(old);
    this.#rows = rows;
    this.#capacity = capacity;
    this.#shift = 0;
  }

  /** Forgets the rows from `rows` on; their place stays. */
  truncate(rows: number): void { this.#rows = rows; }

  /** Forgets all rows. */
  clear(): void {
    this.#spare(this.#buffers);
    this.#buffers = this.#entries.map(({ dataType }) => allocate(dataType, 0));
    this.#rows = this.#room = this.#capacity = this.#shift = 0;
  }

  /** Zeros, in buffers at least that long. What nobody has written is masked, but must be finite. */
  #blank(lengths: readonly number[]): Bytes[] {
    const at = this.#spares.findLastIndex((buffers) => buffers.every((buffer, index) => buffer.length >= lengths[index]!));
    if (at === -1) return this.#entries.map(({ dataType }, index) => allocate(dataType, lengths[index]!));
    return this.#spares.splice(at, 1)[0]!.map((buffer, index) => buffer.fill(0, 0, lengths[index]!));
  }

  #spare(buffers: Bytes[]): void {
    this.#spares = [...this.#spares, buffers].toSorted((a, b) => bytesOf(b) - bytesOf(a)).slice(0, SPARES);
    while (bytesOf(this.#spares.flat()) > SPARE_BYTES) this.#spares.shift();
  }

  /** Past inputs of the graph: views, nothing is copied. */
  feeds(): Record<string, HostTensor> {
    return Object.fromEntries(this.#entries.map(({ past, dataType, heads, headSize }, index) => {
      const start = this.#shift * headSize, length = this.#rows * heads * this.#capacity * headSize;
      return [past, { dataType, dims: [this.#rows, heads, this.#capacity, headSize], data: this.#buffers[index]!.subarray(start, start + length) }];
    }));
  }

  /** Past inputs for rows that have no past. */
  emptyFeeds(rows: number): Record<string, HostTensor> {
    return Object.fromEntries(this.#entries.map(({ past, dataType, heads, headSize }) => [past, { dataType, dims: [rows, heads, 0, headSize], data: allocate(dataType, 0) }]));
  }

  /** Gives row `row` the first `count` columns of a run's row `source`, as the last of the `cached` columns that it is to hold. */
  place({ present, source, row, count, cached = count }: { present: Readonly<Record<string, HostTensor>>; source: number; row: number; count: number; cached?: number }): void {
    this.#make(row);
    const data = this.#entries.map(({ present: name }) => present[name]!.data as Bytes), width = present[this.#entries[0]!.present]!.dims[2]!;
    this.#copyIn(data, { source, width, row, at: this.#column(cached) + cached - count, count });
  }

  /** Gives row `row` the first `count` of some columns, from its column `at` on; it is to hold `cached` columns. */
  write({ count: width, data }: Columns, { row, at, count, cached }: { row: number; at: number; count: number; cached: number }): void {
    this.#make(row);
    this.#copyIn(data, { source: 0, width, row, at: this.#column(cached) + at, count });
  }

  /** A copy of the columns of a row that holds `cached`, from its column `from` on. */
  read({ row, from, cached }: { row: number; from: number; cached: number }): Columns {
    const count = cached - from, start = this.#column(cached) + from;
    return { count, data: this.#entries.map(({ heads, headSize }, index) => cut(this.#buffers[index]!, { heads, headSize, source: row, width: this.#capacity, start, count })) };
  }

  /** A copy of the first `count` columns of a run's row `source`. */
  columnsOf(present: Readonly<Record<string, HostTensor>>, { source, count }: { source: number; count: number }): Columns {
    return { count, data: this.#entries.map(({ present: name, heads, headSize }) => cut(present[name]!.data as Bytes, { heads, headSize, source, width: present[name]!.dims[2]!, start: 0, count })) };
  }

  /** Where a row that holds `cached` columns begins in the buffers. */
  #column(cached: number): number { return this.start(cached) + this.#shift; }

  #copyIn(data: readonly Bytes[], { source, width, row, at, count }: { source: number; width: number; row: number; at: number; count: number }): void {
    this.#entries.forEach(({ heads, headSize }, index) => {
      const from = data[index]!, to = this.#buffers[index]!;
      for (let head = 0; head < heads; head++) {
        const start = (source * heads + head) * width * headSize;
        to.set(from.subarray(start, start + count * headSize), ((row * heads + head) * this.#capacity + at) * headSize);
      }
    });
  }

  /** Makes sure that a row is there: the next new one, or one that is there already. */
  #make(row: number): void {
    if (row > this.#rows || row >= this.#room) throw new RangeError(`no place for row ${row}: ${this.#rows} rows, room for ${this.#room}`);
    this.#rows = Math.max(this.#rows, row + 1);
  }

  /** Makes row `to` a copy of row `from`: a row that nobody needs any more, or the next new one. */
  copy(from: number, to: number): void {
    this.#make(to);
    this.#entries.forEach(({ heads, headSize }, index) => {
      const size = heads * this.#capacity * headSize, view = this.#shift * headSize;
      this.#buffers[index]!.copyWithin(view + to * size, view + from * size, view + (from + 1) * size);
    });
  }

  /** Gives row `row` the one new column of a run's row `row`, for every `[row, cached]`. Rows that are left out lose their content. */
  append(present: Readonly<Record<string, HostTensor>>, rows: readonly (readonly [row: number, cached: number])[]): void {
    if (this.#alignment === 'back') this.#shift += 1;
    const capacity = this.#capacity, last = this.#alignment === 'back' ? capacity - 1 + this.#shift : null;
    this.#entries.forEach(({ present: name, heads, headSize }, index) => {
      const from = present[name]!.data as Bytes, to = this.#buffers[index]!;
      for (const [row, cached] of rows) {
        for (let head = 0; head < heads; head++) {
          const block = row * heads + head;
          // A column is some dozens of numbers: a view for each would cost more than the copy.
          for (let source = block * headSize, target = (block * capacity + (last ?? cached)) * headSize, end = source + headSize; source < end; source++, target++) to[target] = from[source]!;
        }
      }
    });
  }
}

/** Some columns of one row of a buffer (rows, heads, width, head size). */
function cut(from: Bytes, { heads, headSize, source, width, start, count }: { heads: number; headSize: number; source: number; width: number; start: number; count: number }): Bytes {
  const to = from instanceof Uint16Array ? new Uint16Array(heads * count * headSize) : new Float32Array(heads * count * headSize);
  for (let head = 0; head < heads; head++) {
    const first = ((source * heads + head) * width + start) * headSize;
    to.set(from.subarray(first, first + count * headSize), head * count * headSize);
  }
  return to;
}
