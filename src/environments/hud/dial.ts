import { connect, type Socket } from 'node:net';
import { failure, type Outcome, seconds } from '../../runtimes/index.ts';

/** Where an environment listens. */
export interface Address {
  host: string;
  port: number;
}

export interface Limits {
  timeoutMs: number;
  signal?: AbortSignal | undefined;
}

/** Connects, or says why not. Rejects only when the signal aborts. */
export function dial({ host, port }: Address, { timeoutMs, signal }: Limits): Promise<Outcome<Socket>> {
  return new Promise((resolve, reject) => {
    if (signal?.aborted) return reject(signal.reason as Error);
    const socket = connect({ host, port, noDelay: true, keepAlive: true });
    const where = `tcp://${host}:${port}`;
    const settle = (outcome: Outcome<Socket>) => {
      clearTimeout(timer);
      signal?.removeEventListener('abort', abort);
      socket.off('error', failed).off('connect', connected);
      // Whoever takes it over hears of its end by `close`.
      socket.on('error', () => {});
      if (!outcome.ok) socket.destroy();
      resolve(outcome);
    };
    const connected = () => settle({ ok: true, value: socket });
    const failed = (error: NodeJS.ErrnoException) => settle(failure('exit', error.code === 'ECONNREFUSED' ? `nothing listens at ${where}` : `cannot connect to ${where}: ${error.message}`));
    const timer = setTimeout(() => settle(failure('timeout', `${where} did not accept a connection within ${seconds(timeoutMs)}`)), timeoutMs);
    const abort = () => {
      clearTimeout(timer);
      socket.destroy();
      reject(signal!.reason as Error);
    };
    socket.on('error', failed).on('connect', connected);
    signal?.addEventListener('abort', abort, { once: true });
  });
}
