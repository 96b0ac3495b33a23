/** The token that stands before every text, and once. */
import type { Tokenizer } from '../policy/types.ts';

/** A text that a template has written begins with the token that the tokenizer puts before every text: no model has read it twice. */
export function begunOnce(ids: number[], tokenizer: Pick<Tokenizer, 'encode'>): number[] {
  const [first, second] = ids;
  const isDoubled = first !== undefined && first === second && tokenizer.encode('', { addSpecialTokens: true })[0] === first;
  return isDoubled ? ids.slice(1) : ids;
}
