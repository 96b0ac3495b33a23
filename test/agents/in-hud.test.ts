/** A scripted model in a HUD environment: it calls a tool, reads the result, answers, and is graded. */
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';
import { type Composer, converse } from '../../src/agents/index.ts';
import { openEnvironment, PROGRAM } from '../../src/environments/index.ts';
import type { ToolCall } from '../../src/events.ts';

const file = fileURLToPath(new URL('../environments/fixtures/hud-server.mjs', import.meta.url));
const { signal } = new AbortController();

/** Each token is one answer of the script. */
async function played(answers: readonly { content?: string; call?: [name: string, args: Record<string, unknown>] }[]) {
  const runtime = { kind: 'local', command: ['/usr/bin/env', 'WITH=mcp', process.execPath, file], cwd: '.', concurrency: 1, env: [], setupTimeoutMs: 20_000, scoreTimeoutMs: 20_000, rolloutTimeoutMs: 40_000, memoryMb: 256, home: { kind: 'hud', startTimeoutMs: 20_000 } } as const;
  const opened = await openEnvironment({ source: PROGRAM, runtime });
  if (!opened.ok) throw new Error(opened.failure.message);
  await using environment = opened.environment;
  const begun = await environment.begin({ template: 'add', args: { a: 20, b: 22 }, prompt: '20+22=' }, signal);
  if (!begun.ok) throw new Error(begun.failure.message);
  await using episode = begun.value;
  const composer: Composer = {
    open: () => ({ ok: true, prompt: '20+22=', tokenIds: [0] }),
    read([token]) {
      const { content = '', call } = answers[token!]!;
      const toolCalls: ToolCall[] = call ? [{ id: `call-${token}`, name: call[0], arguments: call[1] }] : [];
      return { content, toolCalls };
    },
    append: (_tokenIds, messages) => ({ ok: true, ids: messages.map(() => 99) }),
  };
  let next = 0;
  return await converse({
    composer, episode, signal, toolSessions: [], promptTokenIds: [0], maxSteps: 10, maxTokens: 1, contextLength: 100, maxToolCharacters: 1000,
    sample: async () => ({ id: 'x', outputTokenIds: [next++], outputLogprobs: [0], stopReason: 'stop' }),
  });
}

test('a tool is called by the name that it was offered under, and the last answer is graded', async () => {
  const end = await played([{ call: ['calc_eval_e68a5652', { expression: '20+22' }] }, { content: '42' }]);
  expect(end).toMatchObject({ status: 'completed', stopReason: 'done', completion: '42' });
  expect(end.conversation.messages).toMatchObject([{ role: 'assistant' }, { role: 'tool', name: 'calc_eval_e68a5652', content: '42' }, { role: 'assistant', content: '42', heard: true }]);
  expect(end.conversation.verdict).toMatchObject({ reward: 1 });
});

test('an environment that dies in the middle ends the rollout with an error, whatever the model says then', async () => {
  const end = await played([{ call: ['calc_eval_e68a5652', { expression: 'die' }] }, { content: '42' }]);
  expect(end).toMatchObject({ status: 'error', error: { phase: 'scoring', type: 'exit', message: expect.stringMatching(/ended with exit code 5/) } });
  expect(end.conversation.verdict).toBeUndefined();
});
