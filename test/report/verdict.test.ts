import { describe, expect, test } from 'vitest';
import { nextCommands, reproduceCommand, resumeCommand } from '../../src/report/commands.ts';
import { together } from '../../src/report/header.ts';
import { changeOf, durationOf, reasonOf, stepsOf, verdictOf } from '../../src/report/verdict.ts';
import { wilsonInterval } from '../../src/util/statistics.ts';
import { began, event, held, job, row } from './support.ts';

const checkpoint = (step: number, evalReward: number | null) => ({ id: `c${step}`, name: `step-00000${step}`, parent: step > 1 ? `c${step - 1}` : null, step, meanReward: 0.5, evalReward });

describe('verdict', () => {
  test('better when the whole interval of the change lies above 0', () => {
    const verdict = verdictOf(job({ rows: [row(0, held(0.4)), row(2, held(0.6))], events: { 'eval-finished': [event('eval-finished', { step: 2, metrics: {}, tasks: 500, interval: [0, 1], baseline: false })] } }));
    expect(verdict).toMatchObject({ outcome: 'better', sentence: 'The held-out reward rose from 0.400 to 0.600.', detail: 'Measured on 500 held-out tasks.' });
    expect(verdict.change!.low).toBeCloseTo(0.2 - Math.hypot(0.05, 0.05), 12);
  });

  test('unclear when it holds 0, even if the score lies above the interval of the start', () => {
    expect(verdictOf(job({ rows: [row(0, held(0.4)), row(2, held(0.46))] }))).toMatchObject({ outcome: 'unclear', sentence: 'The held-out reward went from 0.400 to 0.460, which may be chance.' });
    expect(verdictOf(job({ rows: [row(0, held(0.4)), row(2, held(0.4))] })).sentence).toBe('The held-out reward stayed at 0.400.');
  });

  test('worse names the best that was left behind, and the head when it is another', () => {
    const verdict = verdictOf(job({
      rows: [row(0, held(0.6)), row(1, held(0.8)), row(3, held(0.3))],
      checkpoints: [checkpoint(1, 0.8), checkpoint(3, 0.3)],
      events: { promoted: [event('promoted', { step: 1, checkpoint: 'c1', previous: null, reason: 'better' })] },
    }));
    expect(verdict).toMatchObject({ outcome: 'worse', sentence: 'The held-out reward fell from 0.600 to 0.300.', detail: 'The best was 0.800 at step 1. The head is step-000001, at 0.800.' });
  });

  test('a job that is over says what its head scores, whatever was measured last', () => {
    const rows = [row(0, held(0.5)), row(1, held(0.8)), row(3, held(0.1)), row(3, {}, { kind: 'rollback', checkpoint: 'c1', reason: 'the held-out score fell' })];
    const rolledBack = (to: string | null) => ({ 'rolled-back': [event('rolled-back', { step: 3, from: 'c3', to, head: to, reason: '' })] });
    const checkpoints = [checkpoint(1, 0.8), checkpoint(3, 0.1)];
    const back = verdictOf(job({ rows, checkpoints, meta: { before: held(0.5), after: held(0.8) }, events: rolledBack('c1') }));
    expect(back).toMatchObject({ outcome: 'better', sentence: 'The held-out reward rose from 0.500 to 0.800.', detail: 'The head is step-000001.', after: { value: 0.8, low: 0.75, high: 0.8 + 0.05 } });
    const start = verdictOf(job({ rows: rows.slice(0, 1).concat(rows.slice(2)), checkpoints, meta: { before: held(0.5), after: held(0.5) }, events: rolledBack(null) }));
    expect(start).toMatchObject({ outcome: 'unclear', sentence: 'The held-out reward stayed at 0.500.', detail: 'The head is where the job began.' });
    // It may run still, or again.
    expect(verdictOf(job({ rows, meta: { status: 'running', before: held(0.5), after: held(0.8) } })).sentence).toBe('The held-out reward fell from 0.500 to 0.100.');
  });

  test('without intervals the numbers decide', () => {
    expect(verdictOf(job({ rows: [row(0, { 'eval/reward': 0.1 }), row(2, { 'eval/reward': 0.2 })] }))).toMatchObject({ outcome: 'better', change: { low: null, high: null } });
  });

  test('says what was measured when it is less', () => {
    expect(verdictOf(job({ rows: [row(2, held(0.4))] })).sentence).toBe('The held-out reward is 0.400.');
    expect(verdictOf(job({ rows: [row(1, { reward: 0.1 }), row(2, { reward: 0.3 })] })).sentence).toBe('The training reward went from 0.200 to 0.200.');
    expect(verdictOf(job({ rows: [row(1, { policy_loss: 3 }), row(2, { policy_loss: 1 })] })).sentence).toBe('The loss went from 3.000 to 1.000.');
    expect(verdictOf(job()).sentence).toBe('No step was finished.');
    expect(verdictOf(job({ rows: [row(0, held(0.4))] })).sentence).toBe('No step was finished.');
  });

  test('the interval of a change is that of Newcombe for proportions (his table II, 56/70 against 48/80)', () => {
    const share = (right: number, of: number) => {
      const [low, high] = wilsonInterval(right, of);
      return { step: 1, value: right / of, low, high, isBaseline: false };
    };
    const change = changeOf(share(48, 80), share(56, 70));
    expect(change.low).toBeCloseTo(0.0524, 4);
    expect(change.high).toBeCloseTo(0.3339, 4);
  });
});

describe('together', () => {
  const pipeline = (more: object = {}) => ({ name: 'sums', file: '/a.yaml', stages: [], seed: 1, ...more }) as never;
  const seed = (number: number, value: number, more: object = {}) => job({ pipeline: pipeline({ seed: number, ...more }), meta: { seed: number, id: `job-${number}` }, rows: [row(0, held(0.2)), row(1, held(value))] });
  const say = (...jobs: ReturnType<typeof job>[]) => together(jobs, jobs.map(verdictOf));

  test('a mean when nothing but the seed differs', () => expect(say(seed(1, 0.4), seed(2, 0.6))).toBe('Held-out reward from 0.200 to 0.500 ± 0.141 over 2 seeds.'));
  test('no mean over one seed twice', () => expect(say(seed(1, 0.4), seed(1, 0.6))).toBe('job-1 ends highest, at a held-out reward of 0.600.'));
  test('the highest when settings differ', () => expect(say(seed(1, 0.7), seed(2, 0.6, { device: 'webgpu' }))).toBe('job-1 ends highest, at a held-out reward of 0.700.'));
  test('neither when the rewards differ', () => {
    const other = job({ meta: { hashes: { config: '', taskset: 't'.repeat(64), reward: 'another' } }, rows: [row(1, held(1))] });
    expect(say(seed(1, 0.7), other)).toBe('2 jobs that do not measure the same thing.');
  });
  test('how many were measured, when not all were', () => expect(say(seed(1, 0.7), job())).toBe('2 jobs, 1 of them measured on held-out tasks.'));
});

describe('commands', () => {
  test('the same run again begins where this one began, not at the head', () => {
    expect(reproduceCommand(job({ meta: { argv: ['rlrun', 'my sums.yaml', '--resume', '--json', '--set', "name=it's"] } }))).toBe("rlrun 'my sums.yaml' --set 'name=it'\\''s' --from base");
    expect(reproduceCommand(job({ meta: { start: { checkpoint: 'c9', step: 9 } } }))).toBe('rlrun sums.yaml --from c9');
    expect(reproduceCommand(job({ meta: { argv: ['rlrun', 'sums.yaml', '--from', 'base'] } }))).toBe('rlrun sums.yaml --from base');
    expect(reproduceCommand(job({ meta: { argv: ['rlrun', 'sums.yaml', '--from', 'base', '--watch'], parent: 'other', start: { checkpoint: 'c3', step: 3 } } }))).toBe('rlrun sums.yaml --from c3');
  });

  test('only what did not finish can be resumed', () => {
    expect(resumeCommand(job())).toBeNull();
    expect(resumeCommand(job({ meta: { status: 'running' } }))).toBeNull();
    expect(resumeCommand(job({ meta: { status: 'interrupted', argv: ['rlrun', 'sums.yaml', '--from', 'base', '--no-tui'] } }))).toBe('rlrun sums.yaml --resume');
  });

  test('use, export, and the better checkpoint if the head is not the best', () => {
    const finished = event('job-finished', { status: 'completed', reason: '', steps: 2, head: 'c2', before: null, after: null, durationMs: 1, resumeCommand: null });
    const stages = [{ agent: { kind: 'completion' } }];
    const told = job({ checkpoints: [checkpoint(1, 0.9), checkpoint(2, 0.4)], events: { 'job-finished': [finished] }, pipeline: { stages } as never });
    expect(nextCommands(told, ['two\nlines', '1+1=']).map(({ words }) => words)).toEqual([
      'rlrun sample sums-rl 1+1=', 'rlrun models head sums-rl --set step-000001', 'rlrun models export sums-rl --out ./sums-rl', 'rlrun sums.yaml --from base',
    ]);
    expect(nextCommands(job(), ['1+1='])[0]!.words).toBe("rlrun sample sums-rl 'your prompt'");
  });
});

test('progress of a job that was killed is what it wrote down', () => {
  const killed = job({ meta: { status: 'interrupted', endedAt: null, reason: null, steps: 0, totalSteps: 9 }, rows: [row(0, {}), row(5, { reward: 1 })] });
  expect([stepsOf(killed), durationOf(killed), reasonOf(killed)]).toEqual(['5 of 9 steps', '5.0s', 'its process is gone']);
  expect(durationOf(job({ meta: { endedAt: null, startedAt: new Date(began).toISOString() } }))).toBeNull();
});
