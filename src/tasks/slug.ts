/**
 * HUD's default slug: the template's id, and for arguments a dash and the first 8 hex digits of the SHA-1 of what Python's
 * `json.dumps(args, sort_keys=True)` prints. The same task has the same slug in HUD and here.
 */
import { hash } from 'node:crypto';

/** A number as it stood in its file: Python tells 1.0 from 1, which JavaScript numbers cannot. */
export class NumberLiteral {
  readonly source: string;
  constructor(source: string) {
    this.source = source;
  }
}

export function slugOf(id: string, args: Readonly<Record<string, unknown>>): string {
  if (Object.keys(args).length === 0) return id;
  return `${id}-${hash('sha1', pythonJson(args), 'hex').slice(0, 8)}`;
}

/** JSON as Python prints it with `sort_keys=True`: `", "` and `": "`, escaped non-ASCII, keys by code point. */
export function pythonJson(value: unknown): string {
  if (value instanceof NumberLiteral) return pythonNumber(value.source);
  if (typeof value === 'number') return pythonNumber(String(value));
  if (typeof value === 'string') return pythonString(value);
  if (Array.isArray(value)) return `[${value.map(pythonJson).join(', ')}]`;
  if (value !== null && typeof value === 'object') {
    const entries = Object.entries(value).filter(([, member]) => member !== undefined);
    entries.sort(([a], [b]) => compareCodePoints(a, b));
    return `{${entries.map(([key, member]) => `${pythonString(key)}: ${pythonJson(member)}`).join(', ')}}`;
  }
  return JSON.stringify(value);
}

const pythonString = (text: string): string =>
  JSON.stringify(text).replace(/[^ -~]/g, (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`);

const SURROGATE = /[\ud800-\udfff]/;

/** Python orders text by code point, JavaScript by UTF-16 unit; they differ above the basic plane. */
function compareCodePoints(a: string, b: string): number {
  if (!SURROGATE.test(a) && !SURROGATE.test(b)) return a < b ? -1 : a > b ? 1 : 0;
  const [left, right] = [[...a], [...b]];
  for (let i = 0; i < Math.min(left.length, right.length); i++) {
    const difference = left[i]!.codePointAt(0)! - right[i]!.codePointAt(0)!;
    if (difference !== 0) return difference;
  }
  return left.length - right.length;
}

/** Both languages print the shortest digits that read back; they differ in when the exponent appears and how it looks. */
function pythonNumber(source: string): string {
  if (/^-?\d+$/.test(source)) return BigInt(source).toString();
  const value = Number(source);
  if (value === 0) return Object.is(value, -0) ? '-0.0' : '0.0';
  const [, sign, first, rest = '', exponentText] = /^(-?)(\d)(?:\.(\d+))?e([+-]\d+)$/.exec(value.toExponential())!;
  const exponent = Number(exponentText);
  const digits = `${first}${rest}`;
  if (exponent < -4 || exponent >= 16) {
    const mantissa = rest === '' ? first : `${first}.${rest}`;
    return `${sign}${mantissa}e${exponent < 0 ? '-' : '+'}${String(Math.abs(exponent)).padStart(2, '0')}`;
  }
  if (exponent < 0) return `${sign}0.${'0'.repeat(-exponent - 1)}${digits}`;
  const whole = digits.slice(0, exponent + 1).padEnd(exponent + 1, '0');
  return `${sign}${whole}.${digits.slice(exponent + 1) || '0'}`;
}
