import type { DashboardState } from './state.ts';
import type { Theme } from './theme.ts';
import type { Ui } from './ui.ts';

/** Everything a frame is drawn from. */
export interface Model {
  readonly state: DashboardState;
  readonly ui: Ui;
  readonly theme: Theme;
  /** Milliseconds since the epoch. */
  readonly now: number;
  /** Bytes of the whole process, engine included; null when nobody measures. */
  readonly memory: number | null;
  /** The resolved pipeline as YAML, for view 4. */
  readonly pipeline: string;
}
