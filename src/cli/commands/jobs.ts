/** `rlrun jobs [JOB]`: what has run here, and how it went. */
import type { MetricsRow } from '../../events.ts';
import { formatDuration, sparkline } from '../../plot/index.ts';
import { type StoredJob, lastRollouts, ranFor, readJobMetrics, scanJobs, stepsDone } from '../../pipeline/index.ts';
import { evaluations, heldOut } from '../../util/held-out.ts';
import { formatScore } from '../../util/words.ts';
import type { Handler, Invocation } from '../types.ts';
import type { Exit } from '../exit-codes.ts';
import { rootOf, shorten } from '../paths.ts';
import { namedJob } from '../stored-jobs.ts';
import { clip, oneLine, table } from '../text.ts';

const DEFAULT_LIMIT = 20;
/** Columns of a sparkline, in the table and alone. */
const CURVE_SHORT = 16;
const CURVE_LONG = 40;
const curves = ['reward', 'eval/reward', 'policy_loss', 'entropy', 'kl'] as const;

export const jobs: Handler = async (invocation) => {
  const [id] = invocation.args;
  if (id === undefined) return listAll(invocation);
  return showOne(await namedJob(id, invocation.io), invocation);
};

async function listAll({ flags, io }: Invocation): Promise<Exit> {
  const { jobs: found, problems } = await scanJobs(rootOf(io));
  for (const { error } of problems) io.say(`${io.paint('yellow', 'warning')}: ${error.message}`);
  const all = found.slice(0, flags.limit ?? DEFAULT_LIMIT);
  const read = await Promise.all(all.map(async (job) => ({ job, rows: await readJobMetrics(job) })));
  if (flags.json) {
    for (const { job, rows } of read) io.json({ type: 'job', ...told(job, rows) });
    return 'ok';
  }
  if (all.length === 0) {
    io.say('No jobs here yet. Begin with: rlrun init && rlrun pipeline.yaml');
    return 'ok';
  }
  const cells = read.map(({ job, rows }) => {
    const { before, after } = heldOut(job, evaluations(rows));
    return [
      ...[job.id, job.model, job.status, `${stepsDone(job, rows)}/${job.totalSteps}`],
      ...[sparkline(valuesOf(rows, 'reward'), { width: CURVE_SHORT }).trimStart(), formatScore(before?.value), formatScore(after?.value), took(job, rows)],
    ];
  });
  io.print(
    table(
      [{ title: 'ID' }, { title: 'Model' }, { title: 'Status' }, { title: 'Steps', align: 'right' }, { title: 'Reward' }, { title: 'Before', align: 'right' }, { title: 'After', align: 'right' }, { title: 'Took', align: 'right' }],
      cells,
    ),
  );
  return 'ok';
}

/** What programs get to know of a job. */
function told(job: StoredJob, rows: readonly MetricsRow[]): object {
  const { before, after } = heldOut(job, evaluations(rows));
  return { ...job, steps: stepsDone(job, rows), before: before?.value ?? null, after: after?.value ?? null };
}

const valuesOf = (rows: readonly MetricsRow[], name: string): number[] => rows.flatMap((row) => row.metrics[name] ?? []);

function took(job: StoredJob, rows: readonly MetricsRow[]): string {
  const ms = ranFor(job, rows);
  return ms === null ? '–' : formatDuration(ms);
}

async function showOne(job: StoredJob, { flags, io }: Invocation): Promise<Exit> {
  const rows = await readJobMetrics(job);
  const { step, rollouts } = await lastRollouts(job);
  const shown = rollouts.slice(0, flags.limit ?? DEFAULT_LIMIT);
  if (flags.json) {
    io.json({ type: 'job', ...told(job, rows) });
    for (const row of rows) io.json({ type: 'metrics', ...row });
    for (const { turns: _, ...rollout } of shown) io.json({ type: 'rollout', step, ...rollout });
    return 'ok';
  }
  const { before, after } = heldOut(job, evaluations(rows));
  const facts: [string, string][] = [
    ['pipeline', job.file],
    ['model', `${job.model}, begun at ${job.start.checkpoint === null ? 'the base' : `step ${job.start.step}`}`],
    ['status', oneLine(`${job.status}${job.reason ? `: ${job.reason}` : job.status === 'interrupted' ? ': its process is gone' : ''}`)],
    ['steps', `${stepsDone(job, rows)} of ${job.totalSteps}`],
    ['took', took(job, rows)],
    ...(after ? [['held-out', `${before ? `${formatScore(before.value)} → ` : ''}${formatScore(after.value)}${after.low === null ? '' : ` [${formatScore(after.low)}, ${formatScore(after.high)}]`}`] as [string, string]] : []),
    ...curves.flatMap((name): [string, string][] => {
      const values = valuesOf(rows, name);
      return values.length > 1 ? [[name, `${sparkline(values, { width: CURVE_LONG }).trimStart().padEnd(CURVE_LONG)}  ${formatScore(values[0]!)} → ${formatScore(values.at(-1)!)}`]] : [];
    }),
    ['files', shorten(job.directory, io)],
  ];
  io.print(`${job.id}\n${facts.map(([name, value]) => `  ${name.padEnd(12)}${value}`).join('\n')}`);
  if (shown.length > 0) {
    const cells = shown.map(({ id, status, reward, prompt, completion, error }) => [id, status, formatScore(reward), clip(oneLine(prompt), 30), clip(oneLine(error?.message ?? completion), 40)]);
    io.print(`\nrollouts of step ${step}\n${table([{ title: 'Trace ID' }, { title: 'Status' }, { title: 'Reward', align: 'right' }, { title: 'Prompt' }, { title: 'Completion or error' }], cells)}`);
    if (rollouts.length > shown.length) io.print(`… ${rollouts.length - shown.length} more; -n ${rollouts.length} shows all`);
  }
  return 'ok';
}
