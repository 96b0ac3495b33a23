import { expect, test } from 'vitest';
import { within } from '../../src/util/within.ts';

test('work that ends in time gives what it returns, or throws what it throws', () => {
  expect(within(1000, () => 'done')).toEqual({ ok: true, value: 'done' });
  expect(() => within(1000, () => { throw new RangeError('mine'); })).toThrow(new RangeError('mine'));
});

test('a regular expression that explodes is stopped, and the next work is not', () => {
  expect(within(50, () => /^(a+)+$/.test(`${'a'.repeat(60)}!`))).toEqual({ ok: false });
  expect(within(50, () => { for (;;); })).toEqual({ ok: false });
  expect(within(1000, () => 1)).toEqual({ ok: true, value: 1 });
});
