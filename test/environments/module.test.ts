/** Templates of several turns, in the places of a runtime. */
import { mkdtempSync, realpathSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import type { RuntimeSettings } from '../../src/config/types.ts';
import { type Answer, type Episode, openEnvironment } from '../../src/environments/index.ts';

const folder = realpathSync(mkdtempSync(join(tmpdir(), 'rlrun-module-')));
afterAll(() => rmSync(folder, { recursive: true, force: true }));
const patient = 20_000;
const base: RuntimeSettings = { kind: 'local', command: [], cwd: folder, env: [], concurrency: 1, setupTimeoutMs: patient, scoreTimeoutMs: patient, rolloutTimeoutMs: 2 * patient, memoryMb: 256 };
const { signal } = new AbortController();
const said = (content: string): Answer => ({ content, toolCalls: [] });

async function environmentOf(name: string, body: string, more: Partial<RuntimeSettings> = {}) {
  const source = join(folder, `${name}.mjs`);
  writeFileSync(source, body);
  const opened = await openEnvironment({ source, runtime: { ...base, ...more } });
  if (!opened.ok) throw new Error(opened.failure.message);
  return opened.environment;
}

async function begun(environment: Awaited<ReturnType<typeof environmentOf>>, args: Record<string, unknown>, prompt = 'guess'): Promise<Episode> {
  const episode = await environment.begin({ template: 't', args, prompt }, signal);
  if (!episode.ok) throw new Error(episode.failure.message);
  return episode.value;
}

const next = (content: string, reward?: number) => ({ ok: true, value: { done: false, messages: [{ role: 'user', content }], reward } });
const over = (value: number) => ({ ok: true, value: { done: true, verdict: expect.objectContaining({ ok: true, value }) } });

/** Says whether the number is greater or less; one guess may be fatal to its place. */
const guessing = `
  export const templates = {
    async *t({ number, fatal }) {
      let answer = yield 'guess';
      for (;;) {
        if (answer === fatal) process.exit(3);
        if (Number(answer) === number) return void (yield 1);
        answer = yield Number(answer) < number ? 'greater' : 'less';
      }
    },
  };`;

describe('a template of several turns', () => {
  test('is handed every answer, and judges when it likes', async () => {
    await using environment = await environmentOf('guessing', guessing);
    await using episode = await begun(environment, { number: 5 });
    expect(await episode.reply(said('1'), signal)).toEqual(next('greater'));
    expect(await episode.reply(said('9'), signal)).toEqual(next('less'));
    expect(await episode.reply(said('5'), signal)).toEqual(over(1));
  });

  test('is worth what its steps gave when the agent has no more turns', async () => {
    await using environment = await environmentOf('steps', 'export const templates = { *t() { yield "guess"; yield { messages: "warm", reward: 0.25 }; yield { messages: "hot", reward: 0.5 }; yield 1; } };');
    await using cut = await begun(environment, {});
    expect(await cut.reply(said('a'), signal)).toEqual(next('warm', 0.25));
    expect(await cut.conclude(said('a'), signal)).toEqual({ ok: true, value: { ok: true, value: 0.25, info: { unfinished: true } } });

    await using whole = await begun(environment, {});
    for (const answer of ['a', 'b']) await whole.reply(said(answer), signal);
    const verdict = { ok: true, value: 1.75, info: { steps_reward: 0.75, final_reward: 1 } };
    expect(await whole.reply(said('c'), signal)).toEqual({ ok: true, value: { done: true, verdict } });
    // Judged once more from what is stored, it is worth the same.
    expect(await environment.grade({ template: 't', args: {}, prompt: 'guess' }, ['a', 'b', 'c'].map(said))).toEqual(verdict);
  });

  test('that brings tools is handed their calls; one that brings none, the text', async () => {
    await using environment = await environmentOf('tools', `
      const tools = [{ name: 'take', description: 'Takes.', parameters: { type: 'object', properties: { what: { type: 'string' } } } }];
      export const templates = {
        *t({ withTools }) {
          const answer = yield withTools ? { prompt: 'guess', tools } : 'guess';
          yield [{ role: 'tool', content: JSON.stringify(answer) }];
          yield 1;
        },
      };`);
    const answer: Answer = { content: 'now', toolCalls: [{ id: 'c1', name: 'take', arguments: { what: 'lamp' } }] };
    const content = async (episode: Episode) => {
      const reply = await episode.reply(answer, signal);
      return reply.ok && !reply.value.done ? JSON.parse(reply.value.messages[0]!.content) as unknown : reply;
    };
    await using bringing = await begun(environment, { withTools: true });
    expect(bringing.ownTools).toEqual([expect.objectContaining({ name: 'take', description: 'Takes.' })]);
    expect(await content(bringing)).toEqual(answer);
    await using plain = await begun(environment, {});
    expect(plain.ownTools).toEqual([]);
    expect(await content(plain)).toBe('now');
  });

  test.each([
    ['throws', 'yield "guess"; throw new Error("hm");', 'exception', /^hm/],
    ['ends without a verdict', 'yield "guess"; yield "more";', 'invalid_reward', /ended without another yield/],
    ['yields what is neither a turn nor a verdict', 'yield "guess"; yield { messages: 7 };', 'invalid_reward', /./],
    ['gives a step reward that is none', 'yield "guess"; yield { messages: "more", reward: "much" };', 'invalid_reward', /^step gave the text "much"/],
    ['hangs', 'yield "guess"; await new Promise(() => setInterval(() => {}, 1000));', 'timeout', /gave no answer within 1\.5 s/],
  ])('that %s costs its rollout', async (name, body, type, says) => {
    await using environment = await environmentOf(name.replaceAll(' ', '-'), `export const templates = { async *t({ calm }) { if (calm) { yield "guess"; yield 1; return; } ${body} } };`, { scoreTimeoutMs: 1500 });
    await using episode = await begun(environment, {});
    const first = await episode.reply(said('a'), signal);
    const failed = first.ok ? await episode.reply(said('b'), signal) : first;
    expect(failed).toMatchObject({ ok: false, failure: { type, message: expect.stringMatching(says) } });
    await using calm = await begun(environment, { calm: true });
    expect(await calm.reply(said('a'), signal)).toEqual(over(1));
  });
});

describe('many rollouts', () => {
  test('share a place, each with its own game', async () => {
    await using environment = await environmentOf('shared', guessing);
    const outcomes = await Promise.all(Array.from({ length: 20 }, async (_, number) => {
      await using episode = await begun(environment, { number });
      const heard = [await episode.reply(said('10'), signal), ...(number === 10 ? [] : [await episode.reply(said(String(number)), signal)])];
      return heard;
    }));
    outcomes.forEach((heard, number) => {
      expect(heard.at(-1)).toEqual(over(1));
      if (number !== 10) expect(heard[0]).toEqual(next(number > 10 ? 'greater' : 'less'));
    });
  });

  test('go on elsewhere when a neighbour takes their place down: played again, the template says the same', async () => {
    await using environment = await environmentOf('neighbours', guessing);
    await using calm = await begun(environment, { number: 5 });
    expect(await calm.reply(said('1'), signal)).toEqual(next('greater'));
    await using fatal = await begun(environment, { number: 5, fatal: '3' });
    expect(await fatal.reply(said('3'), signal)).toMatchObject({ ok: false, failure: { type: 'exit' } });
    expect(await calm.reply(said('9'), signal)).toEqual(next('less'));
    expect(await calm.reply(said('5'), signal)).toEqual(over(1));
  });

  test('a template that says something else when it is played again is an error, not another game', async () => {
    await using environment = await environmentOf('forgetful', 'export const templates = { *t({ fatal }) { yield "guess"; if (fatal) process.exit(3); yield String(Math.random()); yield 1; } };');
    await using episode = await begun(environment, {});
    expect(await episode.reply(said('1'), signal)).toMatchObject({ ok: true, value: { done: false } });
    await using fatal = await begun(environment, { fatal: true });
    expect(await fatal.reply(said('1'), signal)).toMatchObject({ ok: false, failure: { type: 'exit' } });
    expect(await episode.reply(said('2'), signal)).toMatchObject({ ok: false, failure: { type: 'exception', message: expect.stringMatching(/played again, it said something else than before/) } });
  });
});

test('a rollout has `runtime.timeout` for all of its turns', async () => {
  await using environment = await environmentOf('slow', 'export const templates = { async *t() { yield "guess"; for (;;) { await new Promise((resolve) => setTimeout(resolve, 400)); yield "more"; } } };', { rolloutTimeoutMs: 1500 });
  await using episode = await begun(environment, {});
  const outcomes = [];
  for (let turn = 0; turn < 6; turn++) {
    outcomes.push(await episode.reply(said('a'), signal));
    if (!outcomes.at(-1)!.ok) break;
  }
  expect(outcomes[0]).toEqual(next('more'));
  expect(outcomes.at(-1)).toMatchObject({ ok: false, failure: { type: 'timeout' } });
});
