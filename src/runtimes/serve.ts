/**
 * The other side of a place: a worker or a Node child answers calls one at a time. What user code throws becomes an error reply;
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

export type Methods = Record<string, (params: never) => unknown>;

/** A fault that is not an exception of user code, to be reported as what it is. */
export class PlaceError extends Error {
  readonly type: Failure['type'];
  constructor(type: Failure['type'], message: string) {
    super(message);
    this.type = type;
  }
}

export function serve(methods: Methods): void {
  const { send, listen } = parentPort ? threadChannel(parentPort) : childChannel();
  const calls = new AsyncLocalStorage<number>();
  let current = 0;
  /** What user code left behind surfaces later, but in the context of the call that left it. */
  const reportFault = (kind: string) => (error: unknown) => {
    const guilty = (calls.getStore() ?? current) === current ? current : 0;
    if (guilty === current) current = 0;
    send({ id: guilty, error: { message: `${kind}: ${messageOf(error)}` }, broken: true });
  };
  process.on('uncaughtException', reportFault('threw outside of its call'));
  process.on('unhandledRejection', reportFault('left a promise rejected that nobody handles'));
  listen(async ({ id, method, params }) => {
    current = id;
    let reply: ReplyMessage;
    try {
      const result: unknown = await calls.run(id, () => methods[method]!(params as never));
      // Rejections that nobody handles are reported at the end of this turn, before the verdict is out.
      await nextTurn();
      reply = { id, result };
    } catch (error) {
      reply = { id, error: { message: messageOf(error), ...(error instanceof PlaceError ? { type: error.type } : {}) } };
    }
    if (current !== id) return;
    current = 0;
    send(reply);
  });
}

interface Channel {
  send(reply: ReplyMessage): void;
  listen(onCall: (message: CallMessage) => Promise<void>): void;
}

function threadChannel(port: NonNullable<typeof parentPort>): Channel {
  return {
    send: (reply) => port.postMessage(reply),
    listen: (onCall) => port.on('message', (message: CallMessage) => void onCall(message)),
  };
}

function childChannel(): Channel {
  const exit = process.exit.bind(process);
  const socket = new Socket({ fd: CHANNEL_FD, readable: true, writable: true });
  // The parent is gone: nobody is left to work for.
  socket.on('end', () => exit(0)).on('error', () => exit(1));
  return {
    send: (reply) => socket.write(`${JSON.stringify(reply)}\n`),
    listen: (onCall) => socket.on('data', lineReader({ onLine: (line) => void onCall(JSON.parse(line) as CallMessage) })),
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
