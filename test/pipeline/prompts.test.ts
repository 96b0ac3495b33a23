/** @file Prompts that do not fit are known before anything is sampled. */
import { describe, expect, test } from 'vitest';
import { createAgent } from '../../src/agents/index.ts';
import { refusePrompts, warnOfPrompts, warnOfUnknownText } from '../../src/pipeline/prompts.ts';
import type { Task } from '../../src/tasks/types.ts';
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
