/** @file Whatever a shell may put around a command: odd paths, another folder, closed and full outputs, folders that cannot be written to. */
import { spawnSync } from 'node:child_process';
import { existsSync, openSync } from 'node:fs';
import { chmod, mkdir, readFile, readdir, rename, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { beforeAll, describe, expect, test } from 'vitest';
import { binary, build, workspace } from './binary.ts';
import { writeTinyProject } from './tiny-model.ts';

beforeAll(build, 180_000);

const small = { sft: 1, grpo: 1 };

describe('paths', () => {
  test('with spaces and letters of any script, from another folder than the pipeline is in', async () => {
    await using folder = await workspace();
    const project = join(folder.cwd, 'mein päth 漢字');
    await mkdir(project);
    await writeTinyProject(project, small);
    const file = 'mein päth 漢字/tiny.yaml';
    expect(await folder.run(file, '--resume', '--set', 'seed=9')).toEqual({
      stdout: '',
      exitCode: 3,
      stderr: `error: No job of ${file} has run here, so there is none to resume.\n  Begin one: rlrun '${file}' --set seed=9\n`,
    });
    expect(await folder.run(file, '--quiet')).toEqual({ stdout: '', stderr: '', exitCode: 0 });
    // What is made belongs to the folder one works in; what the file names, to the file.
    expect(await readdir(join(folder.cwd, '.rlrun'))).toContain('jobs');
    expect(existsSync(join(project, '.rlrun'))).toBe(false);
    expect((await folder.run('jobs', 'latest')).stdout).toContain(`pipeline    ${join(project, 'tiny.yaml')}`);
    const { stderr, exitCode } = await folder.run(file, '--resume');
    expect({ stderr: stderr.replace(/\(tiny-[-\w]+\)/, '(ID)'), exitCode }).toEqual({
      exitCode: 3,
      stderr: `error: The last job of ${file} (ID) is complete; there is nothing to resume.\n  Begin another one, which goes on from the head: rlrun '${file}'\n`,
    });
    await rename(join(project, 'tiny.yaml'), join(project, 'other.yaml'));
    expect(await folder.run(file, '--resume')).toMatchObject({ exitCode: 3, stdout: '', stderr: expect.stringContaining(`there is no file ${file}`) });
  });
});

describe('the streams', () => {
  test('nobody reads from stdin', async () => {
    await using folder = await workspace();
    await writeTinyProject(folder.cwd, small);
    const shell = (line: string) => spawnSync('sh', ['-c', line, 'sh', process.execPath, binary], { cwd: folder.cwd, encoding: 'utf8', env: { ...process.env, CI: '1', NO_COLOR: '1' } });
    expect(shell('"$@" tiny.yaml --quiet <&-')).toMatchObject({ status: 0, stdout: '', stderr: '' });
    expect(shell('"$@" sample tiny-rl 1+1= <&-')).toMatchObject({ status: 0, stderr: '' });
    expect(shell('"$@" jobs >&-')).toMatchObject({ status: 0, stderr: '' });
  });

  test.skipIf(!existsSync('/dev/full'))('a full disk under the output is told in one line, and ends the work', async () => {
    await using folder = await workspace();
    await writeTinyProject(folder.cwd, { sft: 1, grpo: 400 });
    const full = openSync('/dev/full', 'w');
    for (const args of [['models', 'list'], ['--help'], ['tiny.yaml', '--json']]) {
      const { stderr, status } = spawnSync(process.execPath, [binary, ...args], { cwd: folder.cwd, encoding: 'utf8', stdio: ['ignore', full, 'pipe'], env: { ...process.env, CI: '1', NO_COLOR: '1' } });
      expect({ stderr: stderr.split('\n')[0], status }, args.join(' ')).toEqual({ stderr: 'error: the output cannot be written: ENOSPC: no space left on device, write', status: 1 });
      expect(stderr).not.toMatch(/^ {4}at /m);
    }
    expect((await folder.run('jobs', 'latest')).stdout).toContain('status      stopped');
  });
});

describe('folders that cannot be written to', () => {
  const nobody = 65_534;
  const isRoot = process.getuid?.() === 0;
  /** Root may write anywhere; somebody else must be able to read this checkout. */
  const somebody = isRoot ? { uid: nobody, gid: nobody } : {};
  const canRun = process.platform !== 'win32' && spawnSync(process.execPath, [binary, '--version'], somebody).status === 0;

  test.skipIf(!canRun)('are told with their path, exit 4; what only reads goes on', async () => {
    await using folder = await workspace();
    await writeTinyProject(folder.cwd, small);
    await chmod(folder.cwd, 0o555);
    const as = async (...args: string[]) => {
      const { stdout, stderr, exitCode } = await folder.start(args, { ...somebody });
      return { stdout: String(stdout), stderr: String(stderr), exitCode };
    };
    expect(await as('tiny.yaml')).toEqual({ stdout: '', exitCode: 4, stderr: expect.stringMatching(/^error: .*\/\.rlrun\S* may not be read or written\n {2}Check who owns it and its permissions\.\n$/m) });
    expect(await as('init')).toMatchObject({ exitCode: 4, stderr: `error: ${join(folder.cwd, 'pipeline.yaml')} may not be read or written\n  Check who owns it and its permissions.\n` });
    expect(await as('check', 'tiny.yaml')).toMatchObject({ exitCode: 0 });
    expect(await as('jobs')).toMatchObject({ exitCode: 0 });
    await chmod(folder.cwd, 0o755);
  });

  test('a file where the project should be', async () => {
    await using folder = await workspace();
    await writeTinyProject(folder.cwd, small);
    await writeFile(join(folder.cwd, '.rlrun'), '');
    const { stderr, exitCode } = await folder.run('tiny.yaml');
    expect({ stderr, exitCode }).toEqual({ exitCode: 5, stderr: `error: ${join(folder.cwd, '.rlrun/models/tiny-rl')} cannot be a path: a part of it is a file and no folder\n  Move that file away, or name another path; RLRUN_HOME says where models and jobs are kept.\n` });
    expect(await readFile(join(folder.cwd, '.rlrun'), 'utf8')).toBe('');
  });
});


/** A small disk of its own, for whoever may mount one in a namespace of their own. */
const mount = (folder: string, sizeKb: number, script: string): string[] => ['-rm', 'sh', '-ec', `mount -t tmpfs -o size=${sizeKb}k tmpfs '${folder}'; cd '${folder}'; ${script}`, 'sh', process.execPath, binary];
const canMount = spawnSync('unshare', ['-rm', 'sh', '-c', 'mount -t tmpfs -o size=64k tmpfs /mnt']).status === 0;

test.skipIf(!canMount)('a disk that fills up ends the job with what to do, loses nothing, and the job goes on once there is room', async () => {
  await using folder = await workspace();
  await using whole = await workspace();
  for (const { cwd } of [folder, whole]) await writeTinyProject(cwd, { sft: 12, grpo: 8 });
  await mkdir(join(folder.cwd, 'disk'));
  const disk = join(folder.cwd, 'disk');
  // What the job needs after its fork is more than is left beside the filler.
  const script = `
    cp -r ../tiny ../tiny.yaml ../rewards .
    "$@" models fork ./tiny --name tiny-rl --quiet
    head -c 50000000 /dev/zero > filler 2>/dev/null || true
    truncate -s -700000 filler
    status=0; "$@" tiny.yaml --no-tui > ../full.out 2> ../full.err || status=$?
    echo "$status" > ../full.status
    rm filler
    status=0; "$@" jobs latest > ../jobs.out || true
    "$@" tiny.yaml --no-tui --resume > ../resumed.out 2> ../resumed.err || status=$?
    echo "$status" > ../resumed.status
    cp -r .rlrun ../`;
  const result = spawnSync('unshare', mount(disk, 8000, script), { encoding: 'utf8', env: { ...process.env, CI: '1', NO_COLOR: '1', RLRUN_HOME: '' } });
  expect(result.stderr).toBe('');
  const read = (name: string) => readFile(join(folder.cwd, name), 'utf8');
  expect(await read('full.status')).toBe('1\n');
  expect(await read('full.err')).toMatch(/disk is full/);
  expect(await read('full.err')).not.toMatch(/^ {4}at |bug in rlrun/m);
  expect(await read('resumed.err')).toMatch(/completed: all steps done/);
  expect(await read('resumed.status')).toBe('0\n');
  await whole.run('tiny.yaml', '--quiet');
  expect(await headWeights(folder.cwd)).toEqual(await headWeights(whole.cwd));
});

async function headWeights(cwd: string): Promise<Buffer> {
  const model = join(cwd, '.rlrun', 'models', 'tiny-rl');
  return readFile(join(model, 'checkpoints', (await readFile(join(model, 'head'), 'utf8')).trim().split(' ')[1]!, 'weights.safetensors'));
}
