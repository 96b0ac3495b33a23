/**
 * The other side of a place: a worker or a Node child answers calls one at a time, in their order. What user code throws becomes an error reply;
 * what it leaves unhandled is reported with the call that left it, and the place asks to be replaced.
 */
import { AsyncLocalStorage } from 'node:async_hooks';
import { Socket } from 'node:net';
import { basename } from 'node:path';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { parentPort } from 'node:worker_threads';
import { placeOf } from './blame.ts';
import { lineReader } from './lines.ts';
import type { CallMessage, Failure, ReplyMessage } from './types.ts';

/** The descriptor that a Node child talks on, so that what it prints is only print. */
export const CHANNEL_FD = 3;
const MAX_MESSAGE_CHARACTERS = 2000;
/** Answers that are ready within this time travel together. */
const COLLECT_MS = 1;

export type Methods = Record<string, (params: never) => unknown>;

/** A fault that is not an exception of user code, to be reported as what it is. */
export class PlaceError extends Error {
  readonly type: Failure['type'];
  constructor(type: Failure['type'], message: string) {
    super(message);
    this.type = type;
  }
}

/** A worker's own `process.exit` ends the worker alone; a signal would end the whole job. */
function keepProcessAlive(): void {
  const kill = process.kill.bind(process);
  process.kill = (pid, signal) => {
    if (Math.abs(pid) === process.pid || pid === 0) throw new PlaceError('exit', 'tried to end the process that it shares with the job');
    return kill(pid, signal);
  };
}

export function serve(methods: Methods): void {
  if (parentPort) keepProcessAlive();
  const { send, listen } = parentPort ? threadChannel(parentPort) : childChannel();
  const calls = new AsyncLocalStorage<number>();
  const waiting: CallMessage[] = [];
  let isBusy = false;
  let current = 0;
  let replies: string[] = [];
  const flush = () => {
    if (replies.length > 0) send(replies);
    replies = [];
  };
  /** What user code left behind surfaces later, but in the context of the call that left it. */
  const reportFault = (kind: string) => (error: unknown) => {
    const guilty = (calls.getStore() ?? current) === current ? current : 0;
    if (guilty === current) current = 0;
    replies.push(encode({ id: guilty, error: { message: `${kind}: ${messageOf(error)}` }, broken: true }));
    flush();
  };
  process.on('uncaughtException', reportFault('threw outside of its call'));
  process.on('unhandledRejection', reportFault('left a promise rejected that nobody handles'));
  const answer = async ({ id, method, params }: CallMessage) => {
    current = id;
    let reply: string;
    try {
      const result: unknown = await calls.run(id, () => methods[method]!(params as never));
      // Rejections that nobody handles are reported at the end of this turn, before the verdict is out.
      await nextTurn();
      reply = encode({ id, result });
    } catch (error) {
      reply = encode({ id, error: { message: messageOf(error), ...(error instanceof PlaceError ? { type: error.type } : {}) } });
    }
    if (current !== id) return;
    current = 0;
    replies.push(reply);
  };
  listen(async (messages) => {
    waiting.push(...messages);
    if (isBusy) return;
    isBusy = true;
    let since = performance.now();
    for (let message = waiting.shift(); message; message = waiting.shift()) {
      await answer(message);
      if (waiting.length > 0 && performance.now() - since < COLLECT_MS) continue;
      since = performance.now();
      flush();
    }
    isBusy = false;
  });
}

/** As text, whatever the channel: what cannot be written is a fault of its call alone. */
const encode = (reply: ReplyMessage): string => JSON.stringify(reply);

interface Channel {
  send(replies: readonly string[]): void;
  listen(onCalls: (messages: readonly CallMessage[]) => Promise<void>): void;
}

function threadChannel(port: NonNullable<typeof parentPort>): Channel {
  return {
    send: (replies) => port.postMessage(replies),
    listen: (onCalls) => port.on('message', (messages: readonly CallMessage[]) => void onCalls(messages)),
  };
}

function childChannel(): Channel {
  const exit = process.exit.bind(process);
  const socket = new Socket({ fd: CHANNEL_FD, readable: true, writable: true });
  // The parent is gone: nobody is left to work for.
  socket.on('end', () => exit(0)).on('error', () => exit(1));
  return {
    send: (replies) => socket.write(`${replies.join('\n')}\n`),
    listen: (onCalls) => socket.on('data', lineReader({ onLine: (line) => void onCalls([JSON.parse(line) as CallMessage]) })),
  };
}

/** The message, and the place in the user's own file that it came from. */
export function messageOf(error: unknown): string {
  const place = error instanceof PlaceError ? null : placeOf(error);
  return place ? `${describeError(error)} (${basename(place.file)}:${place.line}:${place.column})` : describeError(error);
}

export function describeError(error: unknown): string {
  if (error instanceof PlaceError) return error.message;
  if (!(error instanceof Error)) return `threw ${String(error).slice(0, MAX_MESSAGE_CHARACTERS)}`;
  return `${error.name === 'Error' ? '' : `${error.name}: `}${error.message}`.slice(0, MAX_MESSAGE_CHARACTERS);
}
