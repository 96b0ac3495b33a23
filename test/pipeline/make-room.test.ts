import { expect, test } from 'vitest';
import type { MetricsRow } from '../../src/events.ts';
import type { Checkpoint } from '../../src/models/types.ts';
import { History } from '../../src/pipeline/history.ts';
import { makeRoom } from '../../src/pipeline/make-room.ts';
import { pipeline, recorder, stage } from './fakes.ts';

const row = (step: number, metrics: Record<string, number> = {}, changes: Partial<MetricsRow> = {}): MetricsRow => ({ step, time: step, stage: 'grpo', kind: 'step', metrics, ...changes });

/** Runs it over rows whose steps made `made-1`, `made-2`, …; returns what it asked to spare and what it told. */
async function room(rows: readonly MetricsRow[], { stages = [stage()], pruned = [] as Partial<Checkpoint>[] } = {}) {
  const start = { checkpoint: 'begun', step: 5 };
  const history = new History({ start, stages });
  history.take(rows, new Map(rows.filter(({ kind }) => kind === 'step').map(({ step }) => [step, { id: `made-${step}` } as Checkpoint])));
  const { emit, of } = recorder();
  let asked: { maxBytes: number; spare: () => ReadonlySet<string> } | null = null;
  const model = { pruneTo: async (options: NonNullable<typeof asked>) => ((asked = options), { pruned: pruned as Checkpoint[], bytes: 7 }) };
  await makeRoom(history, { jobId: 'this-job', start, pipeline: pipeline(stages, 1), model: model as never, emit });
  return { maxBytes: asked!.maxBytes, spared: [...asked!.spare()], told: of('checkpoints-pruned') };
}

test('of all that was measured the best stays, with what the job began with', async () => {
  const rows = [row(1, { 'eval/reward': 0.2 }), row(2, { 'eval/reward': 0.6 }), row(3), row(4, { 'eval/reward': 0.5 })];
  expect(await room(rows)).toMatchObject({ maxBytes: 1e9, spared: ['begun', 'made-4', 'made-2'], told: [] });
  expect((await room([row(0, { 'eval/reward': 0.9 }, { kind: 'baseline' }), ...rows])).spared).toEqual(['begun', 'made-4']);
});

test('without a measurement it is what a rollback would put back: what drew the best-rewarded rollouts', async () => {
  expect((await room([row(1, { reward: 0.5 }), row(2, { reward: 0.9 }), row(3, { reward: 0.7 })])).spared).toEqual(['begun', 'made-3', 'made-1']);
});

test('stages that ask different questions keep their best each', async () => {
  const stages = [stage({ name: 'warm-up', kind: 'sft', reward: [{ name: 'other', weight: 1, kind: 'exact_match' }] as never }), stage()];
  const rows = [row(1, { 'eval/reward': 0.9 }, { stage: 'warm-up' }), row(2, { 'eval/reward': 0.1 }, { stage: 'warm-up' }), row(3, { 'eval/reward': 0.2 }), row(4, { 'eval/reward': 0.1 })];
  expect((await room(rows, { stages })).spared).toEqual(['begun', 'made-4', 'made-1', 'made-3']);
});

test('what earlier jobs made is named', async () => {
  const pruned = [{ id: 'a', name: 'step-000001', jobId: 'before' }, { id: 'b', name: 'step-000002', jobId: 'this-job' }];
  expect((await room([], { pruned })).told).toMatchObject([{ checkpoints: ['a', 'b'], earlier: ['step-000001'], bytes: 7, maxBytes: 1e9 }]);
});
