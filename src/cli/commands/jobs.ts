/** `rlrun jobs [JOB]`: what has run here, and how it went. */
import { formatDuration, sparkline } from '../../plot/index.ts';
import { type StoredJob, findJob, lastRollouts, listJobs, readJobMetrics } from '../../pipeline/index.ts';
import type { Handler, Invocation } from '../commands.ts';
import { CommandError, type Exit } from '../exit-codes.ts';
import { rootOf } from '../paths.ts';
import { clip, oneLine, table } from '../text.ts';

const DEFAULT_LIMIT = 20;

export const jobs: Handler = async (invocation) => {
  const [id] = invocation.args;
  if (id === undefined) return listAll(invocation);
  const job = await findJob(rootOf(invocation.io), id);
  if (!job) throw new CommandError('notFound', `There is no job "${id}" here.`, 'rlrun jobs lists them.');
  return showOne(job, invocation);
};

async function listAll({ flags, io }: Invocation): Promise<Exit> {
  const all = (await listJobs(rootOf(io))).slice(0, flags.limit ?? DEFAULT_LIMIT);
  const scored = await Promise.all(all.map(async (job) => ({ job, ...(await scores(job)) })));
  if (flags.json) {
    for (const { job, before, after } of scored) io.json({ type: 'job', ...job, before, after });
    return 'ok';
  }
  if (all.length === 0) {
    io.say('No jobs here yet. Begin with: rlrun init && rlrun pipeline.yaml');
    return 'ok';
  }
  const rows = scored.map(({ job, before, after }) => [job.id, job.pipeline, job.model, job.status, `${job.steps}/${job.totalSteps}`, score(before), score(after), job.startedAt.slice(0, 19).replace('T', ' ')]);
  io.print(
    table(
      [{ title: 'ID' }, { title: 'Name' }, { title: 'Model' }, { title: 'Status' }, { title: 'Steps', align: 'right' }, { title: 'Before', align: 'right' }, { title: 'After', align: 'right' }, { title: 'Created' }],
      rows,
    ),
  );
  return 'ok';
}

const score = (value: number | null): string => (value === null ? '–' : value.toFixed(3));

async function scores(job: StoredJob): Promise<{ before: number | null; after: number | null }> {
  const measured = (await readJobMetrics(job)).filter((row) => row.metrics['eval/reward'] !== undefined);
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
    const { before, after } = await scores(job);
    io.json({ type: 'job', ...job, before, after });
    for (const row of rows) io.json({ type: 'metrics', ...row });
    for (const { turns: _, ...rollout } of shown) io.json({ type: 'rollout', step, ...rollout });
    return 'ok';
  }
  const curve = (name: string) => rows.flatMap((row) => row.metrics[name] ?? []);
  const facts: [string, string][] = [
    ['pipeline', job.file],
    ['model', `${job.model}, begun at ${job.start.checkpoint ?? 'the base'}`],
    ['status', `${job.status}${job.reason ? `: ${job.reason}` : ''}`],
    ['steps', `${job.steps} of ${job.totalSteps}`],
    ...(job.endedAt ? [['took', formatDuration(Date.parse(job.endedAt) - Date.parse(job.startedAt))] as [string, string]] : []),
    ...(['reward', 'eval/reward', 'entropy'] as const).flatMap((name): [string, string][] => {
      const values = curve(name);
      return values.length > 1 ? [[name, `${sparkline(values, { width: 40 })}  ${values[0]!.toFixed(3)} → ${values.at(-1)!.toFixed(3)}`]] : [];
    }),
    ['files', job.directory],
  ];
  io.print(`${job.id}\n${facts.map(([name, value]) => `  ${name.padEnd(12)}${value}`).join('\n')}`);
  if (shown.length > 0) {
    const cells = shown.map(({ id, status, reward, prompt, completion, error }) => [id, status, score(reward), clip(oneLine(prompt), 30), clip(oneLine(error?.message ?? completion), 40)]);
    io.print(`\nrollouts of step ${step}\n${table([{ title: 'Trace ID' }, { title: 'Status' }, { title: 'Reward', align: 'right' }, { title: 'Prompt' }, { title: 'Completion or error' }], cells)}`);
    if (rollouts.length > shown.length) io.print(`… ${rollouts.length - shown.length} more; -n ${rollouts.length} shows all`);
  }
  return 'ok';
}
