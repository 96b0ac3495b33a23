import { callPrints, type Failure, invalid, keepTail, loadChild, readVerdict, seconds, type Verdict, watchMemory } from '../runtimes/index.ts';
import type { ScoreRequest, SettingsOf } from './types.ts';

const { startChild } = await loadChild();

const MAX_OUTPUT_BYTES = 1_048_576;

export interface CommandLimits {
  timeoutMs: number;
  memoryMb: number;
  env: NodeJS.ProcessEnv;
  /** What it says on stderr. */
  onOutput?: ((text: string) => void) | undefined;
  signal?: AbortSignal | undefined;
}

/**
 * Asks a program of any language: JSON `{ completion, task, info }` on its stdin.
 *
 * `score: stdout`: the last line it prints is the score, a number or an object with `reward`; its exit code must be 0.
 * `score: exit_code`: 0 is right (1), 1 is wrong (0), anything else is a fault of the program.
 */
export async function askCommand({ command, cwd, score }: SettingsOf<'command'>, request: ScoreRequest, limits: CommandLimits): Promise<Verdict> {
  const { signal, timeoutMs, memoryMb, env, onOutput } = limits;
  signal?.throwIfAborted();
  const { task, completion, completionTokens, truncated } = request;
  const child = startChild({ command, cwd, env });
  let stopped: Failure | null = null;
  const gone = Promise.withResolvers<null>();
  const stop = (type: Failure['type'], message: string) => {
    stopped ??= { type, message };
    void child.kill().then(() => gone.resolve(null));
  };
  const cancel = () => stop('exit', 'was cancelled');
  signal?.addEventListener('abort', cancel, { once: true });
  const timer = setTimeout(() => stop('timeout', `gave no answer within ${seconds(timeoutMs)} and was stopped`), timeoutMs);
  using _memory = watchMemory({ pid: child.pid, limitMb: memoryMb, onExceeded: () => stop('memory', `used more than ${memoryMb} MB of memory and was stopped`) });
  const printed: Buffer[] = [];
  let bytes = 0;
  child.stdout.on('data', (chunk: Buffer) => {
    bytes += chunk.length;
    if (bytes <= MAX_OUTPUT_BYTES) printed.push(chunk);
    else stop('protocol', `printed more than ${MAX_OUTPUT_BYTES} bytes and was stopped`);
  });
  const errors = keepTail();
  const prints = callPrints(onOutput);
  child.stderr.on('data', (chunk: Buffer) => {
    errors.add(chunk);
    prints.add(chunk.toString('utf8'));
  });
  child.stdin!.end(`${JSON.stringify({ completion, task, info: { completionTokens, truncated } })}\n`);
  const result = await Promise.race([child.ended, gone.promise]);
  prints.answered();
  clearTimeout(timer);
  signal?.removeEventListener('abort', cancel);
  signal?.throwIfAborted();
  if (stopped !== null || result === null) return { ok: false, failure: stopped! };
  if (result.fault !== null) return fault('exit', `could not be started: ${result.fault}`);
  const { exitCode } = result;
  if (score === 'exit_code' && (exitCode === 0 || exitCode === 1)) return { ok: true, value: exitCode === 0 ? 1 : 0 };
  if (exitCode !== 0) return fault('exit', `ended ${exitCode === null ? `by ${result.signal}` : `with exit code ${exitCode}`}${errors.all() === '' ? '' : `; it said: ${errors.brief()}`}`);
  return readPrinted(Buffer.concat(printed).toString('utf8'));
}

const fault = (type: Failure['type'], message: string): Verdict => ({ ok: false, failure: { type, message } });

function readPrinted(stdout: string): Verdict {
  const line = stdout.trimEnd().split('\n').at(-1)!.trim();
  if (line === '') return invalid('printed nothing; the last line of its stdout must be the score');
  try {
    return readVerdict(JSON.parse(line));
  } catch {
    return invalid(`printed ${JSON.stringify(line.slice(0, 60))} as its last line; expected a number or an object with \`reward\``);
  }
}
