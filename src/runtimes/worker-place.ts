import { existsSync } from 'node:fs';
import { dirname } from 'node:path';
import { isMainThread, Worker } from 'node:worker_threads';
import { callPrints, type OnOutput } from './prints.ts';
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

/** The `local` runtime: a worker thread of this process, with a heap of its own. */
export function workerPlace({ entry, env, memoryMb, onOutput }: WorkerOptions): OpenPlace {
  return ({ onReply, onEnd }) => {
    standSomewhere();
    const worker = new Worker(entry, { env, execArgv: [], stdout: true, stderr: true, resourceLimits: { maxOldGenerationSizeMb: memoryMb } });
    const outOfMemory: Failure = { type: 'memory', message: `used more than ${memoryMb} MB of memory and was stopped` };
    const prints = callPrints(onOutput);
    let gone = false;
    let busy = false;
    // `resourceLimits` counts the JavaScript heap only; buffers live outside of it.
    const memoryCheck = setInterval(() => {
      if (!busy || gone) return;
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
    worker.on('message', (message) => {
      busy = false;
      prints.answered();
      if (!gone) onReply(message);
    });
    worker.on('messageerror', (error) => end({ type: 'protocol', message: `gave a value that cannot leave its worker: ${error.message}` }));
    worker.on('error', (error: Error & { code?: string }) =>
      end(error.code === 'ERR_WORKER_OUT_OF_MEMORY' ? outOfMemory : { type: 'exception', message: error.message.slice(0, 2000) }),
    );
    worker.on('exit', (code) => end({ type: 'exit', message: `ended its worker with exit code ${code}` }));
    for (const stream of [worker.stdout, worker.stderr]) stream.setEncoding('utf8').on('data', prints.add);
    worker.unref();
    return {
      send(message) {
        busy = true;
        worker.postMessage(message);
      },
      async kill() {
        gone = true;
        clearInterval(memoryCheck);
        await worker.terminate();
      },
    };
  };
}

/** No worker starts in a folder that is gone, and user code may have removed this process's own: step up to one that exists. */
function standSomewhere(): void {
  let folder = process.cwd();
  if (!isMainThread || existsSync(folder)) return;
  while (!existsSync(folder)) folder = dirname(folder);
  process.chdir(folder);
}
