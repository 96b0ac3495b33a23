/** What a disk, an editor or a crash does to files between two commands: it is told, and the way out that the message names leads out. */
import { execFileSync } from 'node:child_process';
import { mkdir, readFile, readdir, rm, truncate, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { beforeAll, describe, expect, test } from 'vitest';
import { build, workspace } from './binary.ts';
import { writeTinyProject } from './tiny-model.ts';

beforeAll(() => build(), 180_000);

type Folder = Awaited<ReturnType<typeof workspace>>;
/** Supervised ones always leave a checkpoint, and there are enough of them for a signal to arrive in between. */
const STEPS = { sft: 40, grpo: 2 };

const checkpointFile = ({ cwd }: Folder, name: string, file = 'weights.safetensors') => join(cwd, '.rlrun', 'models', 'tiny-rl', 'checkpoints', name, file);
const headOf = async ({ cwd }: Folder): Promise<string> => (await readFile(join(cwd, '.rlrun', 'models', 'tiny-rl', 'head'), 'utf8')).trim().split(' ').at(-1)!;
const latestJob = async ({ cwd }: Folder): Promise<string> => join(cwd, '.rlrun', 'jobs', (await readFile(join(cwd, '.rlrun', 'jobs', 'latest'), 'utf8')).trim());

async function flip(path: string, at = 0.9): Promise<void> {
  const bytes = await readFile(path);
  bytes[Math.floor(at * bytes.length)]! ^= 8;
  await writeFile(path, bytes);
}

/** Ends a job with the first step that is over at or after `step`. */
async function stopAfter(folder: Folder, step: number, ...args: string[]): Promise<void> {
  const child = folder.start(['tiny.yaml', '--json', ...args]);
  let [text, isAsked] = ['', false];
  child.stdout!.on('data', (piece: Buffer) => {
    text += piece.toString();
    // Asked twice, it would not finish the step.
    if (isAsked) return;
    if (new RegExp(`"type":"step-finished".*"step":${step},`).test(text)) isAsked = child.kill('SIGINT');
  });
  await child;
  expect(text).toContain('"status":"stopped"');
}

/** The command that a message names, word by word. */
const commandIn = (stderr: string): string[] => /rlrun (models head \S+ --set \S+?)[.;,]?(?:\s|$)/m.exec(stderr)![1]!.split(' ');

describe('a stopped job', () => {
  let whole: Folder;
  let expected: Buffer;
  beforeAll(async () => {
    whole = await workspace();
    await writeTinyProject(whole.cwd, STEPS);
    expect(await whole.run('tiny.yaml', '--quiet')).toMatchObject({ exitCode: 0 });
    expected = await readFile(checkpointFile(whole, await headOf(whole)));
    return () => whole[Symbol.asyncDispose]();
  });

  test.each<[what: string, damage: (path: string) => Promise<void>, file: string, told: string]>([
    ['weights that lost their end', (path) => truncate(path, 1000), 'weights.safetensors', 'has 1000 bytes instead of'],
    ['moments whose header is damaged', (path) => flip(path, 0.001), 'optimizer.safetensors', 'was changed after it was written'],
    ['a description without its date', async (path) => writeFile(path, (await readFile(path, 'utf8')).replace(/ {2}"createdAt".*\n/, '')), 'checkpoint.json', 'cannot be read: it was changed after it was written'],
  ])('with %s is resumed from the step before, to the weights that it would have had', async (_, damage, file, told) => {
    await using folder = await workspace();
    await writeTinyProject(folder.cwd, STEPS);
    await stopAfter(folder, 4);
    const head = await headOf(folder);
    await damage(checkpointFile(folder, head, file));
    const resumed = await folder.run('tiny.yaml', '--resume');
    expect(resumed).toMatchObject({ exitCode: 0, stdout: '' });
    expect(resumed.stderr).toMatch(new RegExp(`warning at step \\d: checkpoint ${head} is damaged: .*${file} ${told}.*: the job goes on after step \\d, 1 step to be done again\n`));
    expect(await readFile(checkpointFile(folder, await headOf(folder)))).toEqual(expected);
  });

  test('whose description is damaged is not resumed, nor is an older one instead', async () => {
    await using folder = await workspace();
    await writeTinyProject(folder.cwd, STEPS);
    await stopAfter(folder, 2);
    await stopAfter(folder, 2);
    const meta = join(await latestJob(folder), 'meta.json');
    await writeFile(meta, (await readFile(meta, 'utf8')).replace('"seed": 3', '"seed": 2'));
    const damaged = `${meta} is damaged: it was changed after it was written (its checksum differs)`;
    expect(await folder.run('tiny.yaml', '--resume')).toMatchObject({ exitCode: 1, stderr: `error: The last job of tiny.yaml cannot be resumed: ${damaged}.\n  Restore the file from a backup, or begin a new job, which goes on from the head: rlrun tiny.yaml\n` });
    expect(await folder.run('jobs')).toMatchObject({ exitCode: 0, stderr: `warning: ${damaged}\n`, stdout: expect.stringMatching(/^ID .*\ntiny-\S+ .*stopped/) });
    expect(await folder.run('jobs', 'latest')).toMatchObject({ exitCode: 1, stderr: expect.stringContaining(damaged) });
    expect(await folder.run('tiny.yaml', '--set', 'steps=[{ kind: sft, steps: 1 }]')).toMatchObject({ exitCode: 0 });
  });

  test('whose pipeline as it was cannot be read says what has changed as far as it knows', async () => {
    await using folder = await workspace();
    await writeTinyProject(folder.cwd, STEPS);
    await stopAfter(folder, 2);
    await writeFile(join(await latestJob(folder), 'resolved.json'), '{');
    expect(await folder.run('tiny.yaml', '--resume', '--set', 'seed=4')).toMatchObject({ exitCode: 5, stderr: expect.stringMatching(/^error: The pipeline has changed since job \S+ began: its .*loss/) });
  });

  test('of whose weights none can be read says so, and what it names to begin anew works', async () => {
    await using folder = await workspace();
    await writeTinyProject(folder.cwd, STEPS);
    expect(await folder.run('tiny.yaml', '--quiet', '--set', 'steps=[{ kind: sft, steps: 2 }]')).toMatchObject({ exitCode: 0 });
    const start = await headOf(folder);
    await stopAfter(folder, 2);
    const names = await readdir(join(folder.cwd, '.rlrun', 'models', 'tiny-rl', 'checkpoints'));
    for (const name of names.filter((other) => other >= start)) await flip(checkpointFile(folder, name));
    const resumed = await folder.run('tiny.yaml', '--resume');
    expect(resumed).toMatchObject({ exitCode: 1, stderr: expect.stringMatching(/^failed: job \S+ cannot be resumed: checkpoint \S+ is damaged/) });
    expect(resumed.stderr).not.toContain('resume with');
    expect(resumed.stderr).toMatch(/; then begin a new job, without --resume\.\n$/);
    expect(await folder.run(...commandIn(resumed.stderr))).toMatchObject({ exitCode: 0 });
    expect(await folder.run('tiny.yaml')).toMatchObject({ exitCode: 0, stderr: expect.stringContaining('completed: all steps done') });
  });
});

describe('a model whose head is damaged', () => {
  test('is used by no command; the message names a checkpoint that is whole, and leaves no job behind', async () => {
    await using folder = await workspace();
    await writeTinyProject(folder.cwd, { sft: 2, grpo: 1 });
    expect(await folder.run('tiny.yaml', '--quiet')).toMatchObject({ exitCode: 0 });
    const head = await headOf(folder);
    await flip(checkpointFile(folder, head));
    const jobs = await readdir(join(folder.cwd, '.rlrun', 'jobs'));
    const told = new RegExp(`^(?:[^]*\n)?error: checkpoint ${head} is damaged: .* was changed after it was written \\(its checksum differs\\)\n  Restore it from a backup, or move the head: rlrun models head tiny-rl --set step-\\d+\n$`);
    for (const args of [['tiny.yaml'], ['eval', 'tiny.yaml'], ['sample', 'tiny-rl', '1+1='], ['tiny.yaml', '--dry-run'], ['models', 'diff', 'tiny-rl', 'base'], ['models', 'export', 'tiny-rl', '--out', 'out'], ['models', 'fork', 'tiny-rl', '--name', 'other']]) {
      const { stderr, exitCode } = await folder.run(...args);
      expect({ args, exitCode, stderr }).toEqual({ args, exitCode: 1, stderr: expect.stringMatching(told) });
    }
    expect(await readdir(join(folder.cwd, '.rlrun', 'jobs'))).toEqual(jobs);
    expect(await folder.run(...commandIn((await folder.run('tiny.yaml')).stderr))).toMatchObject({ exitCode: 0 });
    expect(await folder.run('tiny.yaml', '--quiet')).toMatchObject({ exitCode: 0, stderr: '' });
  });

  test('or gone is led out in the same way', async () => {
    await using folder = await workspace();
    await writeTinyProject(folder.cwd, { sft: 2, grpo: 1 });
    expect(await folder.run('tiny.yaml', '--quiet')).toMatchObject({ exitCode: 0 });
    await rm(join(checkpointFile(folder, await headOf(folder)), '..'), { recursive: true });
    const { stderr, exitCode } = await folder.run('tiny.yaml');
    expect({ stderr, exitCode }).toEqual({ exitCode: 3, stderr: expect.stringContaining('its head is step-') });
    expect(await folder.run('models', 'checkpoints', 'tiny-rl')).toMatchObject({ exitCode: 0, stdout: expect.stringContaining('step-000001'), stderr: expect.stringContaining('warning: model "tiny-rl": its head is step-') });
    expect(await folder.run(...commandIn(stderr))).toMatchObject({ exitCode: 0, stderr: expect.stringMatching(/^moved the head of tiny-rl: a lost one → step-\d+\n$/) });
    expect(await folder.run('tiny.yaml', '--quiet')).toMatchObject({ exitCode: 0, stderr: '' });
  });
});

test('a model of thousands of checkpoints is listed and drawn', async () => {
  await using folder = await workspace();
  await writeTinyProject(folder.cwd);
  expect(await folder.run('tiny.yaml', '--quiet', '--set', 'steps=[{ kind: sft, steps: 1 }]')).toMatchObject({ exitCode: 0 });
  const first = await headOf(folder);
  const { crc32: _, ...described } = JSON.parse(await readFile(checkpointFile(folder, first, 'checkpoint.json'), 'utf8')) as Record<string, unknown>;
  const count = 2500;
  let parent = described['id'];
  for (let step = 2; step <= count; step++) {
    const name = `step-${String(step).padStart(6, '0')}`;
    await mkdir(join(checkpointFile(folder, name), '..'));
    await writeFile(checkpointFile(folder, name, 'checkpoint.json'), JSON.stringify({ ...described, id: name, name, parent, step, files: {}, pruned: true }));
    parent = name;
  }
  const drawn = await folder.run('models', 'checkpoints', 'tiny-rl');
  expect(drawn).toMatchObject({ exitCode: 0, stderr: '' });
  expect(drawn.stdout.split('\n')).toHaveLength(count + 3);
  expect(await folder.run('models', 'list')).toMatchObject({ exitCode: 0, stdout: expect.stringMatching(new RegExp(`tiny-rl .* ${first} +${count} `)) });
});

describe.skipIf(process.platform === 'win32')('what is no file is refused where it is named', () => {
  test.each<[what: string, change: (text: string) => string, told: RegExp]>([
    ['a pipe to extend', (text) => `extends: ./pipe.yaml\n${text}`, /pipe\.yaml is a pipe and no file\n +--> tiny.yaml:1:10/],
    ['a device to extend', (text) => `extends: /dev/zero\n${text}`, /\/dev\/zero is a device and no file/],
    ['a pipe of tasks', (text) => text.replace('builtin:arith, args: { operations: [add], digits: 1 }', './pipe.jsonl'), /pipe\.jsonl is no file but a pipe or a device\n/],
    ['a pipe as a reward', (text) => text.replace('./rewards/digits.ts', './pipe.ts'), /pipe\.ts is a pipe and no file/],
  ])('%s', async (_, change, told) => {
    await using folder = await workspace();
    for (const name of ['pipe.yaml', 'pipe.jsonl', 'pipe.ts']) execFileSync('mkfifo', [join(folder.cwd, name)]);
    await writeFile(join(folder.cwd, 'tiny.yaml'), change(await writeTinyProject(folder.cwd)));
    expect(await folder.run('check', 'tiny.yaml')).toMatchObject({ exitCode: 2, stderr: expect.stringMatching(told) });
  });

  test.each<[what: string, change: (text: string, cwd: string) => Promise<string>]>([
    ['a config.json', async (text, cwd) => {
      execFileSync('mkfifo', [join(cwd, 'pipe.json')]);
      return text.replace('./tiny', 'config:./pipe.json');
    }],
    ['a model', async (text, cwd) => {
      await rm(join(cwd, 'tiny', 'onnx', 'model.onnx'));
      execFileSync('mkfifo', [join(cwd, 'tiny', 'onnx', 'model.onnx')]);
      return text;
    }],
  ])('%s that is a pipe', async (_, change) => {
    await using folder = await workspace();
    await writeFile(join(folder.cwd, 'tiny.yaml'), await change(await writeTinyProject(folder.cwd), folder.cwd));
    expect(await folder.run('tiny.yaml')).toMatchObject({ exitCode: expect.toBeOneOf([1, 2]), stderr: expect.stringMatching(/^error: \S+( is a pipe and no file|\/tiny cannot be trained: it has neither)/m) });
  });
});

test.each([
  ['intermediate_size', 1e9],
  ['max_position_embeddings', 1e9],
  ['num_hidden_layers', 1e6],
])('a shape that no machine holds (%s %d) is refused with what it would take', async (key, value) => {
  await using folder = await workspace();
  const text = await writeTinyProject(folder.cwd);
  const config = JSON.parse(await readFile(join(folder.cwd, 'tiny', 'config.json'), 'utf8')) as object;
  await writeFile(join(folder.cwd, 'shape.json'), JSON.stringify({ ...config, [key]: value }));
  await writeFile(join(folder.cwd, 'tiny.yaml'), text.replace('./tiny', 'config:./shape.json'));
  expect(await folder.run('tiny.yaml')).toMatchObject({ exitCode: 1, stderr: expect.stringMatching(/^error: \S+\/shape\.json: .*(?:take [\d,.]+ GB; this machine has [\d,.]+ GB of memory|expected at most 10000)\n/m) });
});

test.each<[what: string, file: string, text: string, told: RegExp]>([
  ['rows that are nested without end', 'rows.jsonl', `{"prompt":"1+1=","answer":"2","args":{"x":${'['.repeat(5000)}1.5${']'.repeat(5000)}}}\n`, /rows\.jsonl holds values that are nested too deep to be read/],
  ['rows that the stack cannot hold', 'rows.json', `[{"prompt":"1+1=","answer":"2","args":{"x":${'['.repeat(50_000)}1.5${']'.repeat(50_000)}}}]`, /rows\.json holds values that are nested too deep to be read/],
  ['a row that contains itself', 'rows.yaml', '- &a { prompt: x, answer: y, args: *a }\n', /rows\.yaml, row 1: .* or contain themselves/],
  ['a module whose export is nothing in JSON', 'rows.ts', 'export default { toJSON() { return undefined } };\n', /rows\.ts: its default export has no JSON form/],
])('%s: a message, no stack', async (_, file, rows, told) => {
  await using folder = await workspace();
  await writeFile(join(folder.cwd, file), rows);
  await writeFile(join(folder.cwd, 'tiny.yaml'), (await writeTinyProject(folder.cwd)).replace('builtin:arith, args: { operations: [add], digits: 1 }', `./${file}`));
  expect(await folder.run('check', 'tiny.yaml')).toMatchObject({ exitCode: 2, stderr: expect.stringMatching(told) });
});
