import { describe, expect, test } from 'vitest';
import { areSeedsOfOne, incomparable, renderDifferences, renderEnvironment, renderSettings } from '../../src/report/settings.ts';
import { loaded, needed } from '../config/memory.ts';
import { job, meta } from './support.ts';

const pipelineOf = async (more: string) => (await loaded(`name: sums\n${needed}${more}`)).pipeline;
const text = (markup: string) => markup.replaceAll(/<[^>]*>/g, ' ').replaceAll(/\s+/g, ' ').trim();
const another = { ...meta().hashes, reward: 'another' };

describe('since the parent', () => {
  test('the changed settings, before and now', async () => {
    const [before, after] = [await pipelineOf('train: { learning_rate: 1e-4 }\n'), await pipelineOf('train: { learning_rate: 3e-4 }\n')];
    const told = text(renderSettings(job({ pipeline: after, parent: { id: 'first', pipeline: before, hashes: meta().hashes } })).markup);
    expect(told).toContain('Changed since first setting before now train.learning_rate 1e-4 3e-4');
  });

  test('a changed reward is said, and that its curves must not be joined', async () => {
    const pipeline = await pipelineOf('');
    const told = text(renderSettings(job({ pipeline, parent: { id: 'first', pipeline, hashes: another } })).markup);
    expect(told).toContain('The reward (its settings or its code) is another one, so the curves of the two jobs must not be joined.');
  });

  test('nothing, or a parent that is gone', async () => {
    const pipeline = await pipelineOf('');
    expect(text(renderSettings(job({ pipeline, parent: { id: 'first', pipeline, hashes: meta().hashes } })).markup)).toContain('Changed since first Nothing.');
    expect(text(renderSettings(job({ pipeline, parent: { id: 'first', pipeline: null, hashes: null } })).markup)).toContain('That job is not here any more.');
    expect(renderSettings(job({ pipeline })).markup).not.toContain('Changed since');
  });
});

test('jobs side by side: only the settings that differ, a dash where one has none', async () => {
  const jobs = [job({ pipeline: await pipelineOf('seed: 1\n') }), job({ pipeline: await pipelineOf('seed: 2\n') }), job({ meta: { id: 'third' } })];
  const told = text(renderDifferences(jobs.slice(0, 2)).markup);
  expect(told).toMatch(/ seed 1 2( |$)/);
  expect(told).not.toContain('learning_rate');
  expect(text(renderDifferences(jobs).markup)).toMatch(/ seed 1 2 –/);
  expect(text(renderDifferences([jobs[0]!, jobs[0]!]).markup)).toBe('All settings are the same.');
});

test('seeds of one pipeline are those that differ in nothing else', async () => {
  const seed = async (number: number, more = '') => job({ pipeline: await pipelineOf(`seed: ${number}\n${more}`), meta: { seed: number } });
  expect(areSeedsOfOne([await seed(1), await seed(2), await seed(3)])).toBe(true);
  expect(areSeedsOfOne([await seed(1), await seed(2, 'group: 4\n')])).toBe(false);
  expect(areSeedsOfOne([await seed(1)])).toBe(false);
  expect(areSeedsOfOne([await seed(1), job()])).toBe(false);
});

test('different rewards or tasks are not comparable', () => {
  expect(incomparable([job(), job()])).toBeNull();
  expect(incomparable([job(), job({ meta: { hashes: another } })])).toBe('These jobs have different rewards: their curves do not measure the same thing.');
  expect(incomparable([job(), job({ meta: { hashes: { ...another, taskset: '' } } })])).toContain('different rewards and tasksets');
});

test('the environment names machine, versions, hashes and uncommitted changes', () => {
  const told = text(renderEnvironment(job({ meta: { git: { commit: 'abcdef0123456789', dirty: true } } })).markup);
  for (const words of ['abcdef012345 , with changes that were not committed', 'linux x64, 2 cores, 8 GB', 'rlrun 0.1.0', 'seed 7', 'began at the base']) expect(told).toContain(words);
});
