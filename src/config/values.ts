/** @file Values in messages: short, and as one would type them in YAML. */

/** Small learning rates read better as 3e-4 than as 0.0003. */
export function numberText(value: number): string {
  if (Number.isNaN(value)) return '.nan';
  if (!Number.isFinite(value)) return value > 0 ? '.inf' : '-.inf';
  return value !== 0 && Math.abs(value) < 1e-2 ? value.toExponential() : String(value);
}

/** What stands there, short enough for a sentence. */
export function describeValue(value: unknown): string {
  if (value === null) return 'empty';
  if (value === undefined) return 'missing';
  if (Array.isArray(value)) return value.length === 0 ? 'an empty list' : 'a list';
  if (typeof value === 'object') return 'a map';
  if (typeof value === 'string') return value === '' ? 'an empty text' : `the text ${inline(value)}`;
  return inline(value);
}

/** A value as one would type it in YAML, cut to the length of a glance. */
export function inline(value: unknown): string {
  const text = flow(value);
  return text.length > 60 ? `${text.slice(0, 59)}…` : text;
}

function flow(value: unknown): string {
  if (typeof value === 'string') return /^[\w./:@-][\w ./:@+-]*$/.test(value) && Number.isNaN(Number(value)) ? `"${value}"` : JSON.stringify(value);
  if (Array.isArray(value)) return `[${value.map(bare).join(', ')}]`;
  if (value !== null && typeof value === 'object') return `{ ${Object.entries(value).map(([k, v]) => `${k}: ${bare(v)}`).join(', ')} }`;
  return typeof value === 'number' ? numberText(value) : String(value);
}

/** Without quotes where YAML needs none. */
export function bare(value: unknown): string {
  return typeof value === 'string' && /^[A-Za-z./][\w./:@-]*$/.test(value) ? value : flow(value);
}

export function either(words: readonly string[]): string {
  return words.length <= 1 ? words.join('') : `${words.slice(0, -1).join(', ')} or ${words.at(-1)}`;
}
