/** HUD's grader conventions that gave rewards nobody earned, or took away earned ones; each as it is judged here. */
import { readFileSync } from 'node:fs';
import { afterAll, describe, expect, test } from 'vitest';
import type { RewardSettings } from '../../src/config/types.ts';
import { similarity } from '../../src/rewards/similarity.ts';
import { readVerdict } from '../../src/runtimes/index.ts';
import { opened, request, rewardOf } from './requests.ts';

const exact: RewardSettings = { kind: 'exact_match', name: 'exact', weight: 1 };
const numeric = (more: object = {}): RewardSettings => ({ kind: 'numeric_match', name: 'number', weight: 1, tolerance: 0, relativeTolerance: 0, ...more });
const f1: RewardSettings = { kind: 'f1', name: 'f1', weight: 1 };
const close = opened();
afterAll(close.all);
const reward = async (settings: RewardSettings, completion: string, answer: string | null) => rewardOf(await (await close.open([settings])).score(request(completion, answer)));

describe('exact_match', () => {
  test.each([
    ['-5', '5', 0],
    ['−5', '-5', 1],
    ['+5', '5', 1],
    ['3.14', '3 14', 0],
    ['1 000', '1,000', 0],
    ['1,000', '1000', 1],
    ['1,00', '100', 0],
    ['a', 'the', 0],
    ['a', 'a', 1],
    ['!!', 'a', 0],
    ['!!', '!!', 1],
    ['!!', '??', 0],
    ['', '', 0],
    ['', '!', 0],
    ['None', 'None', 1],
    ['The Eiffel Tower.', 'eiffel tower', 1],
    ['Größe', 'GRÖSSE', 0],
    ['e\u0301tude', 'étude', 1],
    ['x-5', 'x 5', 0],
    ['12-5', '12 -5', 0],
    ['v1.2', 'v12', 0],
    [' 46\n', '46', 1],
    ['46 47', '46', 0],
  ])('%j against %j: %d', async (completion, answer, expected) => {
    expect(await reward(exact, completion, answer)).toBe(expected);
  });
});

describe('numeric_match', () => {
  test.each([
    ['2+2 = 4', '4', 1],
    ['1,000', '1000', 1],
    ['1 000', '1000', 0],
    ['1\u202f000', '1000', 1],
    ['1e3', '1000', 1],
    ['.5', '0.5', 1],
    ['-.5', '-0.5', 1],
    ['−7', '-7', 1],
    ['10-4', '4', 0],
    ['10-4', '-4', 0],
    ['(-4)', '-4', 1],
    ['4.', '4', 1],
    ['no number', '0', 0],
    ['', '0', 0],
    ['1e999', '1', 0],
    ['12345678901234567890', '12345678901234567891', 0],
    ['12345678901234567891', '12345678901234567891', 1],
    ['46\n12+3=15', '46', 0],
    ['#### 72', '72', 1],
    ['$1,234.50.', '1234.5', 1],
  ])('%j against %j: %d', async (completion, answer, expected) => {
    expect(await reward(numeric(), completion, answer)).toBe(expected);
  });

  test('tolerance is absolute or relative to the gold number, whichever is wider', async () => {
    expect(await reward(numeric({ tolerance: 0.5 }), '10.5', '10')).toBe(1);
    expect(await reward(numeric({ tolerance: 0.5 }), '10.6', '10')).toBe(0);
    expect(await reward(numeric({ relativeTolerance: 0.01 }), '1009', '1000')).toBe(1);
    expect(await reward(numeric({ relativeTolerance: 0.01 }), '1011', '1000')).toBe(0);
  });
});

describe('f1', () => {
  test.each([
    ['a', 'a', 1],
    ['a', 'the', 0],
    ['paris paris', 'paris', 2 / 3],
    ['the city of Paris', 'Paris', 0.5],
    ['', '', 0],
    ['!!', '!!', 1],
  ])('%j against %j: %d', async (completion, answer, expected) => {
    expect(await reward(f1, completion, answer)).toBeCloseTo(expected, 12);
  });
});

describe('contains', () => {
  const contains = (kind: 'contains_any' | 'contains_all', values: string[] | null): RewardSettings => ({ kind, name: 'words', weight: 1, values });

  test('an empty needle, or none, is refused when the reward is loaded', async () => {
    for (const settings of [contains('contains_all', []), contains('contains_any', ['x', '']), { kind: 'contains', name: 'words', weight: 1, value: '' } as const]) {
      await expect(close.open([settings])).rejects.toThrow(/^reward words: (There is nothing to search for|An empty text is contained in every completion)/);
    }
  });
  test('an empty gold answer earns nothing: it would be found everywhere', async () => {
    expect(await reward({ kind: 'contains', name: 'words', weight: 1, value: null }, 'anything', '')).toMatch(/empty `answer`/);
  });
  test('finds without regard to case', async () => {
    expect(await reward({ kind: 'contains', name: 'words', weight: 1, value: null }, 'It is PARIS.', 'Paris')).toBe(1);
    expect(await reward(contains('contains_any', ['x', 'is']), 'It is', null)).toBe(1);
    expect(await reward(contains('contains_all', ['x', 'is']), 'It is', null)).toBe(0);
    expect(await reward(contains('contains_all', ['it', 'is']), 'It is', null)).toBe(1);
  });
});

test('no gold answer is no verdict, never a 0 and never the text "None"', async () => {
  for (const settings of [exact, numeric(), f1, { kind: 'similarity', name: 'like', weight: 1 } as const]) {
    expect(await reward(settings, 'None', null)).toMatch(/the task has no `answer` to compare with/);
  }
});

describe('what user code gives', () => {
  test.each([
    [true, 1],
    [false, 0],
    [-2, -2],
    [{ score: true }, 1],
    [{ reward: 0.5 }, 0.5],
  ])('%j is %d', (given, value) => {
    expect(readVerdict(given)).toEqual({ ok: true, value });
  });
  test.each([[undefined], ['1'], [NaN], [-Infinity], [1e7], [{}], [{ points: 1 }], [{ score: '1' }], [[1]], [{ reward: 1, info: 'x' }], [{ reward: 1, subscores: [{ value: 1 }] }]])('%j is no reward', (given) => {
    expect(readVerdict(given)).toMatchObject({ ok: false, failure: { type: 'invalid_reward' } });
  });
  test('null is no verdict, alone or as the reward, and for a part', () => {
    expect(readVerdict(null)).toEqual({ ok: true, value: null });
    expect(readVerdict({ score: null, info: { why: 'unreadable' }, subscores: { form: null } })).toEqual({
      ...{ ok: true, value: null, info: { why: 'unreadable' } },
      children: [{ name: 'form', value: null, weight: 1 }],
    });
  });
  test('info and subscores are kept', () => {
    expect(readVerdict({ reward: 1, info: { why: 'short' }, subscores: { form: 1, content: 0.5 } })).toEqual({
      ok: true,
      value: 1,
      info: { why: 'short' },
      children: [
        { name: 'form', value: 1, weight: 1 },
        { name: 'content', value: 0.5, weight: 1 },
      ],
    });
  });
});

const ratios = JSON.parse(readFileSync(new URL('./fixtures/difflib-ratios.json', import.meta.url), 'utf8')) as [string, string, number][];
test.each(ratios)('similarity of %j and %j is as in Python', (a, b, ratio) => {
  expect(similarity(a, b)).toBeCloseTo(ratio, 14);
});
