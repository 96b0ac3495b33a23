import { existsSync } from 'node:fs';
import { execa } from 'execa';
import { endWithUs, type Failure, invalid, killTree, readVerdict, seconds, type Verdict, watchMemory } from '../runtimes/index.ts';
import type { ScoreRequest, SettingsOf } from './types.ts';

const MAX_OUTPUT_BYTES = 1_048_576;

export interface CommandLimits {
  timeoutMs: number;
  memoryMb: number;
  signal?: AbortSignal | undefined;
}

/**
 * Asks a program of any language: JSON `{ completion, task, info }` on its stdin.
 *
 * `score: stdout`: the last line it prints is the score, a number or an object with `reward`; its exit code must be 0.
 * `score: exit_code`: 0 is right (1), 1 is wrong (0), anything else is a fault of the program.
 */
export async function askCommand({ command, cwd, score }: SettingsOf<'command'>, request: ScoreRequest, limits: CommandLimits): Promise<Verdict> {
  limits.signal?.throwIfAborted();
  const { task, completion, completionTokens, truncated } = request;
  const [program, ...args] = command as [string, ...string[]];
  const child = execa(program, args, {
    cwd,
    input: `${JSON.stringify({ completion, task, info: { completionTokens, truncated } })}\n`,
    reject: false,
    detached: process.platform !== 'win32',
    maxBuffer: MAX_OUTPUT_BYTES,
    windowsHide: true,
  });
  endWithUs(child);
  let stopped: Failure | null = null;
  const stop = (type: Failure['type'], message: string) => {
    stopped ??= { type, message };
    killTree(child);
  };
  const cancel = () => stop('exit', 'was cancelled');
  limits.signal?.addEventListener('abort', cancel, { once: true });
  const timer = setTimeout(() => stop('timeout', `gave no answer within ${seconds(limits.timeoutMs)} and was stopped`), limits.timeoutMs);
  using _memory = watchMemory({
    pid: child.pid,
    limitMb: limits.memoryMb,
    onExceeded: () => stop('memory', `used more than ${limits.memoryMb} MB of memory and was stopped`),
  });
  const result = await child;
  clearTimeout(timer);
  limits.signal?.removeEventListener('abort', cancel);
  limits.signal?.throwIfAborted();
  if (stopped) return { ok: false, failure: stopped };
  if (result.isMaxBuffer) {
    killTree(child);
    return fault('protocol', `printed more than ${MAX_OUTPUT_BYTES} bytes and was stopped`);
  }
  if (result.code === 'ENOENT') return fault('exit', existsSync(cwd) ? `there is no program ${program}` : `its working folder ${cwd} is gone`);
  const { exitCode } = result;
  if (score === 'exit_code' && (exitCode === 0 || exitCode === 1)) return { ok: true, value: exitCode === 0 ? 1 : 0 };
  if (exitCode !== 0) return fault('exit', `${ended(result)}${said(result.stderr)}`);
  return readPrinted(result.stdout);
}

const fault = (type: Failure['type'], message: string): Verdict => ({ ok: false, failure: { type, message } });

const ended = ({ exitCode, signal, originalMessage }: { exitCode?: number | undefined; signal?: string | undefined; originalMessage?: string | undefined }): string =>
  exitCode !== undefined ? `ended with exit code ${exitCode}` : signal !== undefined ? `ended by ${signal}` : `could not be run: ${originalMessage ?? 'unknown reason'}`;

const said = (stderr: string): string => (stderr.trim() === '' ? '' : `; it said: ${stderr.trim().slice(-400)}`);

function readPrinted(stdout: string): Verdict {
  const line = stdout.trimEnd().split('\n').at(-1)!.trim();
  if (line === '') return invalid('printed nothing; the last line of its stdout must be the score');
  try {
    return readVerdict(JSON.parse(line));
  } catch {
    return invalid(`printed ${JSON.stringify(line.slice(0, 60))} as its last line; expected a number or an object with \`reward\``);
  }
}
