/** @file Added tokens that count as whole words only (`single_word`), which the library finds inside of words as well. */

export interface Splitter {
  /** The text in parts: added tokens, and what lies between them. */
  split(text: string): string[];
}

const WORD = '[\\p{Alphabetic}\\p{M}\\p{Nd}\\p{Pc}]';
const wordBefore = new RegExp(`${WORD}$`, 'u');
const wordBehind = new RegExp(`^${WORD}`, 'u');

/** Joins what was split off inside of a word to its neighbours again. */
export function splitAtWholeWords(splitter: Splitter, { tokens, wholeWords }: { tokens: ReadonlySet<string>; wholeWords: ReadonlySet<string> }): Splitter {
  return {
    split(text) {
      const parts: string[] = [];
      let afterText = false, at = 0;
      for (const part of splitter.split(text)) {
        const end = at + part.length;
        const isInside = wholeWords.has(part) && (wordBefore.test(text.slice(Math.max(0, at - 2), at)) || wordBehind.test(text.slice(end, end + 2)));
        const isText = isInside || !tokens.has(part);
        if (isText && afterText) parts.push(parts.pop()! + part);
        else parts.push(part);
        afterText = isText;
        at = end;
      }
      return parts;
    },
  };
}
