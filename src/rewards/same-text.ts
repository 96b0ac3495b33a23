import { plainCharacters } from './plain-characters.ts';

/** What operators stand between. */
const OPERAND = String.raw`[\p{L}\p{N}\p{M})\]}]`;
const NEXT = String.raw`[\p{L}\p{N}.(\[{√$]`;
const OPERATOR = new RegExp(`(?<=${OPERAND}) ?(->|[!<>=]=|[*/=<>^×÷·≤≥≠≈→&|]+) ?(?=-?${NEXT})`, 'gu');
/** With a space on one side alone it is a sign: `12 -5` is two numbers, `12 - 5` is a difference. */
const PLUS_OR_MINUS = new RegExp(`(?<=${OPERAND}) ([+-]) (?=${NEXT})`, 'gu');

/**
 * What two texts are compared by. Left out is only how an answer is set down: case, the width of spaces, those around operators between two
 * operands, after commas, inside brackets and before %, one full stop at the end, a leading "the", the separators of thousands, the zero before a
 * decimal point, the plus of a number that is alone. Everything else counts: signs, operators, brackets, quotes, marks, every word and every digit.
 */
export function comparable(text: string): string {
  const plain = plainCharacters(text).replace(/\s+/g, ' ').replace(/(?<=[([{]) | (?=[)\]}])/g, '').trim().toLowerCase();
  return withPlainNumbers(plain)
    .replace(/(?<=[\p{L}\p{N}\p{M})\]}"'%])[.。]$/u, '')
    .replace(/^the (?=\p{L})(?!the\b)/u, '')
    .replace(OPERATOR, '$1')
    .replace(PLUS_OR_MINUS, '$1')
    .replace(/ ?([,;]) /g, '$1')
    .replace(/(?<=\d) (?=%)/g, '')
    .replace(/^\+(?=\d[\d.]*$)/, '');
}

/** `1,000` is 1000, unless it may be two members of a list, as in `(1,000)`; `.5` is 0.5. */
const withPlainNumbers = (text: string): string =>
  text
    .replace(/(?<![\p{L}\p{N}.,([{])\d{1,3}(?:,\d{3})+(?![\p{L}\p{N},)\]}])/gu, (number) => number.replaceAll(',', ''))
    .replace(/(?<![\p{L}\p{N}.)\]}])\.(?=\d)/gu, '0.');

/** Equal after trimming, or in what counts. Empty texts are never equal: there is nothing to praise. */
export function sameText(completion: string, answer: string): boolean {
  const [given, gold] = [completion.trim(), answer.trim()];
  if (given === '' || gold === '') return false;
  return given === gold || comparable(given) === comparable(gold);
}
