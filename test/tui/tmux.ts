/** @file A real terminal for tests: tmux on a server of its own. Nothing here waits for ever, and what fails says what was on the screen. */
import { execFileSync, spawnSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { setTimeout } from 'node:timers/promises';

export const hasTmux = spawnSync('tmux', ['-V']).status === 0;

/** The longest wait for one screen. */
const WAIT_MS = 30_000;
const LOOK_MS = 50;

export interface Pane {
  readonly name: string;
  screen(): string;
  /** Resolves when the screen matches; rejects with the last screen when it does not in time. */
  shows(expected: string | RegExp): Promise<void>;
  /** Keys by their names in tmux; all of them reach the program in one piece. */
  key(...keys: string[]): void;
  /** Types a command at the shell; the shell then says `status N`. */
  run(command: string): Promise<void>;
  resize(columns: number, rows: number): void;
  /** Cursor shown (1) or hidden (0), alternate screen on (1) or off (0). */
  modes(): string;
  /** The process that the shell runs. */
  child(): number;
  /** Every byte that came out. */
  raw(): string;
}

export interface Tmux {
  /** A shell: what it shows before and after a program must survive. `limitMs` bounds all waits of this pane together. */
  open(options: { columns: number; rows: number; cwd: string; limitMs: number; env?: Record<string, string> }): Pane;
  /** Ends every program that was started here. */
  close(): void;
}

/** `folder` gets the bytes that each pane writes. */
export function startTmux(folder: string): Tmux {
  const socket = `rlrun-test-${process.pid}`;
  // A server that does not answer must fail the test and not hold it.
  const tmux = (...args: string[]): string => execFileSync('tmux', ['-L', socket, '-f', '/dev/null', ...args], { encoding: 'utf8', timeout: 10_000, stdio: ['ignore', 'pipe', 'pipe'] });
  let panes = 0;
  // One session stays open, or the server would end with the last one and refuse the next.
  tmux('new-session', '-d', '-s', 'keeper', '-x', '80', '-y', '24', 'cat');

  return {
    open({ columns, rows, cwd, limitMs, env = {} }) {
      const name = `job${++panes}`;
      const file = path.join(folder, `${name}.raw`);
      writeFileSync(file, '');
      const given = { LANG: 'C.UTF-8', LC_ALL: 'C.UTF-8', PS1: 'ready> ', ...env };
      const words = Object.entries(given).map(([key, value]) => `'${key}=${value}'`);
      tmux('new-session', '-d', '-s', name, '-c', cwd, '-x', String(columns), '-y', String(rows), `exec env -u CI -u CONTINUOUS_INTEGRATION -u NO_COLOR -u FORCE_COLOR -u NODE_ENV ${words.join(' ')} sh`);
      tmux('pipe-pane', '-t', name, `exec cat >> '${file}'`);
      const deadline = Date.now() + limitMs;
      const screen = (): string => tmux('capture-pane', '-p', '-t', name);
      const key = (...keys: string[]): void => void tmux('send-keys', '-t', name, ...keys);
      const shows = async (expected: string | RegExp): Promise<void> => {
        const limit = Math.min(deadline, Date.now() + WAIT_MS);
        for (;;) {
          const now = screen();
          if (typeof expected === 'string' ? now.includes(expected) : expected.test(now)) return;
          if (Date.now() > limit) throw new Error(`the screen never showed ${String(expected)}; the last one was\n${now}`);
          await setTimeout(LOOK_MS);
        }
      };
      return {
        name,
        screen,
        shows,
        key,
        async run(command) {
          await shows('ready>');
          key(`echo before; ${command}; echo "status $?"`, 'Enter');
        },
        resize: (width, height) => void tmux('resize-window', '-t', name, '-x', String(width), '-y', String(height)),
        modes: () => tmux('display-message', '-p', '-t', name, '#{cursor_flag} #{alternate_on}').trim(),
        child() {
          const shell = tmux('display-message', '-p', '-t', name, '#{pane_pid}').trim();
          return Number(execFileSync('ps', ['-o', 'pid=', '--ppid', shell], { encoding: 'utf8' }).trim());
        },
        raw: () => readFileSync(file, 'utf8'),
      };
    },
    close() {
      spawnSync('tmux', ['-L', socket, 'kill-server'], { timeout: 10_000 });
    },
  };
}
