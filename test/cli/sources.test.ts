/** Models and files as people write them elsewhere. */
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { beforeAll, expect, test } from 'vitest';
import { createTinyModel } from '../models/support/tiny.ts';
import { build, workspace } from './binary.ts';

beforeAll(() => build(), 180_000);

const pipeline = (fork: string, tasks = './tasks.jsonl', reward = '{ kind: exact_match }'): string => `name: probe
model: { fork: "${fork}", name: probe }
taskset: { source: ${tasks}, split: { train: 4, eval: 2 } }
agent: { kind: completion, max_tokens: 4 }
reward: [ ${reward} ]
group: 2
batch: 2
steps: 1
eval: { every: 0, baseline: false }
`;

const rows = Array.from({ length: 8 }, (_, index) => JSON.stringify({ prompt: `${index}+1=`, answer: String(index + 1) })).join('\n');

test.each([
  ['HuggingFaceTB/SmolLM2-135M-Instruct', 'hub:HuggingFaceTB/SmolLM2-135M-Instruct'],
  ['hub:https://huggingface.co/org/name', 'hub:org/name'],
  ['My Model', 'my-model'],
])('fork: %s is answered with %s', async (fork, meant) => {
  await using folder = await workspace();
  await writeFile(join(folder.cwd, 'p.yaml'), pipeline(fork));
  const { exitCode, stderr } = await folder.run('check', 'p.yaml');
  expect([exitCode, stderr]).toEqual([2, expect.stringContaining(`did you mean "${meant}"?`)]);
  expect((await folder.run('models', 'fork', fork, '--name', 'x')).exitCode).toBe(2);
});

test('~/ stands for home in every path of a pipeline, and of the command line', async () => {
  await using folder = await workspace();
  const home = join(folder.cwd, 'home');
  await createTinyModel(join(home, 'models', 'tiny'));
  await mkdir(join(folder.cwd, 'work'));
  await writeFile(join(home, 'tasks.jsonl'), rows);
  await writeFile(join(home, 'reward.mjs'), 'export default () => 1;\n');
  await writeFile(join(home, 'base.yaml'), pipeline('~/models/tiny', '~/tasks.jsonl', '{ kind: module, path: ~/reward.mjs }'));
  await writeFile(join(folder.cwd, 'work', 'p.yaml'), 'extends: ~/base.yaml\nsteps: [ { kind: grpo, steps: 1 }, { kind: export, directory: ~/out } ]\n');
  const run = async (...args: string[]) => {
    const { exitCode, stderr } = await folder.start(args, { cwd: join(folder.cwd, 'work'), env: { NO_COLOR: '1', CI: '1', HOME: home, RLRUN_HOME: '~/store' } });
    return [exitCode, exitCode === 0 ? '' : String(stderr)];
  };
  expect(await run('p.yaml', '--no-tui')).toEqual([0, '']);
  expect(await run('models', 'fork', '~/out', '--name', 'again')).toEqual([0, '']);
  expect(await run('models', 'export', 'again', '--out=~/other')).toEqual([0, '']);
  expect(await run('sample', '~/out', 'x')).toEqual([2, expect.stringContaining('rlrun models fork ~/out --name NAME')]);
});
