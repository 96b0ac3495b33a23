/** What a row says and JavaScript cannot hold: it is refused, not rounded or replaced. */
import { NumberLiteral } from './slug.ts';

/** Where a text holds half of a surrogate pair: neither a file nor a tokenizer can hold that. */
export function halfPair(parts: Readonly<Record<string, unknown>>): string | null {
  const isWhole = (value: unknown): boolean =>
    typeof value === 'string' ? value.isWellFormed() : typeof value !== 'object' || value === null || Object.entries(value).every(([key, member]) => key.isWellFormed() && isWhole(member));
  return Object.keys(parts).find((key) => !isWhole(parts[key])) ?? null;
}

/** The place of a whole number that lost digits when it was read; of a number without its source, of one that may have. */
export function roundedNumber(value: unknown, place: string): string | null {
  if (value instanceof NumberLiteral) return /^-?\d+$/.test(value.source) && BigInt(value.source) !== BigInt(Number(value.source)) ? place : null;
  if (typeof value === 'number') return Number.isInteger(value) && !Number.isSafeInteger(value) ? place : null;
  if (typeof value !== 'object' || value === null) return null;
  for (const [key, member] of Object.entries(value)) {
    const rounded = roundedNumber(member, `${place}.${key}`);
    if (rounded !== null) return rounded;
  }
  return null;
}
