import { mkdtemp, readFile, readdir, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { claimJobId, findJob, listJobs, lockJob, markLatest, scanJobs } from '../../src/pipeline/jobs.ts';
import { openJobFiles } from '../../src/pipeline/job-files.ts';
import type { JobMeta } from '../../src/pipeline/job-meta.ts';
import { earlierMark } from '../util/marks.ts';

const second = Date.parse('2026-11-25T09:00:00.000Z');

const metaOf = (id: string): JobMeta => ({
  ...{ id, pid: 1, pipeline: 'sums', file: '/sums.yaml', model: 'sums-rl', start: { checkpoint: null, step: 0 }, seed: 1, device: 'cpu', parent: null, hashes: { config: '', taskset: '', reward: '' } },
  ...{ argv: [], cwd: '/', versions: {}, git: null, host: { platform: 'linux', cpus: 1, memoryGb: 1 } },
  ...{ startedAt: new Date(second + 400).toISOString(), endedAt: null, status: 'completed', reason: null, steps: 1, totalSteps: 1, before: null, after: null },
});

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
    await files.writeMeta(metaOf(id));
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
  await files.writeMeta({ ...metaOf(id), status: 'running', pid: process.pid });
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

test('a description that was damaged hides one job, not the others, and the message names the file', async () => {
  await using folder = await project();
  const [one, two, three, unfinished] = [await claimJobId(folder.root, 'sums', second), await claimJobId(folder.root, 'sums', second + 100), await claimJobId(folder.root, 'sums', second + 200), await claimJobId(folder.root, 'sums', second + 300)];
  for (const id of [one, two, three]) await openJobFiles(join(folder.jobs, id), { create: true }).writeMeta(metaOf(id));
  const [metaOfTwo, metaOfThree] = [join(folder.jobs, two, 'meta.json'), join(folder.jobs, three, 'meta.json')];
  await writeFile(metaOfTwo, (await readFile(metaOfTwo, 'utf8')).replace('"seed": 1', '"seed": 3'));
  const { start: _, ...old } = metaOf(three);
  await writeFile(metaOfThree, JSON.stringify(old));
  const { jobs, problems } = await scanJobs(folder.root);
  expect(jobs.map(({ id }) => id)).toEqual([one]);
  expect(problems.map(({ id, error }) => [id, error.message])).toEqual([
    [two, `${metaOfTwo} is damaged: it was changed after it was written (its checksum differs)`],
    [three, `${metaOfThree} is damaged: "start" is missing, expected an object`],
  ]);
  await expect(findJob(folder.root, two)).rejects.toMatchObject({ kind: 'invalid', fix: 'Restore the file from a backup, or begin a new job.' });
  expect(await findJob(folder.root, unfinished)).toBeNull();
  for (const text of ['sums-20000101-000000-0000', 'a\0b', '']) {
    await markLatest(folder.root, text);
    expect(await findJob(folder.root, 'latest')).toMatchObject({ id: one });
  }
});
