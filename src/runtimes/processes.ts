/** What children need from the operating system: ends for their whole family, and a limit to its memory. */
import { execFile } from 'node:child_process';
import { existsSync, readFileSync, statSync } from 'node:fs';
import { isAbsolute, resolve } from 'node:path';

const POLL_MS = 100;
/** A child of execa's, as far as ending it goes. */
export interface Child extends PromiseLike<unknown> {
  readonly pid?: number | undefined;
  kill(signal: 'SIGKILL'): boolean;
}

const running = new Set<Child>();
let exitHook = false;

/** A detached child outlives an abrupt end of this process; those still running then are ended with it. */
export function endWithUs(child: Child): void {
  if (!exitHook) {
    exitHook = true;
    process.on('exit', () => running.forEach(killTree));
  }
  running.add(child);
  void child.then(() => running.delete(child));
}

/** Ends a child and everything it started (its process group, where the system has such). */
export function killTree(child: Child): void {
  if (child.pid === undefined) return;
  try {
    if (process.platform === 'win32') child.kill('SIGKILL');
    else process.kill(-child.pid, 'SIGKILL');
  } catch {
    child.kill('SIGKILL');
  }
}

/** Is there such a program, by its path from `cwd` or by its name in the folders of PATH? Windows has more rules, so there anything goes. */
export function isProgram(program: string, cwd: string): boolean {
  if (process.platform === 'win32') return true;
  if (program.includes('/')) return existsSync(resolve(cwd, program));
  return (process.env['PATH'] ?? '').split(':').some((folder) => existsSync(resolve(cwd, folder, program)));
}

/** The end of what a program said: all of it that is kept, and as much as fits a message. */
export function keepTail(): { add(chunk: Buffer): void; all(): string; brief(): string } {
  const kept = 16_384;
  let tail = Buffer.alloc(0);
  const all = () => tail.toString('utf8').trim();
  return {
    add(chunk) {
      tail = Buffer.concat([tail, chunk.subarray(-kept)]).subarray(-kept);
    },
    all,
    brief: () => all().slice(-400),
  };
}

export interface MemoryWatch {
  pid: number | undefined;
  limitMb: number;
  onExceeded: () => void;
}

/** Looks every 100 ms at the memory of a process and its descendants (resident set). Without a way to look, there is no limit. */
export function watchMemory({ pid, limitMb, onExceeded }: MemoryWatch): Disposable {
  if (pid === undefined || process.platform === 'win32') return { [Symbol.dispose]() {} };
  const check = (residentMb: number) => {
    if (residentMb > limitMb) onExceeded();
  };
  const look = process.platform === 'linux' ? () => check(residentMbLinux(pid)) : () => residentMbByPs(pid, check);
  const timer = setInterval(look, process.platform === 'linux' ? POLL_MS : 5 * POLL_MS).unref();
  return { [Symbol.dispose]: () => clearInterval(timer) };
}

function residentMbLinux(pid: number): number {
  try {
    const residentKb = Number(/^VmRSS:\s+(\d+)/m.exec(readFileSync(`/proc/${pid}/status`, 'latin1'))?.[1] ?? 0);
    const children = readFileSync(`/proc/${pid}/task/${pid}/children`, 'latin1').split(' ').filter(Boolean).map(Number);
    return children.reduce((total, child) => total + residentMbLinux(child), residentKb / 1024);
  } catch {
    return 0;
  }
}

/** The group's sum, from `ps` (macOS, BSD): kilobytes per process. */
function residentMbByPs(pid: number, report: (residentMb: number) => void): void {
  execFile('ps', ['-o', 'rss=', '-g', String(pid)], (error, stdout) => {
    if (!error) report(stdout.split('\n').reduce((total, line) => total + Number(line || 0), 0) / 1024);
  });
}

/** The words of a command that are files of the user's: `python3 reward.py` is made of reward.py. An interpreter is not. */
export function programFiles(command: readonly string[], cwd: string): string[] {
  const words = command.filter((word, index) => index > 0 || !isAbsolute(word));
  return words.map((word) => resolve(cwd, word)).filter((file) => existsSync(file) && statSync(file).isFile());
}
