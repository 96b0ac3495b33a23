/** @file What docs/json.md says of a step's metrics, computed again from the rollouts that the job wrote down. */
import { readFile, readdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { beforeAll, expect, test } from 'vitest';
import type { MetricsRow, Rollout } from '../../src/events.ts';
import { build, workspace } from './binary.ts';
import { writeTinyProject } from './tiny-model.ts';

beforeAll(() => build(), 180_000);

const lines = async <T>(path: string): Promise<T[]> => (await readFile(path, 'utf8')).trim().split('\n').map((line) => JSON.parse(line) as T);
const sum = (values: readonly number[]) => values.reduce((total, value) => total + value, 0);
const mean = (values: readonly number[]) => sum(values) / values.length;
const deviation = (values: readonly number[]) => Math.sqrt(mean(values.map((value) => (value - mean(values)) ** 2)));

/** Under the names of the docs; NaN where a metric does not apply. */
function recomputed(rollouts: readonly Rollout[]): Record<string, number> {
  const share = (which: (rollout: Rollout) => boolean) => rollouts.filter(which).length / rollouts.length;
  const rewards = rollouts.flatMap(({ reward }) => reward ?? []);
  const groups = [...Map.groupBy(rollouts, ({ groupId }) => groupId).values()].map((group) => (group.some(({ error }) => error) ? [] : group.flatMap(({ reward }) => reward ?? [])));
  const compared = groups.filter((group) => group.length > 0);
  const flat = compared.filter((group) => new Set(group).size === 1);
  const shareOf = (some: readonly unknown[], all: readonly unknown[] = compared) => (all.length === 0 ? 0 : some.length / all.length);
  const lengths = rollouts.map(({ turns }) => sum(turns.map(({ outputTokenIds }) => outputTokenIds.length)));
  const part = (name: string) => mean(rollouts.flatMap(({ subscores }) => subscores.flatMap((subscore) => (subscore.name === name ? (subscore.value ?? []) : []))));
  return {
    reward: mean(rewards),
    reward_std: deviation(rewards),
    reward_min: Math.min(...rewards),
    reward_max: Math.max(...rewards),
    within_group_reward_std: mean(compared.map(deviation)),
    'rewards/numeric_match/mean': part('numeric_match'),
    'rewards/digits/mean': part('digits'),
    frac_reward_zero_std: shareOf(flat),
    'groups/all_good': shareOf(flat.filter(([reward]) => reward! > 0.5)),
    'groups/all_bad': shareOf(flat.filter(([reward]) => reward! <= 0.5)),
    'groups/mixed': shareOf(compared) && 1 - shareOf(flat),
    'groups/dropped': 1 - shareOf(compared, groups),
    'advantage/abs_mean': mean(compared.flatMap((group) => group.map((reward) => Math.abs(reward - mean(group))))),
    'completions/mean_length': mean(lengths),
    'completions/min_length': Math.min(...lengths),
    'completions/max_length': Math.max(...lengths),
    'completions/clipped_ratio': share(({ stopReason }) => stopReason === 'length'),
    'rollouts/error_ratio': share(({ error }) => error !== undefined),
    'rollouts/abstained_ratio': share(({ error, reward }) => error === undefined && reward === null),
    'errors/exception': share(({ error }) => error?.type === 'exception') || Number.NaN,
    sampling_logprob_mean: mean(rollouts.flatMap(({ turns }) => turns.flatMap(({ outputLogprobs }) => outputLogprobs))),
    num_tokens: sum(lengths),
  };
}

const ofOtherSources = /^(loss:sum|policy_loss|entropy|kl|clip_ratio\/.*|grad_norm|update_norm|learning_rate|sampling\/.*|kl_sample_train\/.*|eval\/.*|time\/.*|step_time|tokens_per_second)$/;

test('metrics mean what the docs say, whatever share of the rollouts is learnt from and in however many updates', async () => {
  await using folder = await workspace();
  const text = await writeTinyProject(folder.cwd, { sft: 3, grpo: 8 });
  await writeFile(join(folder.cwd, 'tiny.yaml'), text.replace('train: { learning_rate: 1e-3 }', 'batch: 6, train: { learning_rate: 1e-3, updates: 2 }'));
  const judge = `if (text.startsWith('9')) throw new Error('no nines');\n  if (text.startsWith('1')) return null;\n  return Number(/^\\d+$/.test(text));`;
  await writeFile(join(folder.cwd, 'rewards', 'digits.ts'), `export default (text: string): number | null => {\n  ${judge}\n};\n`);
  expect(await folder.run('tiny.yaml', '--no-tui')).toMatchObject({ exitCode: 0 });
  const jobs = join(folder.cwd, '.rlrun', 'jobs');
  const job = join(jobs, (await readdir(jobs)).find((name) => name.startsWith('tiny-'))!);
  const rows = (await lines<MetricsRow>(join(job, 'metrics.jsonl'))).filter(({ kind, step }) => (kind === 'step' || kind === 'skipped') && step > 3);
  expect(rows).toHaveLength(8);
  const seen = new Set<string>();
  for (const { step, metrics } of rows) {
    const rollouts = await lines<Rollout>(join(job, 'rollouts', `step-${String(step).padStart(6, '0')}.jsonl`));
    expect(rollouts).toHaveLength(24);
    const expected = Object.entries(recomputed(rollouts)).filter(([, value]) => Number.isFinite(value));
    expect(Object.keys(metrics).filter((name) => !ofOtherSources.test(name)).toSorted()).toEqual(expected.map(([name]) => name).toSorted());
    for (const [name, value] of expected) {
      expect(metrics[name], `step ${step}: ${name}`).toBeCloseTo(value, 9);
      seen.add(name);
    }
    expect(Number.isInteger(metrics['num_tokens'])).toBe(true);
  }
  expect(rows.some(({ kind, metrics }) => kind === 'step' && metrics['groups/mixed']! < 1)).toBe(true);
  expect(seen).toContain('errors/exception');
  expect(rows.some(({ metrics }) => metrics['rollouts/abstained_ratio']! > 0)).toBe(true);
});
