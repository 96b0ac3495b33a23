import { createHash } from 'node:crypto';
import { mkdtemp, readFile, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, describe, expect, test } from 'vitest';
import type { StageSettings } from '../../src/config/types.ts';
import { type ControlPanel, createControls } from '../../src/pipeline/controls.ts';
import { openJobFiles } from '../../src/pipeline/job-files.ts';
import { type JobResult, runJob } from '../../src/pipeline/job.ts';
import type { ModelLine, StageMaterials } from '../../src/pipeline/loop.ts';
import { Session } from '../../src/pipeline/session.ts';
import { type FakeEngine, diskLine, fakeEngine, letterScorer, letterTasks, materialsOf, pipeline, recorder, stage, tokenizer } from './fakes.ts';

const folders: string[] = [];
afterEach(() => Promise.all(folders.splice(0).map((folder) => rm(folder, { recursive: true, force: true }))));

async function folder(): Promise<string> {
  const made = await mkdtemp(join(tmpdir(), 'rlrun-job-'));
  folders.push(made);
  return made;
}

interface Run {
  root?: string;
  stages?: readonly StageSettings[];
  seed?: number;
  resume?: boolean;
  materials?: (settings: StageSettings) => Partial<StageMaterials>;
  prepare?: (parts: { engine: FakeEngine; panel: ControlPanel; model: ModelLine; on: (listener: (type: string, step: number) => void) => void }) => void;
}

async function run({ root, stages = [stage()], seed = 7, resume = false, materials = () => ({}), prepare }: Run = {}) {
  root ??= await folder();
  const record = recorder();
  const listeners: ((type: string, step: number) => void)[] = [];
  const emit: typeof record.emit = (type, data) => {
    record.emit(type, data);
    for (const listener of listeners) listener(type, 'step' in data ? Number(data.step) : 0);
  };
  const panel = createControls(emit);
  const engine = fakeEngine();
  const model = await diskLine(join(root, 'model'));
  const files = openJobFiles(join(root, 'job'), { create: true });
  let ticks = 0;
  const session = new Session({
    jobId: 'letters-1',
    pipeline: pipeline(stages, seed),
    materials: stages.map((settings) => materialsOf(settings, materials(settings))),
    configHash: 'config',
    start: { checkpoint: null, step: 0 },
    ...{ files, model, engine, tokenizer, panel, emit },
    exportModel: async () => ({ ok: true }),
    clock: () => ++ticks,
    signal: panel.signal,
  });
  prepare?.({ engine, panel, model, on: (listener) => void listeners.push(listener) });
  const result = await runJob(session, {
    ...{ jobId: 'letters-1', pipeline: 'letters', file: '/letters.yaml', model: 'letters', base: 'fake', device: 'cpu', seed, loss: 'importance_sampling' },
    ...{ parameters: 1, trainableParameters: 1, threads: 1, parentJob: null, directory: files.directory, resumeCommand: 'rlrun --resume', resume },
  });
  files.close();
  return { ...record, root, result, session, engine, model, rows: session.rows };
}

/** A fingerprint of weights and moments, whatever the order in which rows of the table were first used. */
const weightsOf = ({ engine }: { engine: FakeEngine }) => {
  const sorted = (table: object) => Object.entries(table).sort(([a], [b]) => (a < b ? -1 : 1)).filter(([, row]) => row.some((value: number) => value !== 0));
  const { logits, first, second, updates } = engine.state;
  return createHash('sha256').update(JSON.stringify([logits, first, second].map(sorted).concat([[['updates', updates]]] as never))).digest('hex');
};

describe('a job', () => {
  test('learns: the held-out score rises from chance to all right', async () => {
    const done = await run({ stages: [stage({ steps: 40, batch: 8, group: 16 })] });
    expect(done.result).toMatchObject<Partial<JobResult>>({ status: 'completed', reason: 'all steps done', steps: 40, head: 'step-000040' });
    expect(done.result.before!['eval/accuracy']).toBeLessThan(0.2);
    expect(done.result.after!['eval/accuracy']).toBeGreaterThan(0.8);
    expect(done.result.after!['eval/pass@1']).toBeGreaterThan(done.result.before!['eval/pass@1']! + 0.3);
  });

  test('does not learn from a reward that says nothing of the answer, nor with a learning rate of 0', async () => {
    let call = 0;
    const coin = () => ({ scorer: letterScorer(() => (call = (call * 1103515245 + 12345) % 2147483648) / 2147483648) });
    const guard = { rollback: false };
    const random = await run({ stages: [stage({ steps: 40, guard })], materials: (settings) => (settings.name === 'grpo' ? coin() : {}) });
    expect(await accuracyOf(random.engine)).toBeLessThan(0.5);
    const frozen = await run({ stages: [stage({ steps: 8, train: { learningRate: 0 } })] });
    expect(frozen.result.after!['eval/reward']).toBe(frozen.result.before!['eval/reward']);
  });

  test('repeats itself to the bit, and another seed gives another run', async () => {
    const [first, second, other] = [await run(), await run(), await run({ seed: 8 })];
    expect(second.rows).toEqual(first.rows);
    expect(weightsOf(second)).toBe(weightsOf(first));
    expect(weightsOf(other)).not.toBe(weightsOf(first));
  });

  test('leaves its files: rollouts of each step, one metrics line per step, a chain of checkpoints', async () => {
    const done = await run({ stages: [stage({ steps: 3 })] });
    expect(await readdir(join(done.root, 'job', 'rollouts'))).toEqual(['step-000001.jsonl', 'step-000002.jsonl', 'step-000003.jsonl']);
    const lines = (await readFile(join(done.root, 'job', 'metrics.jsonl'), 'utf8')).trim().split('\n').map((line) => JSON.parse(line));
    expect(lines.map(({ step, kind }) => [step, kind])).toEqual([[0, 'baseline'], [1, 'step'], [2, 'step'], [3, 'step']]);
    expect((await done.model.checkpoints()).map(({ id, parent }) => [id, parent])).toEqual([
      ['step-000001', null],
      ['step-000002', 'step-000001'],
      ['step-000003', 'step-000002'],
    ]);
    const rollouts = (await readFile(join(done.root, 'job', 'rollouts', 'step-000001.jsonl'), 'utf8')).trim().split('\n').map((line) => JSON.parse(line));
    expect(rollouts).toHaveLength(48);
    expect(rollouts[0]).toMatchObject({ id: '000001-0000-000', groupId: '000001-0000', turns: [{ promptTokenIds: expect.any(Array) }] });
    expect(rollouts[0].advantage).toEqual(expect.any(Number));
  });
});

async function accuracyOf(engine: FakeEngine): Promise<number> {
  const settings = stage();
  const { agent } = materialsOf(settings);
  const tasks = letterTasks().eval;
  const requests = tasks.map((task, index) => {
    const prepared = agent.prepare(task);
    if (!prepared.ok) throw new Error(prepared.error.message);
    return { id: String(index), promptTokenIds: prepared.tokenIds, maxTokens: 2, temperature: 0, topP: 1, topK: 0, stopTokenIds: agent.stopTokenIds, stopStrings: [], key: [0, 0, 0, 0] as const };
  });
  let right = 0;
  for await (const sample of engine.sampler.sample(requests)) {
    if (agent.decode(sample.outputTokenIds) === tasks[Number(sample.id)]!.answer) right++;
  }
  return right / tasks.length;
}

describe('a job that is interrupted and resumed', () => {
  test.each([
    ['after a step, as asked', 'step-finished', 'finish'],
    ['in the middle of sampling', 'rollout-progress', 'stop'],
    ['while scoring', 'rollout-finished', 'stop'],
    ['during an evaluation', 'eval-started', 'stop'],
    ['between the checkpoint and the end of its step', 'checkpoint-saved', 'stop'],
  ] as const)('%s equals the uninterrupted one to the bit', async (_, type, action) => {
    const whole = await run();
    const first = await run({
      prepare: ({ panel, on }) => on((seen, step) => seen === type && step >= 4 && panel.controls[action]()),
    });
    expect(first.result.status).toBe('stopped');
    expect(first.result.steps).toBeLessThan(12);
    const second = await run({ root: first.root, resume: true });
    expect(second.result).toMatchObject({ status: 'completed', steps: 12 });
    expect(weightsOf(second)).toBe(weightsOf(whole));
    expect(withoutTimes(second.rows)).toEqual(withoutTimes(whole.rows));
    expect((await second.model.checkpoints()).map(({ id }) => id)).toEqual((await whole.model.checkpoints()).map(({ id }) => id));
  });
});

const withoutTimes = (rows: readonly { metrics: Record<string, number> }[]) =>
  rows.map((row) => ({
    ...row,
    time: 0,
    metrics: Object.fromEntries(Object.entries(row.metrics).filter(([name]) => !/^time\/|_time$|per_second$/.test(name))),
  }));
