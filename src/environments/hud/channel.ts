/** @file The control channel of a HUD environment (`hud/1.0`): JSON-RPC over TCP, one object a line, one call at a time. */
import type { Socket } from 'node:net';
import { type Failure, failure, lineReader, type Outcome, seconds } from '../../runtimes/index.ts';
import { type Address, dial, type Limits } from './dial.ts';
import { parseLenient } from './lenient-json.ts';

/** Both sides of the protocol refuse longer lines. */
const MAX_LINE_BYTES = 16 * 2 ** 20;
/** A peer that does not hang up after our goodbye is left. */
const GOODBYE_MS = 1000;
/** What went wrong inside of the environment's own code. */
const EXCEPTION = -32000;

interface Pending {
  id: number;
  method: string;
  settle: (outcome: Outcome) => void;
}

export class Channel implements Disposable {
  readonly #socket: Socket;
  #pending: Pending | null = null;
  #lastId = 0;
  #ended: Failure | null = null;

  private constructor(socket: Socket) {
    this.#socket = socket;
    const tooLong = () => this.#end({ type: 'protocol', message: `the environment wrote a line of more than ${MAX_LINE_BYTES} bytes` });
    socket.on('data', lineReader({ maxBytes: MAX_LINE_BYTES, onLine: (line) => this.#read(line), onTooLong: tooLong }));
    socket.on('close', () => this.#end({ type: 'exit', message: 'the environment hung up' }));
  }

  static async open(address: Address, limits: Limits): Promise<Outcome<Channel>> {
    const dialled = await dial(address, limits);
    return dialled.ok ? { ok: true, value: new Channel(dialled.value) } : dialled;
  }

  /** Why nothing can be asked any more. */
  get ended(): Failure | null {
    return this.#ended;
  }

  /** Rejects only when the signal aborts. Whatever is not answered in time or not waited for ends the channel: its task is interrupted. */
  call(method: string, params: Record<string, unknown>, { timeoutMs, signal }: Limits): Promise<Outcome> {
    if (this.#ended) return Promise.resolve({ ok: false, failure: this.#ended });
    const id = ++this.#lastId;
    const line = JSON.stringify({ jsonrpc: '2.0', id, method, params });
    const bytes = Buffer.byteLength(line);
    if (bytes > MAX_LINE_BYTES) return Promise.resolve(failure('protocol', `${method} would take a line of ${bytes} bytes; the protocol allows ${MAX_LINE_BYTES}`));
    return new Promise((resolve, reject) => {
      if (signal?.aborted) return reject(signal.reason as Error);
      const stopWaiting = () => {
        clearTimeout(timer);
        signal?.removeEventListener('abort', abort);
        this.#pending = null;
      };
      const abort = () => {
        stopWaiting();
        this[Symbol.dispose]();
        reject(signal!.reason as Error);
      };
      const tooLate = () => {
        const late: Failure = { type: 'timeout', message: `gave no answer to ${method} within ${seconds(timeoutMs)}` };
        this.#goodbye(late);
        this.#pending?.settle({ ok: false, failure: late });
      };
      // A main thread that was busy itself finds timer and answer waiting together; the answer came in time.
      const timer = setTimeout(() => setImmediate(() => this.#pending?.id === id && tooLate()), timeoutMs);
      signal?.addEventListener('abort', abort, { once: true });
      this.#pending = {
        id,
        method,
        settle(outcome) {
          stopWaiting();
          resolve(outcome);
        },
      };
      this.#socket.write(`${line}\n`);
    });
  }

  [Symbol.dispose](): void {
    this.#goodbye({ type: 'exit', message: 'was closed' });
  }

  /** Drops the task, also one that is busy: a connection that is merely cut would leave it parked. */
  #goodbye(reason: Failure): void {
    if (this.#ended) return;
    this.#ended = reason;
    this.#socket.end(`${JSON.stringify({ jsonrpc: '2.0', id: ++this.#lastId, method: 'bye', params: {} })}\n`);
    const leave = setTimeout(() => this.#socket.destroy(), GOODBYE_MS);
    this.#socket.on('close', () => clearTimeout(leave));
  }

  #end(reason: Failure): void {
    this.#ended ??= reason;
    this.#pending?.settle({ ok: false, failure: this.#ended });
    this.#socket.destroy();
  }

  #read(line: string): void {
    if (this.#ended) return;
    const reply = parsed(line);
    if (reply === null) return this.#end({ type: 'protocol', message: `the environment answered with something that is no reply: ${line.slice(0, 200)}` });
    const pending = this.#pending;
    const isOurs = pending !== null && reply.id === pending.id;
    // Without an id it is about a frame that could not even be read; the environment hangs up after it.
    if (!isOurs && (reply.id !== null || reply.error === undefined)) return this.#end({ type: 'protocol', message: `the environment answered call ${String(reply.id)}, which nobody waits for` });
    if (reply.error === undefined) return pending!.settle({ ok: true, value: reply.result });
    const failed = asFailure(reply.error, pending?.method ?? 'a call');
    if (isOurs) pending.settle({ ok: false, failure: failed });
    else this.#end(failed);
  }
}

interface Reply {
  id: number | string | null;
  result?: unknown;
  error?: { code?: unknown; message?: unknown };
}

function parsed(line: string): Reply | null {
  try {
    const reply = parseLenient(line) as Reply | null;
    if (typeof reply !== 'object' || reply === null || reply.id === undefined) return null;
    if (reply.error !== undefined) return typeof reply.error === 'object' && reply.error !== null ? reply : null;
    return 'result' in reply ? reply : null;
  } catch {
    return null;
  }
}

function asFailure({ code, message }: NonNullable<Reply['error']>, method: string): Failure {
  const text = typeof message === 'string' ? message.trim().slice(0, 2000) : '';
  if (text !== '') return { type: code === EXCEPTION ? 'exception' : 'protocol', message: text };
  const why = method === 'tasks.start' ? '; a template that ends before it yields a prompt does that' : '';
  return { type: 'exception', message: `${method} failed without a message${why}` };
}
