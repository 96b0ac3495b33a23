/** `rlrun jobs [JOB]`: what has run here, and how it went. */
import type { MetricsRow } from '../../events.ts';
import { formatDuration, sparkline } from '../../plot/index.ts';
import { type StoredJob, lastRollouts, listJobs, ranFor, readJobMetrics, stepsDone } from '../../pipeline/index.ts';
import type { Handler, Invocation } from '../commands.ts';
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
  const all = (await listJobs(rootOf(io))).slice(0, flags.limit ?? DEFAULT_LIMIT);
  const scored = await Promise.all(all.map(async (job) => {
    const rows = await readJobMetrics(job);
    return { job, rows, ...scores(rows) };
  }));
  if (flags.json) {
    for (const { job, rows, before, after } of scored) io.json({ type: 'job', ...job, steps: stepsDone(job, rows), before, after });
    return 'ok';
  }
  if (all.length === 0) {
    io.say('No jobs here yet. Begin with: rlrun init && rlrun pipeline.yaml');
    return 'ok';
  }
  const cells = scored.map(({ job, rows, before, after }) => [
    ...[job.id, job.model, job.status, `${stepsDone(job, rows)}/${job.totalSteps}`],
    ...[sparkline(valuesOf(rows, 'reward'), { width: CURVE_SHORT }).trimStart(), score(before), score(after), took(job, rows)],
  ]);
  io.print(
    table(
      [{ title: 'ID' }, { title: 'Model' }, { title: 'Status' }, { title: 'Steps', align: 'right' }, { title: 'Reward' }, { title: 'Before', align: 'right' }, { title: 'After', align: 'right' }, { title: 'Took', align: 'right' }],
      cells,
    ),
  );
  return 'ok';
}

const valuesOf = (rows: readonly MetricsRow[], name: string): number[] => rows.flatMap((row) => row.metrics[name] ?? []);

function took(job: StoredJob, rows: readonly MetricsRow[]): string {
  const ms = ranFor(job, rows);
  return ms === null ? '–' : formatDuration(ms);
}

const score = (value: number | null): string => (value === null ? '–' : value.toFixed(3));

/** Held-out scores: of the model as the job found it, and the last one. */
function scores(rows: readonly MetricsRow[]): { before: number | null; after: number | null } {
  const measured = rows.filter((row) => row.metrics['eval/reward'] !== undefined);
  return {
    before: measured.find((row) => row.kind === 'baseline')?.metrics['eval/reward'] ?? null,
    after: measured.findLast((row) => row.kind !== 'baseline')?.metrics['eval/reward'] ?? null,
  };
}

async function showOne(job: StoredJob, { flags, io }: Invocation): Promise<Exit> {
  const rows = await readJobMetrics(job);
  const { step, rollouts } = await lastRollouts(job);
  const shown = rollouts.slice(0, flags.limit ?? DEFAULT_LIMIT);
  if (flags.json) {
    io.json({ type: 'job', ...job, steps: stepsDone(job, rows), ...scores(rows) });
    for (const row of rows) io.json({ type: 'metrics', ...row });
    for (const { turns: _, ...rollout } of shown) io.json({ type: 'rollout', step, ...rollout });
    return 'ok';
  }
  const facts: [string, string][] = [
    ['pipeline', job.file],
    ['model', `${job.model}, begun at ${job.start.checkpoint === null ? 'the base' : `step ${job.start.step} (${job.start.checkpoint})`}`],
    ['status', oneLine(`${job.status}${job.reason ? `: ${job.reason}` : job.status === 'interrupted' ? ': its process is gone' : ''}`)],
    ['steps', `${stepsDone(job, rows)} of ${job.totalSteps}`],
    ['took', took(job, rows)],
    ...curves.flatMap((name): [string, string][] => {
      const values = valuesOf(rows, name);
      return values.length > 1 ? [[name, `${sparkline(values, { width: CURVE_LONG }).trimStart().padEnd(CURVE_LONG)}  ${score(values[0]!)} → ${score(values.at(-1)!)}`]] : [];
    }),
    ['files', shorten(job.directory, io)],
  ];
  io.print(`${job.id}\n${facts.map(([name, value]) => `  ${name.padEnd(12)}${value}`).join('\n')}`);
  if (shown.length > 0) {
    const cells = shown.map(({ id, status, reward, prompt, completion, error }) => [id, status, score(reward), clip(oneLine(prompt), 30), clip(oneLine(error?.message ?? completion), 40)]);
    io.print(`\nrollouts of step ${step}\n${table([{ title: 'Trace ID' }, { title: 'Status' }, { title: 'Reward', align: 'right' }, { title: 'Prompt' }, { title: 'Completion or error' }], cells)}`);
    if (rollouts.length > shown.length) io.print(`… ${rollouts.length - shown.length} more; -n ${rollouts.length} shows all`);
  }
  return 'ok';
}
