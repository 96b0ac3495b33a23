/** The pool against places that are told what to do: no threads, no processes. */
import { expect, test, vi } from 'vitest';
import { Pool } from '../../src/runtimes/index.ts';
import type { CallMessage, OpenPlace, PlaceHandlers } from '../../src/runtimes/types.ts';

interface FakePlace {
  calls: CallMessage[];
  handlers: PlaceHandlers;
  killed: boolean;
}

function fakes(): { open: OpenPlace; places: FakePlace[] } {
  const places: FakePlace[] = [];
  return {
    places,
    open(handlers) {
      const place: FakePlace = { calls: [], handlers, killed: false };
      places.push(place);
      return {
        send: (messages) => void place.calls.push(...messages),
        async kill() {
          place.killed = true;
        },
      };
    },
  };
}

const limits = { timeoutMs: 60_000 };
const answer = (place: FakePlace, result: unknown = null) => place.handlers.onReply({ id: place.calls.at(-1)!.id, result });
const settled = () => new Promise(setImmediate);

test('opens no more places than it may, and serves the rest in order', async () => {
  const { open, places } = fakes();
  const pool = new Pool({ open, size: 2, setupTimeoutMs: 1 });
  const done: string[] = [];
  const calls = ['a', 'b', 'c', 'd'].map((name) => pool.call(name, null, limits).then(() => done.push(name)));
  await vi.waitFor(() => expect(places.map(({ calls: [call] }) => call!.method)).toEqual(['a', 'b']));
  answer(places[1]!);
  await settled();
  expect(places[1]!.calls.map(({ method }) => method)).toEqual(['b', 'c']);
  answer(places[1]!);
  await settled();
  answer(places[1]!);
  answer(places[0]!);
  await Promise.all(calls);
  expect(done).toEqual(['b', 'c', 'd', 'a']);
  expect(places).toHaveLength(2);
  await pool[Symbol.asyncDispose]();
  expect(places.every(({ killed }) => killed)).toBe(true);
});

test('a place that ends fails its call only, and is replaced', async () => {
  const { open, places } = fakes();
  await using pool = new Pool({ open, size: 1, setupTimeoutMs: 1 });
  const [first, second] = [pool.call('a', null, limits), pool.call('b', null, limits)];
  await settled();
  places[0]!.handlers.onEnd({ type: 'exit', message: 'fell over' });
  expect(await first).toEqual({ ok: false, failure: { type: 'exit', message: 'fell over' } });
  await settled();
  answer(places[1]!, 7);
  expect(await second).toEqual({ ok: true, value: 7 });
});

test('a place that ends while nobody uses it costs nothing', async () => {
  const { open, places } = fakes();
  await using pool = new Pool({ open, size: 1, setupTimeoutMs: 1 });
  const first = pool.call('a', null, limits);
  await settled();
  answer(places[0]!);
  await first;
  places[0]!.handlers.onEnd({ type: 'exit', message: 'late' });
  const second = pool.call('b', null, limits);
  await settled();
  answer(places[1]!, 'fine');
  expect(await second).toEqual({ ok: true, value: 'fine' });
});

test('a place that asks to be replaced for an earlier fault finishes what it is doing', async () => {
  const { open, places } = fakes();
  await using pool = new Pool({ open, size: 1, setupTimeoutMs: 1 });
  const [first, second] = [pool.call('a', null, limits), pool.call('b', null, limits)];
  await settled();
  places[0]!.handlers.onReply({ id: 0, error: { message: 'from before' }, broken: true });
  answer(places[0]!, 'innocent');
  expect(await first).toEqual({ ok: true, value: 'innocent' });
  await settled();
  expect(places[0]!.killed).toBe(true);
  answer(places[1]!, 'fresh');
  expect(await second).toEqual({ ok: true, value: 'fresh' });
});

test.each([
  ['no reply', 'hello', /answered with something that is no reply: "hello"/],
  ['an error without a message', { id: 1, error: 'x' }, /no reply/],
  ['the reply to another call', { id: 9, result: 1 }, /answered call 9, which nobody waits for/],
])('a place that sends %s breaks the protocol and is ended', async (_name, message, says) => {
  const { open, places } = fakes();
  await using pool = new Pool({ open, size: 1, setupTimeoutMs: 1 });
  const call = pool.call('a', null, limits);
  await settled();
  places[0]!.handlers.onReply(message);
  expect(await call).toMatchObject({ ok: false, failure: { type: 'protocol', message: expect.stringMatching(says) } });
  expect(places[0]!.killed).toBe(true);
});

test('an answer that is there when the time is up came in time', async () => {
  const { open, places } = fakes();
  await using pool = new Pool({ open, size: 1, setupTimeoutMs: 1 });
  const call = pool.call('a', null, { timeoutMs: 1 });
  await settled();
  // The main thread is busy until long after the limit; the answer waits behind the timer.
  setImmediate(() => answer(places[0]!, 'just in time'));
  const until = performance.now() + 20;
  while (performance.now() < until);
  expect(await call).toEqual({ ok: true, value: 'just in time' });
});

test('cancelling leaves the queue, or ends the place that is busy', async () => {
  const { open, places } = fakes();
  await using pool = new Pool({ open, size: 1, setupTimeoutMs: 1 });
  const [busy, queued] = [new AbortController(), new AbortController()];
  const first = pool.call('a', null, { ...limits, signal: busy.signal });
  const second = pool.call('b', null, { ...limits, signal: queued.signal });
  const third = pool.call('c', null, limits);
  await settled();
  queued.abort(new Error('not b'));
  await expect(second).rejects.toThrow('not b');
  expect(places).toHaveLength(1);
  busy.abort(new Error('not a'));
  await expect(first).rejects.toThrow('not a');
  expect(places[0]!.killed).toBe(true);
  await settled();
  answer(places[1]!, 'c');
  expect(await third).toEqual({ ok: true, value: 'c' });
});

test('a place has to be welcomed before it is used; one that dies young gets a second chance', async () => {
  const { open, places } = fakes();
  const welcome = { method: 'open', params: () => 'modules', check: (reply: unknown) => (reply === 'ready' ? null : ({ type: 'exception', message: 'no module' } as const)) };
  await using pool = new Pool({ open, size: 1, setupTimeoutMs: 60_000, welcome });
  const first = pool.call('a', null, limits);
  await settled();
  places[0]!.handlers.onEnd({ type: 'exit', message: 'stillborn' });
  await settled();
  expect(places[1]!.calls).toEqual([{ id: 1, method: 'open', params: 'modules' }]);
  answer(places[1]!, 'ready');
  await settled();
  answer(places[1]!, 'a');
  expect(await first).toEqual({ ok: true, value: 'a' });
  places[1]!.handlers.onEnd({ type: 'exit', message: 'bored' });
  const second = pool.call('b', null, limits);
  await settled();
  answer(places[2]!, 'not ready');
  expect(await second).toEqual({ ok: false, failure: { type: 'exception', message: 'no module' } });
});

/** A pool of one place that has just answered quickly, with three more calls of the same method on their way to it. */
async function quick() {
  const { open, places } = fakes();
  const pool = new Pool({ open, size: 1, setupTimeoutMs: 1 });
  const first = pool.call('grade', 0, limits);
  await settled();
  answer(places[0]!);
  await first;
  const calls = [1, 2, 3].map((params) => pool.call('grade', params, limits));
  await settled();
  return { pool, places, calls };
}

test('quick calls travel together', async () => {
  const { pool, places, calls } = await quick();
  await using _ = pool;
  expect(places[0]!.calls.map(({ params }) => params)).toEqual([0, 1, 2, 3]);
  for (const { id, params } of places[0]!.calls.slice(1)) places[0]!.handlers.onReply({ id, result: params });
  expect(await Promise.all(calls)).toEqual([1, 2, 3].map((value) => ({ ok: true, value })));
});

test('only a call that was alone is blamed for the end of its place; its neighbours are asked again', async () => {
  const { pool, places, calls } = await quick();
  await using _ = pool;
  places[0]!.handlers.onReply({ id: 2, result: 'in time' });
  places[0]!.handlers.onEnd({ type: 'exit', message: 'fell over' });
  expect(await calls[0]).toEqual({ ok: true, value: 'in time' });
  await settled();
  expect(places[1]!.calls.map(({ params }) => params)).toEqual([2]);
  places[1]!.handlers.onEnd({ type: 'exit', message: 'fell over again' });
  expect(await calls[1]).toEqual({ ok: false, failure: { type: 'exit', message: 'fell over again' } });
  await settled();
  expect(places[2]!.calls.map(({ params }) => params)).toEqual([3]);
  answer(places[2]!, 'innocent');
  expect(await calls[2]).toEqual({ ok: true, value: 'innocent' });
});

test('a call that breaks its place is blamed at once, and those behind it are asked again', async () => {
  const { pool, places, calls } = await quick();
  await using _ = pool;
  places[0]!.handlers.onReply({ id: 2, error: { message: 'threw outside of its call' }, broken: true });
  expect(await calls[0]).toEqual({ ok: false, failure: { type: 'exception', message: 'threw outside of its call' } });
  for (const index of [1, 2]) {
    await vi.waitFor(() => expect(places[1]!.calls).toHaveLength(index));
    answer(places[1]!, index);
    expect(await calls[index]).toEqual({ ok: true, value: index });
  }
});

test('a pool that is closed while it opens a place opens no other', async () => {
  const { open, places } = fakes();
  const pool = new Pool({ open, size: 1, setupTimeoutMs: 60_000, welcome: { method: 'open', params: () => null, check: () => null } });
  const call = pool.call('a', null, limits);
  await settled();
  await pool[Symbol.asyncDispose]();
  expect(await call).toMatchObject({ ok: false, failure: { message: 'was closed' } });
  expect(places.map(({ killed }) => killed)).toEqual([true]);
});
