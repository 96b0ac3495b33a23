/** What a template may yield, and a program may answer: a prompt, more messages, or a verdict. */
import type { Message } from '../events.ts';
import { describe, PlaceError, readVerdict, type Verdict } from '../runtimes/index.ts';
import type { Tool } from './types.ts';

export type Yielded =
  | { kind: 'prompt'; prompt: string | Message[]; tools: Tool[] }
  | { kind: 'messages'; messages: Message[]; reward?: number | undefined }
  | { kind: 'verdict'; verdict: Extract<Verdict, { ok: true }> };

const isRecord = (value: unknown): value is Record<string, unknown> => typeof value === 'object' && value !== null && !Array.isArray(value);

const ROLES: readonly unknown[] = ['system', 'user', 'assistant', 'tool'] satisfies Message['role'][];

const isMessages = (value: unknown): value is Message[] =>
  Array.isArray(value) && value.length > 0 && value.every((message) => isRecord(message) && ROLES.includes(message['role']) && typeof message['content'] === 'string');

/** A text, or a conversation of at least one message. */
export const isPrompt = (value: unknown): value is string | Message[] => typeof value === 'string' || isMessages(value);

/**
 * Reads one yield. A text or messages are the next turn; so is an object with `messages` (or `prompt`), which may give a `reward` for the
 * step; anything else has to be a verdict. The first yield is the prompt, and may bring `tools`.
 *
 * @throws PlaceError saying what was given and what was expected.
 */
export function readYield(given: unknown, { isFirst }: { isFirst: boolean }): Yielded {
  const said = isRecord(given) ? (given['messages'] ?? given['prompt']) : given;
  if (isFirst) {
    if (!isPrompt(said)) throw new PlaceError('protocol', `gave ${describe(given)} as its prompt; expected a text, messages with role and content, or { prompt, tools }`);
    return { kind: 'prompt', prompt: said, tools: readTools(isRecord(given) ? given['tools'] : undefined) };
  }
  if (isPrompt(said)) {
    const messages = typeof said === 'string' ? [{ role: 'user' as const, content: said }] : said;
    const reward = isRecord(given) ? given['reward'] : undefined;
    if (reward === undefined) return { kind: 'messages', messages };
    const read = readVerdict(reward);
    if (!read.ok) throw new PlaceError(read.failure.type, `step ${read.failure.message}`);
    return { kind: 'messages', messages, reward: read.value ?? undefined };
  }
  const verdict = readVerdict(given);
  if (!verdict.ok) throw new PlaceError(verdict.failure.type, verdict.failure.message);
  return { kind: 'verdict', verdict };
}

/** `[{ name, description?, parameters? }]`, or OpenAI's `[{ type: 'function', function: … }]`. @throws PlaceError */
export function readTools(given: unknown): Tool[] {
  if (given === undefined || given === null) return [];
  if (!Array.isArray(given)) throw new PlaceError('protocol', `gave ${describe(given)} as its tools; expected a list of { name, description, parameters }`);
  return given.map((entry: unknown): Tool => {
    const tool = isRecord(entry) && isRecord(entry['function']) ? entry['function'] : entry;
    if (!isRecord(tool) || typeof tool['name'] !== 'string' || tool['name'] === '') throw new PlaceError('protocol', `gave a tool without a name; expected { name, description, parameters }`);
    const parameters = tool['parameters'] ?? tool['inputSchema'];
    return { name: tool['name'], description: String(tool['description'] ?? ''), parameters: isRecord(parameters) ? parameters : { type: 'object', properties: {} } };
  });
}
