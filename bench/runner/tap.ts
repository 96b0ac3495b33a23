/**
 * @file Loaded before the program (`node --import`): watches the calls that its main thread makes to the engine's worker. The time in which
 * one of them is under way, or the worker starts and opens its engine, goes to the file RLRUN_BENCH_FIGURES, with the memory that the process
 * took; the calls themselves to RLRUN_BENCH_TAPE, for `replay.ts`. Saving does not count as busy: it goes on beside other calls, and what waits
 * for it alone waits for the disk.
 */
import { openSync, writeFileSync, writeSync } from 'node:fs';
import { syncBuiltinESMExports } from 'node:module';
import { serialize } from 'node:v8';
import workerThreads, { isMainThread, type WorkerOptions } from 'node:worker_threads';
import type { Opening, Reply, Request } from '../../src/policy/protocol.ts';
import type { EngineOptions } from '../../src/policy/types.ts';

/** What the tape holds: how the engine was opened, then its calls in order. */
export type Recorded = { options: EngineOptions } | Pick<Request, 'call' | 'argument'>;

/** What the job's own process knows at its end. */
export interface Figures {
  busyMs: number;
  /** The most that was resident until step 50 was saved, by when everything a step needs has been there many times; null in shorter jobs. */
  peakMbAtStep50: number | null;
  peakMb: number;
}

const peakMb = (): number => Math.round(process.resourceUsage().maxRSS / 1024);

function openTape(path: string | undefined): (value: Recorded) => void {
  if (path === undefined) return () => {};
  const tape = openSync(path, 'w');
  return (value) => {
    const bytes = serialize(value);
    const length = Buffer.alloc(4);
    length.writeUInt32LE(bytes.length);
    writeSync(tape, Buffer.concat([length, bytes]));
  };
}

/** Milliseconds in which at least one of the things that began has not ended. */
function busyClock() {
  const underWay = new Set<number>();
  let [since, total] = [0, 0];
  return {
    begin(id: number) {
      if (underWay.size === 0) since = performance.now();
      underWay.add(id);
    },
    end(id: number) {
      if (underWay.delete(id) && underWay.size === 0) total += performance.now() - since;
    },
    read: () => total,
  };
}

/** In place of a call's id. */
const OPENING = -1;

const { RLRUN_BENCH_FIGURES: figuresFile, RLRUN_BENCH_TAPE: tapeFile } = process.env;
if (isMainThread && (figuresFile ?? tapeFile) !== undefined) {
  const record = openTape(tapeFile);
  const busy = busyClock();
  let saves = 0;
  let peakMbAtStep50: number | null = null;
  if (figuresFile !== undefined) process.on('exit', () => writeFileSync(figuresFile, JSON.stringify({ busyMs: busy.read(), peakMbAtStep50, peakMb: peakMb() } satisfies Figures)));
  const ends: ReadonlySet<Reply['kind']> = new Set(['opened', 'failed-to-open', 'result', 'error']);

  workerThreads.Worker = class extends workerThreads.Worker {
    readonly #isEngine: boolean;
    constructor(url: string | URL, options?: WorkerOptions) {
      super(url, options);
      this.#isEngine = String(url).includes('engine.worker');
      if (!this.#isEngine) return;
      busy.begin(OPENING);
      this.on('message', (reply: Reply) => { if (ends.has(reply.kind)) busy.end('id' in reply ? reply.id : OPENING); });
    }
    override postMessage(message: Opening | Request): void {
      super.postMessage(message);
      if (!this.#isEngine) return;
      if (!('call' in message)) return record({ options: message });
      if (message.call !== 'writeState') busy.begin(message.id);
      else if (++saves === 50) peakMbAtStep50 = peakMb();
      record({ call: message.call, argument: message.argument } as Recorded);
    }
  };
  syncBuiltinESMExports();
}
