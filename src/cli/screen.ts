/** Who hears of a job: programs (JSON lines), a full screen, or a plain log. Decided once. */
import type { JobControls, JobEvent } from '../events.ts';
import type { Invocation } from './types.ts';
import { isInteractive } from './io.ts';
import { shorten } from './paths.ts';
import { createPlainLog } from './plain.ts';

export interface Screen {
  listen(event: JobEvent): void;
  /** Takes over the terminal, if that was decided and has not happened yet. `pipeline`: the resolved YAML, to be looked at. */
  open(pipeline: () => string): Promise<void>;
  /** Nothing else may be written to the terminal now. */
  readonly isFull: boolean;
  /** Gives the terminal back. */
  close(): Promise<void>;
}

export interface ScreenOptions {
  controls: JobControls;
  /** Names of checkpoints that were there before the job, by id. */
  names: ReadonlyMap<string, string>;
}

export function createScreen({ flags, io }: Invocation, options: ScreenOptions): Screen {
  if (flags.json) return jsonLines((event) => io.json(event));
  const plain = plainLines({ io, flags }, options);
  return flags.tui !== false && !flags.quiet && isInteractive(io) ? fullScreen({ io }, options, plain) : plain;
}

const jsonLines = (listen: (event: JobEvent) => void): Screen => ({ listen, open: async () => {}, isFull: false, close: async () => {} });

function plainLines({ io, flags }: Pick<Invocation, 'io' | 'flags'>, { names }: ScreenOptions): Screen {
  const saved = new Map<string, string>();
  const log = createPlainLog({
    verbose: flags.verbose ?? false,
    write: (line) => io.say(line),
    paint: (style, text) => io.paint(style, text),
    shorten: (path) => shorten(path, io),
    nameOf: (id) => saved.get(id) ?? names.get(id) ?? id,
  });
  const listen = (event: JobEvent) => {
    if (event.type === 'checkpoint-saved') saved.set(event.checkpoint.id, event.checkpoint.name);
    log(event);
  };
  return { listen, open: async () => {}, isFull: false, close: async () => {} };
}

/** The dashboard while the person looks at it; the plain log before and after. */
function fullScreen({ io }: Pick<Invocation, 'io'>, { controls }: ScreenOptions, plain: Screen): Screen {
  let show: ((event: JobEvent) => void) | null = null;
  let leave: () => Promise<void> = async () => {};
  let job: JobEvent<'job-started'> | null = null;
  /** Heard before the screen was there. */
  const early: JobEvent[] = [];
  /** How the last job ended was told on a screen that leaves nothing behind. */
  let owesSummary = false;
  const screen = {
    isFull: false,
    listen(event: JobEvent) {
      if (event.type === 'job-started') job = event;
      if (!show) early.push(event);
      if (!screen.isFull || !show) return plain.listen(event);
      owesSummary = event.type === 'job-finished' || (owesSummary && event.type !== 'job-started');
      show(event);
      // Silent there; but should the screen break, the log knows the names.
      if (event.type === 'checkpoint-saved') plain.listen(event);
    },
    async open(pipeline: () => string) {
      if (show) return;
      const { detectTheme, startDashboard } = await import('../tui/index.ts');
      const { screen: stdout, stdin, env } = io;
      const dashboard = await startDashboard({
        events(listener) {
          show = listener;
          screen.isFull = true;
          early.splice(0).forEach(listener);
          return () => (screen.isFull = false);
        },
        ...{ controls, stdout, stdin, theme: detectTheme(stdout, env, process.platform), pipeline: pipeline() },
        memory: () => process.memoryUsage.rss(),
      });
      const fault = dashboard.waitUntilExit().then(
        () => null,
        (error: unknown) => error,
      );
      void fault.then((error) => {
        screen.isFull = false;
        // Whoever leaves the screen between two jobs does not want to wait for the next one.
        if (error === null) return controls.finish();
        // A broken screen is no reason to end the job: the plain log takes over.
        io.say(brokenScreen(error, io));
        if (job) plain.listen(job);
      });
      leave = async () => {
        const wasFull = screen.isFull;
        dashboard.unmount();
        if ((await fault) === null && (wasFull || owesSummary)) io.say(dashboard.summary());
      };
    },
    close: () => leave(),
  };
  return screen;
}

function brokenScreen(error: unknown, io: Invocation['io']): string {
  const { message, stack } = error instanceof Error ? error : new Error(String(error));
  const place = stack?.split('\n').find((line) => /^\s+at /.test(line))?.trim();
  const told = `${io.paint('red', 'error')}: the dashboard broke: ${message}${place ? ` (${place})` : ''}`;
  return `${told}\n  This is a bug in rlrun. The job goes on without it; Ctrl-C ends it after the step.`;
}
