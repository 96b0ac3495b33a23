/** What children need from the operating system: ends for their whole family, and a limit to its memory. */
import { execFile } from 'node:child_process';
import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { isAbsolute, resolve } from 'node:path';

const POLL_MS = 100;

/** Ends a process that runs, and everything it started: its group, and on Linux also those who left the group. */
export function killTree(pid: number): void {
  // Found before their parent is gone: afterwards nobody knows whose they were.
  const family = process.platform === 'linux' ? descendants(pid) : [];
  killGroup(pid);
  for (const each of [pid, ...family]) kill(each);
}

/** Ends those of a process group who are left; its number is theirs as long as there are any. */
export function killGroup(group: number): void {
  if (process.platform !== 'win32') kill(-group);
}

function kill(target: number): void {
  try {
    process.kill(target, 'SIGKILL');
  } catch {
    // It has ended by itself.
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

/** Looks every 100 ms at the memory of a process, and every second at that of its descendants too (resident set). Without a way to look, there is no limit. */
export function watchMemory({ pid, limitMb, onExceeded }: MemoryWatch): Disposable {
  if (pid === undefined || process.platform === 'win32') return { [Symbol.dispose]() {} };
  const check = (residentMb: number) => {
    if (residentMb > limitMb) onExceeded();
  };
  let round = 0;
  // The way to the descendants leads through every thread: it costs thirty times as much as a look at the process alone.
  const lookLinux = () => check([pid, ...(++round % 10 === 0 ? descendants(pid) : [])].reduce((total, each) => total + residentMbLinux(each), 0));
  const look = process.platform === 'linux' ? lookLinux : () => residentMbByPs(pid, check);
  const timer = setInterval(look, process.platform === 'linux' ? POLL_MS : 5 * POLL_MS).unref();
  return { [Symbol.dispose]: () => clearInterval(timer) };
}

function residentMbLinux(pid: number): number {
  try {
    pageBytes ??= 2 ** Math.round(Math.log2(process.memoryUsage.rss() / residentPages(process.pid)));
    return (residentPages(pid) * pageBytes) / 2 ** 20;
  } catch {
    return 0;
  }
}

/** Node does not tell; from two views of the same memory it follows. */
let pageBytes: number | undefined;

/** The second number of `statm`; reading `status` takes six times as long. */
const residentPages = (pid: number): number => Number(readFileSync(`/proc/${pid}/statm`, 'latin1').split(' ')[1]);

/** The children of each of its threads, and theirs, as Linux knows them. */
function descendants(pid: number): number[] {
  try {
    const threads = readdirSync(`/proc/${pid}/task`);
    const children = threads.flatMap((thread) => readFileSync(`/proc/${pid}/task/${thread}/children`, 'latin1').split(' ').filter(Boolean).map(Number));
    return children.flatMap((child) => [child, ...descendants(child)]);
  } catch {
    return [];
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
