import { appendFile, mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { listJobs } from '../../src/pipeline/index.ts';
import { readReportJob } from '../../src/report/read-job.ts';
import { writeReport } from '../../src/report/report.ts';
import { event, held, meta, rollout, row, withoutScript, writeJob } from './support.ts';

let project = '';
beforeEach(async () => void (project = await mkdtemp(join(tmpdir(), 'rlrun-report-'))));
afterEach(() => rm(project, { recursive: true, force: true }));

const report = async (...jobs: Parameters<typeof readReportJob>[0][]): Promise<string> => {
  const output = join(project, 'report.html');
  await writeReport({ jobs, output, now: () => new Date(0) });
  return readFile(output, 'utf8');
};

test('a whole job is read back', async () => {
  const warning = event('warning', { step: 1, code: 'kl', message: 'far', fix: 'back' });
  const stored = await writeJob(project, { rows: [row(0, held(0.2)), row(1, { reward: 1 })], events: [warning], rollouts: { 1: [rollout()] } });
  const told = await readReportJob(stored);
  expect(told.rows.map(({ step }) => step)).toEqual([0, 1]);
  expect(told.events.warning).toEqual([warning]);
  expect(told).toMatchObject({ source: 'name: sums\n', pipeline: null, parent: null, checkpoints: [] });
});

test('lines that were torn by a sudden end are passed over, and the page says that the process is gone', async () => {
  const stored = await writeJob(project, { meta: { status: 'running', endedAt: null, reason: null, pid: 2 ** 22 + 1 }, rows: [row(0, held(0.2)), row(1, { reward: 0.5 }), row(2, { reward: 0.6 })], rollouts: { 1: [rollout()] } });
  for (const name of ['metrics.jsonl', 'events.jsonl', 'rollouts/step-000001.jsonl']) await appendFile(join(stored.directory, name), '{"type":"warning","step":3,"mess');
  const [found] = await listJobs(join(project, '.rlrun'));
  expect(found!.status).toBe('interrupted');
  const page = await report(found!);
  expect(page).toContain('its process is gone');
  expect(page).toContain('2 of 4 steps');
  expect(page).toContain('rlrun sums.yaml --resume');
});

test('a job without any file but its meta gives a page', async () => {
  const stored = await writeJob(project, { meta: { status: 'running', endedAt: null, reason: null, steps: 0 } });
  for (const name of ['metrics.jsonl', 'events.jsonl', 'pipeline.yaml', 'rollouts']) await rm(join(stored.directory, name), { recursive: true });
  const page = await report(stored);
  expect(page).toContain('No step was finished.');
  expect(page).not.toContain('href="#rollouts"');
  expect(withoutScript(page)).not.toMatch(/NaN|undefined/);
});

test('files full of other things are no job data', async () => {
  const stored = await writeJob(project, {});
  await writeFile(join(stored.directory, 'resolved.json'), '{"stages":');
  await writeFile(join(stored.directory, 'metrics.jsonl'), 'null\n[]\n3\n"x"\n{"step":1}\n\u0000\u0001\n');
  await writeFile(join(stored.directory, 'events.jsonl'), '{"type":"warning"\n{"type":"__proto__","time":1}\n');
  await writeFile(join(stored.directory, 'rollouts', 'step-000001.jsonl'), 'null\n{"id":"1"}\n');
  expect(await report(stored)).toContain('No step was finished.');
});

test('a parent is a neighbour and never a path', async () => {
  await mkdir(join(project, '.rlrun', 'jobs'), { recursive: true });
  const before = await writeJob(project, { meta: { id: 'sums-before' } });
  await writeFile(join(before.directory, 'resolved.json'), '{"name":"sums","stages":[],"file":"/a"}');
  const stored = await writeJob(project, { meta: { parent: 'sums-before' } });
  expect((await readReportJob(stored)).parent).toMatchObject({ id: 'sums-before', pipeline: { name: 'sums' }, hashes: meta().hashes });
  for (const parent of ['../../secret', '..', '.']) {
    const { parent: read } = await readReportJob({ ...stored, parent });
    expect(read?.pipeline ?? null).toBeNull();
  }
  expect((await readReportJob({ ...stored, parent: 'gone' })).parent).toEqual({ id: 'gone', pipeline: null, hashes: null });
});
