/**
 * @file Which process something belongs to. Its number alone does not say that: numbers are given again, and in a container every program
 * is number 1.
 */
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { readFileSync, readlinkSync } from 'node:fs';
import { hostname } from 'node:os';

/** `unknown`: it runs, or ran, where this process cannot look: on another machine, in another container. */
export type Fate = 'alive' | 'dead' | 'unknown';

/** Where the system does not say when a process began. */
const UNSAID = '0';

/**
 * `<number>.<start>.<namespace>.<machine>`, fit for the name of a file: no two processes have the same, ever. A machine is one boot of one
 * kernel; containers on it share that and differ in the namespace of their numbers.
 */
export const processMark = (): string => (own ??= [process.pid, startOf(process.pid) ?? UNSAID, namespace(), machine()].join('.'));

let own: string | undefined;

/** What has become of the process that has this mark. */
export function fateOf(mark: string): Fate {
  const [, digits, started, ...place] = /^(\d+)\.(\d+)\.(\d+)\.([0-9a-f]+)$/.exec(mark) ?? [];
  if (digits === undefined || place.join() !== processMark().split('.').slice(2).join()) return 'unknown';
  const pid = Number(digits);
  if (!isTaken(pid)) return 'dead';
  const now = startOf(pid);
  // Where nobody may look, the number has to do.
  if (started === UNSAID || now === null) return 'alive';
  return now !== 'zombie' && Math.abs(Number(now) - Number(started)) <= startTolerance ? 'alive' : 'dead';
}

/** Was the mark made on this boot of this kernel, be it in another container? */
export const isOfThisMachine = (mark: string): boolean => mark.endsWith(`.${machine()}`);

/** Is there a process with this number? */
function isTaken(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}

const isLinux = process.platform === 'linux';
/** Linux counts the ticks exactly; `ps` knows seconds, and this process learns its own from a clock that started a little later. */
const startTolerance = isLinux ? 0 : 2;

/** When a process began: in ticks since the boot on Linux, elsewhere in seconds since the epoch. A zombie has ended; only its parent has not asked yet. */
function startOf(pid: number): string | 'zombie' | null {
  try {
    if (!isLinux) return pid === process.pid ? String(Math.round(performance.timeOrigin / 1000)) : startFromPs(pid);
    // The name of the program stands in brackets and may hold anything.
    const fields = readFileSync(`/proc/${pid}/stat`, 'utf8').replace(/^.*\)\s/s, '').split(' ');
    return fields[0] === 'Z' || fields[0] === 'X' ? 'zombie' : fields[19]!;
  } catch {
    return null;
  }
}

function startFromPs(pid: number): string | null {
  if (process.platform === 'win32') return null;
  const began = Date.parse(execFileSync('ps', ['-o', 'lstart=', '-p', String(pid)], { encoding: 'utf8', env: { ...process.env, LC_ALL: 'C' } }));
  return Number.isNaN(began) ? null : String(Math.round(began / 1000));
}

function namespace(): string {
  try {
    return /\d+/.exec(readlinkSync('/proc/self/ns/pid'))?.[0] ?? '0';
  } catch {
    return '0';
  }
}

function machine(): string {
  let name: string;
  try {
    name = readFileSync('/proc/sys/kernel/random/boot_id', 'utf8');
  } catch {
    name = hostname();
  }
  return createHash('sha256').update(name).digest('hex').slice(0, 8);
}
