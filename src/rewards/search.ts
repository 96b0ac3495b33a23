import { plainCharacters } from './plain-characters.ts';

/** What makes the digits that follow, or stand before, a part of another number: 4 in 42, 0.4, 1,4 or -4. */
const GOES_ON = { before: /\d[.,]?$|(?<![\p{L}\p{N})\]])[-.]$/u, after: /^[.,]?\d/ };

/** Does a text hold another one, in upper or lower case? A number only as a whole. */
export function holds(text: string, wanted: string): boolean {
  const [hay, needle] = [plainCharacters(text).toLowerCase(), plainCharacters(wanted).toLowerCase()];
  if (needle === '') return false;
  const [beginsInDigits, endsInDigits] = [/^\.?\d/.test(needle), /\d$/.test(needle)];
  for (let at = hay.indexOf(needle); at !== -1; at = hay.indexOf(needle, at + 1)) {
    const isPart = (beginsInDigits && GOES_ON.before.test(hay.slice(Math.max(0, at - 2), at))) || (endsInDigits && GOES_ON.after.test(hay.slice(at + needle.length)));
    if (!isPart) return true;
  }
  return false;
}
