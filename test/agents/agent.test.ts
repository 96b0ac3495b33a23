import { describe, expect, test } from 'vitest';
import { createAgent } from '../../src/agents/index.ts';
import type { AgentSettings } from '../../src/config/types.ts';
import type { Tokenizer } from '../../src/policy/types.ts';
import type { Task } from '../../src/tasks/index.ts';

const END = 1;
const BEGIN = 2;

/** One token per UTF-16 unit, after ids for the ends; `closes` also puts an end after what it encodes, as some tokenizers do. */
function tokenizer({ closes = false, template = true } = {}): Tokenizer {
  const plain = (text: string) => Array.from({ length: text.length }, (_, index) => text.charCodeAt(index));
  return {
    encode: (text, { addSpecialTokens }) => (addSpecialTokens ? [BEGIN, ...plain(text), ...(closes ? [END] : [])] : plain(text)),
    decode: (ids) => String.fromCharCode(...ids.filter((id) => id > BEGIN)),
    applyChatTemplate: template
      ? (messages, { end = 'open', args = {} } = {}) => {
          if (args['forbids'] === messages[0]?.role) return { ok: false, message: `the chat template says: no ${messages[0]?.role} role` };
          const text = `${messages.map(({ role, content }) => `<${role}>${content}`).join('')}${end === 'open' ? '<assistant>' : ''}`;
          return { ok: true, text };
        }
      : null,
    endTokenIds: [END],
    answerEnds: { completion: [END], chat: [END] },
    unknownTokenId: null,
  };
}

const settings = (more: Partial<AgentSettings> = {}): AgentSettings => ({ kind: 'completion', system: null, templateArgs: {}, maxTokens: 8, temperature: 1, topP: 1, topK: 0, stop: [], maxSteps: 1, toolFormat: 'auto', maxToolCharacters: 8192, ...more });
const task = (prompt: Task['prompt']): Task => ({ id: 'add-1', prompt, answer: null, args: {} });
const ids = (text: string) => Array.from(text, (letter) => letter.charCodeAt(0));
const agent = (more: Partial<AgentSettings> = {}, of: Parameters<typeof tokenizer>[0] = {}, contextLength = 64) => createAgent({ settings: settings(more), tokenizer: tokenizer(of), contextLength });

describe('completion', () => {
  test('sends the text with the tokenizer\'s own beginning', () => {
    expect(agent().prepare(task('12+34='))).toEqual({ ok: true, prompt: '12+34=', tokenIds: [BEGIN, ...ids('12+34=')] });
  });
  test('never sends a prompt that is already closed', () => {
    expect(agent({}, { closes: true }).prepare(task('12+34='))).toEqual({ ok: true, prompt: '12+34=', tokenIds: [BEGIN, ...ids('12+34=')] });
  });
  test('sends one beginning, if the text brings its own', () => {
    expect(agent().prepare(task(`${String.fromCharCode(BEGIN)}1=`))).toMatchObject({ tokenIds: [BEGIN, ...ids('1=')] });
    expect(agent().prepare(task('11='))).toMatchObject({ tokenIds: [BEGIN, ...ids('11=')] });
  });
  test('puts the system text first, as it stands', () => {
    expect(agent({ system: '1+1=2\n' }).prepare(task('2+2='))).toMatchObject({ ok: true, prompt: '1+1=2\n2+2=' });
  });
  test('cannot send messages', () => {
    expect(agent().prepare(task([{ role: 'user', content: 'hi' }]))).toMatchObject({ ok: false, error: { phase: 'setup', message: expect.stringMatching(/^task add-1: .*agent: \{ kind: chat \}/) } });
  });
});

describe('chat', () => {
  test('wraps a text as the user\'s message and opens the answer', () => {
    expect(agent({ kind: 'chat', system: 'be brief' }).prepare(task('2+2'))).toEqual({ ok: true, prompt: '<system>be brief<user>2+2<assistant>', tokenIds: ids('<system>be brief<user>2+2<assistant>') });
  });
  test('a system message of the task wins', () => {
    const messages = [{ role: 'system', content: 'own' }, { role: 'user', content: 'x' }] as const;
    expect(agent({ kind: 'chat', system: 'be brief' }).prepare(task([...messages]))).toMatchObject({ prompt: '<system>own<user>x<assistant>' });
  });
  test('goes on with a message of the assistant, if that is the last one', () => {
    const messages = [{ role: 'user', content: '2+2' }, { role: 'assistant', content: 'Let me' }] as const;
    expect(agent({ kind: 'chat' }).prepare(task([...messages]))).toMatchObject({ prompt: '<user>2+2<assistant>Let me' });
  });
  test('hands its arguments to the template, and what that has against a task is an error of the task', () => {
    const refusing = (forbids: string) => agent({ kind: 'chat', system: 'be brief', templateArgs: { forbids } });
    expect(refusing('user').prepare(task('x'))).toMatchObject({ ok: true });
    expect(refusing('system').prepare(task('x'))).toMatchObject({ ok: false, error: { phase: 'setup', message: 'task add-1: the chat template says: no system role; leave agent.system out' } });
  });
  test('ends its demonstrations as the template does', () => {
    const chatty = { ...tokenizer(), answerEnds: { completion: [END], chat: [32, 0] } };
    expect((['completion', 'chat'] as const).map((kind) => createAgent({ settings: settings({ kind }), tokenizer: chatty, contextLength: 64 }).answerEnd)).toEqual([[END], [32, 0]]);
  });
  test('needs a model with a chat template', () => {
    expect(agent({ kind: 'chat' }, { template: false }).prepare(task('x'))).toMatchObject({ ok: false, error: { message: 'task add-1: the model has no chat template; write agent: { kind: completion }' } });
  });
});

test('a stop text that is a special token ends an answer by the token, since decoded text has no trace of it', () => {
  const TURN_END = 0;
  const special = { ...tokenizer(), encode: (text: string) => (text === '<|im_end|>' ? [TURN_END] : ids(text)) };
  const stopping = createAgent({ settings: settings({ stop: ['<|im_end|>', ';'] }), tokenizer: special, contextLength: 64 });
  expect(stopping.stopTokenIds).toEqual([END, TURN_END]);
  expect(stopping.stopStrings).toEqual([';']);
  expect(stopping.decode([...ids('46'), TURN_END])).toBe('46');
  expect(stopping.decode(ids('4;6'))).toBe('4');
});

test('a prompt that leaves too little room is an error that names the numbers', () => {
  expect(agent({}, {}, 15).prepare(task('12+34='))).toMatchObject({ ok: true });
  expect(agent({}, {}, 14).prepare(task('12+34='))).toEqual({
    ok: false,
    promptTokens: 7,
    error: {
      phase: 'setup',
      type: 'context_overflow',
      message: "task add-1: the prompt has 7 tokens and max_tokens allows 8 more, but the model's context holds 14; lower max_tokens to 7 or shorten the prompt",
    },
  });
  expect(agent({}, {}, 7).prepare(task('12+34='))).toMatchObject({ error: { message: expect.stringMatching(/context holds 7; shorten the prompt$/) } });
});

describe('the completion as text', () => {
  test('ends before the stop token', () => {
    expect(agent().decode([...ids('46'), END])).toBe('46');
    expect(agent().decode([END])).toBe('');
    expect(agent().decode([])).toBe('');
    expect(agent().stopTokenIds).toEqual([END]);
  });
  test('ends before the first stop string', () => {
    expect(agent({ stop: ['\n', ';'] }).decode(ids('46; or\nso'))).toBe('46');
    expect(agent({ stop: ['\n'] }).decode(ids('46'))).toBe('46');
  });
});
