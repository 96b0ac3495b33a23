/** @file What a model directory says of its tokenizer, and what is made of it: end tokens, templates, patterns, added words. */
import { readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { loadTokenizer } from '../../src/policy/index.ts';
import { translatePattern } from '../../src/policy/tokenizer/oniguruma.ts';
import type { TemplateMessage, Tokenizer } from '../../src/policy/types.ts';
import { chatDirectory, families, templateText } from './chat-models.ts';

interface Splits {
  texts: string[];
  vocabulary: string[];
  merges: [string, string][];
  cases: { pattern: string; behavior: string; invert: boolean; ids: number[][] }[];
}

const user = (content: string): TemplateMessage => ({ role: 'user', content });
const assistant = (content: string): TemplateMessage => ({ role: 'assistant', content });
const plain = (tokenizer: Tokenizer, text: string) => tokenizer.encode(text, { addSpecialTokens: false });
const write = (tokenizer: Tokenizer, ...args: Parameters<NonNullable<Tokenizer['applyChatTemplate']>>) => {
  const rendered = tokenizer.applyChatTemplate!(...args);
  return rendered.ok ? rendered.text : `refused: ${rendered.message}`;
};

describe('an answer ends', () => {
  test.each(Object.entries(families))('as %s says in any of its files, and is taught as its template writes it', async (_, family) => {
    await using model = await chatDirectory(family);
    const tokenizer = await loadTokenizer(model.path);
    const taught = plain(tokenizer, family.teaches);
    expect(new Set(tokenizer.endTokenIds)).toEqual(new Set([...family.ends, family.eos, family.teaches.trim()].map(model.idOf)));
    expect(tokenizer.answerEnds.chat).toEqual(taught);
    expect(tokenizer.answerEnds.completion).toEqual([model.idOf(family.eos)]);
  });
  test('at what config.json names where generation_config.json says nothing, and at nothing that is no id', async () => {
    const { eos, special } = families.smollm2;
    await using model = await chatDirectory({ ...families.smollm2 }, { changes: { 'generation_config.json': { eos_token_id: null }, 'config.json': JSON.stringify({ eos_token_id: [0, -1, 'x', null] }) } });
    expect(special).not.toContain(eos);
    expect((await loadTokenizer(model.path)).endTokenIds).toEqual([model.idOf(eos), 0]);
  });
  test('as special_tokens_map.json says where tokenizer_config.json names none', async () => {
    await using model = await chatDirectory(families.qwen3, { changes: { 'tokenizer_config.json': { eos_token: undefined }, 'special_tokens_map.json': JSON.stringify({ eos_token: { content: '<|im_end|>' } }), 'generation_config.json': '{}' } });
    expect((await loadTokenizer(model.path)).endTokenIds).toEqual([model.idOf('<|im_end|>')]);
  });
  test('as the tokenizer says where the template writes text alone, or cannot be used', async () => {
    for (const chat_template of ["{% for m in messages %}{{ m.role + ': ' + m.content + '\\n' }}{% endfor %}", '{% if %}', '{{ raise_exception("no") }}']) {
      await using model = await chatDirectory(families.smollm2, { changes: { 'tokenizer_config.json': { chat_template } } });
      expect((await loadTokenizer(model.path)).answerEnds.chat).toEqual([model.idOf('<|im_end|>')]);
    }
  });
});

describe('a chat template', () => {
  test('opens the answer, closes the last message, or goes on with it', async () => {
    await using model = await chatDirectory(families.smollm2);
    const tokenizer = await loadTokenizer(model.path);
    const messages = [{ role: 'system', content: 's' }, user('q'), assistant(' Let me  think: ')];
    const before = '<|im_start|>system\ns<|im_end|>\n<|im_start|>user\nq<|im_end|>\n';
    expect(write(tokenizer, messages.slice(0, 2))).toBe(`${before}<|im_start|>assistant\n`);
    expect(write(tokenizer, messages, { end: 'closed' })).toBe(`${before}<|im_start|>assistant\n Let me  think: <|im_end|>\n`);
    expect(write(tokenizer, messages, { end: 'continued' })).toBe(`${before}<|im_start|>assistant\n Let me  think: `);
  });
  test('that trims goes on with what it keeps', async () => {
    await using model = await chatDirectory(families['llama3.2']);
    expect(write(await loadTokenizer(model.path), [user('q'), assistant('Let me think: ')], { end: 'continued' })).toMatch(/assistant<\|end_header_id\|>\n\nLet me think:$/);
  });
  test('that leaves an answer out says so', async () => {
    await using model = await chatDirectory(families.smollm2, { changes: { 'tokenizer_config.json': { chat_template: "{% for m in messages %}{% if m.role == 'user' %}{{ m.content }}{% endif %}{% endfor %}" } } });
    expect(write(await loadTokenizer(model.path), [user('q'), assistant('a')], { end: 'continued' })).toMatch(/^refused: the chat template of \S+ leaves out the last message, so that nobody can go on with it$/);
  });
  test('is given arguments and tools', async () => {
    await using model = await chatDirectory(families.qwen3);
    const tokenizer = await loadTokenizer(model.path);
    expect(write(tokenizer, [user('q')], { args: { enable_thinking: false } })).toMatch(/assistant\n<think>\n\n<\/think>\n\n$/);
    expect(write(tokenizer, [user('q')], { tools: [{ type: 'function', function: { name: 'add' } }] })).toContain('<tools>\n{"type": "function", "function": {"name": "add"}}\n</tools>');
    expect(write(tokenizer, [user('q')], { args: { messages: [], add_generation_prompt: false } })).toBe('<|im_start|>user\nq<|im_end|>\n<|im_start|>assistant\n');
  });
  test('writes the same date today and tomorrow', async () => {
    await using model = await chatDirectory(families['llama3.2']);
    const tokenizer = await loadTokenizer(model.path);
    expect(write(tokenizer, [user('q')])).toContain('Today Date: 26 Jul 2024\n');
    expect(write(tokenizer, [user('q')], { args: { date_string: '1 Jan 2020' } })).toContain('Today Date: 1 Jan 2020\n');
  });
  test('that raises, that is broken, that never ends and that has no default say so and which one it is', async () => {
    const saysOf = async (chat_template: unknown) => {
      await using model = await chatDirectory(families.smollm2, { changes: { 'tokenizer_config.json': { chat_template } } });
      return write(await loadTokenizer(model.path), [{ role: 'system', content: 's' }, user('q')]).replace(model.path, 'DIR');
    };
    expect(await saysOf("{% if messages[0].role == 'system' %}{{ raise_exception('System role not supported') }}{% endif %}")).toBe('refused: the chat template of DIR says: System role not supported');
    expect(await saysOf('{% for m in messages %}')).toMatch(/^refused: the chat template of DIR cannot be read: ./);
    expect(await saysOf([{ name: 'a', template: 'x' }, { name: 'b', template: 'y' }])).toMatch(/^refused: the chat template of DIR is one of several \(a, b\), and none is called default; write /);
    expect(await saysOf([{ name: 'default', template: 'x' }, { name: 'b', template: 'y' }])).toBe('x');
  });
  test('lies in chat_template.jinja, in chat_template.json or in tokenizer_config.json, in this order; line endings of Windows are not part of it', async () => {
    await using model = await chatDirectory(families.smollm2, { changes: { 'chat_template.jinja': '\uFEFFone\r\ntwo\r\n', 'chat_template.json': { chat_template: 'three' }, 'tokenizer_config.json': { chat_template: 'four\r\n.' } } });
    const text = async () => write(await loadTokenizer(model.path), [user('q')]);
    expect(await text()).toBe('one\ntwo');
    await rm(join(model.path, 'chat_template.jinja'));
    expect(await text()).toBe('three');
    await rm(join(model.path, 'chat_template.json'));
    expect(await text()).toBe('four\n.');
    const config = JSON.parse(await readFile(join(model.path, 'tokenizer_config.json'), 'utf8')) as Record<string, unknown>;
    await writeFile(join(model.path, 'tokenizer_config.json'), JSON.stringify({ ...config, chat_template: null }));
    expect((await loadTokenizer(model.path)).applyChatTemplate).toBeNull();
  });
  test('writes the same text as in transformers.js', async () => {
    const { AutoTokenizer, env } = await import('@huggingface/transformers');
    env.allowRemoteModels = false;
    for (const family of Object.values(families)) {
      await using model = await chatDirectory(family);
      const [ours, theirs] = [await loadTokenizer(model.path), await AutoTokenizer.from_pretrained(model.path, { local_files_only: true })];
      const messages = [user('2 + 2?'), assistant('It is  4.\n'), user('Größe ≥ "x"')] as { role: string; content: string }[];
      const dated = ['llama3.2', 'smollm3'].includes(family.template);
      const template = (await templateText(family.template)).replace('strftime_now("%d %b %Y")', '"26 Jul 2024"').replace('strftime_now("%d %B %Y")', '"26 July 2024"');
      const options = { add_generation_prompt: true, tokenize: false, ...(dated ? { chat_template: template } : {}) } as const;
      const text = theirs.apply_chat_template(messages, options) as string;
      expect(ours.applyChatTemplate!(messages)).toEqual({ ok: true, text });
      expect(plain(ours, text)).toEqual(theirs.encode(text, { add_special_tokens: false }));
    }
  });
});

describe('the patterns of a tokenizer.json', () => {
  test('may hold options that count to the end of their group', () => {
    expect(translatePattern('(?i)abc|\\p{L}+')).toBe('(?i:abc|\\p{L}+)');
    expect(translatePattern('x(?:a(?i)b|c)d')).toBe('x(?:a(?i:b|c))d');
    expect(translatePattern('(?i)a(?i)b')).toBe('(?i:a(?i:b))');
  });
  test('may hold what gives nothing back', () => {
    expect(translatePattern('\\s++$|[a-z]?+x')).toBe('(?=(?<_0_1>\\s+))\\k<_0_1>$|(?=(?<_0_2>[a-z]?))\\k<_0_2>x');
    expect(translatePattern('(?>a|(?>b)c)d')).toBe('(?=(?<_0_2>(?:a|(?=(?<_0_1>(?:b)))\\k<_0_1>c)))\\k<_0_2>d');
  });
  test('are otherwise left as they are', () => {
    for (const pattern of ["(?i:'s|'t)|[(?i)]|\\(?i\\)|(?=a)(?<!b)(?<n>d)\\k<n>", '[^\\]a]', '[]a(]|[[:alpha:]&&[^(a]]+?', 'a{1,3}+|b*?|\\p{Lu}{2,}', '(a)\\1']) expect(translatePattern(pattern)).toBe(pattern);
    expect(translatePattern('(a)|b')).toBe('(?:a)|b');
  });
  test('split a text as in Python, in every way that is followed', async () => {
    const { texts, vocabulary, merges, cases } = JSON.parse(await readFile(new URL('./fixtures/splits.json', import.meta.url), 'utf8')) as Splits;
    for (const { pattern, behavior, invert, ids } of cases) {
      const byteLevel = { type: 'ByteLevel', add_prefix_space: false, trim_offsets: true, use_regex: false };
      const split = { type: 'Split', pattern: { Regex: pattern }, behavior, invert };
      await using model = await chatDirectory(families.smollm2, {
        changes: { 'tokenizer.json': { added_tokens: [], pre_tokenizer: { type: 'Sequence', pretokenizers: [split, byteLevel] }, model: { type: 'BPE', vocab: Object.fromEntries(vocabulary.map((token, id) => [token, id])), merges } } },
      });
      const tokenizer = await loadTokenizer(model.path);
      expect({ pattern, behavior, invert, ids: texts.map((text) => plain(tokenizer, text)) }).toEqual({ pattern, behavior, invert, ids });
    }
  });
  const withPattern = (Regex: string) => chatDirectory(families.smollm2, { changes: { 'tokenizer.json': { pre_tokenizer: { type: 'Split', pattern: { Regex }, behavior: 'Isolated', invert: false } } } });
  test('that nobody here can follow are refused when the tokenizer is loaded', async () => {
    for (const pattern of ['(?m)a', '(?x: a )', '(?-i:a)', '(?<=a', '\\p{Nonsense}', '(?P<x>a)', '\\R', '(a)\\1++']) {
      await using model = await withPattern(pattern);
      await expect(loadTokenizer(model.path)).rejects.toThrow(/^the tokenizer in \S+ cannot be used: /);
    }
  });
});

test('an added token that is a whole word is not found inside of others', async () => {
  const added = (content: string, id: number) => ({ id, content, single_word: true, lstrip: false, rstrip: false, normalized: false, special: false });
  await using model = await chatDirectory(families.llama2, { changes: { 'tokenizer.json': { added_tokens: [added('cat', 300), added('<x>', 301)] } } });
  const tokenizer = await loadTokenizer(model.path);
  const bytes = (text: string) => [...Buffer.from(text)].map((byte) => plain(tokenizer, String.fromCharCode(byte))[0]!);
  expect(plain(tokenizer, 'cat concat cats _cat ñcat cat')).toEqual([300, ...bytes(' concat cats _cat '), ...plain(tokenizer, 'ñ'), ...bytes('cat '), 300]);
  expect(plain(tokenizer, 'a <x> <x>y-cat')).toEqual([...bytes('a '), 301, ...bytes(' <x>y-'), 300]);
});

test('ids that no token has are no text', async () => {
  await using model = await chatDirectory(families.qwen3);
  const tokenizer = await loadTokenizer(model.path);
  expect(tokenizer.decode([...plain(tokenizer, 'a'), 90_000, ...plain(tokenizer, 'b')])).toBe('ab');
});
