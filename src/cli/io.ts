/** The outside world of a command: people read stderr, programs read stdout. */
import { format } from 'node:util';
import { exitCodes } from './exit-codes.ts';
import { createGate, type Style } from './gate.ts';

export type { Style } from './gate.ts';

/** What may be asked of a stream; writing to it goes through the gate. */
export type Terminal = Pick<NodeJS.WriteStream, 'isTTY' | 'columns' | 'rows'>;

export interface Io {
  stdout: Terminal;
  stderr: Terminal;
  stdin: NodeJS.ReadStream;
  /** The stream itself, for a full screen, which cleans what it draws. */
  screen: NodeJS.WriteStream;
  /** The stream itself, for reading lines: what it shows is what the user types. */
  lineEditor: NodeJS.WriteStream;
  env: NodeJS.ProcessEnv;
  cwd: string;
  /** Arguments after `rlrun`. */
  argv: readonly string[];
  /** Aborted when nobody reads stdout any more, and by signals. */
  signal: AbortSignal;
  /** A result, for programs and pipes. */
  print(text: string): void;
  /** A part of a result, as it comes. */
  stream(text: string): void;
  /** One versioned line of JSON on stdout. */
  json(value: { type: string } & Record<string, unknown>): void;
  /** For people: progress and remarks. */
  say(text: string): void;
  /** What people have to know, also when they asked for quiet: errors. */
  tell(text: string): void;
  /** Keeps secrets out of everything that is written from now on. */
  conceal(conceal: (text: string) => string): void;
  /** Coloured when the stream shows colours: NO_COLOR, FORCE_COLOR and pipes are honoured. */
  paint(style: Style, text: string, stream?: 'stdout' | 'stderr'): string;
}

export const JSON_VERSION = 1;

/** The process's own streams, and whether its output got where it should. */
export interface ProcessIo extends Io {
  abort: AbortController;
  readonly lostOutput: boolean;
}

export function createIo(process: NodeJS.Process, { quiet = false } = {}): ProcessIo {
  const abort = new AbortController();
  const { stdout, stderr } = process;
  const gate = createGate();
  let lostOutput = false;
  for (const stream of [stdout, stderr]) {
    stream.on('error', (error: NodeJS.ErrnoException) => {
      // `rlrun … --json | head -1` is a request to stop, not an error. A full disk under `rlrun … > file` is one, and it ends the work as well.
      if (error.code !== 'EPIPE' && !lostOutput) {
        lostOutput = true;
        process.exitCode = exitCodes.failure.code;
        if (stream === stdout) write(stderr, `error: the output cannot be written: ${error.message}`);
      }
      abort.abort(new DOMException('Nobody reads the output any more.', 'AbortError'));
    });
  }
  const write = (stream: NodeJS.WriteStream, text: string) => {
    if (stream.writable) stream.write(gate.clean(text.endsWith('\n') ? text : `${text}\n`));
  };
  const say = (text: string): void => void (quiet || write(stderr, text));
  // Libraries warn of what they find in a model's files, in its own words.
  for (const method of ['log', 'info', 'warn', 'error', 'debug'] as const) console[method] = (...words: unknown[]) => say(format(...words));
  return {
    abort,
    get lostOutput() {
      return lostOutput;
    },
    stdout,
    stderr,
    stdin: process.stdin,
    screen: stdout,
    lineEditor: stderr,
    env: process.env,
    cwd: process.cwd(),
    argv: process.argv.slice(2),
    signal: abort.signal,
    print: (text) => write(stdout, text),
    stream: (text) => void (stdout.writable && stdout.write(gate.clean(text))),
    json: (value) => write(stdout, jsonLine({ v: JSON_VERSION, ...value })),
    say,
    tell: (text) => write(stderr, text),
    conceal: (conceal) => gate.conceal(conceal),
    paint: (style, text, stream = 'stderr') => gate.paint(style, text, stream === 'stdout' ? stdout : stderr),
  };
}

/** JSON leaves some controls as they are; escaped, they reach programs whole and a terminal not at all. */
const jsonLine = (value: unknown): string => JSON.stringify(value).replace(/[\u007f-\u009f\p{Bidi_Control}\u2028\u2029]/gu, (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`);

/** CI is anything but empty… except that an empty value counts, and `0` and `false` do not. */
const isCi = (env: NodeJS.ProcessEnv): boolean =>
  [env['CI'], env['CONTINUOUS_INTEGRATION']].some((value) => value !== undefined && value !== '0' && value !== 'false');

/** May a full screen be drawn and keys be read? Decided once. */
export const isInteractive = ({ stdout, stdin, env }: Pick<Io, 'stdout' | 'stdin' | 'env'>): boolean =>
  Boolean(stdout.isTTY && stdin.isTTY) && !isCi(env) && env['TERM'] !== 'dumb';
