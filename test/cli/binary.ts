/** Runs the real `rlrun`, built from the sources as they are now. */
import { execFileSync } from 'node:child_process';
import { mkdirSync, readdirSync, rmdirSync, statSync, utimesSync, writeFileSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { type Options, execa } from 'execa';

const home = fileURLToPath(new URL('../..', import.meta.url));
export const binary = join(home, 'bin', 'rlrun.js');
export const fromHome = (path: string): string => join(home, path);

function newest(directory: string): number {
  return Math.max(...readdirSync(directory, { withFileTypes: true, recursive: true }).filter((entry) => entry.isFile()).map((entry) => statSync(join(entry.parentPath, entry.name)).mtimeMs));
}

/** Builds `dist` unless it is newer than every source. One test file at a time: the others wait for its lock. */
export function build(): void {
  const [stamp, lock] = [join(home, 'dist', '.built'), join(home, 'node_modules', '.rlrun-build')];
  const isFresh = () => (statSync(stamp, { throwIfNoEntry: false })?.mtimeMs ?? 0) > newest(join(home, 'src'));
  for (;;) {
    if (isFresh()) return;
    try {
      mkdirSync(lock);
      break;
    } catch {
      if (Date.now() - (statSync(lock, { throwIfNoEntry: false })?.mtimeMs ?? Date.now()) > 120_000) rmdirSync(lock);
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 200);
    }
  }
  try {
    const began = new Date();
    execFileSync(process.execPath, [join(home, 'node_modules', 'typescript', 'bin', 'tsc'), '-p', 'tsconfig.build.json'], { cwd: home });
    writeFileSync(stamp, '');
    utimesSync(stamp, began, began);
  } finally {
    rmdirSync(lock);
  }
}

const environment = { NO_COLOR: '1', CI: '1', COLUMNS: '100' };

/** A folder of its own for each test, gone afterwards, and `rlrun` in it. */
export async function workspace() {
  const cwd = await mkdtemp(join(tmpdir(), 'rlrun-cli-'));
  const children = new Set<Promise<unknown> & { kill: (signal: 'SIGKILL') => boolean }>();
  const start = (args: readonly string[], options: Options = {}) => {
    const child = execa(process.execPath, [binary, ...args], { cwd, reject: false, env: environment, stripFinalNewline: false, timeout: 50_000, killSignal: 'SIGKILL', ...options });
    children.add(child);
    void child.finally(() => children.delete(child));
    return child;
  };
  return {
    cwd,
    start,
    run: async (...args: string[]) => {
      const { stdout, stderr, exitCode } = await start(args);
      return { stdout: String(stdout), stderr: String(stderr), exitCode };
    },
    // A test that failed half-way leaves programs behind.
    async [Symbol.asyncDispose]() {
      for (const child of children) child.kill('SIGKILL');
      await Promise.all(children);
      await rm(cwd, { recursive: true, force: true, maxRetries: 20, retryDelay: 100 });
    },
  };
}
