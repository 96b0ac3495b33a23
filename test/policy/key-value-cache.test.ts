import { describe, expect, test } from 'vitest';
import type { HostTensor } from '../../src/onnx/index.ts';
import { KeyValueCache, type CacheAlignment } from '../../src/policy/key-value-cache.ts';
import { uniform } from '../../src/util/random.ts';

const heads = 2, headSize = 3;
const entries = [{ past: 'past_key_values.0.key', present: 'present.0.key', dataType: 'float32', heads, headSize }] as const;

/** Every number says which row, head, column and place it is for. */
const mark = (row: number, head: number, column: number, place: number): number => ((row * heads + head) * 1000 + column) * headSize + place + 1;

/** The new columns of a run: for each of its rows, those from `from` on. */
function presentOf(rows: readonly { id: number; from: number }[], width: number): Record<string, HostTensor> {
  const data = new Float32Array(rows.length * heads * width * headSize);
  let at = 0;
  for (const { id, from } of rows) for (let head = 0; head < heads; head++) for (let column = 0; column < width; column++) for (let place = 0; place < headSize; place++) data[at++] = mark(id, head, from + column, place);
  return { 'present.0.key': { dataType: 'float32', dims: [rows.length, heads, width, headSize], data } };
}

function expectContent(cache: KeyValueCache, rows: readonly { id: number; cached: number; done: boolean }[]): void {
  const { data, dims } = cache.feeds()['past_key_values.0.key']!, capacity = dims[2]!;
  expect(dims).toEqual([rows.length, heads, cache.capacity, headSize]);
  rows.forEach(({ id, cached, done }, row) => {
    if (done) return;
    for (let head = 0; head < heads; head++) {
      for (let column = 0; column < cached; column++) {
        for (let place = 0; place < headSize; place++) expect(data[((row * heads + head) * capacity + cache.start(cached) + column) * headSize + place]).toBe(mark(id, head, column, place));
      }
    }
  });
}

describe.each<CacheAlignment>(['front', 'back'])('aligned to the %s', (alignment) => {
  test('rows keep what they were given while others come, grow, are copied and go', () => {
    const cache = new KeyValueCache(entries, alignment);
    const random = (at: number): number => uniform([alignment.length], at);
    let rows: { id: number; cached: number; done: boolean }[] = [];
    let next = 0;
    /** New rows made of others since the last layout, which has room for two. */
    let copies = 0;
    for (let round = 0; round < 200; round++) {
      if (round % 67 === 66) { cache.clear(); rows = []; }
      const active = rows.flatMap(({ done }, index) => (done ? [] : [index]));
      const longest = Math.max(0, ...active.map((index) => rows[index]!.cached)) + 1;
      if (active.length === 0 || random(4 * round) < 0.25) {
        const added = Array.from({ length: 1 + Math.floor(random(4 * round + 1) * 3) }, (_, index) => ({ id: next++, cached: 1 + ((round * 7 + index * 5) % 40), done: false }));
        cache.relayout({ keep: active, added: added.length, room: active.length + added.length + 2, length: Math.max(longest, ...added.map(({ cached }) => cached + 1)) });
        rows = [...active.map((index) => rows[index]!), ...added];
        copies = 0;
        added.forEach((row, index) => cache.place({ present: presentOf([{ id: -1, from: 0 }, { id: row.id, from: 0 }], 50), source: 1, row: active.length + index, count: row.cached }));
      } else if (longest > cache.capacity || active.length < rows.length / 2) {
        cache.relayout({ keep: active, added: 0, room: active.length + 2, length: longest });
        copies = 0;
        rows = active.map((index) => rows[index]!);
      }
      expectContent(cache, rows);
      const from = rows.findIndex(({ done }) => !done), unused = rows.findIndex(({ done }) => done);
      if (random(4 * round + 3) < 0.5 && from !== -1 && (unused !== -1 || copies < 2)) {
        const to = unused === -1 ? rows.length : unused;
        cache.copy(from, to);
        if (unused === -1) copies += 1;
        rows[to] = { ...rows[from]! };
        expectContent(cache, rows);
      }
      const growing = rows.flatMap(({ done, cached }, index) => (done ? [] : [[index, cached] as const]));
      cache.append(presentOf(rows.map(({ id, cached }) => ({ id, from: cached })), 1), growing);
      for (const [index] of growing) rows[index]!.cached += 1;
      expectContent(cache, rows);
      for (const [index] of growing) if (random(4 * round + 2 + index) < 0.15) rows[index]!.done = true;
    }
    expect(next).toBeGreaterThan(50);
  });
});

describe.each<CacheAlignment>(['front', 'back'])('aligned to the %s, texts come and go without a layout', (alignment) => {
  test('each is put together from columns that were taken elsewhere, and reads as it was written', () => {
    const cache = new KeyValueCache(entries, alignment), other = new KeyValueCache(entries, alignment);
    other.relayout({ keep: [], added: 2, length: 12 });
    other.place({ present: presentOf([{ id: 9, from: 0 }, { id: 7, from: 0 }], 12), source: 1, row: 1, count: 11 });
    const beginning = other.read({ row: 1, from: 0, cached: 11 });
    cache.relayout({ keep: [], added: 0, room: 3, length: 14 });
    const rows: { id: number; cached: number; done: boolean }[] = [];
    for (let round = 0; cache.fits(Math.max(0, ...rows.map(({ cached }) => cached)) + 1) && round < 12; round++) {
      const row = round % 3;
      // Of what was kept only the first part is of use; two more columns come out of a run.
      cache.write(beginning, { row, at: 0, count: 5, cached: 8 });
      cache.write(other.columnsOf(presentOf([{ id: 7, from: 5 }], 3), { source: 0, count: 1 }), { row, at: 5, count: 1, cached: 8 });
      cache.place({ present: presentOf([{ id: 7, from: 6 }], 4), source: 0, row, count: 2, cached: 8 });
      rows[row] = { id: 7, cached: 8, done: false };
      expectContent(cache, rows);
      for (const [row, { cached }] of rows.entries()) expect([...cache.read({ row, from: 3, cached }).data[0]!.slice(0, headSize)]).toEqual([0, 1, 2].map((place) => mark(7, 0, 3, place)));
      cache.append(presentOf(rows.map(({ id, cached }) => ({ id, from: cached })), 1), rows.map(({ cached }, index) => [index, cached] as const));
      for (const row of rows) row.cached += 1;
      expectContent(cache, rows);
    }
    expect(rows).toHaveLength(3);
    cache.truncate(1);
    expectContent(cache, rows.slice(0, 1));
    expect(() => cache.write(beginning, { row: 2, at: 0, count: 1, cached: 1 })).toThrow('no place for row 2: 1 rows, room for 3');
  });

  test('it says when a new layout is needed: a row that is too long, or a view that has come to the end of the buffers', () => {
    const cache = new KeyValueCache(entries, alignment);
    cache.relayout({ keep: [], added: 1, length: 16 });
    expect([cache.fits(16), cache.fits(17)]).toEqual([true, false]);
    for (let step = 0; step < 16; step++) cache.append(presentOf([{ id: 0, from: 0 }], 1), []);
    expect(cache.fits(1)).toBe(alignment === 'front');
  });
});

test('once it has seen the largest layouts, a call allocates nothing', () => {
  const cache = new KeyValueCache(entries, 'front');
  const call = (): ArrayBufferLike[] => {
    cache.clear();
    return [[12, 6], [9, 20], [3, 21]].map(([rows, length], layout) => {
      cache.relayout({ keep: layout === 0 ? [] : [0], added: rows! - Math.min(layout, 1), length: length! });
      return cache.feeds()['past_key_values.0.key']!.data.buffer;
    });
  };
  call();
  const known = new Set([...call(), ...call()]);
  expect(known.size).toBe(2);
  expect(new Set([...known, ...call(), ...call()])).toEqual(known);
});

test('aligned to the back, a new column follows the past at once; to the front, it lies behind the capacity', () => {
  const [front, back] = (['front', 'back'] as const).map((alignment) => {
    const cache = new KeyValueCache(entries, alignment);
    cache.relayout({ keep: [], added: 1, length: 5 });
    return cache.start(4) + 4 - cache.capacity;
  });
  expect(back).toBe(0);
  expect(front).toBe(4 - 16);
});
