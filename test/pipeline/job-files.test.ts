import { existsSync } from 'node:fs';
import { appendFile, mkdtemp, readFile, readdir, rm, symlink } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import type { JobEvent, MetricsRow, Rollout } from '../../src/events.ts';
import { openJobFiles } from '../../src/pipeline/job-files.ts';

async function folder(): Promise<string> {
  const directory = await mkdtemp(join(tmpdir(), 'rlrun-files-'));
  onTestFinished(() => rm(directory, { recursive: true }));
  return directory;
}

const row = (step: number): MetricsRow => ({ step, time: 0, stage: 'grpo', kind: 'step', metrics: { reward: step } });
const log = (message: string): JobEvent => ({ type: 'log', time: 0, level: 'info', message });
const rollout: Rollout = { id: 'r', taskId: 't', groupId: 'g', prompt: '1+1=', completion: '2', turns: [], status: 'completed', stopReason: 'done', reward: 1, subscores: [] };

test('what `durable` waited for is in the files, in the order in which it came', async () => {
  const directory = await folder();
  const files = openJobFiles(directory, { create: true });
  for (const step of [1, 2, 3]) {
    files.appendMetrics(row(step));
    files.appendEvent(log(`step ${step}`));
  }
  files.writeRollouts(3, [rollout]);
  await files.durable();
  expect((await files.readMetrics()).rows.map(({ step }) => step)).toEqual([1, 2, 3]);
  expect(await files.readRollouts(3)).toEqual([rollout]);
  expect(await readdir(join(directory, 'rollouts'))).toEqual(['step-000003.jsonl']);
  files.close();
  expect((await readFile(join(directory, 'events.jsonl'), 'utf8')).match(/step \d/g)).toEqual(['step 1', 'step 2', 'step 3']);
});

test.skipIf(!existsSync('/dev/full'))('on a full disk events are lost, and metrics and rollouts say so, once each', async () => {
  const directory = await folder();
  for (const name of ['events.jsonl', 'metrics.jsonl']) await symlink('/dev/full', join(directory, name));
  const files = openJobFiles(directory, { create: true });
  files.appendEvent(log('hello'));
  await files.durable();
  files.appendMetrics(row(1));
  await expect(files.durable()).rejects.toMatchObject({ code: 'ENOSPC' });
  files.writeRollouts(1, [rollout]);
  await files.durable();
  await rm(join(directory, 'rollouts'), { recursive: true });
  files.writeRollouts(2, [rollout]);
  await expect(files.durable()).rejects.toMatchObject({ code: 'ENOENT' });
  files.close();
});

test('a line that was torn by a sudden end is cut off by the next one, however long it is', async () => {
  const directory = await folder();
  const write = async (step: number) => {
    const files = openJobFiles(directory, { create: true });
    files.appendMetrics(row(step));
    await files.durable();
    files.close();
    return files.readMetrics();
  };
  await write(1);
  for (const torn of ['{"step":2,"ti', 'x'.repeat(200_000)]) {
    await appendFile(join(directory, 'metrics.jsonl'), torn);
    expect((await openJobFiles(directory).readMetrics()).rows.map(({ step }) => step)).toEqual([1]);
  }
  expect(await write(2)).toMatchObject({ rows: [row(1), row(2)], damaged: [], isClean: true });
});

test('prompts and messages of any length leave the file of events short', async () => {
  const directory = await folder();
  const files = openJobFiles(directory, { create: true });
  const tasks = Array.from({ length: 8 }, (_, index) => ({ id: `t${index}`, groupId: `g${index}`, prompt: '7'.repeat(index === 0 ? 20 : 1e6) }));
  files.appendEvent({ type: 'step-started', time: 0, step: 1, stage: 'grpo', tasks, group: 2 });
  files.appendEvent({ type: 'step-skipped', time: 0, step: 1, reason: 'all_errored', message: 'x'.repeat(1e6) });
  files.close();
  const text = await readFile(join(directory, 'events.jsonl'), 'utf8');
  expect(text.length).toBeLessThan(10_000);
  expect(text).toContain(`"${'7'.repeat(20)}"`);
});
