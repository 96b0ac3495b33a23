/** What people ask of a running job, held until the loop comes to a step boundary. */
import type { Emit, JobControls } from '../events.ts';

export interface ControlPanel {
  readonly controls: JobControls;
  /** Aborted by `stop`: everything that waits gives up at once. */
  readonly signal: AbortSignal;
  /** End after this step? */
  readonly finishing: boolean;
  readonly paused: boolean;
  /** Resolves when nobody wants the job to wait any longer. */
  whenResumed(): Promise<void>;
  /** What was asked for since the last call. */
  takeRequests(): { evaluate: boolean; checkpoint: boolean; rollbackTo: string | null };
  /** Told when someone switches watching on or off. */
  onWatch: ((on: boolean) => void) | null;
  /** As `finish`, but because something else is to run: nobody has to be told. */
  drain(): void;
  /** Takes back `finish`, and forgets what was asked for: the next job of a watch session begins. A stop stays a stop. */
  reset(): void;
}

export function createControls(emit: Emit): ControlPanel {
  const abort = new AbortController();
  let requests = { evaluate: false, checkpoint: false, rollbackTo: null as string | null };
  let finishing = false;
  let pause: { promise: Promise<void>; resolve: () => void } | null = null;
  const release = () => {
    pause?.resolve();
    pause = null;
  };
  const panel: ControlPanel = {
    signal: abort.signal,
    onWatch: null,
    get finishing() {
      return finishing;
    },
    get paused() {
      return pause !== null;
    },
    whenResumed: () => pause?.promise ?? Promise.resolve(),
    takeRequests() {
      const taken = requests;
      requests = { evaluate: false, checkpoint: false, rollbackTo: null };
      return taken;
    },
    drain() {
      finishing = true;
      release();
    },
    reset() {
      finishing = false;
      panel.takeRequests();
      release();
    },
    controls: {
      pause: () => void (pause ??= Promise.withResolvers<void>()),
      resume: release,
      evaluateNow: () => void (requests.evaluate = true),
      checkpointNow: () => void (requests.checkpoint = true),
      rollbackTo: (id) => void (requests.rollbackTo = id),
      setWatch: (on) => panel.onWatch?.(on),
      finish() {
        if (finishing || abort.signal.aborted) return;
        finishing = true;
        release();
        emit('stop-requested', { mode: 'finish' });
      },
      stop() {
        if (abort.signal.aborted) return;
        emit('stop-requested', { mode: 'stop' });
        abort.abort(new DOMException('Stopped by request.', 'AbortError'));
        release();
      },
    },
  };
  return panel;
}
