import { access, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { beforeAll, describe, expect, test } from 'vitest';
import { loadPipeline } from '../../src/config/index.ts';
import { build, fromHome, workspace } from './binary.ts';

beforeAll(() => build(), 180_000);

describe('rlrun', () => {
  test('--help tells everything on one page', async () => {
    await using folder = await workspace();
    const { stdout, stderr, exitCode } = await folder.run('--help');
    expect({ stderr, exitCode }).toEqual({ stderr: '', exitCode: 0 });
    await expect(stdout).toMatchFileSnapshot('golden/help.txt');
  });

  test('alone says the same', async () => {
    await using folder = await workspace();
    expect(await folder.run()).toEqual(await folder.run('--help'));
  });

  test('COMMAND --help shows flags and examples', async () => {
    await using folder = await workspace();
    await expect((await folder.run('run', '--help')).stdout).toMatchFileSnapshot('golden/help-run.txt');
    await expect((await folder.run('models', '--help')).stdout).toMatchFileSnapshot('golden/help-models.txt');
  });

  test('--version is that of the package', async () => {
    await using folder = await workspace();
    const { version } = JSON.parse(await readFile(fromHome('package.json'), 'utf8')) as { version: string };
    expect(await folder.run('--version')).toEqual({ stdout: `${version}\n`, stderr: '', exitCode: 0 });
  });

  test.each([
    [['chekc', 'x.yaml'], 2, 'error: There is no command "chekc".\n  Did you mean "check"? rlrun --help shows what there is.\n'],
    [['check', '--resovled', 'x.yaml'], 2, "error: unknown option '--resovled'\n(Did you mean --resolved?)\n"],
    [['x.yaml', '--sed', '3'], 2, "error: unknown option '--sed'\n(Did you mean one of --seed, --set?)\n"],
    [['x.yaml', '--learning-rate', '1'], 2, '(a setting of the pipeline is written --set train.learning_rate=…)\n'],
    [['train', 'x.yaml'], 2, 'error: There is no command "train".\n  Did you mean: rlrun run x.yaml\n  rlrun --help shows what there is.\n'],
    [['x.yaml', '--seed', 'three'], 2, "error: option '--seed <n>' argument 'three' is invalid. It takes a whole number, 0 or more.\n"],
    [['sample', 'x', '1+1=', '--max-tokens', '0'], 2, "argument '0' is invalid. It takes a whole number, 1 or more.\n"],
    [['sample', 'x', '1+1=', '-t', '-1'], 2, "argument '-1' is invalid. It takes a number, from 0 to 10.\n"],
    [['sample', 'x', '1+1=', '--threads', '5000'], 2, "argument '5000' is invalid. It takes a whole number, from 0 to 1024.\n"],
    [['jobs', '--limit', '0'], 2, "argument '0' is invalid. It takes a whole number, 1 or more.\n"],
    [['eval', 'x.yaml', '--tasks', '0'], 2, "argument '0' is invalid. It takes a whole number, 1 or more.\n"],
    [['x.yaml', '--device', 'gpu'], 2, "error: option '--device <device>' argument 'gpu' is invalid. Allowed choices are cpu, webgpu, cuda.\n"],
    [['run'], 2, "error: missing required argument 'pipeline'\n(rlrun run --help shows what there is)\n"],
    [['models', 'export', '--dtype', 'fp8', 'x'], 2, '(rlrun models export --help shows what there is)\n'],
    [['models', 'lst'], 2, "error: unknown command 'lst'\n(Did you mean list?)\n"],
  ])('%j ends with %i and a suggestion', async (args, exitCode, message) => {
    await using folder = await workspace();
    const result = await folder.run(...args);
    expect(result).toMatchObject({ exitCode, stdout: '' });
    expect(result.stderr).toContain(message);
  });

  test.each([
    [['nowhere.yaml'], 3, 'nowhere.yaml'],
    [['models', 'checkpoints', 'nobody'], 3, 'error: there is no model "nobody"\n  Fork one first: rlrun models fork SOURCE --name NAME.\n'],
    [['models', 'fork', 'builtin:nothing', '--name', 'x'], 3, 'error: there is no built-in model "nothing"\n'],
    [['sample', 'builtin:arith-tiny', '1+1='], 2, 'error: "builtin:arith-tiny" is no model, but something to fork one from\n  Fork it first: rlrun models fork builtin:arith-tiny --name NAME.\n'],
    [['models', 'checkpoints', './out dir'], 2, '  Fork it first: rlrun models fork "./out dir" --name NAME.\n'],
    [['models', 'fork', './x'], 2, 'error: A fork needs a name.\n'],
    [['jobs', 'nothing'], 3, 'error: There is no job "nothing" here.\n  rlrun jobs lists them.\n'],
    [['trace', '1-2-3'], 3, 'error: There are no jobs here yet.\n'],
    [['report', 'nothing'], 3, 'error: There is no job "nothing" here.\n'],
    [['completions', 'tcsh'], 2, 'error: There are no completions for "tcsh".\n  Known shells: bash, zsh, fish.\n'],
  ])('%j ends with %i', async (args, exitCode, message) => {
    await using folder = await workspace();
    const result = await folder.run(...args);
    expect(result).toMatchObject({ exitCode, stdout: '' });
    expect(result.stderr).toContain(message);
  });

  test('a wrong pipeline file is told with its places, and ends with 2 before anything is made', async () => {
    await using folder = await workspace();
    await writeFile(join(folder.cwd, 'wrong.yaml'), 'name: wrong\nsteps: many\n');
    const { stderr, stdout, exitCode } = await folder.run('wrong.yaml');
    expect({ stdout, exitCode }).toEqual({ stdout: '', exitCode: 2 });
    expect(stderr).toContain('--> wrong.yaml:2:8');
    await expect(access(join(folder.cwd, '.rlrun'))).rejects.toThrow();
    const lines = (await folder.run('wrong.yaml', '--json')).stdout.trim().split('\n').map((line) => JSON.parse(line) as Record<string, unknown>);
    expect(lines).toContainEqual(expect.objectContaining({ v: 1, type: 'diagnostic', severity: 'error', file: 'wrong.yaml', line: 2, column: 8 }));
  });
});

describe('rlrun init', () => {
  test('writes a pipeline that is valid, once', async () => {
    await using folder = await workspace();
    expect(await folder.run('init')).toEqual({ stdout: '', stderr: 'wrote .gitignore with .rlrun/\nwrote pipeline.yaml; run it with: rlrun pipeline.yaml\n', exitCode: 0 });
    const loaded = await loadPipeline({ file: 'pipeline.yaml', directory: folder.cwd });
    expect(loaded).toMatchObject({ ok: true, diagnostics: [] });
    const [, schema] = /\$schema=(\S+)/.exec(await readFile(join(folder.cwd, 'pipeline.yaml'), 'utf8'))!;
    await access(join(folder.cwd, schema!));
    expect(await folder.run('init', 'my own.yaml')).toMatchObject({ exitCode: 0 });
    expect(await readFile(join(folder.cwd, 'my own.yaml'), 'utf8')).toMatch(/\n# Run it with: +rlrun 'my own\.yaml'\n# See every default: +rlrun check 'my own\.yaml' --resolved\n/);
    expect(await folder.run('init')).toMatchObject({ exitCode: 5, stderr: 'error: pipeline.yaml exists already.\n  Choose another name, or replace it with --force.\n' });
    expect(await folder.run('init', '--force', '--quiet')).toEqual({ stdout: '', stderr: '', exitCode: 0 });
  });

  test.each([
    ['node_modules', 'node_modules\n.rlrun/\n', 'added .rlrun/ to .gitignore\n'],
    ['a\r\n/.rlrun\r\n', 'a\r\n/.rlrun\r\n', ''],
    ['# not .rlrun/\n', '# not .rlrun/\n.rlrun/\n', 'added .rlrun/ to .gitignore\n'],
  ])('keeps models and jobs out of git: .gitignore %j', async (before, after, told) => {
    await using folder = await workspace();
    await writeFile(join(folder.cwd, '.gitignore'), before);
    expect(await folder.run('init')).toMatchObject({ exitCode: 0, stderr: `${told}wrote pipeline.yaml; run it with: rlrun pipeline.yaml\n` });
    expect(await readFile(join(folder.cwd, '.gitignore'), 'utf8')).toBe(after);
  });
});

describe('completions', () => {
  test.each(['bash', 'zsh', 'fish'])('for %s are a script that asks rlrun', async (shell) => {
    await using folder = await workspace();
    const { stdout, exitCode } = await folder.run('completions', shell);
    expect(exitCode).toBe(0);
    await expect(stdout).toMatchFileSnapshot(`golden/completions.${shell}`);
  });

  /** What the script is told after these words; real shells are in completions.long.test.ts. */
  const after = async (...words: string[]) => {
    await using folder = await workspace();
    const { stdout, stderr, exitCode } = await folder.run('completions', 'bash', '--', ...words);
    expect({ stderr, exitCode }).toEqual({ stderr: '', exitCode: 0 });
    return stdout.split('\n').filter(Boolean).map((line) => line.split('\t')[0]);
  };

  test('know every command and its flags, and what their values are', async () => {
    expect(await after('mo')).toEqual(['models']);
    expect(await after('')).toEqual(['run', 'check', 'eval', 'models', 'jobs', 'trace', 'sample', 'report', 'losses', 'init', 'completions', ':pipelines']);
    expect(await after('tiny')).toEqual([':pipelines']);
    expect(await after('models', '')).toEqual(['list', 'fork', 'checkpoints', 'head', 'diff', 'export', 'prune']);
    expect(await after('models', 'fork', 'x', '--if')).toEqual(['--if-not-exists']);
    expect(await after('models', 'fork', 'b')).toEqual(['builtin:arith-tiny', ':folders']);
    expect(await after('x.yaml', '--res')).toEqual(['--resume']);
    expect(await after('x.yaml', '--device', '')).toEqual(['cpu', 'webgpu', 'cuda']);
    expect(await after('x.yaml', '--device=w')).toEqual(['--device=webgpu']);
    expect(await after('x.yaml', '--json', '--j')).toEqual([]);
    expect(await after('x.yaml', '--set', 'a=1', '--se')).toEqual(['--set', '--seed']);
    expect(await after('x.yaml', '--set', 'train.learning')).toEqual(['train.learning_rate=', ':more']);
    expect(await after('jobs', '')).toEqual(['latest']);
    expect(await after('models', 'head', 'nobody', '--set', '')).toEqual([]);
    expect(await after('run', 'nowhere.yaml', '--from', '')).toEqual([]);
    expect(await after('models', 'nothing', '')).toEqual([]);
  });
});

test('losses are listed for people and for programs', async () => {
  await using folder = await workspace();
  const { stdout } = await folder.run('losses');
  expect(stdout).toMatch(/^Name +Kind +Reduction +Advantage +Fields\n/);
  expect(stdout).toMatch(/\ndapo +ppo +token_mean +std +ratio: token, clip_low_threshold: 0.8, clip_high_threshold: 1.28\n/);
  const json = (await folder.run('losses', '--json')).stdout.trim().split('\n').map((line) => JSON.parse(line) as { name: string });
  expect(json.map(({ name }) => name)).toContain('gspo');
});
