import type { Message } from '../../events.ts';
import { describe, failure, type Outcome } from '../../runtimes/index.ts';
import type { TemplateTask } from '../types.ts';

const isRecord = (value: unknown): value is Record<string, unknown> => typeof value === 'object' && value !== null && !Array.isArray(value);

/**
 * A prompt as `tasks.start` gives it: a text, or turns, whose content is a text, a block or a list of blocks. As in HUD's own agents each block
 * is a message; unlike there, a system message stays one.
 */
export function readPrompt(started: unknown): Outcome<TemplateTask['prompt']> {
  const prompt = isRecord(started) ? started['prompt'] : undefined;
  if (typeof prompt === 'string') return { ok: true, value: prompt };
  if (!Array.isArray(prompt) || prompt.length === 0) {
    const given = prompt === undefined ? 'nothing' : Array.isArray(prompt) ? 'an empty list' : describe(prompt);
    return failure('protocol', `gave ${given} as its prompt; expected a text, or messages with role and content`);
  }
  const messages: Message[] = [];
  for (const turn of prompt as unknown[]) {
    const read = readTurn(turn);
    if (!read.ok) return read;
    messages.push(...read.value);
  }
  return { ok: true, value: messages };
}

function readTurn(turn: unknown): Outcome<Message[]> {
  const given = isRecord(turn) ? turn : { content: turn };
  const role: Message['role'] = given['role'] === 'assistant' || given['role'] === 'system' ? given['role'] : 'user';
  const blocks = [given['content']].flat() as unknown[];
  const messages: Message[] = [];
  for (const block of blocks) {
    const text = isRecord(block) && block['type'] === 'text' ? block['text'] : block;
    if (typeof text !== 'string') {
      const kind = isRecord(block) && typeof block['type'] === 'string' ? `a block of type ${block['type']}` : describe(block ?? null);
      return failure('protocol', `has ${kind} in its prompt, and models here read text alone`);
    }
    messages.push({ role, content: text });
  }
  return { ok: true, value: messages };
}
