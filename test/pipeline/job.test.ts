import { createHash } from 'node:crypto';
import { mkdtemp, readFile, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import { afterEach, describe, expect, test } from 'vitest';
import type { StageSettings } from '../../src/config/types.ts';
import type { JobEvent } from '../../src/events.ts';
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
    files.appendEvent({ type, time: 0, ...data } as unknown as JobEvent);
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
  const introduction = {
    ...{ jobId: 'letters-1', pipeline: 'letters', file: '/letters.yaml', model: 'letters', base: 'fake', device: 'cpu', seed, loss: 'importance_sampling' },
    ...{ parameters: 1, trainableParameters: 1, threads: 1, parentJob: null, directory: files.directory },
  };
  const result = await runJob(session, { introduction, resume, resumeCommand: 'rlrun --resume' });
  files.close();
  return { ...record, root, result, session, engine, model, rows: session.history.rows };
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

  test('takes the speed of sampling from the sampler, whose work may begin before the step does', async () => {
    const { rows } = await run({ stages: [stage({ steps: 3 })] });
    for (const { metrics } of rows.filter(({ kind }) => kind === 'step')) expect(metrics['tokens_per_second']).toBe(metrics['num_tokens']! / 0.25);
  });

  test('saves in each checkpoint the weights of its own step, however late the store has a place for them', async () => {
    const updated: string[] = [];
    const { root } = await run({
      stages: [stage({ steps: 3 })],
      prepare({ model, engine }) {
        const { commit } = model;
        const { update } = engine.trainer;
        model.commit = async (...draft) => {
          await setTimeout(30);
          return commit(...draft);
        };
        engine.trainer.update = async (adam) => {
          const metrics = await update(adam);
          updated.push(JSON.stringify(engine.state));
          return metrics;
        };
      },
    });
    const saved = [1, 2, 3].map((step) => readFile(join(root, 'model', 'checkpoints', `step-00000${step}`, 'state.json'), 'utf8'));
    // Sampling asks for rows of the table that are not there yet.
    const weights = (state: string) => Object.entries((JSON.parse(state) as FakeEngine['state']).second);
    expect((await Promise.all(saved)).map(weights)).toEqual(updated.map(weights));
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

describe('a job whose files were damaged while it was stopped', () => {
  const stopAfter = (last: number): NonNullable<Run['prepare']> => ({ panel, on }) => on((type, step) => type === 'step-finished' && step === last && panel.controls.finish());
  const dropWeights = (...steps: number[]) => (root: string) => Promise.all(steps.map((step) => rm(join(root, 'model', 'checkpoints', `step-${String(step).padStart(6, '0')}`, 'state.json'))));
  const edit = (name: string, change: (lines: string[]) => void) => async (root: string) => {
    const path = join(root, 'job', name);
    const lines = (await readFile(path, 'utf8')).split('\n');
    change(lines);
    await writeFile(path, lines.join('\n'));
  };
  const isDamaged = (step: number) => `checkpoint step-00000${step} is damaged`;
  const isChanged = (line: number, file: string) => `line ${line} of ${file} was changed after it was written, or does not follow the line before (its checksum differs)`;

  test.each<[what: string, damage: (root: string) => Promise<unknown>, resumedFrom: number, told: string | null]>([
    ['the last weights', dropWeights(6), 5, `${isDamaged(6)}: the job goes on after step 5, 1 step to be done again`],
    ['the last two weights', dropWeights(5, 6), 4, `${isDamaged(6)}; ${isDamaged(5)}: the job goes on after step 4, 2 steps to be done again`],
    ['weights that nobody needs', dropWeights(1, 2), 6, null],
    ['all weights', dropWeights(1, 2, 3, 4, 5, 6), 0, `${[6, 5, 4, 3, 2, 1].map(isDamaged).join('; ')}: the job goes on after step 0, 6 steps to be done again`],
    ['a row', edit('metrics.jsonl', (lines) => (lines[4] = lines[4]!.replace('"step":4', '"step":5'))), 3, `${isChanged(5, 'metrics.jsonl')}: the job goes on after step 3, 3 steps to be done again`],
    ['a row that stands there twice', edit('metrics.jsonl', (lines) => lines.splice(4, 0, lines[4]!)), 6, null],
    ['all rows that stand there twice', edit('metrics.jsonl', (lines) => lines.unshift(...lines.slice(0, -1))), 6, null],
    ['a row that is gone', edit('metrics.jsonl', (lines) => lines.splice(4, 1)), 3, `${isChanged(5, 'metrics.jsonl')}: the job goes on after step 3, 3 steps to be done again`],
    ['a row that was torn', edit('metrics.jsonl', (lines) => lines.splice(6, 2, lines[6]!.slice(0, 50))), 5, 'metrics.jsonl ends with step 5, though step 6 was saved: the job goes on after step 5, 1 step to be done again'],
    ['all rows', edit('metrics.jsonl', (lines) => lines.splice(0)), 0, 'metrics.jsonl ends with step 0, though step 6 was saved: the job goes on after step 0, 6 steps to be done again'],
    ['an event', edit('events.jsonl', (lines) => (lines[1] = lines[1]!.replace('g', 'h'))), 6, `${isChanged(2, 'events.jsonl')} and is taken out`],
  ])('%s: what is left goes on to the same weights', async (_, damage, resumedFrom, told) => {
    const stages = [stage({ steps: 8 })];
    const whole = await run({ stages });
    const first = await run({ stages, prepare: stopAfter(6) });
    expect(first.result).toMatchObject({ status: 'stopped', steps: 6 });
    await damage(first.root);
    const second = await run({ stages, root: first.root, resume: true });
    expect(second.of('job-started')).toMatchObject([{ resumedFrom }]);
    expect(second.of('warning').filter(({ code }) => code === 'damaged_files').map(({ message }) => message)).toEqual(told === null ? [] : [told]);
    expect(second.result).toMatchObject({ status: 'completed', steps: 8 });
    expect(weightsOf(second)).toBe(weightsOf(whole));
    expect(withoutTimes(second.rows)).toEqual(withoutTimes(whole.rows));
    // The files are whole again, and say the same.
    expect(withoutTimes((await openJobFiles(join(first.root, 'job')).readMetrics()).rows)).toEqual(withoutTimes(whole.rows));
    expect(await openJobFiles(join(first.root, 'job')).mendEvents()).toEqual([]);
  });
});

const withoutTimes = (rows: readonly { metrics: Record<string, number> }[]) =>
  rows.map((row) => ({
    ...row,
    time: 0,
    metrics: Object.fromEntries(Object.entries(row.metrics).filter(([name]) => !/^time\/|_time$|per_second$/.test(name))),
  }));

describe('every rollout is accounted for', () => {
  test('a grader without a verdict costs its group, and the rest is learnt from', async () => {
    let calls = 0;
    const flaky = () => ({ scorer: letterScorer((completion, task) => {
      if (++calls % 40 === 0) throw new Error('the disk is on fire');
      return Number(completion[0] === task.answer);
    }) });
    const done = await run({ stages: [stage({ steps: 6, eval: { every: 0, baseline: false } })], materials: flaky });
    expect(done.result.status).toBe('completed');
    const all = done.of('step-finished').map(({ accounting }) => accounting);
    for (const { generated, errored, droppedWithGroup, noSpreadGood, noSpreadBad, trained } of all) {
      expect(generated).toBe(48);
      expect(errored + droppedWithGroup + noSpreadGood + noSpreadBad + trained).toBe(generated);
    }
    expect(all.some(({ errored, droppedWithGroup }) => errored > 0 && droppedWithGroup === 5 * errored)).toBe(true);
    expect(done.of('group-finished').filter(({ spread }) => spread === 'dropped').every(({ advantages }) => advantages === null)).toBe(true);
  });

  test('a step without any verdict, or without spread, is skipped in words and leaves no checkpoint', async () => {
    const broken = await run({ stages: [stage({ steps: 2, eval: { every: 0, baseline: false } })], materials: () => ({ scorer: letterScorer(() => { throw new Error('no verdict'); }) }) });
    expect(broken.of('step-skipped')[0]).toMatchObject({ step: 1, reason: 'all_errored', message: 'every group has a rollout without a verdict, for example: no verdict' });
    const flat = await run({ stages: [stage({ steps: 6, eval: { every: 0, baseline: false } })], materials: () => ({ scorer: letterScorer(() => 1) }) });
    expect(flat.of('step-skipped')).toHaveLength(6);
    expect(flat.of('step-skipped')[0]).toMatchObject({ reason: 'no_spread', message: 'no group has rewards that differ (8 all good)' });
    expect(flat.of('warning')).toContainEqual(expect.objectContaining({ code: 'stalled', step: 5 }));
    expect(await flat.model.checkpoints()).toEqual([]);
    expect(flat.result).toMatchObject({ status: 'completed', steps: 6, head: null });
  });

  test('what a reward abstains on costs no more than itself', async () => {
    const judge = (completion: string, task: { answer: string | null }) => (completion.startsWith('=') ? null : Number(completion[0] === task.answer));
    const done = await run({ materials: () => ({ scorer: letterScorer(judge) }) });
    const all = done.of('step-finished').map(({ accounting }) => accounting);
    for (const { generated, abstained, noSpreadGood, noSpreadBad, trained } of all) expect(abstained + noSpreadGood + noSpreadBad + trained).toBe(generated);
    expect(all.some(({ abstained }) => abstained > 0)).toBe(true);
    expect(all.every(({ errored, droppedWithGroup }) => errored + droppedWithGroup === 0)).toBe(true);
    expect(done.of('group-finished').some(({ spread, advantages }) => spread === 'mixed' && advantages!.includes(null))).toBe(true);
  });

  test('a job whose baseline has no verdict on any task ends there, and is measured anew when it is resumed', async () => {
    const broken = await run({ materials: () => ({ scorer: letterScorer(() => { throw new Error('the judge is out'); }) }) });
    expect(broken.result).toMatchObject({ status: 'failed', steps: 0, reason: 'no held-out task got a verdict before the first step: the judge is out' });
    expect(broken.of('step-started')).toEqual([]);
    const silent = await run({ materials: () => ({ scorer: letterScorer(() => null) }) });
    expect(silent.result).toMatchObject({ status: 'failed', reason: 'no held-out task got a verdict before the first step: the reward abstained (gave null) on every answer' });
    const mended = await run({ root: broken.root, resume: true });
    expect(mended.result).toMatchObject({ status: 'completed', steps: 12 });
    expect(mended.rows.filter(({ kind }) => kind === 'baseline')).toHaveLength(1);
  });

  test('skipped steps are not done again when the job is resumed', async () => {
    const judge = (completion: string, task: { answer: string | null }) => Number(completion[0] === task.answer);
    const late = (from: number) => {
      let calls = 0;
      return () => ({ scorer: letterScorer((completion, task) => (++calls <= from * 48 ? judge(completion, task) : 1)) });
    };
    const stages = [stage({ steps: 6, eval: { every: 0, baseline: false } })];
    const first = await run({ stages, materials: late(3), prepare: ({ panel, on }) => on((type, step) => type === 'step-started' && step === 6 && panel.controls.stop()) });
    expect(first.rows.map(({ kind }) => kind)).toEqual(['step', 'step', 'step', 'skipped', 'skipped']);
    const second = await run({ stages, root: first.root, resume: true, materials: late(0) });
    expect(second.of('job-started')[0]).toMatchObject({ resumedFrom: 5 });
    expect(second.of('step-started').map(({ step }) => step)).toEqual([6]);
  });

  test('a gradient that is not finite is refused: the weights stay, the step is skipped', async () => {
    const done = await run({
      stages: [stage({ steps: 3, guard: { rollback: false }, eval: { every: 0, baseline: false } })],
      prepare: ({ engine }) => (engine.refuse = (asked) => (asked === 2 ? 'layers.0.weight' : null)),
    });
    expect(done.of('step-skipped')).toMatchObject([{ step: 2, reason: 'non_finite_gradient', message: 'the gradient of layers.0.weight is not finite' }]);
    expect(done.rows.map(({ kind }) => kind)).toEqual(['step', 'skipped', 'step']);
  });
  test('a job none of whose gradients was finite has failed, and says why', async () => {
    const done = await run({
      stages: [stage({ steps: 2, guard: { rollback: false }, eval: { every: 0, baseline: false } })],
      prepare: ({ engine }) => (engine.refuse = () => 'layers.0.weight'),
    });
    expect(done.result).toMatchObject({ status: 'failed', reason: 'no step learnt anything: the gradient of layers.0.weight is not finite' });
  });

  test('a batch in two updates is one step; a refusal of the second takes back the first', async () => {
    const stages = [stage({ steps: 2, group: 24, train: { updates: 2 }, eval: { every: 0, baseline: false }, guard: { rollback: false } })];
    const fine = await run({ stages });
    expect(fine.engine.state.updates).toBe(4);
    const refused = await run({ stages, prepare: ({ engine }) => (engine.refuse = (asked) => (asked === 4 ? 'w' : null)) });
    expect(refused.rows.map(({ kind }) => kind)).toEqual(['step', 'skipped']);
    expect(refused.engine.state.updates).toBe(2);
  });
});

describe('promotion', () => {
  test('with `better` moves the head only to what is measurably better, while the loop goes on', async () => {
    const done = await run({ stages: [stage({ steps: 24, group: 16, promote: { when: 'better' } })] });
    const promoted = done.of('promoted').map(({ step }) => step);
    expect(promoted.length).toBeGreaterThan(0);
    expect(promoted.every((step) => step % 4 === 0)).toBe(true);
    expect(done.of('promotion-held').every(({ reason }) => reason.startsWith('not better: eval/reward'))).toBe(true);
    expect(done.of('promotion-held').length + promoted.length).toBe(6);
    expect((await done.model.checkpoints()).map(({ parent }) => parent)).toEqual([null, ...Array.from({ length: 23 }, (_, index) => `step-${String(index + 1).padStart(6, '0')}`)]);
    expect(done.result.head).toBe(`step-${String(promoted.at(-1)).padStart(6, '0')}`);
  });
});

describe('an eval stage', () => {
  const gated = stage({ steps: 24, group: 16, promote: { when: 'better' } });

  test('measures the head, which the gate may have kept behind; the next stage goes on from the weights of the last step', async () => {
    const check = stage({ name: 'check', kind: 'eval', steps: 0 });
    const done = await run({ stages: [gated, check, stage({ name: 'more', kind: 'sft', steps: 1, eval: { every: 0 } })] });
    const { head } = await run({ stages: [gated] }).then(({ result }) => result);
    expect(head).not.toBe('step-000024');
    const measured = done.rows.find(({ stage: name }) => name === 'check')!;
    expect(measured.checkpoint).toBe(head);
    const whenMade = done.rows.find(({ kind, step }) => kind === 'step' && step === Number(head!.slice(-6)))!;
    expect(measured.metrics['eval/reward']).toBe(whenMade.metrics['eval/reward']);
    expect((await done.model.checkpoints()).at(-1)).toMatchObject({ id: 'step-000025', parent: 'step-000024' });
  });

  test('is what the job is judged by at its end, as long as the head is what it measured', async () => {
    const { result, rows } = await run({ stages: [gated, stage({ name: 'check', kind: 'eval', steps: 0 })] });
    expect(result.after).toEqual(rows.at(-1)!.metrics);
    const plain = await run({ stages: [gated] });
    // The row of a step has more than that; what the job says of itself is the same.
    expect(plain.result.after).toEqual(rows.at(-1)!.metrics);
    expect(plain.rows.at(-1)!.metrics['eval/reward']).not.toBe(plain.result.after!['eval/reward']);
  });
});

describe('a policy that collapses', () => {
  // From the tenth step on the reward is for nonsense, so the held-out score (by the same judge, but of greedy answers) falls.
  const poisoned = () => {
    let calls = 0;
    return { scorer: letterScorer((completion, task) => (++calls > 900 ? Number(completion === '') : Number(completion[0] === task.answer))) };
  };

  test('is rolled back to the best weights that can still be read', async () => {
    const stages = [stage({ steps: 22, group: 12, train: { learningRate: 0.4 }, eval: { every: 2, samples: 0 } })];
    const best = (await run({ stages, materials: poisoned })).of('rolled-back')[0]!.to!;
    const done = await run({
      ...{ stages, materials: poisoned },
      prepare: ({ model }) => {
        const { verifiedDirectory } = model;
        model.verifiedDirectory = async (id) => (id === best ? Promise.reject(Object.assign(new Error(`checkpoint ${best} is damaged`), { fix: 'Move the head' })) : verifiedDirectory(id));
      },
    });
    expect(done.of('warning')).toContainEqual(expect.objectContaining({ code: 'rollback_impossible', message: `no rollback: checkpoint ${best} is damaged`, fix: 'Move the head' }));
    const [back] = done.of('rolled-back');
    const second = done.rows.filter(({ step, metrics }) => step <= back!.step && metrics['eval/reward'] !== undefined && `step-${String(step).padStart(6, '0')}` !== best).reduce((a, b) => (b.metrics['eval/reward']! > a.metrics['eval/reward']! ? b : a));
    expect(back!.to ?? 'step-000000').toBe(`step-${String(second.step).padStart(6, '0')}`);
  });

  test('is rolled back to its best weights with the reason in words, and learns on at half the rate', async () => {
    const stages = [stage({ steps: 22, group: 12, train: { learningRate: 0.4 }, eval: { every: 2, samples: 0 } })];
    const done = await run({ stages, materials: poisoned });
    const [back] = done.of('rolled-back');
    expect(back).toMatchObject({ reason: expect.stringMatching(/^the held-out score fell from \d\.\d{3} \(step \d+\) to \d\.\d{3}, beyond both confidence intervals$/) });
    const best = done.rows.filter(({ step }) => step <= back!.step).reduce((a, b) => ((b.metrics['eval/reward'] ?? -1) > (a.metrics['eval/reward'] ?? -1) ? b : a));
    expect(back!.to).toBe(`step-${String(best.step).padStart(6, '0')}`);
    const after = done.rows.find(({ step, kind }) => step > back!.step && kind !== 'rollback');
    expect(after!.metrics['learning_rate']).toBeCloseTo(0.2, 12);
    const next = (await done.model.checkpoints()).find(({ step }) => step === after!.step);
    if (next) expect(next.parent).toBe(back!.to);
  });
});

describe('people at the screen', () => {
  const at = (step: number, action: (panel: ControlPanel) => void): NonNullable<Run['prepare']> => ({ panel, on }) =>
    on((type, seen) => type === 'step-finished' && seen === step && action(panel));

  test('can roll back to a checkpoint: the head and the weights go there, and the next step grows from it', async () => {
    const done = await run({ stages: [stage({ steps: 5 })], prepare: at(4, ({ controls }) => controls.rollbackTo('step-000002')) });
    expect(done.of('rolled-back')).toMatchObject([{ step: 4, from: 'step-000004', to: 'step-000002', reason: 'asked for at the screen' }]);
    expect((await done.model.checkpoints()).at(-1)).toMatchObject({ id: 'step-000005', parent: 'step-000002' });
  });

  // After a step without an evaluation, the next rollouts are already being drawn when the rollback comes: they are not what a resumed job draws.
  test.each([['an evaluation', 4], ['a plain step', 3]])('a rollback that was asked for after %s survives a resume', async (_, step) => {
    const stages = [stage({ steps: 6 })];
    const whole = await run({ stages, prepare: at(step, ({ controls }) => controls.rollbackTo('step-000001')) });
    const first = await run({
      stages,
      prepare: (parts) => {
        at(step, ({ controls }) => controls.rollbackTo('step-000001'))(parts);
        parts.on((type, seen) => type === 'step-started' && seen === step + 1 && parts.panel.controls.stop());
      },
    });
    const second = await run({ stages, root: first.root, resume: true });
    expect(weightsOf(second)).toBe(weightsOf(whole));
    expect(second.result.head).toBe(whole.result.head);
  });

  test('can ask for an evaluation, and pause', async () => {
    const done = await run({
      stages: [stage({ steps: 3, eval: { every: 0 } })],
      prepare: (parts) => {
        at(1, ({ controls }) => (controls.evaluateNow(), controls.pause()))(parts);
        parts.on((type) => type === 'job-paused' && queueMicrotask(() => parts.panel.controls.resume()));
      },
    });
    expect(done.rows.map(({ kind, step }) => [kind, step])).toEqual([['baseline', 0], ['step', 1], ['evaluation', 1], ['step', 2], ['step', 3]]);
    expect(done.of('job-paused')).toHaveLength(1);
    expect(done.of('job-continued')).toHaveLength(1);
  });
});

describe('stages', () => {
  const curriculum = [
    stage({ name: 'warm-up', kind: 'sft', steps: 3, batch: 12, train: { learningRate: 0.2 }, eval: { every: 0 } }),
    stage({ name: 'check', kind: 'eval', steps: 0 }),
    stage({ name: 'practice', steps: 4, guard: { target: 0.9 }, eval: { every: 1 } }),
    stage({ name: 'more', steps: 2, eval: { every: 0 } }),
  ];

  test('follow each other, each under its own settings; one that reaches its target makes way', async () => {
    const done = await run({ stages: curriculum });
    expect(done.of('stage-finished').map(({ name }) => name)).toEqual(['warm-up', 'check', 'practice', 'more']);
    expect(done.rows.filter(({ stage: name }) => name === 'check')).toMatchObject([{ kind: 'evaluation', step: 3 }]);
    expect(done.result.after!['eval/accuracy']).toBeGreaterThan(0.9);
    expect(done.result.reason).toMatch(/practice: the held-out score reached/);
    expect(done.rows.filter(({ stage: name }) => name === 'practice').length).toBeLessThan(4);
    expect(done.rows.at(-1)).toMatchObject({ stage: 'more' });
  });

  test('are compared with what was measured by the same question only', async () => {
    const other = { taskset: { args: { harder: true } } };
    const stages = [
      stage({ name: 'easy', steps: 6, eval: { every: 3 } }),
      stage({ name: 'hard', steps: 3, eval: { every: 1 }, promote: { when: 'better' }, ...other }),
      stage({ name: 'easy again', steps: 1, eval: { every: 1 }, promote: { when: 'better' } }),
    ];
    const done = await run({ stages });
    const baselines = done.rows.filter(({ kind }) => kind === 'baseline');
    expect(baselines.map(({ stage: name, step }) => [name, step])).toEqual([['easy', 0], ['hard', 6]]);
    const bars = done.of('promotion-held').map(({ step, reason }) => [step, /the head's (\d\.\d+)/.exec(reason)?.[1]]);
    const score = (name: string, step: number) => done.rows.find((row) => row.stage === name && row.step === step)!.metrics['eval/reward']!.toFixed(3);
    for (const [step, bar] of bars) expect(bar, `step ${step}`).toBe(step === 10 ? score('easy', 6) : score('hard', 6));
    expect(bars.length).toBeGreaterThan(0);
    expect(done.result.before).toEqual(baselines[0]!.metrics);
  });

  test('are found again when the job is resumed in the middle of one', async () => {
    const whole = await run({ stages: curriculum });
    const first = await run({ stages: curriculum, prepare: ({ panel, on }) => on((type, step) => type === 'step-finished' && step === 4 && panel.controls.finish()) });
    const second = await run({ stages: curriculum, root: first.root, resume: true });
    expect(second.of('stage-started').map(({ name }) => name)).toEqual(whole.of('stage-started').map(({ name }) => name).slice(2));
    expect(weightsOf(second)).toBe(weightsOf(whole));
  });
});
