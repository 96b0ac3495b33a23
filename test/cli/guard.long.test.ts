/** What guards and gates do to a real job: it ends when it is good enough, and goes back when it got worse. */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { beforeAll, expect, test } from 'vitest';
import type { EventType, JobEvent } from '../../src/events.ts';
import { build, fromHome, workspace } from './binary.ts';

beforeAll(build, 180_000);

const arith = fromHome('pipelines/arith.yaml');
/** Seventeen times its learning rate, and that at once. */
const TOO_FAST = ['--set', 'train.learning_rate=5e-3', '--set', 'train.schedule.warmup=5', '--set', 'steps=10'];
const score = (metrics: JobEvent<'job-finished'>['after']): number => metrics!['eval/reward']!;

test('a job ends at its target, and one that goes too fast from there goes back to where it began', async () => {
  await using folder = await workspace();
  const job = async (...sets: string[]) => {
    const { stdout, stderr, exitCode } = await folder.run(arith, '--json', '--set', 'eval.every=5', ...sets);
    expect({ exitCode, stderr }).toEqual({ exitCode: 0, stderr: '' });
    const events = stdout.trim().split('\n').map((line) => JSON.parse(line) as JobEvent);
    const all = <K extends EventType>(type: K): JobEvent<K>[] => events.filter((event) => event.type === type) as unknown as JobEvent<K>[];
    return { all, end: all('job-finished')[0]! };
  };
  const headNow = async () => (JSON.parse((await folder.run('models', 'head', 'arith-rl', '--json')).stdout) as { checkpoint: { id: string; name: string } }).checkpoint;

  // Early stop: long before its 400 steps, at the first measurement that reaches the target.
  const stopped = await job('--set', 'guard.target=0.56');
  const good = stopped.all('eval-finished').at(-1)!.metrics['eval/reward']!;
  expect(good).toBeGreaterThanOrEqual(0.56);
  expect(stopped.end).toMatchObject({ status: 'completed', reason: `the held-out score reached ${good.toFixed(3)}; the target was 0.56`, head: stopped.all('checkpoint-saved').at(-1)!.checkpoint.id, resumeCommand: null });
  expect(stopped.end.steps).toBeLessThan(100);
  const before = await headNow();
  expect(before.id).toBe(stopped.end.head);

  // Two rollbacks to what was there before; the first checkpoint of each new start is a child of it.
  const fast = await job(...TOO_FAST);
  const backs = fast.all('rolled-back');
  const collapsed = fast.all('eval-finished').filter(({ baseline }) => !baseline);
  expect(backs.map(({ step, to }) => [step, to])).toEqual([[5, before.id], [10, before.id]]);
  for (const [index, { reason, from }] of backs.entries()) {
    expect(reason).toBe(`the held-out score fell from ${good.toFixed(3)} (step 0) to ${collapsed[index]!.metrics['eval/reward']!.toFixed(3)}, beyond both confidence intervals`);
    expect(fast.all('checkpoint-saved').find(({ step }) => step === backs[index]!.step)!.checkpoint.id).toBe(from);
  }
  expect(fast.all('checkpoint-saved').filter(({ checkpoint }) => checkpoint.parent === before.id).map(({ step }) => step)).toEqual([1, 6]);
  const rates = fast.all('step-finished').map(({ metrics }) => metrics['learning_rate']!);
  // Half the rate, one step further up the warm-up.
  expect(rates[5]! / rates[4]!).toBeCloseTo((0.5 * 6) / 5, 3);

  // The head, and what the job says of it, are those of before.
  expect(fast.end).toMatchObject({ status: 'completed', head: before.id });
  expect(score(fast.end.after)).toBe(good);
  expect(score(fast.end.before)).toBe(good);
  expect(await headNow()).toMatchObject(before);
  const [listed] = (await folder.run('jobs', 'latest', '--json')).stdout.split('\n');
  expect(JSON.parse(listed!)).toMatchObject({ before: good, after: good });
  await folder.run('report', 'latest', '--out', 'report.html');
  const page = await readFile(join(folder.cwd, 'report.html'), 'utf8');
  expect(page).toContain(`The held-out reward stayed at ${good.toFixed(3)}.`);
  expect(page).toContain('The head is where the job began.');
});

test('`promote: better` moves the head only where the held-out score rose above the interval of the head', async () => {
  await using folder = await workspace();
  const { stdout, exitCode } = await folder.run(arith, '--json', '--set', 'eval.every=2', '--set', 'steps=10', '--set', 'promote.when=better');
  expect(exitCode).toBe(0);
  const events = stdout.trim().split('\n').map((line) => JSON.parse(line) as JobEvent);
  let bar = 0;
  let head: string | null = null;
  let decisions = 0;
  const measured = new Map<number, JobEvent<'eval-finished'>>();
  for (const event of events) {
    if (event.type === 'eval-finished') {
      if (event.baseline) bar = event.interval[1];
      else measured.set(event.step, event);
    }
    if (event.type !== 'promoted' && event.type !== 'promotion-held') continue;
    const { metrics, interval } = measured.get(event.step)!;
    const isBetter = metrics['eval/reward']! > bar;
    expect([event.step, event.type, event.reason]).toEqual([event.step, isBetter ? 'promoted' : 'promotion-held', expect.stringMatching(isBetter ? /^better: / : /^not better: /)]);
    if (event.type === 'promoted') [head, bar] = [event.checkpoint, interval[1]];
    decisions++;
  }
  // Only measured steps are decided on; the others make checkpoints all the same.
  expect(decisions).toBe(5);
  expect(events.filter(({ type }) => type === 'checkpoint-saved')).toHaveLength(10);
  expect(head).not.toBeNull();
  expect(events.findLast((event) => event.type === 'job-finished')).toMatchObject({ head });
  const step = events.find((event) => event.type === 'checkpoint-saved' && event.checkpoint.id === head) as JobEvent<'checkpoint-saved'>;
  const [listed] = (await folder.run('jobs', 'latest', '--json')).stdout.split('\n');
  expect(JSON.parse(listed!)).toMatchObject({ after: score(measured.get(step.step)!.metrics) });
});
