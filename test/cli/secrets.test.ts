/** A secret that a pipeline uses stands in no file and in no message. */
import { readFile, readdir, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { beforeAll, expect, test } from 'vitest';
import { build, workspace } from './binary.ts';
import { writeTinyProject } from './tiny-model.ts';

beforeAll(() => build(), 180_000);

const secret = 'sk-SECRET"KEY123';

async function filesWith(folder: string, text: string): Promise<string[]> {
  const names = (await readdir(folder, { recursive: true, withFileTypes: true })).filter((entry) => entry.isFile()).map((entry) => join(entry.parentPath, entry.name));
  const found = await Promise.all(names.map(async (name) => ((await readFile(name, 'latin1')).includes(text) ? [name] : [])));
  return found.flat();
}

test('a key from the environment is kept as its reference, and noticed when it is another', async () => {
  await using folder = await workspace();
  await writeTinyProject(folder.cwd, { sft: 1, grpo: 15 });
  const path = join(folder.cwd, 'tiny.yaml');
  await writeFile(path, (await readFile(path, 'utf8')).replace('path: ./rewards/digits.ts', () => 'path: ./rewards/digits.ts, args: { api_key: "${env:JUDGE_KEY}" }'));
  // A judge that tells its key in an error.
  await writeFile(join(folder.cwd, 'rewards', 'digits.ts'), 'export default (completion, task, { args }) => { if (/^[0-4]/.test(completion)) throw new Error(`401 for ${args.api_key}`); return 1 / (1 + completion.charCodeAt(0)); };\n');
  const run = async (args: string[], env: Record<string, string> = { JUDGE_KEY: secret }) => {
    const { stdout, stderr, exitCode } = await folder.start(args, { env: { NO_COLOR: '1', CI: '1', COLUMNS: '100', ...env } });
    expect(`${String(stdout)}${String(stderr)}`).not.toContain('SECRET');
    return { output: `${String(stdout)}${String(stderr)}`, exitCode };
  };
  expect((await run(['check', 'tiny.yaml', '--resolved'])).output).toContain('api_key: ${env:JUDGE_KEY}');
  await run(['check', 'tiny.yaml', '--resolved', '--json']);

  const job = folder.start(['tiny.yaml', '--no-tui', '--set', 'reward.1.args.other_token=tok-SECRET-9'], { env: { NO_COLOR: '1', CI: '1', JUDGE_KEY: secret } });
  let [told, isAsked] = ['', false];
  job.stderr!.on('data', (chunk: Buffer) => {
    told += chunk;
    if (!isAsked && /step +3\b/.test(told)) isAsked = job.kill('SIGINT');
  });
  await job;
  expect(told).toContain("--set 'reward.1.args.other_token=(hidden)' --resume");
  await run(['report', 'latest', '--out', 'page.html']);
  expect(told).not.toContain('SECRET');
  expect(await filesWith(folder.cwd, 'SECRET')).toEqual([]);
  const rollouts = await filesWith(join(folder.cwd, '.rlrun', 'jobs'), '401 for ${env:JUDGE_KEY}');
  expect(rollouts.length).toBeGreaterThan(0);
  if (process.platform !== 'win32') expect((await stat(join(folder.cwd, '.rlrun', 'salt'))).mode & 0o077).toBe(0);

  const resume = ['tiny.yaml', '--no-tui', '--resume', '--set', 'reward.1.args.other_token=tok-SECRET-9'];
  const other = await run(resume, { JUDGE_KEY: 'sk-ANOTHER-KEY' });
  expect(other.exitCode).toBe(5);
  expect(other.output).toMatch(/The pipeline has changed since job tiny-\S+ began: the value of (a secret that --set gives or )?\$\{env:JUDGE_KEY\}/);
  expect((await run(resume, {})).output).toContain('the environment variable JUDGE_KEY is not set');
  expect((await run(resume)).output).toContain('completed: all steps done');
}, 60_000);
