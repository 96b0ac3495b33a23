/** What a value that comes from a file has to look like: a table of its keys, which does not compile while one is missing. */

const kinds = {
  'a text': (value: unknown) => typeof value === 'string',
  'a date': (value: unknown) => typeof value === 'string' && Number.isFinite(Date.parse(value)),
  'a number': Number.isFinite,
  'a whole number': (value: unknown) => Number.isSafeInteger(value) && (value as number) >= 0,
  'true or false': (value: unknown) => typeof value === 'boolean',
  'a list': Array.isArray,
  'an object': (value: unknown) => isObject(value),
} satisfies Record<string, (value: unknown) => boolean>;

/** In the words of the message. With `?` the key may be missing: older versions did not write it. */
export type Expected = `${keyof typeof kinds}${'' | ' or null'}${'' | '?'}`;

export type Shape<T> = { readonly [K in keyof T]-?: Expected | Shape<NonNullable<T[K]>> };

export const isObject = (value: unknown): value is Record<string, unknown> => typeof value === 'object' && value !== null && !Array.isArray(value);

/** The first thing that is not as it should be, in words; null if all is. Keys that the shape does not name are left alone. */
export function misfit<T>(value: unknown, shape: Shape<T>, path: readonly string[] = []): string | null {
  const told = path.length === 0 ? 'it' : `"${path.join('.')}"`;
  if (!isObject(value)) return `${told} is ${described(value)}, expected an object`;
  for (const [key, expected] of Object.entries(shape) as [string, Expected | Shape<object>][]) {
    const [found, at] = [Object.hasOwn(value, key) ? value[key] : undefined, [...path, key]];
    const wrong = typeof expected === 'string' ? mismatch(found, expected, at) : misfit(found, expected, at);
    if (wrong !== null) return wrong;
  }
  return null;
}

function mismatch(value: unknown, expected: Expected, path: readonly string[]): string | null {
  const [, kind, nullable, optional] = /^(.*?)( or null)?(\?)?$/.exec(expected)!;
  if (value === undefined && optional) return null;
  if ((value === null && nullable) || kinds[kind as keyof typeof kinds](value)) return null;
  return `"${path.join('.')}" is ${described(value)}, expected ${kind}${nullable ?? ''}`;
}

const LONGEST_SHOWN = 40;

function described(value: unknown): string {
  const text = value === undefined ? 'missing' : Array.isArray(value) ? 'a list' : isObject(value) ? 'an object' : JSON.stringify(value);
  return text.length > LONGEST_SHOWN ? `${text.slice(0, LONGEST_SHOWN)}…` : text;
}
