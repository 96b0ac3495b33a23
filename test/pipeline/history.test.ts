import { expect, test } from 'vitest';
import type { MetricsRow } from '../../src/events.ts';
import type { Checkpoint } from '../../src/models/types.ts';
import { History } from '../../src/pipeline/history.ts';
import { stage } from './fakes.ts';

const row = (step: number, changes: Partial<MetricsRow>): MetricsRow => ({ step, time: step, stage: 'grpo', kind: 'step', metrics: {}, ...changes });

function historyOf(rows: readonly MetricsRow[]): History {
  const history = new History({ start: { checkpoint: 'begun', step: 5 }, stages: [stage()] });
  history.rows.push(...rows);
  for (const { kind, step } of rows) if (kind === 'step') history.made.set(step, { id: `made-${step}` } as Checkpoint);
  return history;
}

test('a job that began at a checkpoint and was rolled back to the base stands at the base', () => {
  const history = historyOf([row(1, { promoted: true }), row(1, { kind: 'rollback', checkpoint: null, promoted: true })]);
  expect(history.standing()).toEqual({ weights: null, head: null });
  expect(historyOf([]).standing()).toEqual({ weights: 'begun', head: 'begun' });
});

test('without evaluations the best weights are those that drew the best-rewarded rollouts', () => {
  const rewards = (...values: number[]) => historyOf(values.map((reward, index) => row(index + 1, { metrics: { reward } }))).bestWeights(stage());
  expect(rewards(0.5, 0.9, 0.7)).toBe('made-1');
  expect(rewards(0.9, 0.5, 0.7)).toBe('begun');
  const rolledBack = [row(1, { metrics: { reward: 0.1 } }), row(1, { kind: 'rollback', checkpoint: null }), row(2, { metrics: { reward: 0.9 } })];
  expect(historyOf(rolledBack).bestWeights(stage())).toBeNull();
});
