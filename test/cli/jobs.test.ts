/** `rlrun jobs`, `rlrun trace` and `rlrun report` on every kind of job that a project may hold. */
import { appendFile, mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { beforeAll, describe, expect, test } from 'vitest';
import type { Message } from '../../src/events.ts';
import { held, rollout, row, writeJob } from '../report/support.ts';
import { build, workspace } from './binary.ts';
import { writeTinyProject } from './tiny-model.ts';

beforeAll(build);

const parse = (stdout: string) => stdout.trim().split('\n').map((line) => JSON.parse(line) as Record<string, unknown>);
const gone = 2 ** 22 + 1;

async function project() {
  const folder = await workspace();
  const rows = [row(0, held(0.25)), row(1, { reward: 0.2, entropy: 1 }), row(2, { reward: 0.4, entropy: 0.5, ...held(0.5) })];
  await writeJob(folder.cwd, { meta: { id: 'sums-20261125-090000-0001', startedAt: '2026-11-25T09:00:00.000Z', endedAt: '2026-11-25T09:03:07.000Z' }, rows, rollouts: { 2: [rollout({ id: '000002-0000-000' })] } });
  await writeJob(folder.cwd, { meta: { id: 'sums-20261125-100000-0002', status: 'running', pid: gone, endedAt: null, reason: null, steps: 0, totalSteps: 9 }, rows });
  await writeJob(folder.cwd, { meta: { id: 'sums-20261125-110000-0003', startedAt: '2026-11-25T11:00:00.000Z', endedAt: '2026-11-25T11:00:01.000Z', status: 'failed', reason: 'the gradient\nis not finite\u001b[2J', steps: 1 }, rows: rows.slice(0, 2) });
  return folder;
}

describe('jobs', () => {
  test('a table, newest first: how far, how the reward went, from what to what, how long', async () => {
    await using folder = await project();
    const { stdout, stderr, exitCode } = await folder.run('jobs');
    expect({ stdout, stderr, exitCode }).toEqual({
      exitCode: 0,
      stderr: '',
      stdout: `ID                         Model    Status       Steps  Reward  Before  After    Took
sums-20261125-110000-0003  sums-rl  failed         1/4  ▄        0.250      –    1.0s
sums-20261125-100000-0002  sums-rl  interrupted    2/9  ▁█       0.250  0.500    2.0s
sums-20261125-090000-0001  sums-rl  completed      4/4  ▁█       0.250  0.500  3m 07s
`,
    });
    expect(parse((await folder.run('jobs', '--json')).stdout).map(({ v, type, status, steps, before, after }) => [v, type, status, steps, before, after])).toEqual([
      [1, 'job', 'failed', 1, 0.25, null], [1, 'job', 'interrupted', 2, 0.25, 0.5], [1, 'job', 'completed', 4, 0.25, 0.5],
    ]);
  });

  test('one job: facts and curves, then the rollouts of its last step', async () => {
    await using folder = await project();
    const { stdout, exitCode } = await folder.run('jobs', 'sums-20261125-09');
    expect(exitCode).toBe(0);
    expect(stdout).toBe(`sums-20261125-090000-0001
  pipeline    /home/me/sums.yaml
  model       sums-rl, begun at the base
  status      completed: all steps done
  steps       4 of 4
  took        3m 07s
  held-out    0.250 → 0.500 [0.450, 0.550]
  reward      ▁█                                        0.200 → 0.400
  eval/reward ▁█                                        0.250 → 0.500
  entropy     █▁                                        1.000 → 0.500
  files       .rlrun/jobs/sums-20261125-090000-0001

rollouts of step 2
Trace ID         Status     Reward  Prompt  Completion or error
000002-0000-000  completed   1.000  1+1=    2
`);
    expect((await folder.run('jobs', 'sums-20261125-11')).stdout).toContain('status      failed: the gradient⏎is not finite\n');
    expect((await folder.run('jobs', 'sums-20261125-10')).stdout).toContain('status      interrupted: its process is gone\n  steps       2 of 9\n');
    expect(parse((await folder.run('jobs', 'sums-20261125-09', '--json')).stdout).map(({ type }) => type)).toEqual(['job', 'metrics', 'metrics', 'metrics', 'rollout']);
  });

  test('a job that is over is told by its own verdict: its head need not be what was measured last', async () => {
    await using folder = await workspace();
    const rows = [row(0, held(0.5)), row(1, held(0.7)), row(2, held(0.1)), row(2, {}, { kind: 'rollback', checkpoint: 'c1', reason: 'the held-out score fell' })];
    const own = { before: held(0.5), after: held(0.7) };
    await writeJob(folder.cwd, { meta: { id: 'sums-20261125-100000-0001', ...own }, rows });
    // Taken up again after that and killed: what it said then is no longer so.
    await writeJob(folder.cwd, { meta: { id: 'sums-20261125-100000-0002', status: 'running', pid: gone, endedAt: null, ...own }, rows });
    await writeJob(folder.cwd, { meta: { id: 'sums-20261125-100000-0003', before: held(0.5), after: null }, rows: rows.slice(0, 1) });
    const listed = parse((await folder.run('jobs', '--json')).stdout);
    expect(listed.map(({ status, before, after }) => [status, before, after])).toEqual([['completed', 0.5, null], ['interrupted', 0.5, 0.1], ['completed', 0.5, 0.7]]);
    expect(parse((await folder.run('jobs', 'sums-20261125-100000-0001', '--json')).stdout)[0]).toEqual(listed[2]);
    expect((await folder.run('jobs')).stdout).toMatch(/-0001 .* 0\.500 {2}0\.700 /);
    expect((await folder.run('jobs', 'sums-20261125-100000-0001')).stdout).toContain('\n  held-out    0.500 → 0.700 [0.650, 0.750]\n');
    await folder.run('report', 'sums-20261125-100000-0001', '--out', 'report.html');
    expect(await readFile(join(folder.cwd, 'report.html'), 'utf8')).toContain('The held-out reward rose from 0.500 to 0.700.');
  });

  test('ids that name no job, or several, are told apart', async () => {
    await using folder = await project();
    expect(await folder.run('jobs', 'nothing')).toEqual({ stdout: '', exitCode: 3, stderr: 'error: There is no job "nothing" here.\n  rlrun jobs lists them.\n' });
    for (const [wrong, meant] of [['lastest', 'latest'], ['sums-20261125-100000-0020', 'sums-20261125-100000-0002']]) {
      expect(await folder.run('jobs', wrong!)).toEqual({ stdout: '', exitCode: 3, stderr: `error: There is no job "${wrong}" here.\n  Did you mean "${meant}"? rlrun jobs lists them.\n` });
    }
    const ambiguous = 'error: 3 jobs begin with "sums": sums-20261125-110000-0003, sums-20261125-100000-0002, sums-20261125-090000-0001.\n  Type more of the id.\n';
    for (const command of [['jobs', 'sums'], ['report', 'sums'], ['trace', 'sums/000002-0000-000']]) expect(await folder.run(...command)).toEqual({ stdout: '', exitCode: 2, stderr: ambiguous });
    await using empty = await workspace();
    expect(await empty.run('jobs')).toEqual({ stdout: '', exitCode: 0, stderr: 'No jobs here yet. Begin with: rlrun init && rlrun pipeline.yaml\n' });
    for (const command of ['jobs', 'report']) expect(await empty.run(command, 'latest')).toEqual({ stdout: '', exitCode: 3, stderr: 'error: There are no jobs here yet.\n  Begin one: rlrun PIPELINE\n' });
    expect((await empty.run('trace', '000001-0000-000')).exitCode).toBe(3);
  });

  test('a project elsewhere is named by RLRUN_HOME', async () => {
    await using folder = await project();
    await using elsewhere = await workspace();
    const { stdout } = await elsewhere.start(['jobs', '--json'], { env: { RLRUN_HOME: join(folder.cwd, '.rlrun') } });
    expect(parse(String(stdout))).toHaveLength(3);
  });

  test('folders that are no jobs, and files that were torn, hide no other job', async () => {
    await using folder = await project();
    const jobs = join(folder.cwd, '.rlrun', 'jobs');
    for (const [name, text] of [['empty', null], ['torn', '{"id":"torn","sta'], ['other', '{}'], ['null', 'null']] as const) {
      await mkdir(join(jobs, name));
      if (text !== null) await writeFile(join(jobs, name, 'meta.json'), text);
    }
    await appendFile(join(jobs, 'sums-20261125-090000-0001', 'metrics.jsonl'), 'null\n{"step":3,"met');
    expect(parse((await folder.run('jobs', '--json')).stdout)).toHaveLength(3);
    expect((await folder.run('jobs', 'sums-20261125-09')).exitCode).toBe(0);
  });
});

test('report lays jobs over each other, each once, and writes TensorBoard files beside', async () => {
  await using folder = await project();
  const [first, second] = ['sums-20261125-090000-0001', 'sums-20261125-110000-0003'];
  const told = await folder.run('report', first!, second!, first!, '--out', 'out/both.html', '--tensorboard', 'events', '--json');
  expect(told).toMatchObject({ exitCode: 0, stderr: '' });
  const [line] = parse(told.stdout);
  const [path, ...events] = [line!['path'], ...(line!['tensorboard'] as string[])] as string[];
  expect(line).toMatchObject({ v: 1, type: 'report', jobs: [first, second], bytes: (await readFile(path!)).length });
  expect(events.map((event) => event.split('/').slice(-3, -1))).toEqual([['events', first], ['events', second]]);
  for (const event of events) expect((await readFile(event)).subarray(0, 40).toString('latin1')).toContain('brain.Event:2');
  expect((await folder.run('report', 'nothing')).exitCode).toBe(3);
});

test('trace shows a rollout with its group and its tokens; words cannot move the cursor', async () => {
  await using folder = await workspace();
  const shared = { groupId: '000001-0000', taskId: 'train/0' };
  const error = { phase: 'scoring', type: 'exception', message: 'no\nnumber\u0007' } as const;
  await writeJob(folder.cwd, {
    rollouts: {
      1: [
        rollout({ ...shared, id: '000001-0000-000', completion: '\u001b[2J2\n3', subscores: [{ name: 'all', value: 0.5, weight: 1, children: [{ name: 'part\u001b[1m', value: 1, weight: 0.5 }] }], turns: [{ promptTokenIds: [1], outputTokenIds: [5, 6], outputLogprobs: [-0.1, Math.log(0.25)] }] }),
        rollout({ ...shared, id: '000001-0000-001', reward: null, advantage: undefined as never, status: 'error', completion: '', error }),
        rollout({ ...shared, id: '000001-0000-002', reward: 0, advantage: -0.5, completion: '7' }),
        rollout({ id: '000001-0001-000', groupId: '000001-0001' }),
      ],
    },
  });
  const { stdout, stderr, exitCode } = await folder.run('trace', 'sums/000001-0000-000');
  expect({ stderr, exitCode }).toEqual({ stderr: '', exitCode: 0 });
  expect(stdout).toBe(`000001-0000-000
  job         sums-20261125-100000-00aa
  task        train/0, group 000001-0000
  status      completed, done
  reward      1, advantage +0.50
              0.5 × 1  all
                1 × 0.5  part
  prompt      1+1=
  completion  2⏎3

   Group            Reward            Advantage  Completion or error
▸  000001-0000-000       1  ████████      +0.50  2⏎3
   000001-0000-001       –                       no⏎number
   000001-0000-002       0                −0.50  7

turn 1: 1 prompt token, then
Token  Text  Log-probability  Probability
    5                -0.1000          90%  ██████████████▌
    6                -1.3863          25%  ████
`);
  expect(await folder.run('trace', 'sums/000009-0000-000')).toEqual({ stdout: '', exitCode: 3, stderr: expect.stringMatching(/^error: Job sums-\S+ has no rollout "000009-0000-000"\.\n/) });
  for (const id of ['sums/x', 'sums/../../etc', 'sums/']) expect((await folder.run('trace', id)).exitCode).toBe(3);
  expect(parse((await folder.run('trace', 'sums/000001-0000-001', '--json')).stdout)).toMatchObject([{ v: 1, type: 'rollout', id: '000001-0000-001', error }]);
});

test('trace shows a conversation turn by turn: who said what, what was called, drawn and heard; words cannot move the cursor', async () => {
  await using folder = await workspace();
  const turn = (prompt: number, drawn: number) => ({ promptTokenIds: Array(prompt).fill(1), outputTokenIds: Array(drawn).fill(5), outputLogprobs: Array(drawn).fill(-0.1) });
  const messages: Message[] = [
    { role: 'assistant', content: 'Let me look.', reasoning: 'cats?\nno: \u001b[2Jdogs', toolCalls: [{ id: 'c1', name: 'search', arguments: { text: 'a\u001b[2J' } }, { id: 'c2', name: 'find_all', arguments: {} }] },
    { role: 'tool', content: 'one\r\ntwo\u0007', toolCallId: 'c1', name: 'search' },
    { role: 'tool', content: 'Error: there is no tool find_all', toolCallId: 'c2', name: 'find_all', failure: 'unknown_tool' },
    { role: 'assistant', content: 'two', heard: true },
    { role: 'user', content: 'try again' },
    { role: 'assistant', content: '', heard: true },
  ];
  const verdict = { reward: 0.5, info: { tries: 2 }, subscores: [{ name: 'found', value: 0.5, weight: 1 }] };
  const conversation = { messages, environmentMs: 12.3, verdict };
  await writeJob(folder.cwd, { rollouts: { 1: [rollout({ completion: '', stopReason: 'max_steps', turns: [turn(4, 3), turn(12, 1), turn(15, 1)], conversation })] } });
  const { stdout, stderr, exitCode } = await folder.run('trace', 'sums/000001-0000-000');
  expect({ stderr, exitCode }).toEqual({ stderr: '', exitCode: 0 });
  expect(stdout.split('\n\n   Group')[0]).toBe(`000001-0000-000
  job         sums-20261125-100000-00aa
  task        train/0, group g0
  status      completed, max_steps
  reward      1, advantage +0.50
              1 × 1  match
  environment reward 0.5, {"tries":2}
              0.5 × 1  found
  turns       3, 5 tokens drawn (only these are trained on), 12ms in tools and environment
  prompt      1+1=

turn 1: 4 prompt tokens, 3 drawn
  reasoning   cats?
              no: dogs
  assistant   Let me look.
  call        search {"text":"a\\u001b[2J"}
  call        find_all {}
  tool search
              one
              two
  tool find_all, failed: unknown tool
              Error: there is no tool find_all

turn 2: 12 prompt tokens, 1 drawn, heard by the environment
  assistant   two
  user        try again

turn 3: 15 prompt tokens, 1 drawn, heard by the environment
  assistant   (empty)`);
  expect(stdout).toContain('\nturn 2: 12 prompt tokens, then\nToken  Text');
  const coloured = await folder.start(['trace', 'sums/000001-0000-000'], { env: { FORCE_COLOR: '1' } });
  expect(String(coloured.stdout)).toContain('\u001b[2m  reasoning   cats?\u001b[22m\n');
  expect(parse((await folder.run('trace', 'sums/000001-0000-000', '--json')).stdout)).toMatchObject([{ type: 'rollout', conversation, completion: '' }]);
});

test('a job is running while it runs, interrupted after kill -9, and has a report at either time', async () => {
  await using folder = await workspace();
  await writeTinyProject(folder.cwd, { grpo: 5000 });
  const child = folder.start(['tiny.yaml', '--no-tui', '--quiet']);
  const steps = async () => (await readFile(join(folder.cwd, '.rlrun', 'jobs', await latest(), 'metrics.jsonl'), 'utf8').catch(() => '')).split('\n').length;
  const latest = async () => (await readFile(join(folder.cwd, '.rlrun', 'jobs', 'latest'), 'utf8').catch(() => 'none')).trim();
  await expect.poll(steps, { timeout: 40_000 }).toBeGreaterThan(16);
  const job = async () => parse((await folder.run('jobs', '--json')).stdout)[0]!;
  expect(await job()).toMatchObject({ status: 'running', steps: expect.any(Number), totalSteps: 5012 });
  expect((await folder.run('report', 'latest', '--out', 'running.html')).exitCode).toBe(0);
  child.kill('SIGKILL');
  await child;
  const killed = await job();
  expect(killed).toMatchObject({ status: 'interrupted', endedAt: null });
  expect(killed['steps']).toBeGreaterThan(12);
  expect((await folder.run('report', 'latest', '--out', 'killed.html')).exitCode).toBe(0);
  const page = await readFile(join(folder.cwd, 'killed.html'), 'utf8');
  expect(page).toContain('its process is gone');
  expect(page).toContain('rlrun tiny.yaml --resume');
});
