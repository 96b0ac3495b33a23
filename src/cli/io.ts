/** The outside world of a command: people read stderr, programs read stdout. */
import { styleText } from 'node:util';
import { exitCodes } from './exit-codes.ts';

export type Style = Parameters<typeof styleText>[0];

export interface Io {
  stdout: NodeJS.WriteStream;
  stderr: NodeJS.WriteStream;
  stdin: NodeJS.ReadStream;
  env: NodeJS.ProcessEnv;
  cwd: string;
  /** Arguments after `rlrun`. */
  argv: readonly string[];
  /** Aborted when nobody reads stdout any more, and by signals. */
  signal: AbortSignal;
  /** A result, for programs and pipes. */
  print(text: string): void;
  /** One versioned line of JSON on stdout. */
  json(value: { type: string } & Record<string, unknown>): void;
  /** For people: progress, remarks, errors. */
  say(text: string): void;
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
    if (stream.writable) stream.write(text.endsWith('\n') ? text : `${text}\n`);
  };
  return {
    abort,
    get lostOutput() {
      return lostOutput;
    },
    stdout,
    stderr,
    stdin: process.stdin,
    env: process.env,
    cwd: process.cwd(),
    argv: process.argv.slice(2),
    signal: abort.signal,
    print: (text) => write(stdout, text),
    json: (value) => write(stdout, JSON.stringify({ v: JSON_VERSION, ...value })),
    say: (text) => void (quiet || write(stderr, text)),
    paint: (style, text, stream = 'stderr') => styleText(style, text, { stream: stream === 'stdout' ? stdout : stderr }),
  };
}

/** CI is anything but empty… except that an empty value counts, and `0` and `false` do not. */
const isCi = (env: NodeJS.ProcessEnv): boolean =>
  [env['CI'], env['CONTINUOUS_INTEGRATION']].some((value) => value !== undefined && value !== '0' && value !== 'false');

/** May a full screen be drawn and keys be read? Decided once. */
export const isInteractive = ({ stdout, stdin, env }: Pick<Io, 'stdout' | 'stdin' | 'env'>): boolean =>
  Boolean(stdout.isTTY && stdin.isTTY) && !isCi(env) && env['TERM'] !== 'dumb';
