/** Conversations in the report: roles one below the other, drawn text marked, nothing of it part of the page. */
import { expect, test } from 'vitest';
import type { Conversation, Message, Turn } from '../../src/events.ts';
import { renderDialogue } from '../../src/report/render-dialogue.ts';
import { renderRollouts } from '../../src/report/rollouts.ts';
import { sampleDialogue } from '../../src/report/sample-dialogue.ts';
import { sampleRollouts } from '../../src/report/samples.ts';
import { workspace } from '../cli/binary.ts';
import { attacks, hostileConversation } from './hostile.ts';
import { job, rollout, writeJob } from './support.ts';

const turn = (...drawn: number[]): Turn => ({ promptTokenIds: [1], outputTokenIds: drawn, outputLogprobs: drawn.map(() => -0.1) });
const said = (...messages: Message[]): Conversation => ({ messages, environmentMs: 1 });
const played: Conversation = {
  ...said(
    { role: 'assistant', content: 'm', reasoning: 'the middle', toolCalls: [{ id: 'c', name: 'look', arguments: { at: 'm' } }] },
    { role: 'tool', content: 'no such place', name: 'look', toolCallId: 'c', failure: 'invalid_arguments' },
    { role: 'assistant', content: 'q', heard: true },
    { role: 'user', content: '<' },
  ),
  verdict: { reward: 0.5, info: { tries: 2 } },
};

const render = (conversation: Conversation, turns: Turn[] = []) => renderDialogue(sampleDialogue(conversation, turns)).markup;

test('each message stands under who said it, in order; only what the model drew is marked as trained on', () => {
  const markup = render(played, [turn(5, 6), turn(7)]);
  const items = [...markup.matchAll(/<li class="(\w+)">(.*?)<\/li>/gs)];
  expect(items.map(([, role, item]) => [role, item!.replaceAll(/(<[^>]*>)+/g, '|')])).toEqual([
    ['drawn', '|assistant| |2 tokens drawn and trained on|the middle|m|look {&quot;at&quot;:&quot;m&quot;}|'],
    ['told', '|tool look, failed: invalid arguments|no such place|'],
    ['drawn', '|assistant| |1 token drawn and trained on, heard by the environment|q|'],
    ['told', '|user|&lt;|'],
  ]);
});

test('a long conversation keeps its ends and its measure', () => {
  const messages = Array.from({ length: 500 }, (_, index): Message => ({ role: 'user', content: `${index} ${'x'.repeat(9000)}` }));
  const markup = render(said(...messages));
  expect(markup).toContain('460 messages left out');
  for (const index of [0, 19, 480, 499]) expect(markup).toContain(`>${index} x`);
  expect(markup.length).toBeLessThan(60_000);
});

test('an answer without a word, and a conversation without an answer', () => {
  expect(render(said({ role: 'assistant', content: '' }))).toContain('(empty)');
  expect(render(said())).toContain('<ol class="dialogue"></ol>');
});

test.each(attacks)('words stay words: %s', (attack) => {
  const tags = (markup: string) => [...markup.matchAll(/<(\/?\w+)((?: [\w-]+="[\w -]*")*)>|</g)].map(([whole]) => whole);
  expect(tags(render(hostileConversation(attack)))).toEqual(tags(render(hostileConversation('harmless'))));
  expect(tags(render(hostileConversation(attack)))).not.toContain('<');
});

test('a sampled conversation is on the page without its script, with the verdict, and its tokens know their turns', async () => {
  await using folder = await workspace();
  const { directory } = await writeJob(folder.cwd, { rollouts: { 1: [rollout({ completion: 'q', conversation: played, turns: [turn(5, 6), turn(7)] })] } });
  const { steps } = await sampleRollouts(directory, { tokenTexts: (ids) => ids.map(String) });
  const { section, tokens } = renderRollouts([{ job: job(), steps, stepsOnDisk: 1 }])!;
  expect(section.markup).toContain('<ol class="dialogue"><li class="drawn">');
  expect(section.markup).not.toContain('<h4>Completion</h4>');
  expect(section.markup).toContain('<dt>tokens</dt><dd>3 drawn in 2 turns, ended by done</dd><dt>environment</dt><dd>reward 0.5, {&quot;tries&quot;:2}</dd>');
  expect(tokens['0/000001-0000-000']).toMatchObject({ t: ['5', '6', '7'], s: [0, 2] });
});
