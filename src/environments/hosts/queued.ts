import type { LimitFunction } from 'p-limit';
import type { Outcome } from '../../runtimes/index.ts';

/** Takes a place in the queue, and keeps it until what was opened there is disposed. */
export function queued<T extends AsyncDisposable | null>(limit: LimitFunction, signal: AbortSignal | undefined, open: () => Promise<Outcome<T>>): Promise<Outcome<T>> {
  return new Promise((resolve, reject) => {
    void limit(async () => {
      try {
        signal?.throwIfAborted();
        const opened = await open();
        if (!opened.ok || opened.value === null) return resolve(opened);
        const left = Promise.withResolvers<void>();
        const held = opened.value;
        const dispose = held[Symbol.asyncDispose].bind(held);
        held[Symbol.asyncDispose] = async () => {
          await dispose();
          left.resolve();
        };
        resolve(opened);
        await left.promise;
      } catch (error) {
        reject(error as Error);
      }
    });
  });
}
