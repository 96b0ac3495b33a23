import fc from 'fast-check';
import { expect, test } from 'vitest';
import { KeptTexts } from '../../src/policy/kept-texts.ts';
import type { Columns } from '../../src/policy/key-value-cache.ts';

/** Columns that hold their own tokens. */
const columnsOf = (tokenIds: readonly number[], from: number): Columns => ({ count: tokenIds.length - from, data: [Float32Array.from(tokenIds.slice(from))] });
const texts = fc.array(fc.integer({ min: 0, max: 2 }), { minLength: 1, maxLength: 24 });

/** The tokens that what was found stands for. */
const foundOf = (kept: KeptTexts, text: readonly number[], limit = text.length): number[] => kept.find(text, limit).columns.flatMap(({ columns, count }) => [...columns.data[0]!.subarray(0, count)]);

test('the longest beginning that any kept text has is found, token by token', () => {
  fc.assert(fc.property(fc.array(texts, { maxLength: 30 }), texts, fc.nat(30), (all, text, limit) => {
    const kept = new KeptTexts({ budget: 2 ** 20, bytesPerToken: 4 });
    for (const each of all) kept.add(each, (from) => columnsOf(each, from));
    const shared = (each: readonly number[]): number => { const parts = each.findIndex((token, at) => token !== text[at]); return parts === -1 ? each.length : parts; };
    const longest = Math.min(limit, text.length, Math.max(0, ...all.map(shared)));
    expect(foundOf(kept, text, limit)).toEqual(longest < 8 ? [] : text.slice(0, longest));
    // Each distinct beginning is there once.
    const beginnings = new Set(all.flatMap((each) => each.map((_, at) => each.slice(0, at + 1).join())));
    expect(kept.bytes).toBe(4 * beginnings.size);
  }), { seed: 4 });
});

test('the budget holds whatever is added, used and released, and what is found is still right', () => {
  fc.assert(fc.property(fc.array(fc.tuple(fc.constantFrom('add', 'find', 'release'), texts), { maxLength: 60 }), (moves) => {
    const kept = new KeptTexts({ budget: 160, bytesPerToken: 4 });
    for (const [move, text] of moves) {
      if (move === 'add') kept.add(text, (from) => columnsOf(text, from));
      if (move === 'release') kept.release(text);
      const found = foundOf(kept, text);
      expect(found).toEqual(text.slice(0, found.length));
      expect(kept.bytes).toBeLessThanOrEqual(160);
    }
    kept.clear();
    expect([kept.bytes, kept.isEmpty]).toEqual([0, true]);
  }), { seed: 5 });
});

test('what was used longest ago goes first; a text alone beyond the budget is not kept at all', () => {
  const kept = new KeptTexts({ budget: 4 * 25, bytesPerToken: 4 });
  const [a, b, c] = [0, 1, 2].map((first) => Array.from({ length: 10 }, () => first)) as [number[], number[], number[]];
  const add = (text: readonly number[]): void => kept.add(text, (from) => columnsOf(text, from));
  add(a);
  add(b);
  kept.find(a, 10);
  add(c);
  expect([a, b, c].map((text) => foundOf(kept, text).length)).toEqual([10, 0, 10]);
  add(Array.from({ length: 26 }, () => 9));
  expect(kept.bytes).toBe(4 * 20);
});

test('a text that is released leaves what others begin with', () => {
  const kept = new KeptTexts({ budget: 1000, bytesPerToken: 4 });
  const beginning = Array.from({ length: 12 }, () => 1), [a, b] = [[...beginning, 2, 2], [...beginning, 3, 3, 3]];
  for (const text of [beginning, a!, b!]) kept.add(text, (from) => columnsOf(text, from));
  kept.release([...a!, 8]);
  expect([foundOf(kept, a!).length, foundOf(kept, b!).length]).toEqual([12, 15]);
  // Only part of what is kept: others may have drawn the rest.
  kept.release(b!.slice(0, 14));
  expect(foundOf(kept, b!)).toHaveLength(15);
});
