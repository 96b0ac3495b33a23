/** @file A terminal that lives in memory: Ink draws on it as on a real one, a test presses keys and reads the screen. */
import { Console } from 'node:console';
import { EventEmitter } from 'node:events';
import xterm, { type Terminal } from '@xterm/headless';

// The test runner's console has no constructor, and Ink makes a console of its own while it holds the screen.
console.Console ??= Console;

class Output extends EventEmitter {
  readonly isTTY = true;
  /** Everything written, as it came. */
  raw = '';
  columns: number;
  rows: number;
  private readonly terminal: Terminal;

  constructor(terminal: Terminal) {
    super();
    this.terminal = terminal;
    this.columns = terminal.cols;
    this.rows = terminal.rows;
  }

  write(chunk: string | Uint8Array, encoding?: unknown, callback?: unknown): boolean {
    const done = [encoding, callback].find((value) => typeof value === 'function') as (() => void) | undefined;
    this.raw += String(chunk);
    this.terminal.write(chunk, done);
    return true;
  }

  getColorDepth(): number {
    return 24;
  }
}

class Input extends EventEmitter {
  readonly isTTY = true;
  private readonly pending: string[] = [];
  setRawMode(): this { return this; }
  setEncoding(): this { return this; }
  ref(): this { return this; }
  unref(): this { return this; }
  read(): string | null { return this.pending.shift() ?? null; }
  press(keys: string): void {
    this.pending.push(keys);
    this.emit('readable');
  }
}

export interface FakeTerminal {
  readonly terminal: Terminal;
  readonly output: Output;
  readonly stdout: NodeJS.WriteStream;
  readonly stdin: NodeJS.ReadStream;
  press(keys: string): void;
  resize(columns: number, rows: number): void;
  /** The visible screen, without spaces at the ends of lines. */
  screen(): string[];
}

export function fakeTerminal({ columns, rows }: { columns: number; rows: number }): FakeTerminal {
  const terminal = new xterm.Terminal({ cols: columns, rows, allowProposedApi: true, convertEol: true, scrollback: 1000 });
  const output = new Output(terminal);
  const input = new Input();
  return {
    terminal,
    output,
    stdout: output as unknown as NodeJS.WriteStream,
    stdin: input as unknown as NodeJS.ReadStream,
    press: (keys) => input.press(keys),
    resize(width, height) {
      terminal.resize(width, height);
      output.columns = width;
      output.rows = height;
      output.emit('resize');
    },
    screen() {
      const { active } = terminal.buffer;
      return Array.from({ length: terminal.rows }, (_, row) => active.getLine(active.viewportY + row)?.translateToString(true) ?? '');
    },
  };
}
