/** Directories of tokenizers that were made for chat: the families' own templates and special tokens over a vocabulary of single bytes. */
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

interface Family {
  template: string;
  bos?: string;
  eos: string;
  /** Besides those two. */
  special?: readonly string[];
  /** `eos_token_id` of generation_config.json; one is written as a number, several as a list. */
  ends: readonly string[];
  /** What a demonstration ends with. */
  teaches: string;
}

const chatml = { eos: '<|im_end|>', special: ['<|endoftext|>', '<|im_start|>'], ends: ['<|im_end|>'], teaches: '<|im_end|>' };

export const families = {
  'llama3.2': { template: 'llama3.2', bos: '<|begin_of_text|>', eos: '<|eot_id|>', special: ['<|end_of_text|>', '<|eom_id|>', '<|start_header_id|>', '<|end_header_id|>'], ends: ['<|end_of_text|>', '<|eom_id|>', '<|eot_id|>'], teaches: '<|eot_id|>' },
  gemma3: { template: 'gemma3', bos: '<bos>', eos: '<eos>', special: ['<start_of_turn>', '<end_of_turn>'], ends: ['<eos>', '<end_of_turn>'], teaches: '<end_of_turn>' },
  'phi3.5': { template: 'phi3.5', bos: '<s>', eos: '<|endoftext|>', special: ['<|system|>', '<|user|>', '<|assistant|>', '<|end|>'], ends: ['<|end|>', '<|assistant|>', '<|endoftext|>'], teaches: '<|end|>' },
  'qwen2.5': { template: 'qwen2.5', ...chatml, ends: ['<|im_end|>', '<|endoftext|>'] },
  qwen3: { template: 'qwen3', ...chatml, ends: ['<|im_end|>', '<|endoftext|>'] },
  smollm2: { template: 'smollm2', ...chatml },
  smollm3: { template: 'smollm3', ...chatml },
  mistral: { template: 'mistral', bos: '<s>', eos: '</s>', special: ['[INST]', '[/INST]', '[AVAILABLE_TOOLS]', '[/AVAILABLE_TOOLS]', '[TOOL_RESULTS]', '[/TOOL_RESULTS]', '[TOOL_CALLS]'], ends: ['</s>'], teaches: '</s>' },
  llama2: { template: 'llama2', bos: '<s>', eos: '</s>', ends: ['</s>'], teaches: ' </s>' },
  'chatml with the generation_config.json of its base': { template: 'chatml', ...chatml, ends: ['<|endoftext|>'] },
  'chatml with the eos_token of its base': { template: 'chatml', ...chatml, eos: '<|endoftext|>', special: ['<|im_end|>', '<|im_start|>'], ends: ['<|endoftext|>'] },
} satisfies Record<string, Family>;

export const templateText = (name: string): Promise<string> => readFile(fileURLToPath(new URL(`./templates/${name}.jinja`, import.meta.url)), 'utf8');

/** Byte-level, without merges: a token a byte, as GPT-2 writes them. */
const BYTES = (() => {
  const printable = [[33, 126], [161, 172], [174, 255]].flatMap(([from, to]) => Array.from({ length: to! - from! + 1 }, (_, index) => from! + index));
  const others = Array.from({ length: 256 }, (_, byte) => byte).filter((byte) => !printable.includes(byte));
  return Array.from({ length: 256 }, (_, byte) => String.fromCodePoint(printable.includes(byte) ? byte : 256 + others.indexOf(byte)));
})();

export interface ChatDirectory extends AsyncDisposable {
  path: string;
  /** The id of a special token. */
  idOf: (token: string) => number;
}

type Changes = { [file: string]: Record<string, unknown> | string };

/** The tokenizer's files of a family; `changes` are merged into JSON files, or are whole files. `addsBos`: put before what is encoded with special tokens. */
export async function chatDirectory(family: Family, { changes = {}, addsBos = family.bos !== undefined }: { changes?: Changes; addsBos?: boolean } = {}): Promise<ChatDirectory> {
  const path = await mkdtemp(join(tmpdir(), 'rlrun-chat-'));
  const special = [...new Set([...(family.bos === undefined ? [] : [family.bos]), family.eos, ...(family.special ?? [])])];
  const idOf = (token: string) => BYTES.length + special.indexOf(token);
  const byteLevel = { type: 'ByteLevel', add_prefix_space: false, trim_offsets: true, use_regex: true };
  const beginning = family.bos && { SpecialToken: { id: family.bos, type_id: 0 } };
  const text = { Sequence: { id: 'A', type_id: 0 } };
  const files: Record<string, Record<string, unknown>> = {
    'tokenizer.json': {
      ...{ version: '1.0', truncation: null, padding: null, normalizer: null, pre_tokenizer: byteLevel, decoder: byteLevel },
      added_tokens: special.map((content) => ({ id: idOf(content), content, single_word: false, lstrip: false, rstrip: false, normalized: false, special: true })),
      post_processor: addsBos && family.bos ? { type: 'TemplateProcessing', single: [beginning, text], pair: [beginning, text, text], special_tokens: { [family.bos]: { id: family.bos, ids: [idOf(family.bos)], tokens: [family.bos] } } } : null,
      model: { type: 'BPE', dropout: null, unk_token: null, continuing_subword_prefix: null, end_of_word_suffix: null, fuse_unk: false, byte_fallback: false, vocab: Object.fromEntries(BYTES.map((byte, id) => [byte, id])), merges: [] },
    },
    'tokenizer_config.json': {
      ...{ tokenizer_class: 'PreTrainedTokenizerFast', clean_up_tokenization_spaces: false, eos_token: family.eos, pad_token: special.includes('<|endoftext|>') ? '<|endoftext|>' : family.eos },
      ...(family.bos ? { bos_token: family.bos } : {}),
      chat_template: await templateText(family.template),
    },
    'generation_config.json': { eos_token_id: family.ends.length === 1 ? idOf(family.ends[0]!) : family.ends.map(idOf) },
  };
  for (const [name, change] of Object.entries({ ...files, ...changes })) {
    await writeFile(join(path, name), typeof change === 'string' ? change : JSON.stringify({ ...files[name], ...change }));
  }
  return { path, idOf, [Symbol.asyncDispose]: () => rm(path, { recursive: true, force: true }) };
}
