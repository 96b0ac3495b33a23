/** @file The tokenizer against stock transformers.js, over the kinds of tokenizers that causal models come with. */
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { AutoTokenizer, env } from '@huggingface/transformers';
import { expect, test } from 'vitest';
import { PretrainedTokenizer } from '../../src/policy/pretrained-tokenizer.ts';
import { temporaryDirectory } from './support.ts';

const special = (id: number, content: string) => ({ id, content, single_word: false, lstrip: false, rstrip: false, normalized: false, special: true });
const vocabulary = (tokens: readonly string[]) => Object.fromEntries(tokens.map((token, id) => [token, id]));
/** What GPT-2 writes for a byte that is not a printable letter of its own. */
const bytes = [...Array(256).keys()].map((byte) => ((byte >= 33 && byte <= 126) || (byte >= 161 && byte <= 172) || byte >= 174 ? String.fromCodePoint(byte) : null));
const byteLetters = bytes.map((letter, byte) => letter ?? String.fromCodePoint(256 + bytes.slice(0, byte).filter((other) => other === null).length));

const template = "{{ bos_token or '' }}{% for message in messages %}<|im_start|>{{ message.role }}\n{{ message.content }}<|im_end|>\n{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}{% if flag %}{{ flag }}{% endif %}";

const qwen = {
  tokenizer: {
    version: '1.0', truncation: null, padding: null, normalizer: { type: 'NFC' },
    added_tokens: ['<|endoftext|>', '<|im_start|>', '<|im_end|>'].map((token, index) => special(256 + 3 + index, token)),
    pre_tokenizer: { type: 'ByteLevel', add_prefix_space: false, trim_offsets: true, use_regex: true },
    post_processor: { type: 'ByteLevel', add_prefix_space: true, trim_offsets: false, use_regex: true },
    decoder: { type: 'ByteLevel', add_prefix_space: true, trim_offsets: true, use_regex: true },
    model: { type: 'BPE', dropout: null, unk_token: null, continuing_subword_prefix: null, end_of_word_suffix: null, fuse_unk: false, byte_fallback: false, vocab: vocabulary([...byteLetters, 'he', 'll', 'hell']), merges: ['h e', 'l l', 'he ll'] },
  },
  config: { tokenizer_class: 'Qwen2Tokenizer', eos_token: '<|im_end|>', pad_token: '<|endoftext|>', unk_token: null, bos_token: null, model_max_length: 128, chat_template: template },
};

const llama = {
  tokenizer: {
    version: '1.0', truncation: null, padding: null, pre_tokenizer: null,
    added_tokens: [special(0, '<unk>'), special(1, '<s>'), special(2, '</s>')],
    normalizer: { type: 'Sequence', normalizers: [{ type: 'Prepend', prepend: '▁' }, { type: 'Replace', pattern: { String: ' ' }, content: '▁' }] },
    post_processor: { type: 'TemplateProcessing', single: [{ SpecialToken: { id: '<s>', type_id: 0 } }, { Sequence: { id: 'A', type_id: 0 } }], pair: [], special_tokens: { '<s>': { id: '<s>', ids: [1], tokens: ['<s>'] } } },
    decoder: { type: 'Sequence', decoders: [{ type: 'Replace', pattern: { String: '▁' }, content: ' ' }, { type: 'ByteFallback' }, { type: 'Fuse' }, { type: 'Strip', content: ' ', start: 1, stop: 0 }] },
    model: { type: 'BPE', dropout: null, unk_token: '<unk>', continuing_subword_prefix: null, end_of_word_suffix: null, fuse_unk: true, byte_fallback: true,
      vocab: vocabulary(['<unk>', '<s>', '</s>', ...bytes.map((_, byte) => `<0x${byte.toString(16).toUpperCase().padStart(2, '0')}>`), '▁', 'h', 'e', 'l', 'o', '1', '2', 'he', 'll', '▁he']), merges: ['h e', 'l l', '▁ he'] },
  },
  config: {
    tokenizer_class: 'LlamaTokenizerFast', legacy: true, bos_token: { __type: 'AddedToken', content: '<s>' }, eos_token: '</s>', unk_token: '<unk>', pad_token: null,
    chat_template: [{ name: 'default', template: '{% for m in messages %}{{ bos_token }}[INST] {{ m.content }} [/INST]{% endfor %}' }, { name: 'rag', template: 'none' }],
  },
};

const texts = ['hello', 'hello hell', '  two  spaces ', 'l<|im_end|>l', '1+2=3', 'naïve 😀 \u00e9\u0301', 'line\nline\r\n\ttab', "don't , do . it ?", '<s>he</s>'];
const messages = [{ role: 'system', content: 'he' }, { role: 'user', content: 'hello\n' }];

async function both(directory: string) {
  env.allowRemoteModels = false;
  const read = async (name: string) => JSON.parse(await readFile(join(directory, name), 'utf8')) as Record<string, unknown>;
  return { ours: new PretrainedTokenizer(await read('tokenizer.json'), await read('tokenizer_config.json')), stock: await AutoTokenizer.from_pretrained(directory, { local_files_only: true }) };
}

async function expectSame(directory: string): Promise<void> {
  const { ours, stock } = await both(directory);
  for (const text of texts) {
    for (const add_special_tokens of [true, false]) expect(ours.encode(text, { add_special_tokens }), text).toEqual(stock.encode(text, { add_special_tokens }));
    const ids = stock.encode(text);
    for (const skip_special_tokens of [true, false]) {
      const options = { skip_special_tokens, clean_up_tokenization_spaces: false };
      if (ids.length > 0) expect(ours.decode(ids, options), text).toBe(stock.decode(ids, options));
    }
  }
  for (const name of ['bos_token_id', 'eos_token_id', 'unk_token_id', 'pad_token_id'] as const) expect(ours[name] ?? null, name).toBe((stock as unknown as Record<string, number | null>)[name] ?? null);
  if (ours.chat_template === null) return;
  for (const options of [{}, { add_generation_prompt: true }, { flag: 'x' }]) expect(ours.apply_chat_template(messages, options)).toBe(stock.apply_chat_template(messages, { ...options, tokenize: false }));
}

test.each(Object.entries({ qwen, llama }))('a %s tokenizer reads, writes and renders as that of stock transformers.js', async (name, { tokenizer, config }) => {
  await using scratch = await temporaryDirectory();
  const directory = join(scratch.path, name);
  await mkdir(directory);
  await writeFile(join(directory, 'tokenizer.json'), JSON.stringify(tokenizer));
  await writeFile(join(directory, 'tokenizer_config.json'), JSON.stringify(config));
  await expectSame(directory);
});

test("the embedded base's tokenizer reads and writes as that of stock transformers.js", () => expectSame(fileURLToPath(new URL('../../models/arith-tiny', import.meta.url))));
