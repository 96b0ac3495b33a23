import { plainCharacters } from './plain-characters.ts';

/** A number with its sign, where that touches no word; a word; or any other sign by itself. */
const TOKEN = /(?<![\p{L}\p{N}.)\]])[-+]?(?:\d{1,3}(?:,\d{3})+(?![\d,])|\d+|(?=\.\d))(?:\.\d+)*(?![\p{L}\p{N}])|[\p{L}\p{N}\p{M}]+(?:['_.][\p{L}\p{N}\p{M}]+)*|\S/gu;

/** Marks of a sentence, after a word or a closed bracket and before a space; `n!`, `5!` and `10%` keep theirs. */
const SENTENCE_MARKS = /(?<=[\p{L}\p{N}]{2}|[)\]}"'])[.,;:?](?=\s|$)|(?<=\p{L}{2})!(?=\s|$)|(?<=[\p{L}\p{N}])[.,;:](?=\s|$)/gu;

const ARTICLES = new Set(['an', 'the']);

/**
 * The words, numbers and signs of a text in lower case, without quotes, the marks of sentences and articles (unless nothing else is there; `a` is
 * a name as often). Signs count, so that `x > 3` is not all of `x < 3`.
 */
export function wordsOf(text: string): string[] {
  const words = (plainCharacters(text).toLowerCase().replace(SENTENCE_MARKS, ' ').replaceAll('"', ' ').match(TOKEN) ?? []).map(canonical);
  const kept = words.filter((word) => !ARTICLES.has(word));
  return kept.length > 0 ? kept : words;
}

/** `+1,000` is 1000, `.5` is 0.5. */
const canonical = (word: string): string => (/^[-+]?\.?\d/.test(word) ? word.replaceAll(',', '').replace(/^\+/, '').replace(/^(-?)\./, '$10.') : word);

/**
 * F1 of the two bags of words: 2·P·R/(P + R) with P the share of the completion's words that the answer has, R the share of the
 * answer's words that were given (SQuAD's measure, Rajpurkar et al. 2016, with signs as words). 0 when either has none.
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
