import { expect, test } from 'vitest';
import { callPrints, jobPrints } from '../../src/runtimes/index.ts';

test('what is printed during one call is cut, and how much is missing is told with the answer', () => {
  const kept: string[] = [];
  const prints = callPrints((text) => kept.push(text));
  for (let chunk = 0; chunk < 100; chunk++) prints.add('x'.repeat(1_000_000));
  prints.answered();
  prints.add('next\n');
  prints.answered();
  expect(kept.map((text) => (text.length > 100 ? text.length : text))).toEqual([4000, '… 99,996,000 more characters were left out\n', 'next\n']);
});

test.each([['long', 4000], ['tiny', 1]])('a job keeps a bounded amount of %s prints, says so once, and the next job begins anew', (_name, length) => {
  let [size, last] = [0, ''];
  const prints = jobPrints((text) => {
    size += JSON.stringify({ type: 'log', time: Date.now(), level: 'debug', message: text }).length;
    last = text;
  });
  for (let round = 0; round < 100_000; round++) prints.add('x'.repeat(length));
  expect(size).toBeLessThan(1_200_000);
  expect(last).toBe('… that is 1,000,000 characters of what user code prints; the rest of this job\'s is left out\n');
  prints.reset();
  prints.add('again');
  expect(last).toBe('again');
});
