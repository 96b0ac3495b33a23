/**
 * Children end with this process, however it ends. A shell of ours outlives it by a moment: told which groups of processes are under
 * way, it ends them when the pipe to it closes. So none is left behind even by a `kill -9`, of which no handler hears.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { killTree } from './processes.ts';

const SCRIPT = `
trap '' HUP INT TERM
groups=
while read -r sign group; do
  case $sign in
    +) groups="$groups $group" ;;
    -) kept=
       for each in $groups; do [ "$each" = "$group" ] || kept="$kept $each"; done
       groups=$kept ;;
  esac
done
for group in $groups; do kill -s KILL -- "-$group"; done`;

const running = new Set<number>();
let watchdog: ChildProcess | null = null;

/** From now on a child, the leader of its group, ends with us; once it has ended, call what this returns. */
export function endWithUs(pid: number): () => void {
  // On Windows the system itself ends children with their parent.
  if (process.platform === 'win32') return () => {};
  if (!watchdog) {
    watchdog = start();
    process.on('exit', () => running.forEach(killTree));
  }
  running.add(pid);
  watchdog.stdin?.write(`+ ${pid}\n`);
  return () => {
    running.delete(pid);
    watchdog?.stdin?.write(`- ${pid}\n`);
  };
}

function start(): ChildProcess {
  // In a session of its own: what ends a terminal or a whole group of processes must not end it first.
  const child = spawn('/bin/sh', ['-c', SCRIPT], { cwd: '/', env: {}, detached: true, stdio: ['pipe', 'ignore', 'ignore'] });
  // Where there is no shell, children are ended by this process alone, as long as it can.
  child.on('error', () => {});
  child.stdin?.on('error', () => {});
  child.unref();
  (child.stdin as unknown as { unref?(): void } | null)?.unref?.();
  return child;
}
