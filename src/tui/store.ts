/** @file Collects every event at once and tells the screen at a steady pace: frames follow the eye and not the job. */
import type { JobEvent } from '../events.ts';
import { applyEvent } from './apply.ts';
import { initialState, type DashboardState } from './state.ts';

export interface Store {
  /** Changed in place; its version says when to look again. */
  readonly state: DashboardState;
  apply(event: JobEvent): void;
  /** For changes that are not events, such as requests that wait for the end of a step. Seen at once. */
  touch(change: (state: DashboardState) => void): void;
  subscribe(listener: () => void): () => void;
  version(): number;
  close(): void;
}

export interface StoreOptions {
  /** Milliseconds between two looks at the state. */
  intervalMs: number;
  setTimer: (callback: () => void, ms: number) => { cancel(): void };
}

export function createStore({ intervalMs, setTimer }: StoreOptions): Store {
  const state = initialState();
  const listeners = new Set<() => void>();
  let version = 0;
  let timer: { cancel(): void } | null = null;
  const publish = (): void => {
    timer?.cancel();
    timer = null;
    version++;
    for (const listener of listeners) listener();
  };
  return {
    state,
    apply(event) {
      applyEvent(state, event);
      timer ??= setTimer(publish, intervalMs);
    },
    touch(change) {
      change(state);
      publish();
    },
    subscribe(listener) {
      listeners.add(listener);
      return () => void listeners.delete(listener);
    },
    version: () => version,
    close() {
      timer?.cancel();
      listeners.clear();
    },
  };
}
