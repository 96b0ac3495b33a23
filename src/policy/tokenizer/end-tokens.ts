/**
 * @file Where an answer ends. Published directories name end tokens in up to four places which need not agree: files of a base model are often
 * left beside a tokenizer that was made for chat. An answer ends at any of them, and a demonstration with the one that is written there.
 */
import { join } from 'node:path';
import type { AnswerEnds } from '../types.ts';
import type { ChatTemplate } from './chat-template.ts';
import { readJson } from './files.ts';

export interface EndTokens {
  endTokenIds: readonly number[];
  answerEnds: AnswerEnds;
}

interface EndTokenParts {
  directory: string;
  /** `eos_token` of tokenizer_config.json. */
  eosTokenId: number | undefined;
  template: ChatTemplate | null;
  encode: (text: string) => number[];
  isSpecial: (id: number) => boolean;
}

export async function findEndTokens({ directory, eosTokenId, template, encode, isSpecial }: EndTokenParts): Promise<EndTokens> {
  const generation = await readGenerationEnds(directory);
  const named = [...(eosTokenId === undefined ? [] : [eosTokenId]), ...generation];
  const chat = template === null ? [] : writtenBehindAnswers(template, { encode, isEnd: (id) => isSpecial(id) || named.includes(id) });
  const plain = named.slice(0, 1);
  return { endTokenIds: [...new Set([...named, ...chat.slice(-1)])], answerEnds: { completion: plain, chat: chat.length > 0 ? chat : plain } };
}

/** `eos_token_id` of generation_config.json, or of config.json where that says nothing: one or a list. */
async function readGenerationEnds(directory: string): Promise<number[]> {
  for (const file of ['generation_config.json', 'config.json']) {
    const eos = (await readJson(join(directory, file)))?.['eos_token_id'];
    if (eos != null) return [eos].flat().filter((id): id is number => Number.isSafeInteger(id) && (id as number) >= 0);
  }
  return [];
}

const PROBE = 'qwertz';

/** What the template writes behind an assistant's message, up to its first special token; nothing where it writes none. */
function writtenBehindAnswers(template: ChatTemplate, { encode, isEnd }: { encode: (text: string) => number[]; isEnd: (id: number) => boolean }): number[] {
  const written = template([{ role: 'user', content: 'a' }, { role: 'assistant', content: PROBE }], { end: 'closed' });
  if (!written.ok || !written.text.includes(PROBE)) return [];
  const ids = encode(written.text.slice(written.text.lastIndexOf(PROBE) + PROBE.length));
  return ids.slice(0, ids.findIndex(isEnd) + 1);
}
