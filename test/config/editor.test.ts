/** @file What an editor offers and says, from the server that editors run. */
import { readFileSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { LanguageServer } from './language-server.ts';

interface Schema {
  properties?: Record<string, Schema & { $ref?: string; const?: unknown; type?: unknown }>;
  oneOf?: { $ref: string }[];
  $defs?: Record<string, Schema>;
}

const schema = JSON.parse(readFileSync(new URL('../../schemas/pipeline.schema.json', import.meta.url), 'utf8')) as Schema;
const keysOf = (definition: string): string[] => Object.keys(schema.$defs![definition]!.properties!);
const kindsOf = (definition: string): unknown[] => schema.$defs![definition]!.oneOf!.map(({ $ref }) => schema.$defs![$ref.split('/').at(-1)!]!.properties!['kind']!.const);

let server: LanguageServer;
beforeAll(async () => {
  server = await LanguageServer.start();
});
afterAll(() => server[Symbol.asyncDispose]());

const labels = async (text: string): Promise<string[]> => (await server.complete(text)).map(({ label }) => label);

test('every key of the top level is offered, and explained', async () => {
  const items = await server.complete('|');
  expect(items.map(({ label }) => label)).toEqual(expect.arrayContaining(Object.keys(schema.properties!)));
  for (const key of Object.keys(schema.properties!)) expect(JSON.stringify(items.find(({ label }) => label === key)?.documentation ?? ''), key).not.toBe('""');
});

test('keys that are there already are not offered again', async () => {
  const offered = await labels('model: { fork: builtin:arith-tiny }\n|');
  expect(offered).not.toContain('model');
  expect(offered).toContain('taskset');
});

describe('inside', () => {
  test.each([
    ['model:\n  |', 'Model'], ['taskset:\n  |', 'Taskset'], ['agent:\n  |', 'Agent'], ['runtime:\n  |', 'Runtime'], ['train:\n  |', 'Train'], ['eval:\n  |', 'Eval'],
    ['promote:\n  |', 'Promote'], ['guard:\n  |', 'Guard'], ['watch:\n  |', 'Watch'], ['taskset:\n  source: builtin:arith\n  args:\n    |', 'ArithArgs'],
  ])('%j every key is offered', async (text, definition) => expect(await labels(text)).toEqual(expect.arrayContaining(keysOf(definition))));

  test.each([
    ['steps:\n  - kind: sft\n    |', 'StageSft'], ['steps:\n  - kind: export\n    |', 'StageExport'], ['reward:\n  - kind: numeric_match\n    |', 'RewardNumericMatch'], ['reward:\n  - kind: regex\n    |', 'RewardRegex'],
  ])('%j the other keys of its kind are offered', async (text, definition) => expect(await labels(text)).toEqual(expect.arrayContaining(keysOf(definition).filter((key) => key !== 'kind'))));
});

test.each([
  ['reward:\n  - kind: |', 'Reward'], ['steps:\n  - kind: |', 'Stage'], ['train:\n  loss:\n    kind: |', 'Loss'],
])('%j every kind is offered', async (text, definition) => expect((await labels(text)).toSorted()).toEqual(kindsOf(definition).toSorted()));

test.each([
  ['model:\n  device: |', ['cpu', 'webgpu', 'cuda']],
  ['agent:\n  kind: |', ['chat', 'completion']],
  ['train:\n  loss: |', ['grpo', 'importance_sampling', 'ppo']],
  ['promote:\n  when: |', ['always', 'better']],
])('%j its values are offered', async (text, values) => expect(await labels(text)).toEqual(expect.arrayContaining(values)));

test.each([
  ['gro|up: 8', 'Rollouts per task and step'],
  ['agent:\n  max_tok|ens: 8', 'Tokens an answer may have'],
  ['guard:\n  targ|et: 0.9', 'End once the held-out score reaches this'],
  ['reward:\n  - kind: regex\n    patt|ern: a', 'regular expression'],
])('%j is explained', async (text, words) => expect(await server.hover(text)).toContain(words));

test('a mistake is marked, and a pipeline that ships is none', async () => {
  expect(JSON.stringify(await server.diagnose('model: { fork: builtin:arith-tiny }\ntaskset: { source: builtin:arith }\nreward: [{ kind: numeric_match }]\ngruop: 8\n'))).toContain('gruop');
  expect(await server.diagnose(readFileSync(new URL('../../pipelines/arith.yaml', import.meta.url), 'utf8'))).toEqual([]);
});

test('the server does not fail on the schema', () => expect(server.complaints).toBe(''));
