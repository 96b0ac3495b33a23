/** Whole jobs whose tasks live in an environment of its own: prompts, answers, grades, faults and learning, through the real command. */
import { readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { beforeAll, expect, test } from 'vitest';
import { build, fromHome, workspace } from './binary.ts';
import { serveGym } from '../environments/fixtures/gym-server.mjs';

beforeAll(() => build(), 180_000);

const server = fromHome('test/environments/fixtures/hud-server.mjs');

interface Project {
  runtime: string;
  rows: unknown[];
  agent?: string;
}

async function writeProject(folder: string, { runtime, rows, agent = '{ max_tokens: 3 }' }: Project): Promise<void> {
  await writeFile(join(folder, 'tasks.jsonl'), rows.map((row) => JSON.stringify(row)).join('\n'));
  await writeFile(join(folder, 'tasks.yaml'), `
model: { fork: builtin:arith-tiny, threads: 1 }
taskset: { source: ./tasks.jsonl, split: { train: ${rows.length - 2}, eval: 2 } }
agent: ${agent}
reward: [{ kind: task }]
runtime: ${runtime}
batch: 4
group: 2
steps: 2
eval: { every: 1 }
`);
}

async function rollouts(folder: string): Promise<Record<string, unknown>[]> {
  const jobs = join(folder, '.rlrun', 'jobs');
  const [job] = (await readdir(jobs)).filter((name) => name.startsWith('tasks-'));
  const files = await readdir(join(jobs, job!, 'rollouts'));
  const texts = await Promise.all(files.map((name) => readFile(join(jobs, job!, 'rollouts', name), 'utf8')));
  return texts.join('').split('\n').filter(Boolean).map((line) => JSON.parse(line) as Record<string, unknown>);
}

const sums = Array.from({ length: 8 }, (_, index) => ({ env: 'stand-in', id: 'add', args: { a: index + 1, b: 3 }, columns: { level: 1 } }));

test('a HUD environment gives the prompts and the grades of a job', async () => {
  await using folder = await workspace();
  await writeProject(folder.cwd, { runtime: `{ kind: hud, command: [${process.execPath}, ${server}] }`, rows: sums });
  const { stderr, exitCode } = await folder.run('tasks.yaml');
  expect(stderr).toMatch(/^completed: /m);
  expect(exitCode).toBe(0);
  for (const rollout of await rollouts(folder.cwd)) {
    expect(rollout).toMatchObject({ status: 'completed', prompt: expect.stringMatching(/^\d\+3=$/), reward: expect.any(Number), conversation: { messages: [{ role: 'assistant', heard: true }], verdict: { reward: expect.any(Number) } } });
  }
});

test('what such an environment does wrong is an error of its rollouts, with its phase', async () => {
  await using folder = await workspace();
  const rows = [...sums.slice(0, 2), ...['raises', 'an error', 'hangs up', 'none', 'none', 'none'].map((grade, index) => ({ id: 'odd', args: { prompt: `${index}+1=`, grade } }))];
  await writeProject(folder.cwd, { runtime: `{ kind: hud, command: [${process.execPath}, ${server}] }`, rows });
  const { stderr } = await folder.run('tasks.yaml', '--set', 'taskset.split={ train: 6, eval: 2 }', '--set', 'batch=6');
  expect(stderr).toMatch(/^completed: /m);
  const seen = await rollouts(folder.cwd);
  const wrong = seen.filter(({ status }) => status === 'error');
  expect(wrong.length).toBeGreaterThan(0);
  for (const rollout of wrong) expect(rollout).toMatchObject({ reward: null, error: { phase: 'scoring', message: expect.stringMatching(/no luck|the judge is away|hung up/) } });
  expect(seen.some(({ status }) => status === 'completed')).toBe(true);
});

test('a Gym-like environment is played in turns', async () => {
  await using folder = await workspace();
  const gym = await serveGym();
  try {
    const rows = Array.from({ length: 6 }, (_, index) => ({ id: 'count', args: { goal: index + 3 } }));
    await writeProject(folder.cwd, { runtime: `{ kind: gym, url: "${gym.url}", prompt_field: goal }`, rows, agent: '{ max_tokens: 2, max_steps: 2 }' });
    const { stderr } = await folder.run('tasks.yaml');
    expect(stderr).toMatch(/^completed: /m);
    for (const rollout of await rollouts(folder.cwd)) expect(rollout).toMatchObject({ status: 'completed', reward: expect.any(Number) });
  } finally {
    gym.close();
  }
});

test('an environment that is not there is an error of the pipeline, at the place that names it', async () => {
  await using folder = await workspace();
  await writeProject(folder.cwd, { runtime: '{ kind: tcp, url: "tcp://127.0.0.1:9" }', rows: sums });
  const { stderr, exitCode } = await folder.run('tasks.yaml');
  expect(exitCode).not.toBe(0);
  expect(stderr).toMatch(/nothing listens at tcp:\/\/127\.0\.0\.1:9/);
  expect(stderr).toMatch(/tasks\.yaml:6/);
});

test('an environment that is killed in the middle of a job costs nothing but its rollouts: another takes its place', async () => {
  await using folder = await workspace();
  await writeFile(join(folder.cwd, 'serve.mjs'), `
    import { serveHud } from ${JSON.stringify(server)};
    const { port } = await serveHud();
    console.log('HUD_SERVE_PORT=' + port);
    setTimeout(() => process.kill(process.pid, 'SIGKILL'), 1500);`);
  await writeProject(folder.cwd, { runtime: `{ kind: hud, command: [${process.execPath}, serve.mjs] }`, rows: sums });
  const { stderr, exitCode } = await folder.run('tasks.yaml', '--set', 'steps=40', '--set', 'eval.every=0');
  expect(stderr).toMatch(/^completed: /m);
  expect(exitCode).toBe(0);
  const seen = await rollouts(folder.cwd);
  expect(seen.filter(({ status }) => status === 'completed').length).toBeGreaterThan(0);
  for (const { status, reward } of seen) expect(status === 'completed' ? typeof reward : reward).toBe(status === 'completed' ? 'number' : null);
});
