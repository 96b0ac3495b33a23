import { expect, test } from 'vitest';
import { CallOrder, type Use } from '../../src/policy/call-order.ts';

/** Calls by name, begun in order; each ends when it is told to. */
function office() {
  const order = new CallOrder(), running = new Map<string, () => void>(), begun: string[] = [];
  return {
    begun,
    enter: (use: Use, name: string) => order.enter(use, () => { begun.push(name); return new Promise<void>((resolve) => { running.set(name, resolve); }); }),
    end: async (name: string) => { running.get(name)!(); await settled(); },
  };
}
const settled = (): Promise<void> => new Promise((resolve) => { setImmediate(resolve); });

test('samples, one training call and saving go on side by side', async () => {
  const { begun, enter, end } = office();
  enter('samples', 'sample 1');
  enter('trains', 'forward 1');
  enter('samples', 'sample 2');
  enter('saves', 'save');
  enter('trains', 'forward 2');
  await settled();
  expect(begun).toEqual(['sample 1', 'forward 1', 'sample 2', 'save']);
  await end('forward 1');
  expect(begun.at(-1)).toBe('forward 2');
});

test('a change waits for all before it and for nobody behind it, and they wait for the change', async () => {
  const { begun, enter, end } = office();
  enter('samples', 'sample 1');
  enter('trains', 'forward');
  enter('saves', 'save');
  enter('changes', 'update');
  for (const use of ['samples', 'trains', 'saves'] as const) enter(use, `${use}, behind`);
  enter('none', 'release');
  await settled();
  expect(begun).toEqual(['release', 'sample 1', 'forward', 'save']);
  for (const name of ['forward', 'save']) await end(name);
  expect(begun).toHaveLength(4);
  await end('sample 1');
  expect(begun.slice(4)).toEqual(['update']);
  await end('update');
  expect(begun.slice(5).toSorted()).toEqual(['samples, behind', 'saves, behind', 'trains, behind']);
});

test('changes follow one another', async () => {
  const { begun, enter, end } = office();
  enter('changes', 'update');
  enter('changes', 'reset');
  enter('samples', 'sample');
  await settled();
  expect(begun).toEqual(['update']);
  await end('update');
  expect(begun).toEqual(['update', 'reset']);
  await end('reset');
  expect(begun).toEqual(['update', 'reset', 'sample']);
});
