/** Disks that are full, read-only or not what somebody took them for: told as what they are, and with a way out. */
import { execFileSync } from 'node:child_process';
import { mkdir, readdir, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { beforeAll, expect, test } from 'vitest';
import { writeJob } from '../report/support.ts';
import { build, workspace } from './binary.ts';

beforeAll(() => build(), 180_000);

const pipeline = `name: small
seed: 7
model:   { fork: builtin:arith-tiny, name: small-rl, device: cpu, threads: 1, train: { method: full } }
taskset: { source: builtin:arith, args: { operations: [add], digits: 1 }, split: { train: 40, eval: 4 } }
agent:   { kind: completion, max_tokens: 4, temperature: 1 }
reward:  [ { kind: numeric_match } ]
group: 4
batch: 4
steps: 2
train:   { learning_rate: 3e-4 }
eval:    { every: 0, baseline: false }
`;

async function project() {
  const folder = await workspace();
  await writeFile(join(folder.cwd, 'p.yaml'), pipeline);
  const disk = join(folder.cwd, 'disk');
  await mkdir(disk);
  const home = (path = disk) => ({ env: { NO_COLOR: '1', CI: '1', RLRUN_HOME: path } });
  const mount = (...args: string[]): void => void execFileSync('mount', [...args, disk], { stdio: 'ignore' });
  return {
    ...folder, disk, mount,
    run: async (args: string[], path?: string) => {
      const { exitCode, stderr } = await folder.start(args, home(path));
      return { exitCode, stderr: String(stderr) };
    },
    async [Symbol.asyncDispose]() {
      try {
        execFileSync('umount', [disk], { stdio: 'ignore' });
      } catch {
        // It was not mounted.
      }
      await folder[Symbol.asyncDispose]();
    },
  };
}

/** File systems of one's own need rights that not everybody has. */
const canMount = await (async () => {
  await using folder = await project();
  try {
    folder.mount('-t', 'tmpfs', '-o', 'size=1m', 'tmpfs');
    return true;
  } catch {
    return false;
  }
})();

test.skipIf(!canMount)('a read-only file system is named, with exit code 4, whatever is made there first', async () => {
  await using folder = await project();
  folder.mount('-t', 'tmpfs', '-o', 'size=1m,ro', 'tmpfs');
  await writeFile(join(folder.cwd, 'shape.json'), '{"model_type":"llama","hidden_size":8,"intermediate_size":8,"num_hidden_layers":1,"num_attention_heads":1,"num_key_value_heads":1,"max_position_embeddings":32,"rms_norm_eps":1e-5,"vocab_size":16,"tie_word_embeddings":true}');
  for (const fork of ['builtin:arith-tiny', 'config:./shape.json']) {
    const { exitCode, stderr } = await folder.run(['p.yaml', '--no-tui', '--set', `model.fork=${fork}`], join(folder.disk, 'deep', '.rlrun'));
    expect([exitCode, stderr]).toEqual([4, expect.stringMatching(/^error: .* lies on a read-only file system\n {2}Choose another folder; RLRUN_HOME says where models and jobs are kept\.$/m)]);
  }
});

test.skipIf(!canMount)('prune works without a byte to spare, and leaves no lock', async () => {
  await using folder = await project();
  folder.mount('-t', 'tmpfs', '-o', 'size=64m', 'tmpfs');
  expect(await folder.run(['p.yaml', '--no-tui'])).toMatchObject({ exitCode: 0 });
  expect(await folder.run(['models', 'head', 'small-rl', '--set', 'base'])).toMatchObject({ exitCode: 0 });
  await writeFile(join(folder.disk, 'ballast'), new Uint8Array(2 ** 26)).catch(() => {});
  await expect(writeFile(join(folder.disk, 'more'), 'x')).rejects.toMatchObject({ code: 'ENOSPC' });
  expect(await folder.run(['models', 'prune', 'small-rl', '--keep', '0'])).toEqual({ exitCode: 0, stderr: expect.stringMatching(/^deleted the weights of [12] checkpoint/) });
  const model = join(folder.disk, 'models', 'small-rl');
  expect((await readdir(model)).sort()).toEqual(['checkpoints', 'head', 'model.json']);
  for (const name of await readdir(join(model, 'checkpoints'))) expect(await readdir(join(model, 'checkpoints', name))).toEqual(['checkpoint.json']);
  expect(await folder.run(['models', 'checkpoints', 'small-rl'])).toMatchObject({ exitCode: 0 });
});

test('a store that cannot be a folder is told without a stack', async () => {
  await using folder = await project();
  await writeFile(join(folder.cwd, 'file'), '');
  await symlink('circle', join(folder.cwd, 'circle'));
  const cases: [home: string, exit: number, words: string][] = [
    ['file', 5, 'a part of it is a file and no folder'],
    [join('file', 'deep'), 5, 'a part of it is a file and no folder'],
    ['circle', 1, 'leads in a circle: its links point to each other'],
    ['n'.repeat(300), 2, 'is too long a name'],
  ];
  for (const [home, exit, words] of cases) {
    for (const args of [['p.yaml', '--no-tui'], ['models', 'fork', 'builtin:arith-tiny', '--name', 'x'], ['models', 'list']]) {
      const { exitCode, stderr } = await folder.run(args, join(folder.cwd, home));
      expect(stderr).not.toContain('bug in rlrun');
      if (args[0] === 'p.yaml' || args[1] === 'fork') expect([home.slice(0, 20), args[0], exitCode, stderr]).toEqual([home.slice(0, 20), args[0], exit, expect.stringContaining(words)]);
    }
  }
});

test('a report is written over a report, and over nothing else', async () => {
  await using folder = await project();
  const root = join(folder.cwd, '.rlrun');
  const { id } = await writeJob(folder.cwd, { rows: [] });
  expect(await folder.run(['report', id, '--out', 'p.yaml'], root)).toMatchObject({ exitCode: 5, stderr: expect.stringContaining('p.yaml exists and is no report of rlrun, so it is not replaced.') });
  for (let turn = 0; turn < 2; turn++) expect(await folder.run(['report', id, '--out', 'page.html'], root)).toMatchObject({ exitCode: 0 });
});
