/** @file Conversations appended to token by token, against the templates' own writing of the whole, as transformers.js has it. */
import { AutoTokenizer, env } from '@huggingface/transformers';
import { describe, expect, test } from 'vitest';
import { conversationTemplate } from '../../src/agents/index.ts';
import { loadTokenizer } from '../../src/policy/index.ts';
import type { TemplateMessage, Tokenizer } from '../../src/policy/types.ts';
import { type ChatDirectory, chatDirectory, families } from '../policy/chat-models.ts';

env.allowRemoteModels = false;

const user = (content: string): TemplateMessage => ({ role: 'user', content });
const system = (content: string): TemplateMessage => ({ role: 'system', content });
const result = (content: string, id = 'call00001'): TemplateMessage => ({ role: 'tool', name: 'add', tool_call_id: id, content });
const tools = [{ type: 'function', function: { name: 'add', description: 'Adds.', parameters: { type: 'object', properties: { a: { type: 'number' } }, required: ['a'] } } }];
const args = { date_string: '26 Jul 2024' };

type Options = Parameters<typeof conversationTemplate>[1];
type Turn = { answer: string; cut?: boolean; next: readonly TemplateMessage[] };

const plain = (tokenizer: Tokenizer, text: string) => tokenizer.encode(text, { addSpecialTokens: false });

function templateOf(tokenizer: Tokenizer, options: Options) {
  const proved = conversationTemplate(tokenizer, options);
  if (!proved.ok) throw new Error(proved.message);
  return proved.template;
}

/** The ids of a conversation as a rollout would gather them: opened, drawn, appended to. */
function record(tokenizer: Tokenizer, { opening, turns, options, before = '' }: { opening: readonly TemplateMessage[]; turns: readonly Turn[]; options?: Options; before?: string | undefined }): number[] {
  const template = templateOf(tokenizer, options);
  const opened = template.open(opening);
  if (!opened.ok) throw new Error(opened.message);
  return turns.reduce((ids, { answer, cut = false, next }) => {
    const drawn = [...plain(tokenizer, before + answer), ...(cut ? [] : tokenizer.answerEnds.chat)];
    const appended = template.append(opening, { endedByToken: !cut }, next);
    if (!appended.ok) throw new Error(appended.message);
    return [...ids, ...drawn, ...appended.ids];
  }, opened.ids);
}

/** What transformers.js makes of the whole, opened for the next answer. */
async function whole(model: ChatDirectory, messages: readonly TemplateMessage[], options: { tools?: unknown[] } & Record<string, unknown> = {}): Promise<number[]> {
  const tokenizer = await AutoTokenizer.from_pretrained(model.path, { local_files_only: true });
  const text = tokenizer.apply_chat_template(messages as never, { add_generation_prompt: true, tokenize: false, ...options } as never) as unknown as string;
  return tokenizer.encode(text, { add_special_tokens: false });
}

const answered = (turns: readonly Turn[]): TemplateMessage[] => turns.flatMap(({ answer, next }) => [{ role: 'assistant', content: answer }, ...next]);

const TURNS: Turn[] = [
  { answer: 'It is 4.', next: [user('And 3 + 3?\n\nPlease: "now"')] },
  { answer: 'qwertz', cut: true, next: [user('Größe ≥ 7')] },
  { answer: '<b>7</b>', next: [user('ok')] },
];
/** What a model that was trained with the template draws before each answer. */
const BEFORE: Partial<Record<string, string>> = { mistral: ' ', llama2: ' ' };
/** The date is an argument of one, and not to be replaced in the other's own writing. */
const appendable = Object.entries(families).filter(([name]) => name !== 'smollm3');

describe('a conversation is what its template writes of the whole', () => {
  test.each(appendable)('%s', async (name, family) => {
    await using model = await chatDirectory(family);
    const tokenizer = await loadTokenizer(model.path);
    expect(record(tokenizer, { opening: [user('2 + 2?')], turns: TURNS, options: { args }, before: BEFORE[name] })).toEqual(await whole(model, [user('2 + 2?'), ...answered(TURNS)], args));
  });
  test.each(appendable.filter(([name]) => name !== 'mistral'))('%s, with a system message', async (name, family) => {
    await using model = await chatDirectory(family);
    const tokenizer = await loadTokenizer(model.path);
    const opening = [system('Be brief.'), user('2 + 2?')];
    expect(record(tokenizer, { opening, turns: TURNS, options: { args }, before: BEFORE[name] })).toEqual(await whole(model, [...opening, ...answered(TURNS)], args));
  });
  test.each([families.qwen3, families['qwen2.5'], families['llama3.2']])('$template, with tools: their results, several in one turn where the template takes them', async (family) => {
    await using model = await chatDirectory(family);
    const tokenizer = await loadTokenizer(model.path);
    const turns: Turn[] = [
      { answer: '<tool_call>{"name": "add"}</tool_call>', next: [result('4'), result('5', 'call00002')] },
      { answer: 'again', cut: true, next: [result('six')] },
    ];
    const opening = [user('2 + 2?')];
    expect(record(tokenizer, { opening, turns, options: { tools, args } })).toEqual(await whole(model, [...opening, ...answered(turns)], { tools, ...args }));
  });
  test('mistral, with tools: results behind calls, which it does not count as answers', async () => {
    await using model = await chatDirectory(families.mistral);
    const tokenizer = await loadTokenizer(model.path);
    const call = { name: 'add', arguments: { a: 2 } };
    const turns: Turn[] = [{ answer: `[TOOL_CALLS] [${JSON.stringify(call).replaceAll(/([:,])/g, '$1 ')}]`, next: [result('4')] }, { answer: ' It is 4.', next: [user('And 3 + 3?')] }];
    const messages = [user('2 + 2?'), { role: 'assistant', tool_calls: [{ id: 'call00001', type: 'function', function: call }] }, result('4'), { role: 'assistant', content: 'It is 4.' }];
    const ids = record(tokenizer, { opening: [user('2 + 2?')], turns: turns.slice(0, 1), options: { tools } });
    expect(ids).toEqual(await whole(model, messages.slice(0, 3), { tools }));
    // The template writes the tools before the last message of the user, wherever that is; in the record the first stays as well.
    const all = record(tokenizer, { opening: [user('2 + 2?')], turns, options: { tools } });
    const [toolsAgain, open] = [plain(tokenizer, '[AVAILABLE_TOOLS]')[0]!, plain(tokenizer, '[INST]')[0]!];
    expect(all.filter((id) => id === toolsAgain)).toHaveLength(2);
    expect(all.slice(all.lastIndexOf(open))).toEqual(plain(tokenizer, '[INST] And 3 + 3?[/INST]'));
  });
});

describe('what is appended', () => {
  const open = async (family: Parameters<typeof chatDirectory>[0], options: Options = {}) => {
    const model = await chatDirectory(family);
    const tokenizer = await loadTokenizer(model.path);
    return { model, tokenizer, template: templateOf(tokenizer, options), [Symbol.asyncDispose]: () => model[Symbol.asyncDispose]() };
  };
  /** As the vocabulary writes it, special tokens included. */
  const said = (tokenizer: Tokenizer, { idOf }: ChatDirectory, appended: ReturnType<ReturnType<typeof templateOf>['append']>, tokens: readonly string[]): string => {
    if (!appended.ok) return `refused: ${appended.message}`;
    const names = new Map(tokens.map((token) => [idOf(token), token]));
    return appended.ids.map((id) => names.get(id) ?? tokenizer.decode([id])).join('');
  };
  const CHATML = ['<|im_start|>', '<|im_end|>', '<|endoftext|>'];

  test('begins behind the end token, of which the newline is no part, or with the end that the model did not draw', async () => {
    await using at = await open(families['qwen2.5']);
    const append = (endedByToken: boolean) => said(at.tokenizer, at.model, at.template.append([user('a')], { endedByToken }, [user('b')]), CHATML);
    expect(append(true)).toBe('\n<|im_start|>user\nb<|im_end|>\n<|im_start|>assistant\n');
    expect(append(false)).toBe('<|im_end|>\n<|im_start|>user\nb<|im_end|>\n<|im_start|>assistant\n');
  });
  test('is the same whatever the model thought before, which stays in the record', async () => {
    await using at = await open(families.qwen3);
    const turns = [{ answer: '<think>\nhm\n</think>\n\n4', next: [user('b')] }];
    const [ids, theirs] = [record(at.tokenizer, { opening: [user('a')], turns }), await whole(at.model, [user('a'), ...answered(turns)])];
    expect(at.tokenizer.decode(ids)).toContain('hm');
    expect(at.tokenizer.decode(theirs)).not.toContain('hm');
    expect(ids.slice(-22)).toEqual(theirs.slice(-22));
  });
  test('closes the thinking again where the arguments ask for none', async () => {
    await using at = await open(families.qwen3, { args: { enable_thinking: false } });
    expect(said(at.tokenizer, at.model, at.template.append([user('a')], { endedByToken: true }, [user('b')]), CHATML)).toMatch(/<\|im_start\|>assistant\n<think>\n\n<\/think>\n\n$/);
  });
  test('minds what the system message asks for, and repeats neither it nor a default', async () => {
    await using quiet = await open(families.smollm3);
    const after = (opening: readonly TemplateMessage[]) => said(quiet.tokenizer, quiet.model, quiet.template.append(opening, { endedByToken: true }, [user('b')]), CHATML);
    expect(after([system('/no_think'), user('a')])).toBe('\n<|im_start|>user\nb<|im_end|>\n<|im_start|>assistant\n<think>\n\n</think>\n');
    expect(after([user('a')])).toBe('\n<|im_start|>user\nb<|im_end|>\n<|im_start|>assistant\n');
    await using mistral = await open(families.mistral);
    const appended = mistral.template.append([system('Be brief.'), user('a')], { endedByToken: true }, [user('b')]);
    expect(said(mistral.tokenizer, mistral.model, appended, families.mistral.special)).toBe('[INST] b[/INST]');
  });
  test('stands behind words that the assistant was given, too', async () => {
    await using at = await open(families.gemma3);
    const opening = [user('a'), { role: 'assistant', content: 'Well, ' }];
    expect(at.tokenizer.decode((at.template.open(opening) as { ids: number[] }).ids)).toMatch(/model\nWell,$/);
    expect(at.template.append(opening, { endedByToken: true }, [user('b')])).toMatchObject({ ok: true, text: '<end_of_turn>\n<start_of_turn>user\nb<end_of_turn>\n<start_of_turn>model\n' });
  });
  test('is refused, by the template\'s own words, where the roles do not follow each other', async () => {
    await using at = await open(families.gemma3);
    expect(at.template.append([user('a')], { endedByToken: true }, [user('b'), user('c')])).toMatchObject({ ok: false, message: expect.stringMatching(/^the chat template of \S+ says: Conversation roles must alternate/) });
  });
});

describe('a template is proved when it is loaded', () => {
  const proofOf = async (chat_template: string, options: Options = {}) => {
    await using model = await chatDirectory(families.smollm2, { changes: { 'tokenizer_config.json': { chat_template } } });
    const tokenizer = await loadTokenizer(model.path);
    const proved = conversationTemplate(tokenizer, options);
    return { tokenizer, proved, says: proved.ok ? 'fine' : proved.message.replace(model.path, 'DIR') };
  };
  const EACH = "{% for m in messages %}{{ '<|im_start|>' + m.role + '\\n' + m.content + '<|im_end|>' }}{% endfor %}";
  const OPEN = "{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}";

  test('and refused with what it writes instead', async () => {
    expect((await proofOf(`${EACH}${OPEN}`)).says).toBe('fine');
    expect((await proofOf('{{ messages[-1].content }}')).says).toMatch(/^the chat template cannot be appended to: it writes an answer 0 times, in "zweitens"$/);
    expect((await proofOf(`{% set messages = messages[::-1] %}${EACH}${OPEN}`)).says).toMatch(/^the chat template cannot be appended to: it does not write a user message once \("zweitens"\); behind an answer it writes "<\|im_end\|><\|im_start\|>user\\nerstens/);
    expect((await proofOf(`${EACH}{{ messages[0].content }}${OPEN}`)).says).toMatch(/^the chat template cannot be appended to: it writes the beginning again; behind an answer it writes /);
    expect((await proofOf(`${EACH}{% if messages | length == 1 %}${OPEN}{% endif %}`)).says).toMatch(/: a new answer is not opened as the first was \("<\|im_start\|>assistant\\n"\); behind /);
    expect((await proofOf("{{ raise_exception('no') }}")).says).toBe('the chat template of DIR says: no');
  });
  test('for results of tools only where there are tools; where it takes them behind calls alone, they are put there', async () => {
    const noTools = `{% for m in messages %}{% if m.role == 'tool' %}{{ raise_exception('no tools here') }}{% endif %}{% endfor %}${EACH}${OPEN}`;
    expect((await proofOf(noTools)).says).toBe('fine');
    expect((await proofOf(noTools, { tools })).says).toBe('the chat template of DIR says: no tools here');
    const strict = `{% for m in messages %}{% if m.role == 'tool' and not messages[loop.index0 - 1].tool_calls and messages[loop.index0 - 1].role != 'tool' %}{{ raise_exception('no call') }}{% endif %}{{ '<|im_start|>' + m.role + '\\n' }}{% if m.tool_calls %}{% for c in m.tool_calls %}{{ c.function | tojson }}{% endfor %}{% else %}{{ m.content }}{% endif %}{{ '<|im_end|>' }}{% endfor %}${OPEN}`;
    const { proved, tokenizer } = await proofOf(strict, { tools });
    if (!proved.ok) throw new Error(proved.message);
    const ids = (endedByToken: boolean) => (proved.template.append([user('a')], { endedByToken }, [result('4'), result('5')]) as { ids: number[] }).ids;
    const [start, end] = ['<|im_start|>', '<|im_end|>'].map((token) => plain(tokenizer, token)[0]!);
    expect(tokenizer.decode(ids(true))).toBe('tool\n4tool\n5assistant\n');
    expect(ids(true)[0]).toBe(start);
    expect(ids(false)).toEqual([end, ...ids(true)]);
  });
});
