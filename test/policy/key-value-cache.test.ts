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
