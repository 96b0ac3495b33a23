/** @file Tokenizers and templates that would never end: whoever waits for them can neither be told nor stopped. */
import { expect, test } from 'vitest';
import { loadTokenizer } from '../../src/policy/index.ts';
import { chatDirectory, families } from './chat-models.ts';

const withPattern = (Regex: string) => chatDirectory(families.smollm2, { changes: { 'tokenizer.json': { normalizer: { type: 'Replace', pattern: { Regex }, content: 'b' } } } });

test('a pattern that explodes over a simple text is refused when the tokenizer is loaded', async () => {
  await using model = await withPattern('(a+)+$');
  await expect(loadTokenizer(model.path)).rejects.toMatchObject({ kind: 'invalid', message: expect.stringMatching(/^the tokenizer in \S+ was stopped after 2 s over one text: a regular expression of its tokenizer.json does not end$/) });
});

test('one that explodes over a rare text is stopped there', async () => {
  await using model = await withPattern('start(\\w+\\s?)+:');
  const tokenizer = await loadTokenizer(model.path);
  const ids = (text: string) => tokenizer.encode(text, { addSpecialTokens: false });
  expect(() => ids(`start${'word'.repeat(20)}`)).toThrow(/was stopped after 2 s/);
  expect(tokenizer.decode(ids('startword:'))).toBe('b');
});

test('a template that loops is stopped, and says so of the conversation that made it', async () => {
  const loop = '{% for a in range(30000) %}{% for b in range(30000) %}{% endfor %}{% endfor %}';
  await using model = await chatDirectory(families.smollm2, { changes: { 'tokenizer_config.json': { chat_template: `{% if messages[0].content == 'loop' %}${loop}{% endif %}` } } });
  const { applyChatTemplate } = await loadTokenizer(model.path);
  expect(applyChatTemplate!([{ role: 'user', content: 'loop' }])).toMatchObject({ ok: false, message: expect.stringMatching(/takes longer than 2 s$/) });
  expect(applyChatTemplate!([{ role: 'user', content: 'q' }])).toMatchObject({ ok: true, text: '' });
});
