/** Gym-like servers without sessions of their own; those of OpenEnv's package are tried in gym.long.test.ts. */
import { describe, expect, test } from 'vitest';
import type { GymHome, RuntimeSettings } from '../../src/config/types.ts';
import { actionField, actionOf, observationText } from '../../src/environments/gym/fields.ts';
import { openEnvironment, PROGRAM } from '../../src/environments/index.ts';
import { serveGym } from './fixtures/gym-server.mjs';

const patient = 20_000;
const base: RuntimeSettings = { kind: 'local', command: [], cwd: '.', concurrency: 4, env: [], setupTimeoutMs: patient, scoreTimeoutMs: patient, rolloutTimeoutMs: 2 * patient, memoryMb: 256 };
const { signal } = new AbortController();
const said = (content: string) => ({ content, toolCalls: [] });
const task = { template: 'count', args: { goal: 3 }, prompt: 'count to 3' };

async function open(home: Partial<GymHome> = {}, options: Parameters<typeof serveGym>[0] = {}) {
  const server = await serveGym(options);
  const opened = await openEnvironment({ source: PROGRAM, runtime: { ...base, home: { kind: 'gym', url: `${server.url}/`, startTimeoutMs: patient, actionField: null, promptField: null, observationField: null, ...home } } });
  if (!opened.ok) {
    server.close();
    throw new Error(opened.failure.message);
  }
  return { environment: opened.environment, [Symbol.asyncDispose]: async () => { await opened.environment[Symbol.asyncDispose](); server.close(); } };
}

describe('an episode', () => {
  test('is played in turns, and its steps are summed', async () => {
    await using served = await open();
    expect(await served.environment.setup(task)).toEqual({ ok: true, value: 'count to 3' });
    const begun = await served.environment.begin(task, signal);
    if (!begun.ok) throw new Error(begun.failure.message);
    await using episode = begun.value;
    expect(await episode.reply(said('1'), signal)).toEqual({ ok: true, value: { done: false, messages: [{ role: 'user', content: 'at 1' }], reward: 0 } });
    expect(await episode.reply(said('one'), signal)).toMatchObject({ ok: true, value: { done: false, messages: [{ content: 'Error: move: Input should be a valid integer' }] } });
    expect(await episode.reply(said(' 2\n'), signal)).toEqual({ ok: true, value: { done: true, verdict: { ok: true, value: 1 } } });
  });

  test('that is not over has what its steps were worth', async () => {
    await using served = await open();
    expect(await served.environment.grade(task, [said('1')])).toEqual({ ok: true, value: 0, info: { unfinished: true } });
    expect(await served.environment.grade(task, [said('1'), said('2')])).toEqual({ ok: true, value: 1 });
  });

  test('has the server to itself, which has but one', async () => {
    await using served = await open();
    const verdicts = await Promise.all([3, 4, 5].map((goal) => served.environment.grade({ template: 'count', args: { goal }, prompt: `count to ${goal}` }, [said('1'), said(String(goal - 1))])));
    expect(verdicts).toEqual([3, 4, 5].map(() => ({ ok: true, value: 1 })));
  });

  test.each<[string, object]>([
    ['fail', { failure: { type: 'exception', message: expect.stringMatching(/answered step with 500: .*the board is gone/) } }],
    ['text', { failure: { type: 'invalid_reward', message: expect.stringMatching(/gave the text "much"/) } }],
    ['wrong', { failure: { type: 'invalid_reward', message: expect.stringMatching(/must lie between/) } }],
    ['nan', { failure: { type: 'invalid_reward', message: 'ended without a reward for any step' } }],
  ])('that goes wrong (%s) has no reward', async (move, verdict) => {
    await using served = await open();
    expect(await served.environment.grade(task, [said(move)])).toMatchObject({ ok: false, ...verdict });
  });

  test('that is over at once is no task', async () => {
    await using served = await open();
    expect(await served.environment.setup({ template: 'count', args: { goal: 0 } })).toMatchObject({ ok: false, failure: { message: 'setup of count: it is over before it begins' } });
  });
});

test('a server that does not tell its actions wants the field named', async () => {
  await expect(open({}, { schema: false })).rejects.toThrow(/name it: runtime: \{ action_field: message \}/);
  await using served = await open({ actionField: 'move' }, { schema: false });
  expect(await served.environment.setup(task)).toMatchObject({ ok: true });
});

test('a server that is not there', async () => {
  const server = await serveGym();
  server.close();
  await expect(open({ url: server.url })).rejects.toThrow(`nothing listens at ${server.url}/schema`);
});

test('what of an observation is read', () => {
  expect(observationText('plain', null)).toBe('plain');
  expect(observationText({ board: '...', id: 3 }, null)).toBe('...');
  expect(observationText({ board: '...', prompt: 'your move' }, null)).toBe('your move');
  expect(observationText({ a: 'x', b: 'y' }, null)).toBe('{"a":"x","b":"y"}');
  expect(observationText({ a: 'x', b: 'y' }, 'b')).toBe('y');
  expect(observationText({ messages: [{ sender_id: -1, content: 'one' }, { content: 'two' }] }, 'messages')).toBe('one\ntwo');
});

test('where an answer goes', () => {
  expect(actionField({ properties: { message: { type: 'string' } }, required: ['message'] }, null)).toEqual({ name: 'message', isNumber: false });
  expect(actionField({ required: ['a', 'b'] }, null)).toBeNull();
  expect(actionOf('7 ', { name: 'move', isNumber: true })).toEqual({ move: 7 });
  expect(actionOf('7 ', { name: 'text', isNumber: false })).toEqual({ text: '7 ' });
});
