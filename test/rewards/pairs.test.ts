/**
 * @file What each grader must and must not take for right: a completion, a gold answer (or what the grader is given instead), the reward.
 *
 * A row with several completions means each of them.
 */
import { afterAll, describe, expect, test } from 'vitest';
import type { RewardSettings } from '../../src/config/types.ts';
import type { Scorer } from '../../src/rewards/index.ts';
import { opened, request, rewardOf } from './requests.ts';

const close = opened();
afterAll(close.all);

/** The gold answer, completions that are right, completions that are wrong. */
type Rows = readonly (readonly [gold: string, right: readonly string[], wrong: readonly string[]])[];

const exactMatch: Rows = [
  // Signs and operators.
  ['3*7+25', ['3*7+25', '3 * 7 + 25', ' 3*7+25\n', '3*7 + 25.'], ['3*7-25', '3*725', '3+7*25', '3 7 25', '37+25', '3×7+25']],
  ['x+1', ['X + 1'], ['x-1', 'x1', 'x 1', 'x*1', 'x++1']],
  ['-x', ['−x', '–x'], ['x', '+x', '--x', 'x-']],
  ['-5', ['−5', '–5', '-5.'], ['5', '+5', '- 5', '-5-', '(5)']],
  ['5', ['+5', '5.', '５'], ['-5', '5!', '5?', '5%', '$5', '5°', '±5', '~5', '5k', '5²', '#5', '>5', '0.5', '.5', '5x', '5,']],
  ['x > 3', ['x>3', 'X > 3'], ['x < 3', 'x >= 3', 'x 3', 'x = 3', 'x>-3', 'x >> 3']],
  ['x <= 3', ['x<=3'], ['x < 3', 'x = 3', 'x >= 3', 'x ≤ 3']],
  ['a != b', ['a!=b', 'a != b'], ['a = b', 'a == b', 'a! = b', 'a b']],
  ['a == b', ['a==b'], ['a = b', 'a != b']],
  ['a && b', ['A && B'], ['a || b', 'a & b', 'a b']],
  ['!a', [], ['a', '! a', '!!a']],
  ['12-5', ['12 - 5', '12−5'], ['12 -5', '12+5', '125', '12 5']],
  ['12, -5', ['12,-5'], ['12-5', '12, 5', '12 -5']],
  ['(a+b)/c', ['(a + b) / c', '( a+b )/c'], ['(a-b)*c', 'a+b/c', '(a+b)c', '(a+b)*c', '(a+b)/(c)']],
  ['2^10', ['2 ^ 10'], ['210', '2*10', '2 10', '2**10']],
  ['x²', ['X²'], ['x2', 'x^2', 'x', 'x³']],
  ['√2', [], ['2', '√3', '-√2']],
  ['3 * -5', ['3*-5'], ['3*5', '3-5', '3 * 5']],
  // Numbers.
  ['.5', ['0.5', '.5', '.5.'], ['5', '-.5', '0.05', '.50', '1.5', '. 5']],
  ['-.5', ['-0.5', '−.5'], ['.5', '-5', '0.5']],
  ['3.14', ['3.14', '3.14.'], ['3 14', '314', '3,14', '3.1', '3.140', '31.4']],
  ['1 .5', [], ['1.5', '15']],
  ['1,000', ['1000', '1,000', '1,000.'], ['1 000', '1.000', '100', '1,00', '1, 000', '10,00']],
  ['1000000', ['1,000,000'], ['1,000,00', '1000,000', '100,0000', '1.000.000']],
  ['(1,234)', ['( 1,234 )', '(1, 234)'], ['(1234)', '1234', '1,234', '[1,234]']],
  ['3/4', ['3 / 4'], ['3 4', '34', '4/3', '3:4', '0.75', '3\\4', '3//4']],
  ['10%', ['10 %', '10%.'], ['10', '0.1', '%10', '10‰', '10%%']],
  ['1e3', ['1E3'], ['13', '1000', '1e-3', 'e3']],
  ['$5', ['$5.'], ['5', '€5', '5$', '$ 5 m']],
  ['007', [], ['7', '07']],
  ['1.2.3', [], ['1.23', '123', '1 2 3', '12.3']],
  ['12:30', [], ['12.30', '1230', '12 30', '12-30']],
  ['2024-05-06', ['2024–05–06'], ['20240506', '2024 05 06', '2024/05/06']],
  ['0x1F', ['0x1f'], ['0x1E', '1F', '31']],
  ['5!', [], ['5', '!5', '5 !', '5!!']],
  // Letters, marks and words.
  ['A, C', ['a,c', 'A, C.', 'A , C'], ['C', 'A', 'C, A', 'A C', 'AC', 'A; C', 'A, B, C']],
  ['A', ['a', 'A.'], ['the', 'an', 'A)', '(A)', 'A+', 'B', 'AA']],
  ['A B', [], ['B', 'AB', 'A  C', 'the B']],
  ['a or b', [], ['or b', 'a b', 'a and b']],
  ['Vitamin A', ['vitamin a'], ['Vitamin', 'Vitamin the', 'Vitamin B']],
  ['C++', ['c++'], ['C', 'C+', 'C#', '++C', 'C--']],
  ['C#', [], ['C', '#C', 'C♯']],
  ['.NET', ['.net'], ['net', '.net!', 'NET.']],
  ['@home', [], ['home', 'at home']],
  ['a_b', ['A_B'], ['a b', 'ab', 'a-b']],
  ['foo()', ['foo( )'], ['foo', 'foo(', 'foo[]', '(foo)']],
  ['[1, 2]', ['[1,2]', '[ 1, 2 ]'], ['(1, 2)', '1, 2', '[12]', '[2, 1]', '[1 2]', '{1, 2}']],
  ['{"a": 1}', [], ['a 1', '{"a": -1}', '{"a": 10}', "{'a': 1}"]],
  ['"5"', ['“5”'], ['5', "'5'", '""5""']],
  ["don't", ['don’t', "Don't"], ['dont', 'do not', 'don t']],
  ['New-York', ['new‑york'], ['New York', 'NewYork', 'New+York']],
  ['The Eiffel Tower', ['eiffel tower', 'The Eiffel Tower.', 'EIFFEL  TOWER', '​Eiffel Tower'], ['a Eiffel Tower', 'Eiffel Towers', 'Eiffel', 'The Tower', 'Tower Eiffel', 'Eiffel-Tower']],
  ['the', ['The'], ['a', 'the the', '']],
  ['étude', ['e\u0301tude', 'Étude'], ['etude', 'étudé']],
  ['Größe', ['größe'], ['GRÖSSE', 'Grosse', 'Große']],
  ['naïve café', ['Naïve  Café'], ['naive cafe']],
  ['東京', ['東京。', ' 東京'], ['京東', '東京都', '東']],
  ['ﬁ', [], ['fi']],
  ['½', [], ['1/2', '12', '1⁄2']],
  ['yes', ['Yes', 'YES.', 'yes\n'], ['no', 'yes!', 'yes no', 'yes?', 'not yes', 'ye s', '']],
  ['¬p', [], ['p', '!p']],
  ['p -> q', ['p->q'], ['p - q', 'p > q', 'q -> p', 'p <- q']],
  ['x < -3', ['x<-3'], ['x <- 3', 'x < 3', 'x > -3']],
  ['a | b', ['a|b'], ['a || b', 'a b']],
  ['p → q', ['p→q'], ['p q', 'p ← q', 'q → p']],
  ['😀', ['😀'], ['😁', '', '😀😀']],
  ['...', ['...'], ['', '.', '..']],
  ['line one\nline two', ['line one line two', 'Line one\r\nline two'], ['line two\nline one', 'line one']],
  ['to be, or not to be', ['To be,or not to be.'], ['to be or not to be', 'to be, or to be']],
];

const numericMatch: Rows = [
  ['4', ['4', '2+2 = 4', '4.', '4.0', '+4', '４', 'The answer is 4.', '**4**', '*4*', '\\boxed{4}', '$4$', '<answer>4</answer>', '4 km', '(4)', '[4]', '"4"', 'x=4', '=> 4', '-> 4', '→4', '答案是4个', '4e0', '0004', '1\n2\n4', 'answer: 4', '#4', '#### 4', '4 apples', '4,', '4;', 'is **4** apples', '10 - 6 = 4', '4 °C', '4°', '4 (four)', '90 / 3\n4', '<<2*2=4>>4', '€4', 'The answer - 4', '5-1=4', '\\(4\\)', '\\[ 4 \\]', '\\boxed{x=4}', 'x = 1, y = 4'],
    ['3/4', '3 / 4', '4/3', '2^4', '2^{4}', '2**4', '10-4', '10 - 4', '1-4', '5–4', 'x-4', 'x - 4', 'x + 4', '4 - x', '4x', '4 * x', '4k', '4%', '4 %', '4\\%', '4 percent', '4 million', '4-fold', '1:4', '12:04', '1.2.4', 'v4', 'x4', 'H4', '0x4', 'a_4', '4²', '4½', '√4', '±4', '~4', '≠ 4', 'x < 4', 'x > 4', 'x >= 4', 'x != 4', '4!', 'f(4)', 'sqrt(4)', '\\sqrt{4}', '\\frac{3}{4}', '(3, 4)', '[3, 4]', '{3,4}', '3, 4', '3; 4', '3 to 4', '3 or 4', '3 and 4', '1..4', '3 * 4', '3*4', '3 × 4', '3×4', '3 x 4', '1 004', '-4', '−4', '–4', '= - 4', '(- 4)', '-$4', '$-4', '$3/$4', '4+', '4^2', '4th', '2π4', '4π', '4,5', '3,4', "3'4", '4_000', '4.4', '.4', '44', '1.4', '4e1', 'four', '', '4 hundred', '4 dozen', '3 1/4', '\u0664', '∞', '4 + x', '4/day', '- 4', 'covid-4', '2(4)x', '4(x)', 'minus 4', 'negative 4', '3 times 4', '3 plus 4', 'the square root of 4', 'more than 4', 'not 4', '7 mod 4', '4 squared', '4 k', '3 \\times 4', '4\\pi', '\\pm 4', 'x \\neq 4', '4\u0336', '\\dfrac{1}{4}', '\\boxed{\\frac{3}{4}}']],
  ['-7', ['-7', '−7', '–7', '－7', 'x = -7', '(-7)', '= - 7', '7 - 14 = -7', '\\boxed{-7}', '-7.0', 'answer: −7', '-7 °C'], ['7', '+7', '3-7', '--7', '- 7', '0-7', 'x-7', '1/-7', '—7']],
  ['1234', ['1,234', '1234', '1\u00a0234', '1\u202f234', '1.234e3', '$1,234.00', '12.34e2', '1,234 dollars'], ['1 234', '1.234', '12,34', '1,23', '234', '1,2345', '1234,5', "1'234", '1_234', '1,234,5', '123,4']],
  ['1234567', ['1,234,567'], ['1,234567', '12,34,567', '1.234.567', '1 234 567']],
  ['0.5', ['.5', '0.5', '0.50', '5e-1', '.5.', '00.5', '0.5 m'], ['1/2', '½', '50%', '0,5', '5', '-.5', '0.05', '.5.5', '0.5.0']],
  ['-0.5', ['-.5', '−0.50'], ['.5', '0.5', '-5']],
  ['1000', ['1e3', '1E3', '1.0e+3', '1,000', '10e2', '1000.00'], ['1e4', '1.000', '10^3', '1×10^3', '10³', '1k', '1 thousand', '2e500']],
  ['0', ['0', '-0', '0.0', '0e5', '+0'], ['', '1e-999', 'zero', '0/1', '10', '1 000']],
  ['12345678901234567890', ['12345678901234567890', '12,345,678,901,234,567,890', '1.2345678901234567890e19'], ['12345678901234567891', '12345678901234567889', '1.2345678901234567e19', '12345678901234567890.5']],
  ['0.1', ['0.1', '1e-1', '0.10000'], ['0.1000000000000000055511151231257827', '0.11', '0.09999999999999999999']],
  ['#### 72', ['72', 'so 72'], ['71', '-72']],
  ['Natalia sold 48/2 = <<48/2=24>>24 clips.\n#### 1,072', ['1072', '#### 1,072'], ['24', '72']],
  ['2.50', ['2.5', '2.50', '$2.50'], ['250', '2,50', '25']],
  ['90', ['90°', '90^\\circ', '90 degrees'], ['90^2', '90²', '90′5']],
];

/** Gold answers that are no number by themselves: nothing can be compared with them, and `check` says so. */
const noNumbers = [
  ...['3/4', '3 / 4', '1 1/2', '½', '2^10', '10²', '(3, 4)', '[1, 2]', '3, 4', '1,23', '12,5', '1,00,000', '1 000', "1'000", '1_000', '1.000.000', '1.234,5', '2024-05-06', '5/6/2024', 'May 6, 2024', '12:30', '1.2.3', 'v2', '5 km', '5km'],
  ...['5-7', '5–7', '3 to 5', '10%', '$5', '5€', '±5', '~5', '>5', 'x=5', '0x1F', '0b11', '1F', '5!', '√2', 'π', '2π', 'Infinity', 'NaN', '∞', '1e', 'e5', '--5', '- 5', '5-', '5+', '4 or 5', 'four', '', '٤', '1e999', '#### 3/4', '72 ####', 'the answer is 5', '5 million', '2x', '.', '-', '1..2'],
];

const f1: readonly (readonly [completion: string, gold: string, score: number])[] = [
  ['Paris', 'paris', 1],
  ['Paris.', 'Paris', 1],
  ['Paris, France', 'Paris France', 1],
  ['the Paris', 'Paris', 1],
  ['A, C', 'C', 2 / 3],
  ['C', 'A, C', 2 / 3],
  ['x > 3', 'x < 3', 2 / 3],
  ['3*7+25', '3*7-25', 8 / 10],
  ['-5', '5', 0],
  ['−5', '-5', 1],
  ['.5', '0.5', 1],
  ['.5', '5', 0],
  ['3.14', '3 14', 0],
  ['1,000', '1000', 1],
  ['10%', '10', 2 / 3],
  ['5!', '5', 2 / 3],
  ['n!', 'n', 2 / 3],
  ['C++', 'C', 0.5],
  ['really?', 'really', 1],
  ['yes!', 'yes', 1],
  ['don’t', "don't", 1],
  ['a b c', 'c b a', 1],
  ['a a b', 'a b b', 2 / 3],
  ['', 'a', 0],
  ['a', '', 0],
  ['London', 'Paris', 0],
  ['“Paris”', 'Paris', 1],
  ['-x', 'x', 2 / 3],
  ['(a+b)/c', '(a-b)*c', 10 / 14],
  ['３', '3', 1],
];

const contains: Rows = [
  ['4', ['4', 'is 4.', '(4)', 'x=4', '10, 4', 'a4b', 'v4', '4%', '3 4', 'four: 4!', '2-4'], ['42', '14', '0.4', '1.4', '4.2', '4,000', '1,4', '-4', '(-4)', '−4', '.4', '', 'four']],
  ['-4', ['-4', 'x = −4'], ['4', '-42', '-4.5', '- 4']],
  ['0.5', ['0.5', 'p=0.5.'], ['10.5', '0.55', '0,5', '.5']],
  ['1000', ['1000', '1000 km'], ['10000', '21000', '1000.5', '1,000']],
  ['Paris', ['PARIS', 'in paris, France', 'Parisian'], ['Pari', 'P aris', '']],
  ['étude', ['une e\u0301tude'], ['etude']],
  ['C++', ['c++ code'], ['C', 'C+ +']],
  ['1a', ['x 1a'], ['21a', '0.1a']],
];

const regex: readonly (readonly [pattern: string, more: { flags?: string; full?: boolean }, right: readonly string[], wrong: readonly string[]])[] = [
  ['^-?\\d+$', {}, ['5', '-5'], ['5.0', ' 5', '5\n', 'x5', '']],
  ['\\d', {}, ['a1', '1'], ['a', '']],
  ['\\d+', { full: true }, ['5', ' 5\n', '123'], ['5a', '-5', '5 6', '']],
  ['a|b', { full: true }, ['a', 'b'], ['ab', 'a|b', 'c', 'ac', 'bc']],
  ['^a$', { full: true, flags: 'm' }, ['a'], ['a\nb', 'b\na', 'a\na']],
  ['a', { flags: 'i' }, ['A', 'bA'], ['b']],
  ['a.c', { flags: 's' }, ['a\nc'], ['ac']],
  ['a.c', {}, ['abc'], ['a\nc']],
  ['^\\p{L}+$', { flags: 'u' }, ['é', '東京'], ['1', 'a1']],
  ['(?=x)y|z', { full: true }, ['z'], ['y', 'xz', 'zz']],
];

const jsonSchema: readonly (readonly [schema: Record<string, unknown> | boolean, right: readonly string[], wrong: readonly string[]])[] = [
  [true, ['{}', '1', ' null ', '"x"', '```json\n{}\n```', '```\n[1]\n```'], ['', '{', '{} {}', "{'a': 1}", 'NaN', 'undefined', '{"a":1,}', '{} // fine', 'The answer: {}', '```json\n{}\n``` done', '01', '+1', '.5']],
  [{ type: 'object', required: ['answer'] }, ['{"answer": 1}', '{"answer": null, "b": 2}'], ['{}', '[]', '{"Answer": 1}', '"answer"', 'null', '[{"answer":1}]']],
  [{ type: 'integer', minimum: 0 }, ['0', '5', '5.0', '1e2'], ['-1', '5.5', '"5"', 'true', 'null', '[5]']],
  [{ const: 'yes' }, ['"yes"'], ['yes', '"Yes"', '"yes "', '["yes"]']],
  [{ type: 'object', properties: { a: { type: 'number' } }, additionalProperties: false }, ['{"a": 1.5}', '{}'], ['{"a": "1.5"}', '{"a": 1, "b": 2}', '{"a": null}']],
  [{ enum: [1, '1'] }, ['1', '"1"', '1.0'], ['2', '"2"', 'true', '[1]']],
  [{ type: 'array', items: { type: 'string' }, minItems: 1, uniqueItems: true }, ['["a"]'], ['[]', '["a","a"]', '[1]', '{"0":"a"}']],
];

const length: readonly (readonly [bounds: { min: number; max: number }, completion: string, score: number])[] = [
  [{ min: 0, max: 4 }, '', 1],
  [{ min: 0, max: 4 }, 'abcd', 1],
  [{ min: 0, max: 4 }, 'abcde', 0.8],
  [{ min: 0, max: 0 }, '', 1],
  [{ min: 0, max: 0 }, 'a', 0],
  [{ min: 2, max: 4 }, 'a', 0.5],
  [{ min: 2, max: 4 }, '', 0],
  [{ min: 1, max: 1 }, '😀', 1],
  [{ min: 1, max: 2 }, '東京', 1],
  [{ min: 2, max: 2 }, 'e\u0301', 1],
];

const similarity: readonly (readonly [completion: string, gold: string, score: number])[] = [
  ['abc', 'abc', 1],
  ['e\u0301', 'é', 1],
  ['abc', 'ABC', 0],
  ['abcd', 'abxd', 0.75],
  ['', '', 0],
  ['', 'a', 0],
  ['-5', '5', 2 / 3],
  ['😀', '😀', 1],
];

/** Texts that make slow work for careless patterns. */
const hostile = ['1,'.repeat(50_000), '('.repeat(50_000), '1 '.repeat(50_000), '<a '.repeat(50_000), '\\a'.repeat(50_000), ' '.repeat(100_000), '*'.repeat(100_000), `a${'*'.repeat(100_000)}`, '1,111'.repeat(20_000), "a'".repeat(50_000), '-'.repeat(100_000), '.1'.repeat(50_000)];

const grade = async (scorer: Promise<Scorer>, completion: string, gold: string | null): Promise<number | string | null> => rewardOf(await (await scorer).score(request(completion, gold)));

function eachRow(rows: Rows, settings: RewardSettings): void {
  const scorer = close.open([settings]);
  test.each(rows.flatMap(([gold, right, wrong]) => [...right.map((given) => [given, gold, 1] as const), ...wrong.map((given) => [given, gold, 0] as const)]))('%j against %j: %d', async (given, gold, expected) => {
    expect(await grade(scorer, given, gold)).toBe(expected);
  });
  test.each(rows.map(([gold]) => gold))('%j is worth all by itself', async (gold) => {
    expect(await grade(scorer, gold, gold)).toBe(1);
  });
}

describe('exact_match', () => eachRow(exactMatch, { kind: 'exact_match', name: 'part', weight: 1 }));
describe('numeric_match', () => {
  const settings = { kind: 'numeric_match', name: 'part', weight: 1, tolerance: 0, relativeTolerance: 0 } as const;
  eachRow(numericMatch, settings);
  test.each(noNumbers)('%j is no number to compare with', async (gold) => {
    expect(await grade(close.open([settings]), '5', gold)).toMatch(/is not a number and nothing else; write the number alone, or compare with exact_match/);
  });
  test.each([
    ['1.1', '1', { tolerance: 0.1 }, 1],
    ['0.9', '1', { tolerance: 0.1 }, 1],
    ['1.11', '1', { tolerance: 0.1 }, 0],
    ['12345678901234567891', '12345678901234567890', { tolerance: 0.5 }, 0],
    ['12345678901234567891', '12345678901234567890', { tolerance: 1 }, 1],
    ['110', '100', { relativeTolerance: 0.1 }, 1],
    ['111', '100', { relativeTolerance: 0.1 }, 0],
    ['-90', '-100', { relativeTolerance: 0.1 }, 1],
    ['90', '-100', { relativeTolerance: 0.1 }, 0],
    ['0.1', '0', { relativeTolerance: 1 }, 0],
    ['3/4', '4', { tolerance: 5 }, 0],
  ])('%j against %j within %j: %d', async (given, gold, more, expected) => {
    expect(await grade(close.open([{ ...settings, ...more }]), given, gold)).toBe(expected);
  });
});
describe('f1', () => {
  const scorer = close.open([{ kind: 'f1', name: 'part', weight: 1 }]);
  test.each(f1)('%j against %j: %d', async (given, gold, expected) => expect(await grade(scorer, given, gold)).toBeCloseTo(expected, 12));
});
describe('contains', () => eachRow(contains, { kind: 'contains', name: 'part', weight: 1, value: null }));
describe.each(regex)('regex %j %j', (pattern, more, right, wrong) => {
  const settings: RewardSettings = { kind: 'regex', name: 'part', weight: 1, pattern, flags: '', full: false, ...more };
  const scorer = close.open([settings]);
  test.each([...right.map((given) => [given, 1] as const), ...wrong.map((given) => [given, 0] as const)])('%j: %d', async (given, expected) => expect(await grade(scorer, given, null)).toBe(expected));
});
describe.each(jsonSchema)('json_schema %j', (schema, right, wrong) => {
  const scorer = close.open([{ kind: 'json_schema', name: 'part', weight: 1, schema }]);
  test.each([...right.map((given) => [given, 1] as const), ...wrong.map((given) => [given, 0] as const)])('%j: %d', async (given, expected) => expect(await grade(scorer, given, null)).toBe(expected));
});
describe('length', () => {
  test.each(length)('%j of %j: %d', async (bounds, given, expected) => expect(await grade(close.open([{ kind: 'length', name: 'part', weight: 1, unit: 'characters', ...bounds }]), given, null)).toBe(expected));
});
describe('similarity', () => {
  const scorer = close.open([{ kind: 'similarity', name: 'part', weight: 1 }]);
  test.each(similarity)('%j against %j: %d', async (given, gold, expected) => expect(await grade(scorer, given, gold)).toBeCloseTo(expected, 12));
});
describe('texts of 100,000 signs are judged at once', () => {
  test.each(hostile.map((text) => [text.slice(0, 6), text] as const))('%j, again and again', async (_, text) => {
    for (const kind of ['exact_match', 'numeric_match', 'f1'] as const) {
      const scorer = close.open([{ kind, name: 'part', weight: 1, tolerance: 0, relativeTolerance: 0 } as RewardSettings]);
      for (const given of [`${text}5`, text, `5${text}`]) expect(await grade(scorer, given, '7')).toBeLessThan(0.1);
    }
  }, 5000);
});
