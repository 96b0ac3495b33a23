import type { Subscore } from '../events.ts';
import { type Failure, failure, type Outcome } from './types.ts';

/** Larger rewards than this are mistakes: squared and summed they would leave float32. */
export const MAX_REWARD = 1e6;
/** What a grader may tell about its number, as JSON text. */
export const MAX_INFO_CHARACTERS = 16_384;
export const MAX_SUBSCORES = 100;

/** What one grader says of one completion: a number, null if it abstains, or why there is neither. */
export type Verdict = { ok: true; value: number | null; info?: Record<string, unknown>; children?: Subscore[] } | { ok: false; failure: Failure };

export const invalid = (message: string): { ok: false; failure: Failure } => failure('invalid_reward', message);

const isRecord = (value: unknown): value is Record<string, unknown> => typeof value === 'object' && value !== null && !Array.isArray(value);

/**
 * Reads what user code gave as a reward: a finite number, true or false (1 or 0), null for no verdict, or an object with such a `reward`
 * or `score` and optionally `info` and `subscores`. Anything else is no reward, and never silently 0; undefined is a forgotten `return`.
 */
export function readVerdict(given: unknown): Verdict {
  if (isRecord(given)) {
    const key = 'reward' in given ? 'reward' : 'score';
    if (!(key in given)) return invalid(`gave an object without \`reward\` or \`score\`; its keys are ${Object.keys(given).slice(0, 8).join(', ') || 'none'}`);
    const value = readValue(given[key], ` as \`${key}\``);
    return value.ok ? withDetails(value.value, given) : value;
  }
  return readValue(given, '');
}

function readValue(given: unknown, where: string): Outcome<number | null> {
  return given === null ? { ok: true, value: null } : readNumber(given, where);
}

function readNumber(given: unknown, where: string): Outcome<number> {
  if (typeof given === 'boolean') return { ok: true, value: Number(given) };
  if (typeof given !== 'number') return invalid(`gave ${describe(given)}${where}; a reward is a number, true or false, or null for no verdict`);
  if (!Number.isFinite(given)) return invalid(`gave ${given}${where}; a reward must be finite`);
  if (Math.abs(given) > MAX_REWARD) return invalid(`gave ${given}${where}; a reward must lie between -${MAX_REWARD} and ${MAX_REWARD}`);
  return { ok: true, value: given };
}

function withDetails(value: number | null, given: Record<string, unknown>): Verdict {
  const info = readInfo(given['info'] ?? undefined);
  if (!info.ok) return info;
  const children = readSubscores(given['subscores'] ?? undefined);
  if (!children.ok) return children;
  return { ok: true, value, ...(info.value ? { info: info.value } : {}), ...(children.value ? { children: children.value } : {}) };
}

/** Plain JSON of bounded size: info is kept in the files of a job, and shown. */
function readInfo(given: unknown): Outcome<Record<string, unknown> | null> {
  if (given === undefined) return { ok: true, value: null };
  if (!isRecord(given)) return invalid(`gave ${describe(given)} as \`info\`; it must be an object`);
  const text = JSON.stringify(given);
  if (text.length > MAX_INFO_CHARACTERS) return invalid(`gave an \`info\` of ${text.length} characters; the limit is ${MAX_INFO_CHARACTERS}`);
  return { ok: true, value: JSON.parse(text) as Record<string, unknown> };
}

/** `[{ name, value, weight? }]`, or an object of name → value. */
function readSubscores(given: unknown): Outcome<Subscore[] | null> {
  if (given === undefined) return { ok: true, value: null };
  const list = isRecord(given) ? Object.entries(given).map(([name, value]) => ({ name, value })) : given;
  if (!Array.isArray(list) || list.length > MAX_SUBSCORES) return invalid(`gave ${describe(given)} as \`subscores\`; expected up to ${MAX_SUBSCORES} of { name, value }`);
  const subscores: Subscore[] = [];
  for (const entry of list as unknown[]) {
    if (!isRecord(entry) || typeof entry['name'] !== 'string') return invalid('gave a subscore without a name; expected { name, value }');
    const value = readValue(entry['value'], ` as subscore \`${entry['name']}\``);
    if (!value.ok) return value;
    const weight = readNumber(entry['weight'] ?? 1, ` as weight of subscore \`${entry['name']}\``);
    if (!weight.ok) return weight;
    subscores.push({ name: entry['name'].slice(0, 200), value: value.value, weight: weight.value });
  }
  return { ok: true, value: subscores };
}

/** A short, safe description of a value for a message. */
export function describe(value: unknown): string {
  if (value === undefined) return 'no reward (undefined)';
  if (value === null) return 'null';
  if (typeof value === 'string') return value.length > 40 ? `a text of ${value.length} characters` : `the text ${JSON.stringify(value)}`;
  if (Array.isArray(value)) return `an array of ${value.length}`;
  return typeof value === 'object' ? 'an object' : `a ${typeof value}`;
}
