/** @file Another program to take turns with: a Python script that says `ready`, then answers every line `step` with `seconds …`. */
import { spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';

export interface Peer {
  /** Seconds of one step; NaN once the script is gone. */
  step(): Promise<number>;
  close(): void;
}

/** Null where the Python of `RLRUN_PYTHON` (default: python3) or what the script imports is not there. */
export async function openPeer(script: string, args: readonly string[] = []): Promise<Peer | null> {
  const child = spawn(process.env['RLRUN_PYTHON'] ?? 'python3', [fileURLToPath(new URL(script, import.meta.url)), ...args], { stdio: ['pipe', 'pipe', 'ignore'] });
  child.on('error', () => {});
  const lines = createInterface(child.stdout)[Symbol.asyncIterator]();
  /** The rest of the next line that begins so; libraries print between. */
  const answer = async (start: string): Promise<string | null> => {
    for (;;) {
      const { value, done } = await lines.next();
      if (done === true) return null;
      if (value.startsWith(start)) return value.slice(start.length);
    }
  };
  if ((await answer('ready')) === null) return null;
  return {
    async step() {
      child.stdin.write('step\n');
      return Number((await answer('seconds ')) ?? NaN);
    },
    close() { child.kill(); },
  };
}
