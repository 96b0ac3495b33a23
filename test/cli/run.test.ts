import { mkdir, readFile, readdir, realpath, rename, rm, writeFile } from 'node:fs/promises';
import { spawn } from 'node:child_process';
import { join } from 'node:path';
import { beforeAll, describe, expect, test } from 'vitest';
import { binary, build, workspace } from './binary.ts';
import { writeTinyProject } from './tiny-model.ts';

beforeAll(() => build(), 180_000);

type Line = { v: number; type: string } & Record<string, unknown>;
const parse = (stdout: string): Line[] => stdout.split('\n').filter(Boolean).map((line) => JSON.parse(line) as Line);

/** What differs from run to run: ids, paths, times, speeds. */
const steady = (text: string) =>
  text
    .replaceAll(/tiny-\d{8}-\d{6}-[0-9a-f]{4}/g, 'JOB')
    .replaceAll(/from \/\S+\/tiny,/g, 'from /…/tiny,')
    .replaceAll(/[\d,]+ tok\/s/g, 'N tok/s')
    .replaceAll(/(eta|in) [\dhms. ]+(ms|s|m|h)(?=\n|$)/g, '$1 T');

describe('rlrun PIPELINE', () => {
  test('learns, tells one line per step, and leaves a job and a model that other commands show', async () => {
    await using folder = await workspace();
    await writeTinyProject(folder.cwd, { sft: 4, grpo: 4 });
    const { stdout, stderr, exitCode } = await folder.run('tiny.yaml');
    expect({ stdout, exitCode }).toEqual({ stdout: '', exitCode: 0 });
    const lines = steady(stderr).split('\n');
    expect(lines[0]).toMatch(/^tiny {2}tiny-rl from \/…\/tiny, [\d,]+ parameters, .*trained {2}cpu, 1 thread {2}importance_sampling {2}seed 3$/);
    expect(lines[1]).toBe('job JOB in .rlrun/jobs/JOB');
    expect(lines.filter((line) => /^step [1-8]\/8 {2}|^step \d+ {2}skipped: /.test(line))).toHaveLength(8);
    expect(lines).toContainEqual(expect.stringMatching(/^completed: all steps done {2}8 steps in T$/));
    expect(lines).toContainEqual(expect.stringMatching(/^head step-00000\d$/));

    const jobs = await folder.run('jobs');
    expect(jobs.stdout).toMatch(/^ID +Model +Status +Steps +Reward +Before +After +Took\ntiny-\S+ +tiny-rl +completed +8\/8 +/);
    expect((await folder.run('jobs', 'latest')).stdout).toMatch(/status +completed: all steps done\n/);
    const trace = await folder.run('trace', '000008-0000-000');
    expect(trace).toMatchObject({ exitCode: 0, stderr: '' });
    expect(trace.stdout).toMatch(/^000008-0000-000\n {2}job +tiny-.*\n {2}task +add-/);
    const tree = await folder.run('models', 'checkpoints', 'tiny-rl');
    expect(tree.stdout).toMatch(/Name +Reward +Eval +Loss +Traces +Created\n +base\n +step-000001 /);
    expect(tree.stdout).toMatch(/\n▶ +step-00000\d /);
    expect((await folder.run('models', 'list')).stdout).toMatch(/\ntiny-rl +\/\S+\/tiny +step-00000\d +\d+ +\S+ \S+ +✓\n/);
    expect((await folder.run('models', 'diff', 'tiny-rl', 'step-000001')).stdout).toMatch(/^step-000001 → step-00000\d: relative change /);

    await folder.run('models', 'prune', 'tiny-rl', '--keep', '2');
    const offered = (await folder.run('completions', 'bash', '--', 'models', 'head', 'tiny-rl', '--set', '')).stdout.trim().split('\n').map((line) => line.split('\t')[0]);
    expect(offered).toEqual(['base', expect.stringMatching(/^step-/), expect.stringMatching(/^step-/)]);

    const answer = await folder.run('sample', 'tiny-rl', '1+2=', '--json', '--max-tokens', '3');
    expect(parse(answer.stdout)[0]).toMatchObject({ v: 1, type: 'sample', model: 'tiny-rl', prompt: '1+2=', outputTokenIds: expect.any(Array) });
    const streamed = await folder.run('sample', 'tiny-rl', '1+2=', '--max-tokens', '3');
    expect(streamed.stdout.trim()).toBe(String(parse(answer.stdout)[0]!['completion']).trim());

    const page = await folder.run('report', 'latest', '--out', 'page.html');
    expect(page).toMatchObject({ exitCode: 0, stdout: 'page.html\n', stderr: expect.stringMatching(/^\d+ kB; open it at file:/) });
    expect(await readFile(join(folder.cwd, 'page.html'), 'utf8')).toMatch(/^<!doctype html>/i);

    const measured = await folder.run('eval', 'tiny.yaml', '--json', '--samples', '2');
    const evaluation = parse(measured.stdout).at(-1)!;
    expect(evaluation).toMatchObject({ type: 'evaluation', tasks: 10, metrics: { 'eval/pass@2': expect.any(Number) } });
    const [job] = parse((await folder.run('jobs', '--json')).stdout);
    expect((evaluation['metrics'] as Record<string, number>)['eval/reward']).toBeCloseTo(job!['after'] as number, 12);
  });

  test('--json writes versioned lines of every event and nothing else', async () => {
    await using folder = await workspace();
    await writeTinyProject(folder.cwd, { sft: 1, grpo: 1 });
    const { stdout, stderr, exitCode } = await folder.run('tiny.yaml', '--json');
    expect({ stderr, exitCode }).toEqual({ stderr: '', exitCode: 0 });
    const events = parse(stdout);
    expect(events.every(({ v }) => v === 1)).toBe(true);
    const types = events.map(({ type }) => type);
    expect(types[0]).toBe('job-started');
    expect(types.at(-1)).toBe('job-finished');
    for (const type of ['step-started', 'rollout-finished', 'group-finished', 'step-finished', 'checkpoint-saved', 'promoted', 'eval-finished']) expect(types).toContain(type);
    const [id] = (await readdir(join(folder.cwd, '.rlrun', 'jobs'))).filter((name) => name.startsWith('tiny-'));
    const stored = parse((await readFile(join(folder.cwd, '.rlrun', 'jobs', id!, 'events.jsonl'), 'utf8')));
    expect(stored.map(({ type }) => type)).toEqual(types.filter((type) => type !== 'rollout-progress' && type !== 'rollout-finished'));
  });

  test('--quiet says nothing when all is well', async () => {
    await using folder = await workspace();
    await writeTinyProject(folder.cwd, { sft: 1, grpo: 1 });
    expect(await folder.run('tiny.yaml', '--quiet')).toEqual({ stdout: '', stderr: '', exitCode: 0 });
  });

  test('a second run goes on from the head; --from base begins again and repeats the first to the bit', async () => {
    await using folder = await workspace();
    await writeTinyProject(folder.cwd, { sft: 3, grpo: 0 });
    await writeFile(join(folder.cwd, 'tiny.yaml'), (await readFile(join(folder.cwd, 'tiny.yaml'), 'utf8')).replace(/ {2}- \{ kind: grpo.*\n/, ''));
    await folder.run('tiny.yaml');
    const again = await folder.run('tiny.yaml');
    expect(again.stderr).toContain('tiny-rl goes on from step-000003, its head\n');
    expect((await folder.run('models', 'head', 'tiny-rl', '--json')).stdout).toContain('"name":"step-000006"');
    await folder.run('tiny.yaml', '--from', 'base');
    const { stdout } = await folder.run('models', 'diff', 'tiny-rl', 'step-000003', 'step-000003-2', '--json');
    expect(parse(stdout)[0]).toMatchObject({ relativeChange: 0 });
  });

  test('a reader that goes away ends the job without a stack trace', async () => {
    await using folder = await workspace();
    await writeTinyProject(folder.cwd, { sft: 1, grpo: 200 });
    const child = folder.start(['tiny.yaml', '--json'], { stdio: ['ignore', 'pipe', 'pipe'] });
    child.stdout!.once('data', () => child.stdout!.destroy());
    const { stderr } = await child;
    expect(stderr).toBe('');
  });

  test('a model that somebody else writes is a conflict', async () => {
    await using folder = await workspace();
    await writeTinyProject(folder.cwd, { sft: 1, grpo: 500 });
    const child = folder.start(['tiny.yaml']);
    await said(child, /^step +\d/m);
    const second = await folder.run('tiny.yaml');
    expect(second.exitCode).toBe(5);
    expect(second.stderr).toMatch(/error: model "tiny-rl" is being written by a job of tiny \(process \d+\)\n {2}Wait until it is done/);
    child.kill('SIGTERM');
    expect((await child).exitCode).toBe(143);
  });
});

/** Resolves once the program has said something that matches. */
async function said(child: { stderr: NodeJS.ReadableStream | null | undefined }, pattern: RegExp): Promise<string> {
  let text = '';
  const { promise, resolve, reject } = Promise.withResolvers<string>();
  child.stderr!.on('data', (chunk: Buffer) => {
    text += chunk.toString();
    if (pattern.test(text)) resolve(text);
  });
  child.stderr!.once('end', () => reject(new Error(`it ended before it said ${pattern}:\n${text}`)));
  return promise;
}

describe('a job that is interrupted', () => {
  test('ends after its step on the first Ctrl-C, says how to resume, and resumes to the same weights', async () => {
    await using folder = await workspace();
    await writeTinyProject(folder.cwd, { sft: 4, grpo: 30 });
    const child = folder.start(['tiny.yaml', '--set', 'seed=5']);
    await said(child, /^step +7\//m);
    child.kill('SIGINT');
    const stopped = await child;
    expect(stopped.exitCode).toBe(0);
    expect(stopped.stderr).toMatch(/Finishing this step; press Ctrl-C again to stop now\.\n(.*\n)*stopped: after step \d+, as asked/);
    expect(stopped.stderr).toMatch(/\nresume with: rlrun tiny\.yaml --set seed=5 --resume\n$/);

    const changed = await folder.run('tiny.yaml', '--set', 'seed=6', '--resume');
    expect(changed.exitCode).toBe(5);
    expect(changed.stderr).toMatch(/error: The pipeline has changed since job tiny-\S+ began: seed 5 → 6, taskset\.seed 5 → 6\.\n/);

    const resumed = await folder.run('tiny.yaml', '--set', 'seed=5', '--resume');
    expect(resumed).toMatchObject({ exitCode: 0, stdout: '' });
    expect(resumed.stderr).toMatch(/tiny-rl resumed after step \d+\n/);
    expect(await folder.run('tiny.yaml', '--set', 'seed=5', '--resume')).toMatchObject({ exitCode: 3, stderr: expect.stringMatching(/is complete; there is nothing to resume/) });

    await using whole = await workspace();
    await writeTinyProject(whole.cwd, { sft: 4, grpo: 30 });
    await whole.run('tiny.yaml', '--set', 'seed=5', '--quiet');
    expect(await headWeights(folder.cwd)).toEqual(await headWeights(whole.cwd));
  });

  test('stops at once on the second Ctrl-C', async () => {
    await using folder = await workspace();
    await writeTinyProject(folder.cwd, { sft: 1, grpo: 2, more: '' });
    await writeFile(join(folder.cwd, 'rewards', 'digits.ts'), 'export default (): Promise<number> => new Promise(() => {});\n');
    const child = folder.start(['tiny.yaml', '--set', 'eval.baseline=false', '--json']);
    const heard = (text: string) => new Promise<void>((resolve) => child.stdout!.on('data', (chunk: Buffer) => chunk.toString().includes(text) && resolve()));
    await heard('"eval-started"');
    const asked = heard('"stop-requested"');
    child.kill('SIGINT');
    await asked;
    child.kill('SIGINT');
    const { exitCode, stdout } = await child;
    expect(exitCode).toBe(130);
    expect(parse(String(stdout)).at(-1)).toMatchObject({ type: 'job-finished', status: 'stopped', reason: 'at once; the step after 0 is lost' });
  });
});

describe('behind an older Node, which starts the program under a newer one', () => {
  /** As `bin/rlrun.js` starts itself there. */
  function startBehind(cwd: string, ...args: string[]) {
    const child = spawn(process.execPath, [binary, ...args], { cwd, stdio: ['ignore', 'ignore', 'pipe', 'ipc'], env: { ...process.env, RLRUN_NODE_CHOSEN: '1', NO_COLOR: '1', CI: '1' } });
    let stderr = '';
    child.stderr!.on('data', (chunk: Buffer) => (stderr += chunk.toString()));
    const ended = new Promise<number | null>((resolve) => child.on('exit', (code) => resolve(code)));
    return { child, ended, said: () => stderr };
  }

  test('the job stops when that Node is gone', async () => {
    await using folder = await workspace();
    await writeTinyProject(folder.cwd, { sft: 1, grpo: 4000 });
    const { child, ended, said: stderr } = startBehind(folder.cwd, 'tiny.yaml');
    await said(child, /^step +\d+/m);
    child.disconnect();
    expect(await ended).toBe(143);
    expect(stderr()).toContain('resume with: rlrun tiny.yaml --resume\n');
  });

  test('a Ctrl-C that comes twice, from the terminal and passed on, is one', async () => {
    await using folder = await workspace();
    await writeTinyProject(folder.cwd, { sft: 1, grpo: 4000 });
    const { child, ended, said: stderr } = startBehind(folder.cwd, 'tiny.yaml');
    await said(child, /^step +\d+/m);
    child.kill('SIGINT');
    child.kill('SIGINT');
    expect(await ended).toBe(0);
    expect(stderr()).toMatch(/stopped: after (step \d+|sft), as asked/);
  });
});

test.each([
  ['tokenizer.json', '{}', /^error: the tokenizer in \S+ cannot be used: /],
  ['onnx/model.onnx', 'no graph', /^error: \S+model\.onnx: not a readable ONNX file/],
])('a model whose %s is broken is told as such, and the process ends', async (file, text, says) => {
  await using folder = await workspace();
  await writeTinyProject(folder.cwd);
  await writeFile(join(folder.cwd, 'tiny', file), text);
  const { stderr, exitCode } = await folder.run('tiny.yaml');
  expect(exitCode).toBe(1);
  expect(stderr).toMatch(says);
  expect(stderr).not.toContain('bug');
});

/** The bytes of the head's weights and moments. */
async function headWeights(cwd: string): Promise<Buffer[]> {
  const model = join(cwd, '.rlrun', 'models', 'tiny-rl');
  const name = (await readFile(join(model, 'head'), 'utf8')).trim().split(' ')[1]!;
  return Promise.all(['weights.safetensors', 'optimizer.safetensors'].map((file) => readFile(join(model, 'checkpoints', name, file))));
}

describe('rlrun PIPELINE --watch', () => {
  test('an edited reward judges the stored rollouts again at once, then a new job runs from the head', async () => {
    await using folder = await workspace();
    await writeTinyProject(folder.cwd, { sft: 2, grpo: 2 });
    const child = folder.start(['tiny.yaml', '--watch', '--json'], { stdio: ['ignore', 'pipe', 'pipe'] });
    const events = listen(child.stdout!);
    const first = await events.next('job-finished');
    expect(first).toMatchObject({ status: 'completed' });

    const reward = join(folder.cwd, 'rewards', 'digits.ts');
    await writeFile(reward, 'export default (completion: string): number => completion.length / 3;\n');
    expect(await events.next('watch-changed')).toMatchObject({ file: reward, kind: 'reward' });
    const rescored = await events.next('rescored');
    const rollouts = rescored['rollouts'] as { completion: string; before: number; after: number }[];
    expect(rollouts).toHaveLength(16);
    for (const { completion, after, before } of rollouts) {
      const isDigits = Number(/^\d+$/.test(completion));
      expect(after - before).toBeCloseTo((completion.length / 3 - isDigits) / 2, 12);
    }
    expect(await events.next('watch-decision')).toMatchObject({ action: 'rerun', reason: 'with what has changed, from the head' });
    const second = await events.next('job-started');
    const stored = await readFile(join(folder.cwd, '.rlrun', 'jobs', String(second['parentJob']), 'events.jsonl'), 'utf8');
    expect(parse(stored).map(({ type }) => type)).toEqual(expect.arrayContaining(['watch-changed', 'rescored', 'watch-decision']));
    expect(second).toMatchObject({ parentJob: expect.stringMatching(/^tiny-/), head: first['head'] });
    await events.next('job-finished');
    child.kill('SIGINT');
    expect((await child).exitCode).toBe(0);
  });

  test('an edit while the job runs: a comment does nothing, a mistake is told and the job goes on, a change drains it', async () => {
    await using folder = await workspace();
    const text = await writeTinyProject(folder.cwd, { sft: 1, grpo: 400 });
    const file = join(folder.cwd, 'tiny.yaml');
    const child = folder.start(['tiny.yaml', '--watch', '--json'], { stdio: ['ignore', 'pipe', 'pipe'] });
    const events = listen(child.stdout!);
    await events.next('step-started');
    await writeFile(file, `# a comment\n${text}`);
    expect(await events.next('watch-changed')).toMatchObject({ kind: 'none' });
    expect(await events.next('watch-decision')).toMatchObject({ action: 'nothing', reason: 'the run would be the same' });
    await writeFile(file, text.replace('group: 4', 'gruop: 4'));
    expect(await events.next('watch-changed')).toMatchObject({ kind: 'invalid', message: expect.stringContaining('did you mean "group"?') });
    await events.next('step-finished');
    await writeFile(file, text.replace('group: 4', 'group: 5').replace('steps: 400', 'steps: 1'));
    expect(await events.next('watch-changed')).toMatchObject({ kind: 'config', changes: expect.arrayContaining([expect.objectContaining({ path: 'steps[1] (grpo) group', before: '4', after: '5' })]) });
    expect(await events.next('watch-decision')).toMatchObject({ action: 'drain' });
    expect(await events.next('job-finished')).toMatchObject({ status: 'stopped' });
    expect(await events.next('job-started')).toMatchObject({ totalSteps: 2 });
    await events.next('job-finished');
    child.kill('SIGINT');
    expect((await child).exitCode).toBe(0);
  });
});

describe('rlrun PIPELINE --watch, between runs', () => {
  test('an edited reward judges the rollouts of the job that runs, not of the one before it', async () => {
    await using folder = await workspace();
    const text = await writeTinyProject(folder.cwd, { sft: 1, grpo: 1 });
    const child = folder.start(['tiny.yaml', '--watch', '--json'], { stdio: ['ignore', 'pipe', 'pipe'] });
    const events = listen(child.stdout!);
    await events.next('job-finished');
    await writeFile(join(folder.cwd, 'tiny.yaml'), text.replace('grpo, steps: 1', 'grpo, steps: 4000'));
    await events.next('job-started');
    for (let step = 0; step < 4; step = Number((await events.next('step-finished'))['step']));
    await writeFile(join(folder.cwd, 'rewards', 'digits.ts'), 'export default (completion: string): number => completion.length / 3;\n');
    expect(Number((await events.next('rescored'))['step'])).toBeGreaterThanOrEqual(4);
  });

  test('a comment, or the way back to what has run, does nothing; a file that was deleted is waited for', async () => {
    await using folder = await workspace();
    await writeTinyProject(folder.cwd, { sft: 1, grpo: 1 });
    const reward = join(folder.cwd, 'rewards', 'digits.ts');
    const text = await readFile(reward, 'utf8');
    const child = folder.start(['tiny.yaml', '--watch', '--json'], { stdio: ['ignore', 'pipe', 'pipe'] });
    const events = listen(child.stdout!);
    await events.next('job-finished');

    await writeFile(reward, `// a remark\n${text}`);
    expect(await events.next('watch-decision')).toMatchObject({ action: 'nothing', reason: 'the run would be the same' });
    await rm(reward);
    expect(await events.next('watch-changed')).toMatchObject({ kind: 'invalid', message: expect.stringContaining('there is no reward module ./rewards/digits.ts') });
    await writeFile(reward, text);
    expect(await events.next('watch-decision')).toMatchObject({ action: 'nothing' });
    await writeFile(reward, 'export default (): number => {\n  throw new Error("oops");\n};\n');
    const { rollouts } = await events.next('rescored');
    for (const { error } of rollouts as { error: string }[]) expect(error).toMatch(/^reward digits on task add-\w+: oops \(digits\.ts:2:9\)$/);
    expect(await events.next('watch-decision')).toMatchObject({ action: 'nothing', reason: 'the edited reward gives no rollout a verdict; its repair is waited for' });
    await writeFile(`${reward}.new`, 'export default (completion: string): number => completion.length / 4;\n');
    await rename(`${reward}.new`, reward);
    expect(await events.next('rescored')).toMatchObject({ file: reward });
    await events.next('job-finished');
    child.kill('SIGINT');
    expect((await child).exitCode).toBe(0);
    expect((await readdir(join(folder.cwd, '.rlrun', 'jobs'))).filter((name) => name.startsWith('tiny-'))).toHaveLength(2);
  });
});

/** Waits for events of a program that writes JSON lines, in the order in which they come. */
function listen(stream: NodeJS.ReadableStream) {
  const queue: Line[] = [];
  let rest = '';
  let wake = Promise.withResolvers<void>();
  stream.on('data', (chunk: Buffer) => {
    const lines = (rest + chunk.toString()).split('\n');
    rest = lines.pop()!;
    queue.push(...lines.filter(Boolean).map((line) => JSON.parse(line) as Line));
    wake.resolve();
    wake = Promise.withResolvers();
  });
  return {
    async next(type: string): Promise<Line> {
      for (;;) {
        const woken = wake.promise;
        for (let line = queue.shift(); line; line = queue.shift()) if (line.type === type) return line;
        await woken;
      }
    },
  };
}

describe('a loss of the user', () => {
  const lossModule = (factor: number): string => `export default ({ logprobs, advantages }, { b }) => b.mul(b.mul(logprobs, advantages), ${factor});\n`;
  const withLoss = (text: string): string => text.replace('{ learning_rate: 1e-3 }', '{ learning_rate: 1e-3, loss: { kind: module, path: ./loss.ts, reduction: token_mean } }');

  test('is loaded before anything runs, and shown where it breaks', async () => {
    await using folder = await workspace();
    await writeFile(join(folder.cwd, 'tiny.yaml'), withLoss(await writeTinyProject(folder.cwd)));
    await writeFile(join(folder.cwd, 'loss.ts'), '\nexport default (tensors, { b }) => b.;\n');
    const broken = await folder.run('tiny.yaml');
    expect(broken.exitCode).toBe(2);
    expect(broken.stderr).toContain('error[not-loaded]: the loss cannot be loaded: SyntaxError: Expected ident\n  --> loss.ts:2:38\n');
    expect(broken.stderr).toMatch(/note: the file is named here\n {2}--> tiny\.yaml:\d+:\d+\n/);
    await writeFile(join(folder.cwd, 'loss.ts'), 'export const loss = 3;\n');
    expect((await folder.run('check', 'tiny.yaml')).stderr).toContain('its default export is missing; expected a function');
  });

  test('runs as it was when the job began, and in the next job as it is then', async () => {
    await using folder = await workspace();
    await writeFile(join(folder.cwd, 'tiny.yaml'), withLoss(await writeTinyProject(folder.cwd, { sft: 4, grpo: 2 })));
    await writeFile(join(folder.cwd, 'loss.ts'), lossModule(-1));
    // Rewards are given before anything is learnt from them.
    await writeFile(join(folder.cwd, 'rewards', 'digits.ts'), `
      import { writeFileSync } from 'node:fs';
      export default (completion: string): number => {
        writeFileSync(new URL('../loss.ts', import.meta.url), "export default () => { throw new Error('this is the edited loss'); };");
        return Number(/^\\d/.test(completion));
      };`);
    const { stderr, exitCode } = await folder.run('tiny.yaml');
    expect({ exitCode, stderr }).toEqual({ exitCode: 0, stderr: expect.stringMatching(/\nstep [56]\/6 {2}reward.*\n/) });
    expect(await folder.run('tiny.yaml')).toMatchObject({ exitCode: 2, stderr: expect.stringContaining('loss.ts: the loss cannot be built: this is the edited loss') });
  });

  test('counts as it is now: an edit begins a new job, with the edited loss, and forbids to resume', async () => {
    await using folder = await workspace();
    await writeFile(join(folder.cwd, 'tiny.yaml'), withLoss(await writeTinyProject(folder.cwd, { sft: 8, grpo: 2 })));
    await writeFile(join(folder.cwd, 'loss.ts'), lossModule(-1));
    const child = folder.start(['tiny.yaml', '--watch', '--json'], { stdio: ['ignore', 'pipe', 'pipe'] });
    const events = listen(child.stdout!);
    await events.next('job-finished');
    await writeFile(join(folder.cwd, 'loss.ts'), `// only a remark\n${lossModule(-1)}`);
    await events.next('watch-changed');
    await writeFile(join(folder.cwd, 'loss.ts'), lossModule(0));
    expect(await events.next('watch-changed')).toMatchObject({ kind: 'config', file: join(folder.cwd, 'loss.ts') });
    expect((await events.next('job-started'))['parentJob']).toMatch(/^tiny-/);
    // A loss of zero has no gradient.
    for (;;) {
      const { stage, metrics } = (await events.next('step-finished')) as unknown as { stage: string; metrics: Record<string, number> };
      if (stage !== 'grpo' || metrics['grad_norm'] === undefined) continue;
      expect(metrics['grad_norm']).toBe(0);
      break;
    }
    child.kill('SIGINT');
    await child;
    await writeFile(join(folder.cwd, 'loss.ts'), lossModule(-2));
    // Ids of one second are in no order.
    const job = (await readFile(join(folder.cwd, '.rlrun', 'jobs', 'latest'), 'utf8')).trim();
    const meta = join(folder.cwd, '.rlrun', 'jobs', job, 'meta.json');
    await writeFile(meta, (await readFile(meta, 'utf8')).replace('"status": "completed"', '"status": "stopped"').replace(/,\n {2}"crc32": "\w+"/, ''));
    expect(await folder.run('tiny.yaml', '--resume')).toMatchObject({ exitCode: 5, stderr: expect.stringContaining('has changed since job') });
  });
});

describe('before anything is learnt', () => {
  test('check proves the rewards, and names the task on which one fails', async () => {
    await using folder = await workspace();
    await writeTinyProject(folder.cwd);
    const sound = await folder.run('check', 'tiny.yaml');
    expect(sound).toMatchObject({ exitCode: 0, stdout: '' });
    expect(sound.stderr).toContain('tiny.yaml is valid: 2 stages, model tiny-rl from ');
    expect(sound.stderr).toContain('rewards give the gold answer full marks, an empty one less, and the same twice (9 tasks tried)\n');
    await writeFile(join(folder.cwd, 'rewards', 'digits.ts'), 'export default (): number => 0.5;\n');
    const unsound = await folder.run('check', 'tiny.yaml');
    expect(unsound).toMatchObject({ exitCode: 2 });
    expect(unsound.stderr).toMatch(/error: task add-\w+: the gold answer "\d+" earns 0\.75 instead of 1 \(digits gave 0\.5\).*\n {2}its prompt: \d\+\d=\n/);
    await writeFile(join(folder.cwd, 'rewards', 'digits.ts'), 'export default (: number => 0.5;\n');
    const broken = await folder.run('check', 'tiny.yaml');
    expect(broken).toMatchObject({ exitCode: 2 });
    expect(broken.stderr.replace(/\S+digits\.ts cannot/, '…/digits.ts cannot')).toBe(`error[not-loaded]: reward digits: …/digits.ts cannot be loaded: SyntaxError: Expression expected
  --> rewards/digits.ts:1:17
1 | export default (: number => 0.5;
  |                 ^^^^^^^^^^^^^^^^ Mend the file; a reward is \`export default (completion, task, info) => number\`, or null for no verdict
note: the file is named here
  --> tiny.yaml:8:27
7 |   - { kind: numeric_match, weight: 0.5 }
8 |   - { kind: module, path: ./rewards/digits.ts, weight: 0.5 }
  |                           ^^^^^^^^^^^^^^^^^^^

1 error
`);
    await writeFile(join(folder.cwd, 'rewards', 'digits.ts'), 'export default (completion: string): number => completion.lenght.toFixed(1);\n');
    const throwing = await folder.run('check', 'tiny.yaml');
    expect(throwing.stderr).toMatch(/error: reward digits on task add-\w+: TypeError: .*\(digits\.ts:1:\d+\) \(and the same on 8 other tasks\)\n {2}its prompt: \d\+\d=\n$/);
  });

  test('check finds the one gold answer among many that is no number, and a reward that never gives a verdict', async () => {
    await using folder = await workspace();
    const text = await writeTinyProject(folder.cwd);
    const rows = Array.from({ length: 60 }, (_, index) => JSON.stringify({ prompt: `${index}+1=`, answer: index === 41 ? '42/1' : String(index + 1) }));
    await writeFile(join(folder.cwd, 'tasks.jsonl'), rows.join('\n'));
    await writeFile(join(folder.cwd, 'tiny.yaml'), text.replace(/taskset: .*/, 'taskset: { source: ./tasks.jsonl, split: { train: 50, eval: 10 } }'));
    const refused = await folder.run('check', 'tiny.yaml');
    expect(refused).toMatchObject({ exitCode: 2, stderr: expect.stringMatching(/error: reward numeric_match on task tasks-\w+: the task's answer "42\/1" is not a number and nothing else; write the number alone, or compare with exact_match\n {2}its prompt: 41\+1=\n/) });
    await writeFile(join(folder.cwd, 'tiny.yaml'), text);
    await writeFile(join(folder.cwd, 'rewards', 'digits.ts'), 'export default (): null => null;\n');
    const silent = await folder.run('check', 'tiny.yaml');
    expect(silent).toMatchObject({ exitCode: 2, stderr: expect.stringContaining('rewards give no verdict (null) on any task that was tried') });
    const run = await folder.run('tiny.yaml', '--no-tui');
    expect(run).toMatchObject({ exitCode: 1, stderr: expect.stringContaining('failed: no held-out task got a verdict before the first step: the reward abstained (gave null) on every answer') });
  });

  test('check --resolved prints a pipeline that means the same', async () => {
    await using folder = await workspace();
    await writeTinyProject(folder.cwd);
    const { stdout, exitCode } = await folder.run('check', 'tiny.yaml', '--resolved', '--set', 'group=7');
    expect(exitCode).toBe(0);
    expect(stdout).toMatch(/group: 7 +# --set/);
    await writeFile(join(folder.cwd, 'again.yaml'), stdout);
    const json = async (file: string, ...more: string[]) => parse((await folder.run('check', file, '--resolved', '--json', ...more)).stdout).find(({ type }) => type === 'resolved')!['pipeline'] as { stages: unknown };
    expect((await json('again.yaml')).stages).toEqual((await json('tiny.yaml', '--set', 'group=7')).stages);
  });

  test('--dry-run shows answers and rewards, and leaves nothing behind', async () => {
    await using folder = await workspace();
    await writeTinyProject(folder.cwd);
    const { stdout, stderr, exitCode } = await folder.run('tiny.yaml', '--dry-run');
    expect(exitCode).toBe(0);
    expect(stdout.match(/^Completion +Reward +Advantage +Stopped$/gm)).toHaveLength(3);
    expect(stderr).toMatch(/Nothing was learnt and no step was made\.\n$/);
    await expect(readdir(join(folder.cwd, '.rlrun'))).rejects.toThrow('ENOENT');
  });
});

test('sample --chat sends the prompt through the template of the model, if it has one', async () => {
  await using folder = await workspace();
  await writeTinyProject(folder.cwd);
  await folder.run('models', 'fork', './tiny', '--name', 'silent');
  expect(await folder.run('sample', 'silent', '1+2', '--chat')).toMatchObject({ exitCode: 2, stdout: '', stderr: 'error: silent has no chat template.\n  Leave out --chat: the model goes on from the text as it is.\n' });
  const file = join(folder.cwd, 'tiny', 'tokenizer_config.json');
  await writeFile(file, JSON.stringify({ ...(JSON.parse(await readFile(file, 'utf8')) as object), chat_template: '{% for message in messages %}{{ message.content }}{% endfor %}=' }));
  await folder.run('models', 'fork', './tiny', '--name', 'chatty');
  const idsOf = async (...args: string[]) => parse((await folder.run('sample', 'chatty', ...args, '--json')).stdout)[0]!['promptTokenIds'] as number[];
  const [chat, text] = [await idsOf('1+2', '--chat'), await idsOf('1+2=')];
  expect(chat).toEqual(text.slice(1));
});

test('sample reads its prompt from stdin, in a folder below the project as well, and begins a chat with a system message', async () => {
  await using folder = await workspace();
  await writeTinyProject(folder.cwd);
  const file = join(folder.cwd, 'tiny', 'tokenizer_config.json');
  await writeFile(file, JSON.stringify({ ...(JSON.parse(await readFile(file, 'utf8')) as object), chat_template: '{% for message in messages %}{{ message.content }}{% endfor %}=' }));
  await folder.run('models', 'fork', './tiny', '--name', 'chatty');
  const inside = join(folder.cwd, 'notes');
  await mkdir(inside);
  const promptIds = async (args: string[], input?: string) => {
    const { stdout, stderr } = await folder.start(['sample', 'chatty', ...args, '--json'], { cwd: inside, ...(input === undefined ? {} : { input }) });
    expect(String(stderr)).toBe(`models and jobs are in ${await realpath(folder.cwd)}/.rlrun\n`);
    return parse(String(stdout))[0]!['promptTokenIds'];
  };
  const wanted = await promptIds(['1+2=']);
  expect(await promptIds(['-'], '1+2=\n')).toEqual(wanted);
  expect(await promptIds([], '1+2=')).toEqual(wanted);
  expect(await promptIds(['2', '--chat', '--system', '1+'])).toEqual((wanted as number[]).slice(1));
  expect(await folder.run('sample', 'chatty', '2', '--system', '1+')).toMatchObject({ exitCode: 2, stderr: 'error: A system message needs a chat.\n  Add --chat, or put its text at the beginning of the prompt.\n' });
  expect((await folder.start(['jobs'], { cwd: inside })).exitCode).toBe(0);
});

test('a model without a chat template cannot chat, and that is said before the job begins', async () => {
  await using folder = await workspace();
  const text = await writeTinyProject(folder.cwd);
  await writeFile(join(folder.cwd, 'tiny.yaml'), text.replace('kind: completion', 'kind: chat'));
  for (const args of [['tiny.yaml'], ['eval', 'tiny.yaml'], ['tiny.yaml', '--dry-run']]) {
    expect(await folder.run(...args), args.join(' ')).toMatchObject({
      stdout: '',
      exitCode: 2,
      stderr: expect.stringMatching(/error: .*tiny has no chat template, which agent: \{ kind: chat \} needs\n {2}Write agent: \{ kind: completion \}, or fork a model that was made for chat\.\n$/),
    });
  }
  expect((await folder.run('jobs')).stderr).toContain('No jobs here yet');
});

test('a device that is not there is told before the job begins, in our words alone', async () => {
  await using folder = await workspace();
  await writeTinyProject(folder.cwd);
  // A machine that has one must not use it.
  const env = { NO_COLOR: '1', CI: '1', CUDA_VISIBLE_DEVICES: '' };
  for (const args of [['tiny.yaml'], ['eval', 'tiny.yaml'], ['tiny.yaml', '--dry-run']]) {
    const { stdout, stderr, exitCode } = await folder.start([...args, '--device', 'cuda'], { env });
    expect({ stdout, exitCode }, args.join(' ')).toEqual({ stdout: '', exitCode: 2 });
    expect(stderr, args.join(' ')).toMatch(/^error: device cuda does not work here: .+\. CUDA needs an NVIDIA driver, .*; use device: cpu or webgpu\n$/);
  }
  expect((await folder.run('jobs')).stderr).toContain('No jobs here yet');
});

test('prompts too long for the model are refused before the job begins; if some are, the job says so once', async () => {
  await using folder = await workspace();
  const text = await writeTinyProject(folder.cwd, { sft: 2, grpo: 1 });
  await writeFile(join(folder.cwd, 'tiny.yaml'), text.replace('max_tokens: 3', 'max_tokens: 28'));
  for (const [args, split] of [[['tiny.yaml'], 'train'], [['eval', 'tiny.yaml'], 'eval'], [['tiny.yaml', '--dry-run'], 'train']] as const) {
    expect(await folder.run(...args), args.join(' ')).toMatchObject({
      stdout: '',
      exitCode: 2,
      stderr: expect.stringMatching(
        new RegExp(`^error: tiny\\.yaml:5:40: no ${split} prompt fits the model's context: the shortest, of task add-\\w+, has 5 tokens, agent\\.max_tokens allows 28 more, and the context holds 32\\n {2}Lower agent\\.max_tokens to 27 or less, shorten the prompts, or fork a model with a longer context\\.\\n$`),
      ),
    });
  }
  expect((await folder.run('jobs')).stderr).toContain('No jobs here yet');

  const rows = Array.from({ length: 12 }, (_, index) => JSON.stringify({ id: `row-${index}`, prompt: index % 4 === 3 ? `${'1+'.repeat(10 + index)}1=` : `1+${index % 4}=`, answer: '1' }));
  await writeFile(join(folder.cwd, 'rows.jsonl'), rows.join('\n'));
  await writeFile(join(folder.cwd, 'tiny.yaml'), text.replace(/taskset: .*/, 'taskset: { source: ./rows.jsonl, split: { train: 12, eval: 0 } }'));
  const { stderr, exitCode } = await folder.run('tiny.yaml');
  expect(exitCode).toBe(0);
  expect(stderr.match(/^warning: .* prompts .*\n.*\n/gm)).toEqual([
    "warning: 2 of 12 train prompts do not fit the model's context: the longest, of task row-11, has 45 tokens, agent.max_tokens allows 3 more, and the context holds 32\n" +
      '  shorten such prompts or leave them out: nothing is learnt from them\n',
  ]);
});

test('tasks in letters that the model does not have are told as such, once', async () => {
  await using folder = await workspace();
  const text = await writeTinyProject(folder.cwd, { sft: 1, grpo: 1 });
  await writeFile(join(folder.cwd, 'roman.jsonl'), 'I II III IV V VI VII VIII IX X'.split(' ').map((prompt, index) => `${JSON.stringify({ prompt: `${prompt}=`, answer: String(index + 1) })}\n`).join(''));
  await writeFile(join(folder.cwd, 'tiny.yaml'), text.replace(/taskset: .*/, 'taskset: { source: ./roman.jsonl, split: { train: 8, eval: 2 } }'));
  const { stderr, exitCode } = await folder.run('tiny.yaml');
  expect(exitCode).toBe(0);
  expect(stderr.match(/^warning: the model's tokenizer does not know the text of 8 of 8 tasks, for example (?=.*V)(?=.*I)[VIX ]+: .*\n {2}write the tasks in letters that it knows, or fork another model$/gm)).toHaveLength(1);
});

test('an export stage leaves a model that can be forked; `models export` the same', async () => {
  await using folder = await workspace();
  const text = await writeTinyProject(folder.cwd, { sft: 2, grpo: 1 });
  await writeFile(join(folder.cwd, 'tiny.yaml'), `${text}  - { kind: export, directory: ./out }\n`);
  const { stderr, exitCode } = await folder.run('tiny.yaml');
  expect(exitCode).toBe(0);
  expect(stderr).toContain('exported as transformers.js to out\n');
  expect(await folder.run('models', 'fork', './out', '--name', 'child')).toMatchObject({ exitCode: 0, stderr: expect.stringContaining('forked child from ') });
  expect(await folder.run('models', 'export', 'tiny-rl', '--out', './out')).toMatchObject({ exitCode: 5 });
  expect(await folder.run('models', 'export', 'tiny-rl', '--out', './out2')).toMatchObject({ exitCode: 0, stderr: expect.stringMatching(/^exported tiny-rl at step-00000\d as transformers\.js \(fp32\) to out2\n$/) });
  const [parent, child] = [await folder.run('sample', 'tiny-rl', '1+2='), await folder.run('sample', 'child', '1+2=')];
  expect(child.stdout).toBe(parent.stdout);
});
