/**
 * Plays a job on the dashboard.
 *
 *   node bench/tui-replay.ts                          an invented arith job of 60 steps, at the speed of its own clock
 *   node bench/tui-replay.ts --file events.jsonl      one recorded with `rlrun PIPELINE --json`
 *   node bench/tui-replay.ts --steps 2000 --speed max measures: as fast as it goes, then memory, frames and CPU
 *
 * Without a terminal it draws on one of 120 × 40 that nobody sees.
 */
import { EventEmitter } from 'node:events';
import { readFileSync } from 'node:fs';
import { parseArgs } from 'node:util';
import type { JobEvent } from '../src/events.ts';
import { detectTheme, createTheme, startDashboard } from '../src/tui/index.ts';
import { arithJob } from '../test/tui/fixtures.ts';
import { createPlayer } from '../test/tui/player.ts';

const { values } = parseArgs({
  options: { steps: { type: 'string', default: '60' }, speed: { type: 'string', default: '1' }, file: { type: 'string' }, collapse: { type: 'string', default: '34' } },
});
const steps = Number(values.steps);
const speed = values.speed === 'max' ? Infinity : Number(values.speed);
const recorded = (file: string): JobEvent[] => readFileSync(file, 'utf8').split('\n').filter(Boolean).map((line) => JSON.parse(line) as JobEvent);
const invented = arithJob({ steps, start: Date.now(), collapseAt: Number(values.collapse) });
const player = createPlayer({ events: values.file ? recorded(values.file) : invented, speed });

/** Counts what is written: Ink brackets every frame with synchronized output. */
const measured = { frames: 0, bytes: 0 };
const count = (chunk: string | Uint8Array): void => {
  const text = String(chunk);
  measured.bytes += text.length;
  if (text.includes('\u001b[?2026h')) measured.frames++;
};

class Unseen extends EventEmitter {
  isTTY = true;
  columns = 120;
  rows = 40;
  write(chunk: string, callback?: () => void): boolean {
    count(chunk);
    if (typeof callback === 'function') callback();
    return true;
  }
}
class Silent extends EventEmitter {
  isTTY = true;
  setRawMode(): this { return this; }
  setEncoding(): this { return this; }
  ref(): this { return this; }
  unref(): this { return this; }
  read(): null { return null; }
}

const real = process.stdout.isTTY && process.stdin.isTTY;
if (real) {
  const write = process.stdout.write.bind(process.stdout);
  process.stdout.write = ((...args: Parameters<typeof write>) => {
    count(args[0]);
    return write(...args);
  }) as typeof write;
}

const memory: number[] = [];
const cpu = process.cpuUsage();
const began = performance.now();
const dashboard = await startDashboard({
  events: player.listen,
  controls: player.controls,
  stdout: real ? process.stdout : (new Unseen() as unknown as NodeJS.WriteStream),
  stdin: real ? process.stdin : (new Silent() as unknown as NodeJS.ReadStream),
  theme: real ? detectTheme(process.stdout, process.env, process.platform) : createTheme({ depth: 24, ascii: false }),
  memory: () => process.memoryUsage.rss(),
  pipeline: 'name: arith\nseed: 7\nmodel:\n  fork: builtin:arith-tiny\n  name: arith-rl\n  device: cpu\ngroup: 8\nbatch: 64\nsteps: 60\ntrain:\n  learning_rate: 1e-4\n  loss: importance_sampling',
});
player.listen((event) => {
  if (event.type === 'step-finished' && event.step % Math.max(1, Math.floor(steps / 5)) === 0) {
    globalThis.gc?.();
    memory.push(process.memoryUsage().heapUsed);
  }
});
await player.run();
if (real && speed !== Infinity && dashboard.state.result?.status === 'completed') await dashboard.waitUntilExit();
dashboard.unmount();
await dashboard.waitUntilExit();
const seconds = (performance.now() - began) / 1000;
const used = process.cpuUsage(cpu);
process.stdout.write(dashboard.summary());
if (speed === Infinity || !real) {
  const megabytes = memory.map((bytes) => `${(bytes / 1e6).toFixed(0)} MB`).join(', ');
  process.stdout.write(
    `\nreplayed ${dashboard.state.finishedSteps} steps in ${seconds.toFixed(1)} s: ${measured.frames} frames, ${(measured.frames / seconds).toFixed(1)} a second, ` +
      `${(measured.bytes / 1e3).toFixed(0)} kB written, ${((used.user + used.system) / 1e4 / seconds).toFixed(0)} % of one core (player included), heap at each fifth: ${megabytes}\n`,
  );
}
