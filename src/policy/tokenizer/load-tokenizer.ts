/** @file The model's own tokenizer, by the library of transformers.js, with its traps disarmed. */
import { join, resolve } from 'node:path';
import type { Tokenizer as Library } from '@huggingface/tokenizers';
import { within } from '../../util/within.ts';
import type { Tokenizer } from '../types.ts';
import { loadChatTemplate } from './chat-template.ts';
import { findEndTokens } from './end-tokens.ts';
import { type Json, readJson, requireJson } from './files.ts';
import { explosiveTexts, followPatterns, mayExplode } from './patterns.ts';
import { type Splitter, splitAtWholeWords } from './whole-words.ts';

/** A short text is taken apart in less than a millisecond, a million letters in seconds; a pattern that needs longer will not end. */
const limitMs = (letters: number): number => 2000 + Math.ceil(letters / 50);

/**
 * Loads `tokenizer.json` and `tokenizer_config.json` of a model directory, and its chat template.
 *
 * @throws Error naming the missing or broken file, or what in it cannot be followed.
 */
export async function loadTokenizer(directory: string): Promise<Tokenizer> {
  const root = resolve(directory);
  const [json, config] = [await requireJson(root, 'tokenizer.json'), await requireJson(root, 'tokenizer_config.json')];
  const library = await openLibrary(root, json, config);
  const idOf = (token: string | undefined) => (token === undefined ? undefined : library.token_to_id(token));
  const special = specialTokens({ ...(await readJson(join(root, 'special_tokens_map.json'))), ...config });
  const [unknown, bos, eos, pad] = [special['unk_token'], special['bos_token'], special['eos_token'], special['pad_token']].map(idOf);

  const limited = limiter(root, library, json);
  const encode: Tokenizer['encode'] = (text, { addSpecialTokens }) => limited.encode(text.length, () => library.encode(text, { add_special_tokens: addSpecialTokens }).ids);
  // An empty list makes the library throw, and an id without a token ends in the text as `undefined`; cleaned-up spaces would change what graders see.
  const decode: Tokenizer['decode'] = (ids, { special: keepSpecial = false } = {}) => {
    const known = ids.filter((id) => library.id_to_token(id) !== undefined);
    return known.length === 0 ? '' : limited.decode(known.length, () => library.decode(known, { skip_special_tokens: !keepSpecial, clean_up_tokenization_spaces: false }));
  };
  const template = await loadChatTemplate(root, { config, specialTokens: special });
  const plain = (text: string) => encode(text, { addSpecialTokens: false });
  const added = library.get_added_tokens_decoder();
  const ends = await findEndTokens({ directory: root, eosTokenId: eos, template, encode: plain, isSpecial: (id) => added.get(id)?.special === true });
  return {
    ...{ encode, decode, applyChatTemplate: template, ...ends },
    // Tokenizers that can write every byte often name one of their other special tokens here, for form's sake.
    unknownTokenId: unknown === undefined || [bos, eos, pad].includes(unknown) ? null : unknown,
  };
}

async function openLibrary(root: string, json: Json, config: Json): Promise<Library> {
  const { Tokenizer: Library } = await import('@huggingface/tokenizers');
  const { normalizer, pre_tokenizer, decoder } = json;
  try {
    const library = new Library({ ...json, ...(followPatterns({ normalizer, pre_tokenizer, decoder }) as Json) }, config);
    const added = [...library.get_added_tokens_decoder().values()];
    const wholeWords = new Set(added.filter(({ single_word }) => single_word).map(({ content }) => content));
    if (wholeWords.size > 0) {
      const tokens = new Set(added.map(({ content }) => content));
      const splitters = library as unknown as { [K in 'splitter_unnormalized' | 'splitter_normalized']: Splitter };
      for (const key of ['splitter_unnormalized', 'splitter_normalized'] as const) splitters[key] = splitAtWholeWords(splitters[key], { tokens, wholeWords });
    }
    return library;
  } catch (error) {
    throw new Error(`the tokenizer in ${root} cannot be used: ${error instanceof Error ? error.message : String(error)}`, { cause: error });
  }
}

type Limit = <T>(letters: number, work: () => T) => T;

/** Where a pattern may explode, calls are stopped at the limit; texts that make most such patterns explode are tried at once. */
function limiter(root: string, library: Library, { normalizer, pre_tokenizer, decoder }: Json): { [K in 'encode' | 'decode']: Limit } {
  const limit: Limit = (letters, work) => {
    const done = within(limitMs(letters), work);
    if (done.ok) return done.value;
    throw Object.assign(new Error(`the tokenizer in ${root} was stopped after ${Math.round(limitMs(letters) / 1000)} s over one text: a regular expression of its tokenizer.json does not end`), {
      kind: 'invalid', fix: 'Its files are not sound: repair the pattern, or use another model.',
    });
  };
  const direct: Limit = (_, work) => work();
  const patterns = [normalizer, pre_tokenizer];
  if (mayExplode(patterns)) limit(0, () => explosiveTexts(patterns).forEach((text) => library.encode(text)));
  return { encode: mayExplode(patterns) ? limit : direct, decode: mayExplode(decoder) ? limit : direct };
}

/** By name, as templates know them: `bos_token`, `eos_token`, … */
function specialTokens(config: Json): Record<string, string> {
  const names = ['bos_token', 'eos_token', 'unk_token', 'sep_token', 'pad_token', 'cls_token', 'mask_token'];
  const textOf = (token: unknown) => (typeof token === 'object' && token !== null ? (token as Json)['content'] : token);
  return Object.fromEntries(names.flatMap((name) => {
    const text = textOf(config[name]);
    return typeof text === 'string' && text !== '' ? [[name, text]] : [];
  }));
}
