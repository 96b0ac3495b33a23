/** @file HTTP through a HUD environment: each connection is a new one to its control port, which a first line turns into a pipe to one capability. */
import { Agent, type ClientRequestArgs, request } from 'node:http';
import type { Duplex } from 'node:stream';
import type { Socket } from 'node:net';
import { Readable } from 'node:stream';
import { type Address, dial } from './dial.ts';

/** An answer to `tunnel.open` is one short line. */
const MAX_ANSWER_BYTES = 65_536;
const OPEN_MS = 30_000;

async function openTunnel(address: Address, capability: string): Promise<Socket> {
  const dialled = await dial(address, { timeoutMs: OPEN_MS });
  if (!dialled.ok) throw new Error(dialled.failure.message);
  const socket = dialled.value;
  socket.write(`${JSON.stringify({ jsonrpc: '2.0', id: 1, method: 'tunnel.open', params: { capability } })}\n`);
  const answer = await firstLine(socket);
  const { error } = JSON.parse(answer) as { error?: { message?: string } };
  if (error === undefined) return socket;
  socket.destroy();
  throw new Error(`the environment opens no tunnel to its capability ${capability}: ${error.message ?? 'it does not say why'}`);
}

/** Reads up to the end of the line and not a byte further: what follows belongs to HTTP. */
function firstLine(socket: Socket): Promise<string> {
  return new Promise((resolve, reject) => {
    let read = Buffer.alloc(0);
    const end = (settle: () => void) => {
      clearTimeout(timer);
      socket.off('readable', look).off('close', closed);
      settle();
    };
    const look = () => {
      for (let chunk = socket.read() as Buffer | null; chunk !== null; chunk = socket.read() as Buffer | null) read = Buffer.concat([read, chunk]);
      const newline = read.indexOf(10);
      if (newline < 0 && read.length <= MAX_ANSWER_BYTES) return;
      end(() => {
        if (newline < 0) return reject(new Error('the environment answered tunnel.open with something that is no reply'));
        if (newline + 1 < read.length) socket.unshift(read.subarray(newline + 1));
        resolve(read.subarray(0, newline).toString('utf8'));
      });
    };
    const closed = () => end(() => reject(new Error('the environment hung up when it was asked for a tunnel')));
    const timer = setTimeout(() => { socket.destroy(); end(() => reject(new Error('the environment did not open a tunnel'))); }, OPEN_MS);
    socket.on('readable', look).on('close', closed);
  });
}

class TunnelAgent extends Agent {
  readonly #open: () => Promise<Socket>;

  constructor(open: () => Promise<Socket>) {
    super({ keepAlive: false });
    this.#open = open;
  }

  override createConnection(_options: ClientRequestArgs, done?: (error: Error | null, socket: Duplex) => void): null {
    this.#open().then((socket) => done!(null, socket), (error: Error) => done!(error, undefined as never));
    return null;
  }
}

const WITHOUT_BODY = [204, 205, 304];

/** `fetch`, as far as MCP needs it, through the tunnel to a capability. */
export function tunnelFetch(address: Address, capability: string): (url: string | URL, init?: RequestInit) => Promise<Response> {
  const agent = new TunnelAgent(() => openTunnel(address, capability));
  return (url, init = {}) => new Promise((resolve, reject) => {
    const { method = 'GET', body = null, signal } = init;
    const headers = Object.fromEntries(new Headers(init.headers));
    const asked = request(url, { agent, method, headers, ...(signal ? { signal } : {}) }, (answer) => {
      const status = answer.statusCode ?? 500;
      const named = Object.entries(answer.headers).map(([name, value]): [string, string] => [name, [value].flat().join(', ')]);
      if (WITHOUT_BODY.includes(status)) answer.resume();
      resolve(new Response(WITHOUT_BODY.includes(status) ? null : (Readable.toWeb(answer) as ReadableStream), { status, headers: named }));
    });
    asked.on('error', reject);
    asked.end(body as string | null);
  });
}
