/** The loop of turns, with a model that recites, a template that is plain text, and an environment that is a list of replies. */
import { describe, expect, test } from 'vitest';
import { type Composer, type ConversationParts, converse } from '../../src/agents/index.ts';
import { toolFormats } from '../../src/agents/formats/index.ts';
import type { Answer, Episode, Reply, Tool, ToolResult, ToolSession } from '../../src/environments/index.ts';
import { mergeTurns } from '../../src/pipeline/batch.ts';
import type { Sample } from '../../src/policy/types.ts';
import type { Outcome } from '../../src/runtimes/index.ts';

/** A token a character; `$` ends an answer. */
const ids = (text: string): number[] => [...text].map((character) => character.codePointAt(0)!);
const text = (tokenIds: readonly number[]): string => String.fromCodePoint(...tokenIds);
const PROMPT = 'user: go\n';

const composer: Composer = {
  open: () => ({ ok: true, prompt: PROMPT, tokenIds: ids(PROMPT) }),
  read(outputTokenIds) {
    const { calls, ...said } = toolFormats.hermes.parse(text(outputTokenIds).replace(/\$$/, ''));
    return { ...said, toolCalls: calls.map((call, index) => ({ id: `call-${index}`, ...call })) };
  },
  append: (_tokenIds, messages) => ({ ok: true, ids: ids(messages.map(({ role, content }) => `\n${role}: ${content}`).join('')) }),
};

/** Draws the given answers one after the other; without `$` they were cut. */
function reciting(answers: readonly string[]) {
  const asked: { prompt: string; maxTokens: number; drawn: number }[] = [];
  const sample: ConversationParts['sample'] = async (promptTokenIds, limits) => {
    const answer = answers[asked.length]!;
    asked.push({ prompt: text(promptTokenIds), ...limits });
    const outputTokenIds = ids(answer);
    const stopReason: Sample['stopReason'] = answer === 'cancelled' ? 'cancelled' : answer.endsWith('$') ? 'stop' : 'length';
    return { id: '0', outputTokenIds, outputLogprobs: outputTokenIds.map((id) => -id / 100), stopReason };
  };
  return { sample, asked };
}

const going = (content: string): Outcome<Reply> => ({ ok: true, value: { done: false, messages: [{ role: 'user', content }] } });
const over = (reward: number): Outcome<Reply> => ({ ok: true, value: { done: true, verdict: { ok: true, value: reward, info: { over: true } } } });
const failing = (type: 'timeout' | 'exit', message: string): Outcome<Reply> => ({ ok: false, failure: { type, message } });

function episodeOf(replies: readonly Outcome<Reply>[], ownTools: Tool[] = []) {
  const heard: Answer[] = [];
  const concluded: Answer[] = [];
  const episode: Episode = {
    tools: null,
    ownTools,
    reply: async (answer) => replies[heard.push(answer) - 1]!,
    async conclude(answer) {
      concluded.push(answer);
      return { ok: true, value: { ok: true, value: 0.25, info: { unfinished: true } } };
    },
    [Symbol.asyncDispose]: async () => {},
  };
  return { episode, heard, concluded };
}

const tool = (name: string): Tool => ({ name, description: `${name}s`, parameters: { type: 'object', properties: {} } });

const echoing = (run: (args: Record<string, unknown>) => ToolResult = (args) => ({ text: JSON.stringify(args) })): ToolSession => ({
  tools: [tool('echo'), tool('other')],
  call: async ({ arguments: args }) => run(args),
  [Symbol.asyncDispose]: async () => {},
});

const call = (name: string, args: unknown = {}): string => `<tool_call>${JSON.stringify({ name, arguments: args })}</tool_call>`;

async function hold(answers: readonly string[], more: Partial<ConversationParts> = {}) {
  const { sample, asked } = reciting(answers);
  const end = await converse({
    composer, sample, promptTokenIds: ids(PROMPT), episode: null, toolSessions: [], signal: new AbortController().signal,
    ...{ maxSteps: 5, maxTokens: 200, contextLength: 2000, maxToolCharacters: 100 },
    ...more,
  });
  return { end, asked, said: end.conversation.messages.map(({ role, content }) => `${role}: ${content}`) };
}

describe('an environment', () => {
  test('replies to every answer until it is over, and its verdict is kept', async () => {
    const { episode, heard, concluded } = episodeOf([going('higher'), going('lower'), over(1)]);
    const { end, said } = await hold(['1$', '9$', '5$'], { episode });
    expect(end).toMatchObject({ status: 'completed', stopReason: 'done', completion: '5', conversation: { verdict: { reward: 1, info: { over: true } } } });
    expect(said).toEqual(['assistant: 1', 'user: higher', 'assistant: 9', 'user: lower', 'assistant: 5']);
    expect(heard.map(({ content }) => content)).toEqual(['1', '9', '5']);
    expect(concluded).toEqual([]);
    expect(end.conversation.messages.filter(({ heard: was }) => was).length).toBe(3);
  });

  test('is told that there are no more turns, and says what the conversation is worth', async () => {
    const { episode, concluded } = episodeOf([going('higher'), going('higher')]);
    const { end } = await hold(['1$', '2$'], { episode, maxSteps: 2 });
    expect(end).toMatchObject({ status: 'completed', stopReason: 'max_steps', conversation: { verdict: { reward: 0.25 } } });
    expect(concluded.map(({ content }) => content)).toEqual(['2']);
  });

  test('hears an answer that was cut; that the last one was is the reason it stopped', async () => {
    const { episode, heard } = episodeOf([going('and?'), over(0)]);
    const { end } = await hold(['so I thi', 'never mi'], { episode });
    expect(end).toMatchObject({ status: 'completed', stopReason: 'length' });
    expect(heard.length).toBe(2);
  });

  test('that says more than the context holds ends the conversation where it is', async () => {
    const { episode, concluded } = episodeOf([going('x'.repeat(80))]);
    const { end, asked } = await hold(['1$'], { episode, contextLength: 90 });
    expect(end).toMatchObject({ status: 'completed', stopReason: 'length', conversation: { verdict: { reward: 0.25 } } });
    expect([asked.length, concluded.length]).toEqual([1, 1]);
  });

  test('leaves the answer what is left of the context', async () => {
    const { episode } = episodeOf([going('x'.repeat(60)), over(1)]);
    const { asked } = await hold(['1$', '2$'], { episode, contextLength: 90, maxTokens: 50 });
    expect(asked.map(({ maxTokens }) => maxTokens)).toEqual([50, 90 - asked[1]!.prompt.length]);
  });

  test.each([
    ['fails', failing('exit', 'the program is gone'), { stopReason: 'done', error: { phase: 'environment', type: 'exit', message: 'the program is gone' } }],
    ['is late', failing('timeout', 'no answer within 1 s'), { stopReason: 'timeout', error: { phase: 'environment', type: 'timeout' } }],
  ])('that %s is an error of the rollout, without a verdict', async (_name, failure, expected) => {
    const { end } = await hold(['1$', '2$'], { episode: episodeOf([going('higher'), failure]).episode });
    expect(end).toMatchObject({ status: 'error', ...expected });
    expect(end.conversation.verdict).toBeUndefined();
    expect(end.turns.length).toBe(2);
  });

  test('that cannot judge is an error of scoring', async () => {
    const verdict = { ok: false, failure: { type: 'invalid_reward', message: 'gave the text "1"' } } as const;
    const { end } = await hold(['1$'], { episode: episodeOf([{ ok: true, value: { done: true, verdict } }]).episode });
    expect(end).toMatchObject({ status: 'error', error: { phase: 'scoring', type: 'invalid_reward' } });
  });

  test('is not asked when nothing more is wanted', async () => {
    const { episode, heard } = episodeOf([going('higher')]);
    const { end } = await hold(['1$', 'cancelled'], { episode });
    expect(end).toMatchObject({ status: 'cancelled', turns: [{ outputTokenIds: ids('1$') }] });
    expect(heard.length).toBe(1);
  });
});

describe('tools', () => {
  test('answer the calls of one answer in their order; who calls none is done', async () => {
    const { end, said, asked } = await hold([`${call('echo', { a: 1 })}${call('other', { b: 2 })}$`, 'both$'], { toolSessions: [echoing()] });
    expect(end).toMatchObject({ status: 'completed', stopReason: 'done', completion: 'both' });
    expect(said).toEqual(['assistant: ', 'tool: {"a":1}', 'tool: {"b":2}', 'assistant: both']);
    expect(end.conversation.messages[0]!.toolCalls).toEqual([{ id: 'call-0', name: 'echo', arguments: { a: 1 } }, { id: 'call-1', name: 'other', arguments: { b: 2 } }]);
    expect(end.conversation.messages[2]).toMatchObject({ toolCallId: 'call-1', name: 'other' });
    expect(asked[1]!.prompt).toContain('\ntool: {"a":1}\ntool: {"b":2}');
  });

  test('that do not exist are told with those that do, and counted', async () => {
    const { end } = await hold([`${call('eval')}$`, 'well$'], { toolSessions: [echoing()] });
    expect(end.conversation.messages[1]).toMatchObject({ failure: 'unknown_tool', name: 'eval', content: expect.stringMatching(/no tool eval; the tools are echo, other$/) });
    expect(end).toMatchObject({ status: 'completed', stopReason: 'done' });
  });

  test('that fail cost their call', async () => {
    const { end } = await hold([`${call('echo')}$`, 'well$'], { toolSessions: [echoing(() => ({ text: 'Error: late', failure: 'timeout' }))] });
    expect(end).toMatchObject({ status: 'completed', conversation: { messages: [{}, { content: 'Error: late', failure: 'timeout' }, {}] } });
  });

  test('that say a great deal are shortened in the middle, and say so', async () => {
    const long = `begin${'x'.repeat(1000)}end`;
    const { end } = await hold([`${call('echo')}$`, 'well$'], { toolSessions: [echoing(() => ({ text: long }))] });
    expect(end.conversation.messages[1]!.content).toMatch(/^beginx{45}\n\[… 908 characters left out …\]\nx{47}end$/);
  });

  test('of which a call cannot be read: the model is told why, and may go on', async () => {
    const { end } = await hold(['<tool_call>{"name": echo}</tool_call>$', `${call('echo')}$`, 'well$'], { toolSessions: [echoing()] });
    expect(end.conversation.messages[1]).toMatchObject({ role: 'tool', failure: 'malformed', content: expect.stringMatching(/could not be read: it is no JSON/) });
    expect(end).toMatchObject({ status: 'completed', stopReason: 'done', completion: 'well' });
  });

  test('three calls in a row that cannot be read end it; one that can be read begins the count anew', async () => {
    const [wrong, right] = ['<tool_call>{</tool_call>$', `${call('echo')}$`];
    const { end, asked } = await hold([wrong, wrong, right, wrong, wrong, wrong, 'never asked$'], { toolSessions: [echoing()], maxSteps: 9 });
    expect(end).toMatchObject({ status: 'completed', stopReason: 'malformed_tool_call' });
    expect(asked.length).toBe(6);
  });

  test('a last turn that calls is answered and counted, and nothing is asked again', async () => {
    const { end, said } = await hold([`${call('echo')}$`], { toolSessions: [echoing()], maxSteps: 1 });
    expect(end.stopReason).toBe('max_steps');
    expect(said).toEqual(['assistant: ', 'tool: {}']);
  });

  test('of the environment are handed over with the answer, others are not its business', async () => {
    const { episode, heard } = episodeOf([going('taken'), over(1)], [tool('take')]);
    const { end } = await hold([`${call('echo')}$`, `now ${call('take', { what: 'lamp' })}$`, 'bye$'], { episode, toolSessions: [echoing()] });
    expect(heard.map(({ content, toolCalls }) => [content, toolCalls.map(({ name }) => name)])).toEqual([['now', ['take']], ['bye', []]]);
    expect(end.conversation.messages.map(({ heard: was }) => was === true)).toEqual([false, false, true, false, true]);
    expect(end.stopReason).toBe('done');
  });
});

describe('the ids are the record', () => {
  test('every prompt begins with all that was before; only what was drawn is learnt', async () => {
    const { episode } = episodeOf([going('higher'), going('lower'), over(1)]);
    const { end, asked } = await hold(['1$', '9', '5$'], { episode });
    asked.slice(1).forEach(({ prompt }, index) => expect(prompt.startsWith(asked[index]!.prompt + ['1$', '9'][index])).toBe(true));
    expect(asked.map(({ drawn }) => drawn)).toEqual([0, 2, 3]);

    const [merged, ...rest] = mergeTurns(end.turns, 1, 1);
    expect(rest).toEqual([]);
    expect(text(merged!.tokenIds)).toBe('user: go\n1$\nuser: higher9\nuser: lower5$');
    expect(text(merged!.tokenIds.filter((_, index) => merged!.actionMask[index] === 1))).toBe('1$95$');
    const learnt = merged!.samplingLogprobs.filter((_, index) => merged!.actionMask[index] === 1);
    expect(learnt).toEqual(end.turns.flatMap(({ outputLogprobs }) => outputLogprobs));
  });

  test('what cannot be appended is an error of the agent', async () => {
    const { end } = await hold(['1$'], { composer: { ...composer, append: () => ({ ok: false, message: 'the template refuses it' }) }, episode: episodeOf([going('higher')]).episode });
    expect(end).toMatchObject({ status: 'error', error: { phase: 'agent', message: 'the template refuses it' } });
  });
});
