/**
 * Numbers as people and models write them: `1,000`, `-3.5`, `.5`, `1e3`, `−7`. A sign counts only where no number, letter or
 * closing bracket ends just before it: in `10-4` there is no -4.
 */
const NUMBER = /(?:(?<![\p{L}\p{N}.)\]])[-+−])?(?:(?:\d{1,3}(?:[,\u00a0\u202f]\d{3})+(?!\d)|\d+)(?:\.\d*)?|\.\d+)(?:e[-+]?\d+(?![\p{L}\p{N}]))?/giu;

export interface WrittenNumber {
  value: number;
  /** The whole number exactly, when it is one: doubles stop telling neighbours apart at 2⁵³. */
  whole: bigint | null;
}

/** The last number of a text (`2+2 = 4` says 4), or null. What overflows is no number. */
export function lastNumber(text: string): WrittenNumber | null {
  let last: string | null = null;
  for (const [match] of text.matchAll(NUMBER)) last = match;
  if (last === null) return null;
  const plain = last.replace('−', '-').replace(/[,\u00a0\u202f]/g, '');
  const value = Number(plain);
  if (!Number.isFinite(value)) return null;
  return { value, whole: /^[-+]?\d{1,1000}$/.test(plain) ? BigInt(plain.replace(/^\+/, '')) : null };
}

/** |a − gold| ≤ max(tolerance, relativeTolerance · |gold|); whole numbers are compared exactly when both are 0. */
export function isClose(given: WrittenNumber, gold: WrittenNumber, limits: { tolerance: number; relativeTolerance: number }): boolean {
  if (given.whole !== null && gold.whole !== null && limits.tolerance === 0 && limits.relativeTolerance === 0) return given.whole === gold.whole;
  return Math.abs(given.value - gold.value) <= Math.max(limits.tolerance, limits.relativeTolerance * Math.abs(gold.value));
}
