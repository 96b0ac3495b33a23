/**
 * `npm run bench:learning`: pipelines/arith.yaml over several seeds and two controls, through the real binary; prints JSON.
 *
 * All start from the embedded base and are measured on the same 500 held-out tasks. The controls must not improve: a reward that is a
 * coin, and a learning rate that moves no weight.
 */
import { mkdtemp, readFile, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { execa } from 'execa';
import type { JobMeta } from '../src/pipeline/index.ts';
import { scoreOf } from '../src/util/held-out.ts';

const root = fileURLToPath(new URL('..', import.meta.url));
const seeds = Number(process.env['RLRUN_BENCH_SEEDS'] ?? 5);

interface Outcome { run: string; before: number; after: number; points: number; low: number; high: number; seconds: number }

/** One job in a project folder of its own. */
async function run(name: string, pipeline: string, ...sets: string[]): Promise<Outcome> {
  const folder = await mkdtemp(join(tmpdir(), 'rlrun-learning-'));
  try {
    const started = performance.now();
    await execa(process.execPath, [join(root, 'bin', 'rlrun.js'), join(root, pipeline), '--no-tui', '--quiet', ...sets.flatMap((set) => ['--set', set])], { cwd: folder });
    const seconds = (performance.now() - started) / 1000;
    const jobs = join(folder, '.rlrun', 'jobs');
    const [job] = (await readdir(jobs, { withFileTypes: true })).filter((entry) => entry.isDirectory());
    const meta = JSON.parse(await readFile(join(jobs, job!.name, 'meta.json'), 'utf8')) as JobMeta;
    const [first, last] = [meta.before, meta.after].map((metrics) => scoreOf(metrics, 'eval/accuracy'));
    const rounded = (value: number | null | undefined): number => Math.round((value ?? NaN) * 1000) / 1000;
    const [before, after] = [rounded(first?.value), rounded(last?.value)];
    return { run: name, before, after, points: Math.round((after - before) * 1000) / 10, low: rounded(last?.low), high: rounded(last?.high), seconds: Math.round(seconds) };
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

const outcomes: Outcome[] = [];
for (let seed = 1; seed <= seeds; seed++) outcomes.push(await run(`seed ${seed}`, 'pipelines/arith.yaml', `seed=${seed}`));
outcomes.push(await run('control: random reward', 'bench/learning/random-reward.yaml'));
outcomes.push(await run('control: no learning rate', 'pipelines/arith.yaml', 'train.learning_rate=1e-30'));
console.log(JSON.stringify(outcomes, null, 2));
