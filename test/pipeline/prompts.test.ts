/** @file Prompts that do not fit are known before anything is sampled. */
import { describe, expect, test } from 'vitest';
import { createAgent } from '../../src/agents/index.ts';
import { promptWarnings, refusePrompts, roomForAnswers, warnOfAnswers, warnOfPrompts, warnOfTemplate, warnOfUnknownText } from '../../src/pipeline/prompts.ts';
import { loadTokenizer } from '../../src/policy/index.ts';
import type { Task } from '../../src/tasks/types.ts';
import { chatDirectory, families } from '../policy/chat-models.ts';
import { stage, tokenizer } from './fakes.ts';

const CONTEXT = 16;
const room = (maxTokens: number) => ({ settings: { ...stage().agent, maxTokens }, contextLength: CONTEXT, split: 'train' as const });

/** One token per character. */
const tasksOf = (lengths: readonly number[]): Task[] => lengths.map((length, index) => ({ id: `t${index}`, prompt: 'a'.repeat(length), answer: null, args: {} }));

describe('a taskset of which no prompt fits is refused', () => {
  const refuse = (lengths: readonly number[], maxTokens = 4) => refusePrompts(tasksOf(lengths), { ...room(maxTokens), tokenizer });

  test('with the numbers of the shortest prompt, and what max_tokens may be', () => {
    expect(refuse([15, 13, 20])).toEqual({
      message: "no train prompt fits the model's context: the shortest, of task t1, has 13 tokens, agent.max_tokens allows 4 more, and the context holds 16",
      fix: 'Lower agent.max_tokens to 3 or less, shorten the prompts, or fork a model with a longer context.',
      key: 'agent.max_tokens',
    });
  });
  test('and where no max_tokens would help, the tasks are to blame', () => {
    expect(refuse([40, 16])).toMatchObject({ fix: 'Shorten the prompts, or fork a model with a longer context.', key: 'taskset' });
  });
  test('but not if one fits, wherever it stands', () => {
    expect(refuse([13, 13, 12])).toBeNull();
    expect(refuse([12, 13])).toBeNull();
    expect(refuse([])).toBeNull();
  });
  test('a large one after a look at tasks from all of it', () => {
    expect(refuse(Array.from({ length: 10_000 }, () => 13))?.message).toMatch(/^no train prompt fits the model's context \(256 of 10000 were tried\): /);
    expect(refuse(Array.from({ length: 10_000 }, (_, index) => (index < 9_000 ? 13 : 12)))).toBeNull();
  });
  test('also when the agent cannot put any task to the model', () => {
    const tasks = tasksOf([3, 30]).map((task) => ({ ...task, prompt: [{ role: 'user' as const, content: 'a' }] }));
    expect(refusePrompts(tasks, { ...room(4), tokenizer })).toMatchObject({ message: expect.stringMatching(/^no train task can be put to the model; the first that cannot: task t0: .*agent: \{ kind: chat \}$/), key: 'agent' });
  });
});

describe('a taskset of which some prompts do not fit', () => {
  const warn = (lengths: readonly number[], maxTokens = 4) => warnOfPrompts(tasksOf(lengths), { ...room(maxTokens), agent: createAgent({ settings: room(maxTokens).settings, tokenizer, contextLength: CONTEXT }) });

  test('is told with their count and the longest', () => {
    expect(warn([3, 13, 15, 12])).toEqual({
      message: "2 of 4 train prompts do not fit the model's context: the longest, of task t2, has 15 tokens, agent.max_tokens allows 4 more, and the context holds 16",
      fix: 'lower agent.max_tokens to 1, or shorten such prompts or leave them out: nothing is learnt from them',
    });
  });
  test('is told of held-out prompts in words of their own', () => {
    const warning = warnOfPrompts(tasksOf([3, 13]), { ...room(4), split: 'eval', agent: createAgent({ settings: room(4).settings, tokenizer, contextLength: CONTEXT }) });
    expect(warning).toMatchObject({ message: expect.stringMatching(/^1 of 2 eval prompts do not fit/), fix: expect.stringMatching(/: nothing is measured on them$/) });
  });
  test('is not told when all fit', () => {
    expect(warn([3, 12])).toBeNull();
  });
  test('a large one says how many were tried', () => {
    expect(warn(Array.from({ length: 1024 }, (_, index) => (index % 8 === 4 ? 90 : 3)))).toMatchObject({
      message: expect.stringMatching(/^128 of 256 train prompts \(as many as were tried of 1024\) do not fit/),
      fix: 'shorten such prompts or leave them out: nothing is learnt from them',
    });
  });
});

describe('a taskset whose text the tokenizer does not know', () => {
  const knowing = { ...tokenizer, unknownTokenId: -1 };
  const warn = (rows: readonly (readonly [prompt: string, answer: string | null])[], of: typeof tokenizer = knowing) => {
    const tasks = rows.map(([prompt, answer], index): Task => ({ id: `t${index}`, prompt, answer, args: {} }));
    return warnOfUnknownText(tasks, { tokenizer: of, agent: createAgent({ settings: room(4).settings, tokenizer: of, contextLength: CONTEXT }) });
  };

  test('is told with the letters that are missing, in prompts and in answers', () => {
    expect(warn([['XV=', '15'], ['ab=', '1'], ['a=', 'IX']])).toEqual({
      message: "the model's tokenizer does not know the text of 2 of 3 tasks, for example X V 5 I: the model cannot tell apart what it reads there, nor write it",
      fix: 'write the tasks in letters that it knows, or fork another model',
    });
  });
  test('is not told when all is known, or when there is no such thing as an unknown text', () => {
    expect(warn([['ab=', '1'], ['a=', null]])).toBeNull();
    expect(warn([['XV=', '15']], tokenizer)).toBeNull();
  });
});

describe('answers that are longer than max_tokens', () => {
  const answered = (answers: readonly (string | null)[]): Task[] => answers.map((answer, index) => ({ id: `t${index}`, prompt: 'a', answer, args: {} }));
  const warn = (answers: readonly (string | null)[], end = 0) => warnOfAnswers(answered(answers), { settings: { ...stage().agent, maxTokens: 3 }, tokenizer, end });

  test('are told with the longest, since the model could not give them', () => {
    expect(warn(['012', '0123', '01230', null])).toEqual({
      message: '2 of 3 answers are longer than agent.max_tokens, which is 3: the longest, of task t2, has 5 tokens',
      fix: 'raise agent.max_tokens to 5, or shorten such answers',
    });
    expect(warn(['012', null])).toBeNull();
  });
  test('with their end, where they are taught', () => {
    expect(warn(['012', '01'], 1)).toMatchObject({ message: '1 of 2 answers are longer than agent.max_tokens, which is 3: the longest, of task t0, has 4 tokens with its end' });
  });
});

test('a template that does not open the answer is told, but not one whose answers follow the question', async () => {
  const warnOf = async (family: Parameters<typeof chatDirectory>[0], chat_template?: string) => {
    await using model = await chatDirectory(family, chat_template === undefined ? {} : { changes: { 'tokenizer_config.json': { chat_template } } });
    return warnOfTemplate({ settings: { ...stage().agent, kind: 'chat' }, tokenizer: await loadTokenizer(model.path) });
  };
  const closed = "{% for m in messages %}{{ '<|im_start|>' + m.role + '\n' + m.content + '<|im_end|>\n' }}{% endfor %}";
  expect(await warnOf(families.smollm2, closed)).toMatchObject({ message: expect.stringMatching(/^the model's chat template ignores add_generation_prompt: /) });
  for (const family of Object.values(families)) expect(await warnOf(family)).toBeNull();
});

test('all that is wrong with prompts comes in one list, each with its code', () => {
  const tasks: Task[] = [{ id: 'long', prompt: 'a'.repeat(15), answer: '0', args: {} }, { id: 'chat', prompt: [{ role: 'user', content: 'a' }], answer: null, args: {} }, { id: 'fine', prompt: 'a', answer: '01230', args: {} }];
  const warnings = (split: 'train' | 'eval') => promptWarnings(tasks, { ...room(4), split, tokenizer, teaches: false, agent: createAgent({ settings: room(4).settings, tokenizer, contextLength: CONTEXT }) });
  expect(warnings('train').map(({ code }) => code)).toEqual(['context_overflow', 'unsuited_tasks', 'long_answers']);
  expect(warnings('eval').map(({ code }) => code)).toEqual(['context_overflow', 'unsuited_tasks']);
  expect(warnings('train')[1]!.message).toMatch(/^1 of 3 train tasks cannot be put to the model; the first: task chat: its prompt is a list of messages/);
});

test('the room for answers is what the longest prompt leaves of the context', () => {
  expect(roomForAnswers(tasksOf([3, 9, 5]), { ...room(4), tokenizer })).toBe(7);
  expect(roomForAnswers(tasksOf([3, 20]), { ...room(4), tokenizer })).toBe(-4);
});
