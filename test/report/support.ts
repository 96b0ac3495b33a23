/** Jobs made by hand: as values for pure functions, and as the files that a job leaves. */
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { EventData, EventType, JobEvent, MetricsRow, Rollout } from '../../src/events.ts';
import type { StoredJob } from '../../src/pipeline/index.ts';
import { type ReportJob, type ToldEvents, toldTypes } from '../../src/report/read-job.ts';

export const began = Date.parse('2026-11-25T10:00:00.000Z');

export const meta = (changes: Partial<StoredJob> = {}): StoredJob => ({
  ...{ id: 'sums-20261125-100000-00aa', pid: 1, pipeline: 'sums', file: '/home/me/sums.yaml', model: 'sums-rl', start: { checkpoint: null, step: 0 } },
  ...{ seed: 7, device: 'cpu', parent: null, hashes: { config: 'c'.repeat(64), taskset: 't'.repeat(64), reward: 'r'.repeat(64) } },
  ...{ argv: ['rlrun', 'sums.yaml'], cwd: '/home/me', versions: { rlrun: '0.1.0' }, git: null, host: { platform: 'linux x64', cpus: 2, memoryGb: 8 } },
  ...{ startedAt: new Date(began).toISOString(), endedAt: new Date(began + 60_000).toISOString(), status: 'completed', reason: 'all steps done' },
  ...{ steps: 4, totalSteps: 4, directory: '/nowhere' },
  ...changes,
});

export const row = (step: number, metrics: MetricsRow['metrics'], changes: Partial<MetricsRow> = {}): MetricsRow => ({
  ...{ step, time: began + 1000 * step, stage: 'grpo', kind: step === 0 ? 'baseline' : 'step', metrics },
  ...changes,
});

/** A measurement with an interval of ±`half`. */
export const held = (value: number, half = 0.05): MetricsRow['metrics'] => ({ 'eval/reward': value, 'eval/reward_low': value - half, 'eval/reward_high': value + half });

export const event = <K extends EventType>(type: K, data: EventData[K], time = began): JobEvent<K> => ({ type, time, ...data }) as JobEvent<K>;

export const noEvents = (): ToldEvents => Object.fromEntries(toldTypes.map((type) => [type, []])) as unknown as ToldEvents;

export const job = ({ events = {}, ...changes }: Partial<Omit<ReportJob, 'events' | 'meta'>> & { events?: Partial<ToldEvents>; meta?: Partial<StoredJob> } = {}): ReportJob => ({
  ...{ source: 'name: sums\n', pipeline: null, parent: null, rows: [], checkpoints: [], damage: [] },
  ...changes,
  meta: meta(changes.meta),
  events: { ...noEvents(), ...events },
});

export const rollout = (changes: Partial<Rollout> = {}): Rollout => ({
  ...{ id: '000001-0000-000', taskId: 'train/0', groupId: 'g0', prompt: '1+1=', completion: '2', status: 'completed', stopReason: 'done', reward: 1, advantage: 0.5 },
  ...{ turns: [{ promptTokenIds: [1, 2], outputTokenIds: [50], outputLogprobs: [-0.1] }], subscores: [{ name: 'match', value: 1, weight: 1 }] },
  ...changes,
});

export interface Files {
  meta?: Partial<StoredJob>;
  rows?: readonly MetricsRow[];
  events?: readonly JobEvent[];
  rollouts?: Readonly<Record<number, readonly Rollout[]>>;
  source?: string;
}

const lines = (values: readonly unknown[]): string => values.map((value) => `${JSON.stringify(value)}\n`).join('');

/** Writes a job below `<project>/.rlrun/jobs`; returns it as the store would find it. */
export async function writeJob(project: string, { meta: changes = {}, rows = [], events = [], rollouts = {}, source = 'name: sums\n' }: Files): Promise<StoredJob> {
  const { directory: _, ...told } = meta(changes);
  const directory = join(project, '.rlrun', 'jobs', told.id);
  await mkdir(join(directory, 'rollouts'), { recursive: true });
  await writeFile(join(directory, 'meta.json'), JSON.stringify(told));
  await writeFile(join(directory, 'pipeline.yaml'), source);
  await writeFile(join(directory, 'metrics.jsonl'), lines(rows));
  await writeFile(join(directory, 'events.jsonl'), lines(events));
  for (const [step, list] of Object.entries(rollouts)) await writeFile(join(directory, 'rollouts', `step-${step.padStart(6, '0')}.jsonl`), lines(list));
  return { ...told, directory };
}

/** The page's markup, for tests about what is written and not about what runs. */
export const withoutScript = (page: string): string => page.replace(/<script>[\s\S]*?<\/script>/, '');
