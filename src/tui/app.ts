/** @file The only file that knows Ink: it owns the terminal, reads keys, and writes the lines that `frame` makes. */
import { Text, Transform, render, useApp, useInput, useWindowSize, type Instance } from 'ink';
import { createElement, useEffect, useReducer, useRef, useSyncExternalStore, type ReactElement } from 'react';
import type { JobControls } from '../events.ts';
import { frame } from './frame.ts';
import { keysOf } from './keys.ts';
import { toAnsi, type Size } from './line.ts';
import type { Store } from './store.ts';
import type { Theme } from './theme.ts';
import { initialUi, press, type Command } from './ui.ts';

export interface AppOptions {
  store: Store;
  controls: JobControls;
  theme: Theme;
  now: () => number;
  memory: () => number | null;
  pipeline: string;
}

/** Clocks and speeds move even when no event comes. */
const TICK_MS = 1000;

function Dashboard({ store, controls, theme, now, memory, pipeline }: AppOptions): ReactElement {
  useSyncExternalStore(store.subscribe, store.version);
  const [, draw] = useReducer((count: number) => count + 1, 0);
  // Several keys of one chunk come before the next render: each must meet what the one before it left.
  const ui = useRef(initialUi());
  const { columns, rows } = useWindowSize();
  const { exit } = useApp();

  useEffect(() => {
    const timer = setInterval(draw, TICK_MS);
    return () => clearInterval(timer);
  }, []);

  useInput((input, key) => {
    for (const name of keysOf(input, key)) {
      const pressed = press(ui.current, name, store.state);
      ui.current = pressed.ui;
      if (pressed.command?.control === 'leave') exit();
      else if (pressed.command) run(pressed.command, controls, store);
    }
    draw();
  });

  const model = { state: store.state, ui: ui.current, theme, now: now(), memory: memory(), pipeline };
  // One line stays free: a frame as high as the screen would scroll it.
  const size = { width: columns, height: Math.max(1, rows - 1) };
  const lines = frame(model, size).map((line) => toAnsi(line, theme));
  return createElement(Screen, { lines, ...size });
}

/**
 * The lines are laid out and cut to size already. Ink measures a block of blanks in their place, which is always the same and costs nothing, and
 * gets the lines when it writes: measuring every styled line again took half of each frame.
 */
function Screen({ lines, width, height }: { lines: readonly string[] } & Size): ReactElement {
  const blank = `${'.'.repeat(width)}\n`.repeat(height).trimEnd();
  return createElement(Transform, { transform: (_, index) => lines[index] ?? '' }, createElement(Text, null, blank));
}

/** Asks the job, and remembers the request until an event says that it came true. */
function run(command: Exclude<Command, { control: 'leave' }>, controls: JobControls, store: Store): void {
  (controls[command.control] as (...args: Command['args']) => void)(...command.args);
  store.touch(({ requests, state, watch }) => {
    if (command.control === 'pause') requests.pause = state !== 'paused';
    else if (command.control === 'resume') requests.pause = false;
    else if (command.control === 'evaluateNow') requests.evaluate = true;
    else if (command.control === 'checkpointNow') requests.checkpoint = true;
    else if (command.control === 'rollbackTo') requests.rollback = command.args[0];
    else if (command.control === 'setWatch') watch.on = command.args[0];
  });
}

export interface Terminal {
  stdout: NodeJS.WritableStream;
  stdin: NodeJS.ReadableStream;
}

export function mount(options: AppOptions, { stdout, stdin }: Terminal): Instance {
  return render(createElement(Dashboard, options), {
    stdout,
    stdin,
    alternateScreen: true,
    incrementalRendering: true,
    interactive: true,
    exitOnCtrlC: false,
    patchConsole: true,
    maxFps: 15,
  });
}
