/** @file The model's own tokenizer, as transformers.js has it, with its traps disarmed. */
import { readFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import type { PretrainedTokenizer } from './pretrained-tokenizer.ts';
import type { Tokenizer } from './types.ts';

/**
 * Loads `tokenizer.json` and `tokenizer_config.json` of a model directory; never touches the network.
 *
 * @throws Error naming the missing or broken file.
 */
export async function loadTokenizer(directory: string): Promise<Tokenizer> {
  const root = resolve(directory);
  const tokenizer = await openTokenizer(root);
  const template = tokenizer.chat_template ?? (await readText(join(root, 'chat_template.jinja')));
  const endTokenIds = await readEndTokens(root, tokenizer);
  return {
    encode: (text, { addSpecialTokens }) => tokenizer.encode(text, { add_special_tokens: addSpecialTokens }),
    // An empty list makes the library throw; cleaned-up spaces would change what graders see.
    decode: (ids) => (ids.length === 0 ? '' : tokenizer.decode([...ids], { skip_special_tokens: true, clean_up_tokenization_spaces: false })),
    applyChatTemplate: template === null ? null : (messages) => {
      const options = { add_generation_prompt: true, ...(typeof template === 'string' ? { chat_template: template } : {}) };
      const conversation = messages.map(({ role, content }) => ({ role, content }));
      const text = tokenizer.apply_chat_template(conversation, options);
      const ids = tokenizer.encode(text, { add_special_tokens: false });
      return { text, ids };
    },
    endTokenIds,
    unknownTokenId: unknownToken(tokenizer),
  };
}

async function openTokenizer(root: string): Promise<PretrainedTokenizer> {
  const { PretrainedTokenizer } = await import('./pretrained-tokenizer.ts');
  const [tokenizer, config] = await Promise.all(['tokenizer.json', 'tokenizer_config.json'].map(async (name) => {
    const file = join(root, name);
    const content = await readJson(file);
    if (content === null) throw new Error(`${file} cannot be read; a model directory needs tokenizer.json and tokenizer_config.json`);
    return content;
  }));
  try {
    return new PretrainedTokenizer(tokenizer!, config!);
  } catch (error) {
    throw new Error(`the tokenizer in ${root} cannot be used: ${error instanceof Error ? error.message : String(error)}`, { cause: error });
  }
}

/** Tokenizers that can write every byte often name one of their other special tokens here, for form's sake. */
function unknownToken({ unk_token_id: unknown, bos_token_id: bos, eos_token_id: eos, pad_token_id: pad }: PretrainedTokenizer): number | null {
  return unknown == null || [bos, eos, pad].includes(unknown) ? null : unknown;
}

const readText = (path: string): Promise<string | null> => readFile(path, 'utf8').catch(() => null);

/** Null where there is no such file. @throws Error naming a file that is broken. */
async function readJson(path: string): Promise<Record<string, unknown> | null> {
  const text = await readText(path);
  if (text === null) return null;
  try {
    const value: unknown = JSON.parse(text);
    if (typeof value !== 'object' || value === null) throw new Error('it holds no object');
    return value as Record<string, unknown>;
  } catch (error) {
    throw new Error(`${path} is not usable JSON: ${error instanceof Error ? error.message : String(error)}; restore or download the file again`, { cause: error });
  }
}

/** Published directories name their end tokens in up to three files; the most specific wins. */
async function readEndTokens(root: string, tokenizer: PretrainedTokenizer): Promise<number[]> {
  for (const file of ['generation_config.json', 'config.json']) {
    const eos = (await readJson(join(root, file)))?.['eos_token_id'] as number | number[] | null | undefined;
    if (eos != null) return [eos].flat();
  }
  return tokenizer.eos_token_id === undefined ? [] : [tokenizer.eos_token_id];
}
