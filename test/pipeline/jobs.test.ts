import { mkdtemp, readdir, rm, symlink } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { claimJobId, findJob, listJobs, lockJob } from '../../src/pipeline/jobs.ts';
import { type JobMeta, openJobFiles } from '../../src/pipeline/job-files.ts';
import { earlierMark } from '../util/marks.ts';

const second = Date.parse('2026-11-25T09:00:00.000Z');

async function project() {
  const root = await mkdtemp(join(tmpdir(), 'rlrun-jobs-'));
  return { root, jobs: join(root, 'jobs'), [Symbol.asyncDispose]: () => rm(root, { recursive: true, force: true }) };
}

test('ids of jobs that began in one second sort by when they began', async () => {
  await using folder = await project();
  const times = [0, 0.02, 1, 250, 500, 998.99, 999.99, 1000].map((ms) => second + ms);
  const ids: string[] = [];
  for (const time of times) ids.push(await claimJobId(folder.root, 'sums', time));
  expect(ids.toSorted()).toEqual(ids);
  expect(ids[0]).toBe('sums-20261125-090000-0000');
  expect(ids[4]).toBe('sums-20261125-090000-8000');
  expect((await readdir(folder.jobs)).toSorted()).toEqual(ids);
});

test('jobs that began at the same moment have an id each, and the list shows the later one first', async () => {
  await using folder = await project();
  const ids = await Promise.all(Array.from({ length: 5 }, () => claimJobId(folder.root, 'sums', second + 400)));
  expect(new Set(ids).size).toBe(5);
  for (const id of ids) {
    const files = openJobFiles(join(folder.jobs, id), { create: true });
    await files.writeMeta({ id, startedAt: new Date(second + 400).toISOString(), status: 'completed' } as JobMeta);
    files.close();
  }
  expect((await listJobs(folder.root)).map(({ id }) => id)).toEqual(ids.toSorted().toReversed());
  expect(await findJob(folder.root, ids[2]!)).toMatchObject({ id: ids[2] });
  expect(await findJob(folder.root, 'sums-20261125')).toBeNull();
});

test('a job runs as long as a process holds its lock, whatever number that process has', async () => {
  await using folder = await project();
  const id = await claimJobId(folder.root, 'sums', second);
  const files = openJobFiles(join(folder.jobs, id), { create: true });
  await files.writeMeta({ id, startedAt: new Date(second).toISOString(), status: 'running', pid: process.pid } as JobMeta);
  const status = async () => (await findJob(folder.root, id))!.status;
  expect(await status()).toBe('interrupted');
  await symlink(earlierMark(), join(files.directory, 'lock'));
  expect(await status()).toBe('interrupted');
  {
    await using lock = await lockJob(files.directory);
    expect(await status()).toBe('running');
    expect(await lockJob(files.directory)).toBeNull();
    expect(await lock!.isHeld()).toBe(true);
  }
  expect(await status()).toBe('interrupted');
  files.close();
});
