import { existsSync } from 'node:fs';
import { dirname } from 'node:path';
import { isMainThread, Worker } from 'node:worker_threads';
import { callPrints, type OnOutput } from './prints.ts';
import { atMost } from '../util/at-most.ts';
import type { Failure, OpenPlace } from './types.ts';

export interface WorkerOptions {
  /** The worker's file; it calls `serve`. */
  entry: URL;
  env: NodeJS.ProcessEnv;
  memoryMb: number;
  /** What the code in it prints. */
  onOutput?: OnOutput;
}

const MEMORY_CHECK_MS = 100;
/** A worker that waits inside the system, for a program that it started for one, is ended only when that returns. */
const KILL_MS = 2000;

/** The `local` runtime: a worker thread of this process, with a heap of its own. */
export function workerPlace({ entry, env, memoryMb, onOutput }: WorkerOptions): OpenPlace {
  return ({ onReply, onEnd }) => {
    standSomewhere();
    const worker = new Worker(entry, { env, execArgv: [], stdout: true, stderr: true, resourceLimits: { maxOldGenerationSizeMb: memoryMb } });
    const outOfMemory: Failure = { type: 'memory', message: `used more than ${memoryMb} MB of memory and was stopped` };
    const prints = callPrints(onOutput);
    let gone = false;
    /** Calls that are not answered yet. */
    let open = 0;
    /** Was it at work since its memory was looked at? */
    let wasBusy = false;
    // `resourceLimits` counts the JavaScript heap only; buffers live outside of it.
    const memoryCheck = setInterval(() => {
      if (!wasBusy || gone) return;
      wasBusy = open > 0;
      void worker.getHeapStatistics().then(
        ({ used_heap_size, external_memory }) => {
          if (used_heap_size + external_memory > memoryMb * 2 ** 20) end(outOfMemory);
        },
        () => {},
      );
    }, MEMORY_CHECK_MS).unref();
    const end = (reason: Failure) => {
      clearInterval(memoryCheck);
      if (gone) return;
      gone = true;
      onEnd(reason);
      void worker.terminate();
    };
    worker.on('message', (replies: unknown) => {
      prints.answered();
      for (const reply of Array.isArray(replies) ? (replies as unknown[]) : [replies]) {
        open--;
        if (!gone) onReply(parseReply(reply));
      }
    });
    worker.on('messageerror', (error) => end({ type: 'protocol', message: `gave a value that cannot leave its worker: ${error.message}` }));
    worker.on('error', (error: Error & { code?: string }) =>
      end(error.code === 'ERR_WORKER_OUT_OF_MEMORY' ? outOfMemory : { type: 'exception', message: error.message.slice(0, 2000) }),
    );
    worker.on('exit', (code) => end({ type: 'exit', message: `ended its worker with exit code ${code}` }));
    for (const stream of [worker.stdout, worker.stderr]) stream.setEncoding('utf8').on('data', prints.add);
    worker.unref();
    return {
      send(messages) {
        open += messages.length;
        wasBusy = true;
        worker.postMessage(messages);
      },
      async kill() {
        gone = true;
        clearInterval(memoryCheck);
        await atMost(KILL_MS, worker.terminate());
      },
    };
  };
}

/** User code can reach the port as well, and may have sent anything. */
function parseReply(reply: unknown): unknown {
  try {
    return typeof reply === 'string' ? JSON.parse(reply) : reply;
  } catch {
    return reply;
  }
}

/** No worker starts in a folder that is gone, and user code may have removed this process's own: step up to one that exists. */
function standSomewhere(): void {
  let folder = process.cwd();
  if (!isMainThread || existsSync(folder)) return;
  while (!existsSync(folder)) folder = dirname(folder);
  process.chdir(folder);
}
