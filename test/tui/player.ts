/** @file Plays recorded or invented events as if a job ran: paced by their own times, obeying the controls of the screen. */
import { setImmediate, setTimeout } from 'node:timers/promises';
import type { EventData, EventType, JobControls, JobEvent } from '../../src/events.ts';

export interface PlayerOptions {
  events: Iterable<JobEvent>;
  /** Seconds of the job per second of the clock; Infinity does not wait at all. */
  speed: number;
  signal?: AbortSignal;
}

export interface Player {
  listen(listener: (event: JobEvent) => void): () => void;
  readonly controls: JobControls;
  /** What was asked for, in order. */
  readonly asked: string[];
  /** Resolves when the job is over, however it ended. */
  run(): Promise<void>;
}

export function createPlayer({ events, speed, signal }: PlayerOptions): Player {
  const listeners = new Set<(event: JobEvent) => void>();
  const asked: string[] = [];
  let shift = 0;
  let paused: PromiseWithResolvers<void> | null = null;
  let requests: (() => void)[] = [];
  let ending: 'finish' | 'stop' | null = null;
  let step = 0;
  let head: string | null = null;
  let last = 0;
  const tell = (event: JobEvent): void => listeners.forEach((listener) => listener(event));
  const emit = <K extends EventType>(type: K, data: EventData[K]): void => tell({ type, time: last + shift, ...data } as JobEvent);
  const note = <A extends unknown[]>(name: string, act: (...args: A) => void) => (...args: A): void => {
    asked.push([name, ...args].join(' '));
    act(...args);
  };

  const controls: JobControls = {
    pause: note('pause', () => void (paused ??= Promise.withResolvers<void>())),
    resume: note('resume', () => {
      paused?.resolve();
      paused = null;
    }),
    evaluateNow: note('evaluateNow', () => {
      requests.push(() => {
        emit('eval-started', { step, tasks: 500 });
        emit('eval-finished', { step, metrics: { 'eval/reward': 0.5 }, tasks: 500, interval: [0.47, 0.53], baseline: false });
      });
    }),
    checkpointNow: note('checkpointNow', () => void requests.push(() => emit('log', { level: 'info', message: 'every step is saved' }))),
    rollbackTo: note('rollbackTo', (id: string) => {
      requests.push(() => {
        emit('rolled-back', { step, from: head ?? 'base', to: id, head: id, reason: 'asked for at the screen' });
        head = id;
      });
    }),
    setWatch: note('setWatch', (on: boolean) => {
      if (on) emit('watch-started', { files: ['pipelines/arith.yaml', 'rewards/brevity.ts'] });
    }),
    finish: note('finish', () => {
      ending = 'finish';
      paused?.resolve();
      emit('stop-requested', { mode: 'finish' });
    }),
    stop: note('stop', () => {
      ending = 'stop';
      paused?.resolve();
      emit('stop-requested', { mode: 'stop' });
    }),
  };

  const end = (reason: string): void =>
    emit('job-finished', { status: 'stopped', reason, steps: step, head, before: null, after: null, durationMs: 1000 * step, resumeCommand: 'rlrun pipelines/arith.yaml --resume' });

  async function atBoundary(): Promise<void> {
    if (paused) {
      emit('job-paused', { step });
      const since = Date.now();
      await paused.promise;
      shift += Date.now() - since;
      emit('job-continued', { step });
    }
    for (const request of requests) request();
    requests = [];
  }

  return {
    asked,
    controls,
    listen(listener) {
      listeners.add(listener);
      return () => void listeners.delete(listener);
    },
    async run() {
      let count = 0;
      for (const event of events) {
        if (speed === Infinity) {
          if (++count % 500 === 0) await setImmediate();
        } else if (last > 0 && event.time - last >= 20 * speed) await setTimeout((event.time - last) / speed, undefined, signal ? { signal } : {});
        else if (++count % 24 === 0) await setTimeout(4 / speed, undefined, signal ? { signal } : {});
        last = event.time;
        if (event.type === 'promoted') head = event.checkpoint;
        tell({ ...event, time: event.time + shift });
        if (event.type === 'step-finished') {
          step = event.step;
          await atBoundary();
          if (ending === 'finish') return end(`after step ${step}, as asked`);
        }
        if (ending === 'stop') return end(`at once; the step after ${step} is lost`);
      }
    },
  };
}
