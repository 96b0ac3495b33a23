import { closest, distance } from 'fastest-levenshtein';

/** `Did you mean "digits"? ` if one of the known words is near, else nothing. */
export function didYouMean(given: string, known: readonly string[]): string {
  if (known.length === 0) return '';
  const nearest = closest(given.toLowerCase(), known as string[]);
  return distance(given.toLowerCase(), nearest.toLowerCase()) <= Math.max(given.length > 4 ? 2 : 1, Math.floor(given.length / 3)) ? `Did you mean "${nearest}"? ` : '';
}
