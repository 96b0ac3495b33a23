import type { RolloutError, Subscore } from '../events.ts';

/** Larger rewards than this are mistakes: squared and summed they would leave float32. */
export const MAX_REWARD = 1e6;
/** What a grader may tell about its number, as JSON text. */
export const MAX_INFO_CHARACTERS = 16_384;

export interface Failure {
  type: RolloutError['type'];
  message: string;
}

/** What one grader says of one completion: a number, or why there is none. */
export type Verdict = { ok: true; value: number; info?: Record<string, unknown>; children?: Subscore[] } | { ok: false; failure: Failure };

export const failed = (type: Failure['type'], message: string): Verdict => ({ ok: false, failure: { type, message } });
export const invalid = (message: string): Verdict => failed('invalid_reward', message);

const isRecord = (value: unknown): value is Record<string, unknown> => typeof value === 'object' && value !== null && !Array.isArray(value);

/**
 * Reads what user code gave as a reward: a finite number, true or false (1 or 0), or an object with a numeric `reward` or
 * `score` and optionally `info` and `subscores`. Anything else is no reward, and never silently 0.
 */
export function readVerdict(given: unknown): Verdict {
  if (isRecord(given)) {
    const key = 'reward' in given ? 'reward' : 'score';
    if (!(key in given)) return invalid(`gave an object without \`reward\` or \`score\`; its keys are ${Object.keys(given).slice(0, 8).join(', ') || 'none'}`);
    const number = readNumber(given[key], ` as \`${key}\``);
    return number.ok ? withDetails(number.value, given) : number;
  }
  return readNumber(given, '');
}

function readNumber(given: unknown, where: string): { ok: true; value: number } | Extract<Verdict, { ok: false }> {
  if (typeof given === 'boolean') return { ok: true, value: Number(given) };
  const fault =
    typeof given !== 'number'
      ? `gave ${describe(given)}${where}; a reward is a number, true or false`
      : !Number.isFinite(given)
        ? `gave ${given}${where}; a reward must be finite`
        : Math.abs(given) > MAX_REWARD
          ? `gave ${given}${where}; a reward must lie between -${MAX_REWARD} and ${MAX_REWARD}`
          : null;
  return fault === null ? { ok: true, value: given as number } : { ok: false, failure: { type: 'invalid_reward', message: fault } };
}

function withDetails(value: number, given: Record<string, unknown>): Verdict {
  const info = given['info'] ?? undefined;
  if (info !== undefined) {
    if (!isRecord(info)) return invalid(`gave ${describe(info)} as \`info\`; it must be an object`);
    const length = JSON.stringify(info).length;
    if (length > MAX_INFO_CHARACTERS) return invalid(`gave an \`info\` of ${length} characters; the limit is ${MAX_INFO_CHARACTERS}`);
  }
  const children = readSubscores(given['subscores'] ?? undefined);
  if (children !== undefined && 'ok' in children) return children;
  return { ok: true, value, ...(info === undefined ? {} : { info }), ...(children === undefined ? {} : { children }) };
}

function readSubscores(given: unknown): Subscore[] | undefined | Extract<Verdict, { ok: false }> {
  if (given === undefined) return undefined;
  const list = isRecord(given) ? Object.entries(given).map(([name, value]) => ({ name, value })) : given;
  const refuse = (message: string) => ({ ok: false as const, failure: { type: 'invalid_reward' as const, message } });
  if (!Array.isArray(list) || list.length > 100) return refuse(`gave ${describe(given)} as \`subscores\`; expected up to 100 of { name, value }`);
  const subscores: Subscore[] = [];
  for (const entry of list as unknown[]) {
    if (!isRecord(entry) || typeof entry['name'] !== 'string') return refuse('gave a subscore without a name; expected { name, value }');
    const value = readNumber(entry['value'], ` as subscore \`${entry['name']}\``);
    if (!value.ok) return value;
    const weight = readNumber(entry['weight'] ?? 1, ` as weight of subscore \`${entry['name']}\``);
    if (!weight.ok) return weight;
    subscores.push({ name: entry['name'].slice(0, 200), value: value.value, weight: weight.value });
  }
  return subscores;
}

/** A short, safe description of a value for a message. */
export function describe(value: unknown): string {
  if (value === undefined) return 'no reward (undefined)';
  if (value === null) return 'null';
  if (typeof value === 'string') return value.length > 40 ? `a text of ${value.length} characters` : `the text ${JSON.stringify(value)}`;
  if (Array.isArray(value)) return `an array of ${value.length}`;
  return typeof value === 'object' ? 'an object' : `a ${typeof value}`;
}
