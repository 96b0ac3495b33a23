import { describe, expect, test } from 'vitest';
import { learningRate, tasksOfStep } from '../../src/pipeline/schedule.ts';
import { stage } from './fakes.ts';

describe('the tasks of a step', () => {
  const order = { seed: 7, count: 10, batch: 4 };
  const firstSteps = [1, 2, 3, 4, 5].flatMap((step) => tasksOfStep(step, order));

  test('visit every task once per epoch, in another order each time', () => {
    const [first, second] = [firstSteps.slice(0, 10), firstSteps.slice(10)];
    expect([...first].sort((a, b) => a - b)).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 8, 9]);
    expect([...second].sort((a, b) => a - b)).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 8, 9]);
    expect(second).not.toEqual(first);
  });

  test('follow from the step alone, and differ by seed', () => {
    expect(tasksOfStep(3, order)).toEqual(firstSteps.slice(8, 12));
    expect(tasksOfStep(1, { ...order, seed: 8 })).not.toEqual(tasksOfStep(1, order));
  });
});

describe('the learning rate', () => {
  const rates = (schedule: { kind: 'constant' | 'linear' | 'cosine'; warmup: number; final: number }) => {
    const { train } = stage({ train: { learningRate: 1, schedule } });
    return Array.from({ length: 9 }, (_, index) => Number(learningRate(train, index + 1, 9).toFixed(4)));
  };

  test('stays, falls in a line, or falls along a cosine, after its warm-up', () => {
    expect(rates({ kind: 'constant', warmup: 3, final: 0 })).toEqual([0.25, 0.5, 0.75, 1, 1, 1, 1, 1, 1]);
    expect(rates({ kind: 'linear', warmup: 0, final: 0.2 })).toEqual([1, 0.9, 0.8, 0.7, 0.6, 0.5, 0.4, 0.3, 0.2]);
    expect(rates({ kind: 'cosine', warmup: 0, final: 0 })).toEqual([1, 0.9619, 0.8536, 0.6913, 0.5, 0.3087, 0.1464, 0.0381, 0]);
  });
});
