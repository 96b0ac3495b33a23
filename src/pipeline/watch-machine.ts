/**
 * What a watch session does next, as a pure function. `ran`: the version whose job went through; the same again is not worth a run.
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
  | { at: 'loading'; ran: string | null }
  | { at: 'running'; hash: string }
  /** The job ends after its step; then the pending version is loaded. */
  | { at: 'draining'; hash: string; pending: string }
  | { at: 'waiting'; ran: string | null }
  | { at: 'stopping' }
  | { at: 'stopped' };

export type WatchInput =
  | { type: 'file-changed' }
  | { type: 'loaded'; hash: string }
  | { type: 'load-failed' }
  /** The files were checked while a job runs. */
  | { type: 'checked'; hash: string }
  | { type: 'check-failed' }
  /** The job is over, for whatever reason; `failed` if it should run again even though nothing that is read has changed. */
  | { type: 'ended'; failed: boolean }
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
    'file-changed': (state) => move(state, 'load'),
    loaded: ({ ran }, { hash }) => (hash === ran ? move({ at: 'waiting', ran }) : move({ at: 'running', hash }, 'start')),
    'load-failed': ({ ran }) => move({ at: 'waiting', ran }),
    stop: () => move({ at: 'stopped' }, 'leave'),
  },
  running: {
    'file-changed': (state) => move(state, 'check'),
    checked: (state, { hash }) => (hash === state.hash ? move(state) : move({ at: 'draining', hash: state.hash, pending: hash }, 'drain')),
    'check-failed': (state) => move(state),
    ended: ({ hash }, { failed }) => move({ at: 'waiting', ran: failed ? null : hash }),
    stop: () => move({ at: 'stopping' }, 'finish'),
  },
  draining: {
    'file-changed': (state) => move(state, 'check'),
    checked: (state, { hash }) => (hash === state.hash ? move({ at: 'running', hash }, 'keep-going') : move({ ...state, pending: hash })),
    'check-failed': (state) => move(state),
    // The job was cut short: even the same version would run again.
    ended: () => move({ at: 'loading', ran: null }, 'load'),
    stop: () => move({ at: 'stopping' }, 'finish'),
  },
  waiting: {
    'file-changed': ({ ran }) => move({ at: 'loading', ran }, 'load'),
    // A check that was begun while the job ran: the job was faster.
    checked: (state, { hash }) => (hash === state.ran ? move(state) : move({ at: 'loading', ran: state.ran }, 'load')),
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
