import { describe, expect, test } from 'vitest';
import type { CheckpointSummary } from '../../src/events.ts';
import { bestCheckpoint, headOf, placeCheckpoints, renderCheckpoints } from '../../src/report/checkpoints.ts';
import { began, event, job } from './support.ts';

const node = (id: string, parent: string | null, step: number, evalReward: number | null = null): CheckpointSummary => ({ id, name: `step-${id}`, parent, step, meanReward: 0.5, evalReward });
const lanes = (nodes: CheckpointSummary[], head: string | null) => Object.fromEntries(placeCheckpoints(nodes, head).map(({ checkpoint, lane }) => [checkpoint.id, lane]));

describe('lanes', () => {
  test('the way to the head runs straight, what was left behind branches off', () => {
    // a ─ b ─ e ─ f(head)
    //      └ c ─ d
    const nodes = [node('a', null, 1), node('b', 'a', 2), node('c', 'b', 3), node('d', 'c', 4), node('e', 'b', 5), node('f', 'e', 6)];
    expect(lanes(nodes, 'f')).toEqual({ a: 0, b: 0, c: 1, d: 1, e: 0, f: 0 });
  });

  test('branches that do not overlap share a lane, others get their own', () => {
    const nodes = [node('a', null, 1), node('x', 'a', 2), node('b', 'a', 3), node('c', 'b', 6), node('y', 'c', 7), node('z', 'c', 8), node('d', 'c', 9)];
    expect(lanes(nodes, 'd')).toEqual({ a: 0, x: 1, b: 0, c: 0, y: 2, z: 1, d: 0 });
  });

  test('an unknown head or parent is no trouble: the newest leads', () => {
    expect(lanes([node('b', 'gone', 2), node('c', 'b', 3)], 'elsewhere')).toEqual({ b: 0, c: 0 });
    expect(placeCheckpoints([], null)).toEqual([]);
  });

  test('parents that run in a circle end', () => expect(lanes([node('a', 'b', 1), node('b', 'a', 2)], 'b')).toEqual({ a: 0, b: 0 }));
});

describe('head', () => {
  const promoted = event('promoted', { step: 1, checkpoint: 'a', previous: null, reason: '' }, began + 1);
  const back = event('rolled-back', { step: 2, from: 'a', to: null, head: null, reason: '' }, began + 2);
  const finished = (head: string, time: number) => event('job-finished', { status: 'completed', reason: '', steps: 1, head, before: null, after: null, durationMs: 1, resumeCommand: null }, time);

  test('is the last move', () => {
    expect(headOf(job({ events: { promoted: [promoted] } }))).toBe('a');
    expect(headOf(job({ events: { promoted: [promoted], 'rolled-back': [back] } }))).toBeNull();
    expect(headOf(job({ meta: { start: { checkpoint: 'z', step: 3 } } }))).toBe('z');
  });

  test('is what the job said at its end, unless it went on after that', () => {
    expect(headOf(job({ events: { promoted: [promoted], 'job-finished': [finished('q', began + 9)] } }))).toBe('q');
    expect(headOf(job({ events: { promoted: [{ ...promoted, time: began + 20 }], 'job-finished': [finished('q', began + 9)] } }))).toBe('a');
  });
});

test('the best is the first of the highest; none without a measurement', () => {
  expect(bestCheckpoint([node('a', null, 1, 0.2), node('b', 'a', 2, 0.7), node('c', 'b', 3, 0.7)])?.id).toBe('b');
  expect(bestCheckpoint([node('a', null, 1)])).toBeNull();
});

test('a thousand checkpoints are a line with those that matter on it', () => {
  const nodes = Array.from({ length: 1000 }, (_, i) => node(String(i), i === 0 ? null : String(i - 1), i + 1, i % 100 === 99 ? i / 1000 : null));
  const markup = renderCheckpoints(job({ checkpoints: nodes }))!.markup;
  expect(markup.match(/<circle class="node"/g)).toHaveLength(11);
  expect(markup).toContain('989 others lie between them');
  expect(markup).not.toContain('NaN');
});
