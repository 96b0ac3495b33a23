/**
 * `npm run bench:runner`: what a job costs beyond its engine. Prints JSON.
 *
 * `outside_engine_share` is the part of a job's wall time, from the start of the process to its exit, in which no call to the engine is under
 * way. `above_replay_share` is stricter: it compares the job, in turn, with a program that makes the same calls to the engine and does nothing
 * else, so it also holds what scoring, events and files take away from the engine's threads and its disk while both work.
 *
 * `peak_mb` is the most memory that the job had in use, at step 50 and at its end. The second figure is the higher one, since V8 lets the young
 * objects of each thread take up to 128 MB as time goes by, whether or not any stay alive; with RLRUN_BENCH_STEPS=1500 it should hardly be higher still.
 */
import { mkdir, mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { execa } from 'execa';
import { median, round } from './numbers.ts';
import type { Figures } from './runner/tap.ts';

const root = fileURLToPath(new URL('..', import.meta.url));
const rounds = Number(process.env['RLRUN_BENCH_ROUNDS'] ?? 3);
const steps = process.env['RLRUN_BENCH_STEPS'];

const scratch = await mkdtemp(join(tmpdir(), 'rlrun-runner-'));
const [tape, told] = [join(scratch, 'tape'), join(scratch, 'figures.json')];

/** Seconds of one process, in a folder of its own. */
async function timed(args: readonly string[], env: Record<string, string> = {}): Promise<number> {
  const cwd = join(scratch, 'run');
  await mkdir(cwd);
  const started = performance.now();
  await execa(process.execPath, args, { cwd, env });
  const seconds = (performance.now() - started) / 1000;
  await rm(cwd, { recursive: true });
  return seconds;
}

const sets = steps === undefined ? [] : ['--set', `steps=${steps}`];
const job = ['--import', join(root, 'bench', 'runner', 'tap.ts'), join(root, 'bin', 'rlrun.js'), join(root, 'pipelines', 'arith.yaml'), '--no-tui', ...sets];
const replay = [join(root, 'bench', 'runner', 'replay.ts'), tape, 'states'];

try {
  await timed(job, { RLRUN_BENCH_TAPE: tape });
  const turns: { job: number; engine: number; outside: number; figures: Figures }[] = [];
  for (let turn = 0; turn < rounds; turn++) {
    const seconds = await timed(job, { RLRUN_BENCH_FIGURES: told });
    const figures = JSON.parse(await readFile(told, 'utf8')) as Figures;
    turns.push({ job: seconds, engine: await timed(replay), outside: seconds - figures.busyMs / 1000, figures });
  }
  const shares = (of: (turn: (typeof turns)[number]) => number): number[] => turns.map((turn) => round(of(turn) / turn.job, 3));
  const peaks = (of: (figures: Figures) => number | null): number | null => median(turns.flatMap(({ figures }) => of(figures) ?? [])) ?? null;
  const [outside, above] = [shares((turn) => turn.outside), shares((turn) => turn.job - turn.engine)];
  console.log(JSON.stringify({
    job_s: round(median(turns.map((turn) => turn.job))),
    replay_s: round(median(turns.map((turn) => turn.engine))),
    outside_engine_share: median(outside),
    above_replay_share: median(above),
    peak_mb: { at_step_50: peaks(({ peakMbAtStep50 }) => peakMbAtStep50), at_end: peaks(({ peakMb }) => peakMb) },
    turns: { outside_engine_share: outside, above_replay_share: above },
  }, null, 2));
} finally {
  await rm(scratch, { recursive: true });
}
