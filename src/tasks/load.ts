import { createHash } from 'node:crypto';
import type { TasksetSettings } from '../config/types.ts';
import { type Loaded, loadFailure } from '../util/load-error.ts';
import { type Generator, generators } from './generators/index.ts';
import { slugOf } from './slug.ts';
import { type Draft, drawSplit } from './space.ts';
import type { Task, Taskset } from './types.ts';

export interface LoadTasksetOptions {
  settings: TasksetSettings;
  /** The pipeline's seed: the same seed makes the same tasks in the same order. */
  seed: number;
  signal?: AbortSignal;
}

export async function loadTaskset({ settings, seed, signal }: LoadTasksetOptions): Promise<Loaded<'taskset', Taskset>> {
  signal?.throwIfAborted();
  const name = settings.source.slice('builtin:'.length);
  const generator = (generators as unknown as Record<string, Generator<unknown>>)[name];
  if (!generator) return loadFailure(`There is no built-in taskset "${name}".`, `Use one of ${Object.keys(generators).join(', ')}.`, { key: 'source' });
  const defaults = Object.fromEntries(Object.entries(generator.args.properties).map(([key, schema]) => [key, schema.default]));
  const drawn = drawSplit(generator.strata({ ...defaults, ...settings.args }, seed), settings.split, seed);
  if (!drawn.ok) {
    return loadFailure(`builtin:${name} has ${drawn.exist} tasks; the split asks for ${settings.split.train + settings.split.eval}.`, 'Ask for fewer.', { key: 'split' });
  }
  const finish = ({ id, args, prompt, answer }: Draft): Task => ({ id: slugOf(id, args), prompt, answer, args });
  const [train, evaluation] = [drawn.train.map(finish), drawn.eval.map(finish)];
  const hash = createHash('sha256').update(JSON.stringify([train, evaluation])).digest('hex');
  return { ok: true, taskset: { name, train, eval: evaluation, hash, files: [] } };
}
