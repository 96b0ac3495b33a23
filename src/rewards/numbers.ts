import { plainCharacters } from './plain-characters.ts';

/** Digits with thousands separated by commas or narrow spaces, a decimal point, an exponent. */
const LITERAL = String.raw`(?:(?:\d{1,3}(?:[,\u00a0\u202f]\d{3})+(?!\d)|\d+)(?:\.\d+)?|\.\d+)(?:e[-+]?\d+(?!\d))?`;
const EVERY_NUMBER = new RegExp(LITERAL, 'giu');
const ONE_NUMBER = new RegExp(`^[-+]?${LITERAL}$`, 'iu');

/** A number as it was written: value = (−1)^negative · 0.digits · 10^exponent, exactly; doubles stop telling neighbours apart at 2⁵³. */
export interface WrittenNumber {
  value: number;
  negative: boolean;
  digits: string;
  exponent: number;
}

/** How far around a number is looked for what it may be a part of: completions are long, and hostile ones make slow work for patterns. */
const CONTEXT = 120;

/** The number that a gold answer is, or null when it is not a number and nothing else. What follows `####`, as in GSM8K, is the answer. */
export function goldNumber(answer: string): WrittenNumber | null {
  const text = plainCharacters(answer.split('####').at(-1)!).trim();
  return ONE_NUMBER.test(text) ? readNumber(text) : null;
}

/**
 * The number that a text ends with (`2+2 = 4` says 4), or null: also when the last digits are no number by themselves but part of something
 * else, such as 3/4, 2^10, 12:30, v1.2, 5-7, 1,23, 10%, x1 or 5 million.
 */
export function lastNumber(text: string): WrittenNumber | null {
  // Tags are no inequalities.
  const plain = plainCharacters(text).replace(/<\/?[a-z][^<>]*>/gi, ' ');
  const last = [...plain.matchAll(EVERY_NUMBER)].at(-1);
  if (!last) return null;
  const end = last.index + last[0].length;
  const [before, after] = [plain.slice(Math.max(0, last.index - CONTEXT), last.index), plain.slice(end, end + CONTEXT)];
  const sign = signOf(before);
  if (sign === null || IS_PART.before.some((part) => part.test(sign.before)) || IS_PART.after.some((part) => part.test(after))) return null;
  if (/^\d{3}(?!\d)/.test(last[0]) && /(?:^|[^\d.,])\d{1,3}(?: \d{3})* $/.test(sign.before)) return null;
  return readNumber(`${sign.sign}${last[0]}`);
}

/** What makes the last digits of a text a part of something that is not their number. Latin, Greek and Cyrillic letters; others do without spaces. */
const IS_PART = {
  before: [
    // A name, a hexadecimal number, a subscript, a version: x1, H2, 0x10, v.2, a_3.
    /[\p{Lu}\p{Ll}\p{Lt}\p{No}_]\.?$/u,
    // A time, a version, a decimal comma, other groups of digits, feet and inches: 12:30, 1.2.3, 1,23, 1'000, 5..7.
    /\d[.,:'_\u00a0\u202f]*$/,
    // A power, a root, a bound, an index; arrows are none of these.
    /[\^√±~_]\{?[^\S\n]*$|[≤≥≠]=?[^\S\n]*$|(?:^|[^-=<>])[<>]=?[^\S\n]*$|!=[^\S\n]*$/,
    // A product or a quotient, set close or wide.
    /[\p{L}\p{N})\]}][*×÷·⋅/\\]+$/u,
    /[\p{L}\p{N})\]}!][^\S\n]+[*×÷·⋅/]+[^\S\n]+$/u,
    /\d[^\S\n]+x[^\S\n]+$/i,
    // The same in words and in LaTeX.
    /\b(?:minus|negative|plus|times|mod|divided by|root of|(?:less|fewer|more|greater|higher|lower) than|at (?:least|most)|not)[^\S\n]+$/i,
    /\\(?:times|cdot|div|pm|mp|leq?|geq?|lt|gt|neq?|approx|sim|bmod|mid)[^\S\n]*$/,
    // An argument or a factor: f(5), 2(5), \frac{3}{4}, \sqrt{2}; a box or plain type around the answer is no function.
    /[\p{Lu}\p{Ll}\d]\($/u,
    /\}\{$|\\(?!(?:boxed|fbox|text|textbf|mathbf|mathrm|mathit)\{)[a-z]+(?:\[[^\]]*\])?\{$/i,
    // A member of a tuple, or of a list that is all there is.
    /[([{][-+\d\s.,;]*[,;]\s*$/,
    /^\s*(?:[-+$]?\d[\d.]*(?:\s*(?:[,;&]|\.{2,3}|…)\s*|\s+(?:and|or|to)\s+))+$/i,
  ],
  after: [
    // A name, a unit that may as well be a factor, a power: 5k, 3x, 2π, 1st, 10⁶, 3½.
    /^[\p{Lu}\p{Ll}\p{Lt}\p{M}\p{No}_]/u,
    // Other groups of digits are told by what stands before the last of them; a bound, a factorial, a power that is no degree.
    /^[!√(]|^\+|^\^(?!\{?\\circ)/,
    /^[^\S\n]*\\?[%‰]/,
    /^[^\S\n]*-?(?:per ?cent|hundred|thousand|million|billion|trillion|dozen|k|mn|bn)\b/i,
    /^[^\S\n]*(?:(?:squared|cubed|factorial|times|plus|minus|mod|divided by)\b|\\(?:times|cdot|div|pm|pi|sqrt|d?frac|infty)(?![a-z]))/i,
    // A term of something: 5-x, 5*x, 5/day, 5 + x, 5 - x.
    /^[-*×÷·⋅/]+[\p{L}\p{N}(]/u,
    /^[^\S\n]+[+*×÷·⋅/][^\S\n]+[\p{L}(]/u,
    /^[^\S\n]+-[^\S\n]+(?:\p{L}(?!\p{L})|\()/u,
  ],
} as const;

/**
 * The sign of the number that follows, and what stands before that: null where it joins the number to something, as in 10-4, x-5, x + 5. A sign
 * touches its number; behind `=` or an open bracket it may stand alone. Between words it is a dash.
 */
function signOf(before: string): { sign: '' | '-' | '+'; before: string } | null {
  const found = /([-+]+)([^\S\n]*)[$€£¥₹]?$/.exec(before);
  if (!found) return { sign: '', before: before.replace(/[$€£¥₹]$/, '') };
  const [, signs, gap] = found as unknown as [string, '-' | '+', string];
  const rest = before.slice(0, found.index);
  if (signs.length > 1 || /[\p{L}\p{N})\]}%!]$/u.test(rest)) return null;
  if (gap === '' || /[=([{][^\S\n]*$/.test(rest)) return { sign: signs, before: rest };
  const isDash = /\p{L}{2}[^\S\n]+$|[.:,;][^\S\n]+$/u.test(rest);
  return isDash && signs === '-' ? { sign: '', before: rest } : null;
}

function readNumber(written: string): WrittenNumber | null {
  const [, sign, whole, fraction = '', power = '0'] = /^([-+]?)(\d*)(?:\.(\d+))?(?:e([-+]?\d+))?$/i.exec(written.replace(/[,\u00a0\u202f]/g, ''))!;
  const value = Number(`${sign}${whole}.${fraction}0e${power}`);
  // What overflows is no number.
  if (!Number.isFinite(value)) return null;
  const all = `${whole}${fraction}`;
  const digits = all.replace(/^0+/, '');
  const exponent = whole!.length + Number(power) - (all.length - digits.length);
  return { value, negative: sign === '-' && digits !== '', digits: digits.replace(/0+$/, ''), exponent: digits === '' ? 0 : exponent };
}

/** |a − gold| ≤ max(tolerance, relativeTolerance · |gold|), beyond what doubles round away; exactly equal when both are 0. */
export function isClose(given: WrittenNumber, gold: WrittenNumber, limits: { tolerance: number; relativeTolerance: number }): boolean {
  if (given.negative === gold.negative && given.digits === gold.digits && given.exponent === gold.exponent) return true;
  const limit = Math.max(limits.tolerance, limits.relativeTolerance * Math.abs(gold.value));
  if (limit === 0) return false;
  const [a, b] = [wholeOf(given), wholeOf(gold)];
  if (a !== null && b !== null) return Math.abs(Number(a - b)) <= limit;
  return Math.abs(given.value - gold.value) <= limit + 2 * Number.EPSILON * Math.max(Math.abs(given.value), Math.abs(gold.value));
}

/** Exactly, when it is a whole number of bearable length. */
const wholeOf = ({ negative, digits, exponent }: WrittenNumber): bigint | null =>
  exponent < digits.length || exponent > 1000 ? null : BigInt(`${negative ? '-' : ''}${digits.padEnd(exponent, '0') || '0'}`);
