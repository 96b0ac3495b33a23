/** @file The live dashboard. Importing this loads neither React nor Ink; starting it does. */
import type { JobControls, JobEvent } from '../events.ts';
import type { DashboardState } from './state.ts';
import { createStore } from './store.ts';
import { summary } from './summary.ts';
import type { Theme } from './theme.ts';

export { summary } from './summary.ts';
export { applyEvent } from './apply.ts';
export { initialState, type DashboardState } from './state.ts';
export { createTheme, detectTheme, type Theme } from './theme.ts';

export interface DashboardOptions {
  /** Calls the listener with every event from now on; returns how to stop that. */
  events: (listener: (event: JobEvent) => void) => () => void;
  controls: JobControls;
  /** Both must be terminals: whoever starts the dashboard has decided that. */
  stdout: NodeJS.WritableStream;
  stdin: NodeJS.ReadableStream;
  theme: Theme;
  /** Milliseconds since the epoch. */
  now?: () => number;
  /** Bytes that the process holds. */
  memory?: () => number | null;
  /** The resolved pipeline as YAML, for view 4. */
  pipeline?: string;
  /** Milliseconds between two looks at the job. */
  intervalMs?: number;
}

export interface Dashboard {
  /** Everything the events have told so far. */
  readonly state: DashboardState;
  /** Resolves once the person has left or `unmount` was called and the terminal is as it was; rejects if the screen broke. */
  waitUntilExit(): Promise<void>;
  /** Gives the terminal back. */
  unmount(): void;
  /** What to print afterwards. */
  summary(): string;
  /** Resolves once everything drawn so far is on the terminal. */
  flushed(): Promise<void>;
}

/** A frame costs about 8 ms of CPU, nearly all of it in Ink: at this pace that is 2 % of one core. Keys do not wait for it. */
const INTERVAL_MS = 400;

const setTimer = (callback: () => void, ms: number): { cancel(): void } => {
  const timer = setTimeout(callback, ms);
  return { cancel: () => clearTimeout(timer) };
};

/** Takes over the terminal until the person leaves or `unmount` is called. */
export async function startDashboard(options: DashboardOptions): Promise<Dashboard> {
  const { events, controls, stdout, stdin, theme, now = Date.now, memory = () => null, pipeline = '', intervalMs = INTERVAL_MS } = options;
  const store = createStore({ intervalMs, setTimer });
  // Events that happen while Ink loads are not lost.
  const stop = events((event) => store.apply(event));
  // React's development build costs twice the time per frame; it looks at this once, on import.
  process.env['NODE_ENV'] ??= 'production';
  const { mount } = await import('./app.ts');
  const instance = mount({ store, controls, theme, now, memory, pipeline }, { stdout, stdin });
  const exited = instance.waitUntilExit().finally(() => {
    stop();
    store.close();
  });
  // Whoever never waits must not meet an unhandled rejection.
  exited.catch(() => {});
  return {
    state: store.state,
    waitUntilExit: async () => void (await exited),
    unmount: () => instance.unmount(),
    summary: () => summary(store.state),
    flushed: () => instance.waitUntilRenderFlush(),
  };
}

