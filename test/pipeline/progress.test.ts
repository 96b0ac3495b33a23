import { expect, test } from 'vitest';
import type { Message } from '../../src/events.ts';
import { briefly } from '../../src/pipeline/progress.ts';

test('a conversation is announced by its last messages, calls among their texts, however long it is', () => {
  const call = (text: string) => ({ id: 'c', name: 'search', arguments: { text } });
  const long: Message[] = Array.from({ length: 1000 }, (_, index) => ({ role: 'assistant', content: `${index}`, reasoning: 'x'.repeat(1e4), toolCalls: Array(50).fill(call('y'.repeat(1e3))) }));
  const brief = briefly(long);
  expect(brief.at(-1)!.content).toMatch(/^999 search \{"text":"y+…$/);
  expect(JSON.stringify(brief).length).toBeLessThan(6000);
  expect(briefly([{ role: 'assistant', content: '', toolCalls: [call('cats')] }, { role: 'tool', content: 'none', name: 'search', failure: 'error' }])).toEqual([
    { role: 'assistant', content: 'search {"text":"cats"}' },
    { role: 'tool', content: 'none' },
  ]);
});
