/** An export never takes away what no export has made, whichever door it comes through. */
import { cp, mkdir, readdir, readFile, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { beforeAll, expect, test } from 'vitest';
import { build, workspace } from './binary.ts';

beforeAll(() => build(), 180_000);

const pipeline = (directory: string): string => `name: small
seed: 7
model:   { fork: builtin:arith-tiny, name: small-rl, device: cpu, threads: 1, train: { method: full } }
taskset: { source: builtin:arith, args: { operations: [add], digits: 1 }, split: { train: 40, eval: 4 } }
agent:   { kind: completion, max_tokens: 4, temperature: 1 }
reward:
  - { kind: numeric_match }
group: 2
batch: 2
steps: [ { kind: grpo, steps: 1 }, { kind: export, directory: ${directory} } ]
eval:    { every: 0, baseline: false }
`;

/** A project of somebody's, with a config.json as many have one. */
async function project(directory: string) {
  const folder = await workspace();
  await mkdir(join(folder.cwd, 'app'));
  for (const place of ['.', 'app']) await writeFile(join(folder.cwd, place, 'config.json'), '{}');
  await writeFile(join(folder.cwd, 'notes.txt'), 'mine');
  await writeFile(join(folder.cwd, 'p.yaml'), pipeline(directory));
  return folder;
}

test.each([
  ['.', 'is a folder that holds more than an export'],
  ['..', 'holds '],
  ['./app', 'exists and was not made by an export of rlrun, so it is not replaced'],
  ['.rlrun', 'is the store of models and jobs'],
  ['.rlrun/models/small-rl', 'is where rlrun keeps or finds what models are made of'],
  ['notes.txt', 'is no folder'],
])('an export to %s is refused by check and by run, at its place in the file', async (directory, reason) => {
  await using folder = await project(directory);
  await mkdir(join(folder.cwd, '.rlrun', 'models'), { recursive: true });
  for (const args of [['check', 'p.yaml'], ['p.yaml', '--no-tui']]) {
    const { exitCode, stderr } = await folder.run(...args);
    expect([exitCode, stderr]).toEqual([2, expect.stringContaining(reason)]);
    expect(stderr).toContain('--> p.yaml:10:');
  }
  expect((await readdir(folder.cwd)).sort()).toEqual(['.rlrun', 'app', 'config.json', 'notes.txt', 'p.yaml']);
  expect(await readdir(join(folder.cwd, '.rlrun'))).toEqual(['models']);
});

test('a stage that exports into another one’s directory is refused; two with the same one take turns', async () => {
  await using folder = await project('out }, { kind: export, directory: out/inside');
  const nested = await folder.run('check', 'p.yaml');
  expect([nested.exitCode, nested.stderr]).toEqual([2, expect.stringContaining('this lies inside what stage "export" exports')]);
  await writeFile(join(folder.cwd, 'p.yaml'), pipeline('out }, { kind: export, dtype: fp16, directory: out'));
  for (let turn = 0; turn < 2; turn++) expect(await folder.run('p.yaml', '--no-tui')).toMatchObject({ exitCode: 0 });
  expect(await readdir(join(folder.cwd, 'out', 'onnx'))).toEqual(['model_fp16.onnx']);

  await writeFile(join(folder.cwd, 'out', 'README.md'), 'mine');
  const { exitCode, stderr } = await folder.run('p.yaml', '--no-tui');
  expect([exitCode, stderr]).toEqual([2, expect.stringContaining('holds what the export did not write (README.md), so it is not replaced')]);
  expect(await readFile(join(folder.cwd, 'out', 'README.md'), 'utf8')).toBe('mine');
});

test('models export --force replaces exports alone, also behind a link', async () => {
  await using folder = await project('out');
  await folder.run('models', 'fork', 'builtin:arith-tiny', '--name', 'small-rl');
  await symlink(folder.cwd, join(folder.cwd, 'link'));
  const before = (await readdir(folder.cwd)).sort();
  const force = (out: string) => folder.run('models', 'export', 'small-rl', '--out', out, '--force');
  for (const out of ['.', 'app', 'link', 'link/app', '.rlrun', '.rlrun/jobs/x']) {
    expect([out, (await force(out)).exitCode]).toEqual([out, 5]);
  }
  expect((await readdir(folder.cwd)).sort()).toEqual(before);
  expect(await readFile(join(folder.cwd, 'notes.txt'), 'utf8')).toBe('mine');

  for (let turn = 0; turn < 2; turn++) expect((await force('out')).exitCode).toBe(0);
  // A copy of an export is one, until somebody adds to it.
  await cp(join(folder.cwd, 'out'), join(folder.cwd, 'copy'), { recursive: true });
  expect((await force('copy')).exitCode).toBe(0);
});
