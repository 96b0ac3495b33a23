import type { Parsed, WrittenCall } from './types.ts';

const isRecord = (value: unknown): value is Record<string, unknown> => typeof value === 'object' && value !== null && !Array.isArray(value);

export const malformed = (message: string): { malformed: string } => ({ malformed: message });

/** One call or a list of them as JSON: `{ "name", "arguments" }`, `{ "name", "parameters" }` (Llama) or `{ "type": "function", "function": … }` (OpenAI). */
export function readJsonCalls(text: string): { calls: WrittenCall[] } | { malformed: string } {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    return malformed(`it is no JSON (${error instanceof Error ? error.message : String(error)})`);
  }
  const calls: WrittenCall[] = [];
  for (const each of Array.isArray(value) ? (value as unknown[]) : [value]) {
    const call = readCall(each);
    if ('malformed' in call) return call;
    calls.push(call);
  }
  return { calls };
}

function readCall(value: unknown): WrittenCall | { malformed: string } {
  const call = isRecord(value) && isRecord(value['function']) ? value['function'] : value;
  if (!isRecord(call) || typeof call['name'] !== 'string' || call['name'] === '') return malformed('it has no "name"');
  const given = call['arguments'] ?? call['parameters'] ?? {};
  const args = typeof given === 'string' ? parsedObject(given) : given;
  return isRecord(args) ? { name: call['name'], arguments: args } : malformed(`the arguments of ${call['name']} are no JSON object`);
}

function parsedObject(text: string): unknown {
  try {
    return text.trim() === '' ? {} : JSON.parse(text);
  } catch {
    return null;
  }
}

/** Where the JSON value that begins at `from` ends: behind its last bracket. −1: it does not. */
export function endOfJson(text: string, from: number): number {
  let [depth, isText] = [0, false];
  for (let at = from; at < text.length; at++) {
    const letter = text[at]!;
    if (isText) {
      if (letter === '\\') at += 1;
      else if (letter === '"') isText = false;
    } else if (letter === '"') isText = true;
    else if (letter === '{' || letter === '[') depth += 1;
    else if (letter === '}' || letter === ']') {
      depth -= 1;
      if (depth === 0) return at + 1;
    }
  }
  return -1;
}

/** Calls between an opening and a closing mark, each block read by `read`. A block that is not closed may be the last, as of an answer that ended there. */
export function readBlocks(text: string, { open, close }: { open: string; close: string }, read: (block: string) => { calls: WrittenCall[] } | { malformed: string }): Parsed {
  const content: string[] = [];
  const calls: WrittenCall[] = [];
  let [at, fault] = [0, undefined as string | undefined];
  for (;;) {
    const begin = text.indexOf(open, at);
    content.push(text.slice(at, begin < 0 ? undefined : begin));
    if (begin < 0) break;
    const inside = begin + open.length;
    const end = text.indexOf(close, inside);
    const block = text.slice(inside, end < 0 ? undefined : end).trim();
    const parsed = read(block);
    if ('calls' in parsed) calls.push(...parsed.calls);
    else fault ??= end < 0 ? `${parsed.malformed}, and it is not closed by ${close}` : parsed.malformed;
    if (end < 0) break;
    at = end + close.length;
  }
  return { content: content.join('').trim(), calls: fault === undefined ? calls : [], ...(fault === undefined ? {} : { malformed: fault }) };
}
