/**
 * What a watch session does next, as a pure function.
 *
 *                     file-changed: load again
 *                        ┌──┐
 *                        ▼  │   loaded: start
 *      ┌───────────────► loading ─────────────► running ──── file-changed: check; same or invalid: go on
 *      │                  ▲  │  ▲                │ ▲  │
 *      │ file-changed     │  │  │    different:  │ │  │ ended
 *      │                  │  │  │    drain       ▼ │  │
 *      │           failed │  │  └───────────── draining│    back to what runs: keep going;
 *      │                  ▼  │      ended         │    │    different again: the newest counts
 *      └──────────────── waiting ◄───────────────┼────┘
 *                           │                    │
 *          stop, from loading and waiting        │ stop, from running and draining: finish the step
 *                           ▼                    ▼
 *                        stopped ◄──────────── stopping ── stop again: abort
 *                                    ended
 */

export type WatchState =
  | { at: 'loading' }
  | { at: 'running'; hash: string }
  /** The job ends after its step; then the pending version is loaded. */
  | { at: 'draining'; hash: string; pending: string }
  | { at: 'waiting' }
  | { at: 'stopping' }
  | { at: 'stopped' };

export type WatchInput =
  | { type: 'file-changed' }
  | { type: 'loaded'; hash: string }
  | { type: 'load-failed' }
  /** The files were checked while a job runs. */
  | { type: 'checked'; hash: string }
  | { type: 'check-failed' }
  /** The job is over, for whatever reason. */
  | { type: 'ended' }
  | { type: 'stop' };

/** `load`: read and start; `check`: read and compare; `drain`: ask the job to end after its step; `keep-going`: take that back. */
export type WatchEffect = 'load' | 'start' | 'check' | 'drain' | 'keep-going' | 'finish' | 'abort' | 'leave';

export interface WatchMove {
  state: WatchState;
  effects: WatchEffect[];
}

type InputOf<T extends WatchInput['type']> = Extract<WatchInput, { type: T }>;
type StateOf<A extends WatchState['at']> = Extract<WatchState, { at: A }>;
type Rules = { [A in WatchState['at']]: { [T in WatchInput['type']]?: (state: StateOf<A>, input: InputOf<T>) => WatchMove } };

const move = (state: WatchState, ...effects: WatchEffect[]): WatchMove => ({ state, effects });

const rules: Rules = {
  loading: {
    'file-changed': () => move({ at: 'loading' }, 'load'),
    loaded: (_, { hash }) => move({ at: 'running', hash }, 'start'),
    'load-failed': () => move({ at: 'waiting' }),
    stop: () => move({ at: 'stopped' }, 'leave'),
  },
  running: {
    'file-changed': (state) => move(state, 'check'),
    checked: (state, { hash }) => (hash === state.hash ? move(state) : move({ at: 'draining', hash: state.hash, pending: hash }, 'drain')),
    'check-failed': (state) => move(state),
    ended: () => move({ at: 'waiting' }),
    stop: () => move({ at: 'stopping' }, 'finish'),
  },
  draining: {
    'file-changed': (state) => move(state, 'check'),
    checked: (state, { hash }) => (hash === state.hash ? move({ at: 'running', hash }, 'keep-going') : move({ ...state, pending: hash })),
    'check-failed': (state) => move(state),
    ended: () => move({ at: 'loading' }, 'load'),
    stop: () => move({ at: 'stopping' }, 'finish'),
  },
  waiting: {
    'file-changed': () => move({ at: 'loading' }, 'load'),
    // A check that was begun while the job ran, and came too late.
    checked: (state) => move(state),
    'check-failed': (state) => move(state),
    stop: () => move({ at: 'stopped' }, 'leave'),
  },
  stopping: {
    'file-changed': (state) => move(state),
    checked: (state) => move(state),
    'check-failed': (state) => move(state),
    ended: () => move({ at: 'stopped' }, 'leave'),
    stop: (state) => move(state, 'abort'),
  },
  stopped: {
    'file-changed': (state) => move(state),
    checked: (state) => move(state),
    'check-failed': (state) => move(state),
    stop: (state) => move(state),
  },
};

/** The next state and what to do now. An input that cannot come in a state is a bug, and throws. */
export function advance(state: WatchState, input: WatchInput): WatchMove {
  const rule = rules[state.at][input.type] as ((state: WatchState, input: WatchInput) => WatchMove) | undefined;
  if (!rule) throw new Error(`Internal error: the watcher got "${input.type}" while ${state.at}.`);
  return rule(state, input);
}
