/**
 * Text made comparable, without losing what numbers mean: lower case, punctuation to spaces, articles dropped, but the sign and
 * the decimal point of a number stay (`-5` is not `5`, `3.14` is not `3 14`), and `1,000` is the number 1000.
 */

/** A number (sign only where no word or number ends just before it), or a run of letters, digits and marks. */
const TOKEN = /(?<![\p{L}\p{N}.)])[-+−]?(?:\d{1,3}(?:,\d{3})+(?!\d)|\d+)(?:\.\d+)?(?![\p{L}\p{N}])|[\p{L}\p{N}\p{M}]+/gu;
const ARTICLES = new Set(['a', 'an', 'the']);

/** The words of a text; articles are dropped unless nothing else is there. */
export function wordsOf(text: string): string[] {
  const words = (text.normalize('NFC').toLowerCase().match(TOKEN) ?? []).map(canonical);
  const kept = words.filter((word) => !ARTICLES.has(word));
  return kept.length > 0 ? kept : words;
}

const canonical = (word: string): string =>
  /^[-+−]?\d/.test(word) ? word.replaceAll(',', '').replace('−', '-').replace(/^\+/, '') : word;

/** Equal after trimming, or in their words. Two texts without a single word are equal only as they stand; empty ones never. */
export function sameText(completion: string, answer: string): boolean {
  const [given, gold] = [completion.trim(), answer.trim()];
  if (given === '' || gold === '') return false;
  return given === gold || sameWords(wordsOf(given), wordsOf(gold));
}

const sameWords = (a: readonly string[], b: readonly string[]): boolean =>
  a.length > 0 && a.length === b.length && a.every((word, index) => word === b[index]);

/**
 * F1 of the two bags of words: 2·P·R/(P + R) with P the share of the completion's words that the answer has, R the share of the
 * answer's words that were given (SQuAD's measure, Rajpurkar et al. 2016). 0 when either has no words.
 */
export function f1(completion: string, answer: string): number {
  const [given, gold] = [wordsOf(completion), wordsOf(answer)];
  const left = new Map<string, number>();
  for (const word of gold) left.set(word, (left.get(word) ?? 0) + 1);
  let common = 0;
  for (const word of given) {
    const count = left.get(word) ?? 0;
    if (count > 0) {
      left.set(word, count - 1);
      common++;
    }
  }
  return common === 0 ? 0 : (2 * common) / (given.length + gold.length);
}
