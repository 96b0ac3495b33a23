import type { TasksetSettings } from '../config/types.ts';
import { didYouMean } from '../util/did-you-mean.ts';
import { type Loaded, loadFailure } from '../util/load-error.ts';
import { count } from '../util/words.ts';
import { type Generator, generators } from './generators/index.ts';
import { slugOf } from './slug.ts';
import { type Draft, drawSplit } from './space.ts';
import type { Task } from './types.ts';

export const BUILTIN = 'builtin:';

/** Makes the tasks of a built-in source, or says which argument is wrong. */
export async function generate({ source, args, split, seed }: TasksetSettings): Promise<Loaded<'tasks', Record<'train' | 'eval', Task[]>>> {
  const name = source.slice(BUILTIN.length);
  const known: Record<string, Generator<unknown>> = generators as never;
  const generator = Object.hasOwn(known, name) ? known[name]! : null;
  if (!generator) {
    const names = Object.keys(known);
    return loadFailure(`There is no built-in taskset "${name}".`, `${didYouMean(name, names)}The built-in tasksets are ${names.join(', ')}.`, { key: 'source' });
  }
  const checked = await completeArgs(generator, args);
  if (!checked.ok) return checked;
  const fault = generator.check?.(checked.args) ?? null;
  if (fault) return loadFailure(`${source}: ${fault.message}.`, fault.fix, { key: `args.${fault.key}` });
  const drawn = drawSplit(generator.strata(checked.args, seed), split, seed);
  if (!drawn.ok) return tooFew(source, drawn.exist, split, 'Or allow more tasks in taskset.args.');
  const toTask = ({ id, args: taskArgs, prompt, answer }: Draft): Task => ({
    id: slugOf(id, taskArgs),
    prompt,
    answer,
    args: taskArgs,
    template: { id, source },
  });
  return { ok: true, tasks: { train: drawn.train.map(toTask), eval: drawn.eval.map(toTask) } };
}

/** The split asks for more tasks than there are. */
export function tooFew(source: string, exist: number, { train, eval: held }: TasksetSettings['split'], more = ''): ReturnType<typeof loadFailure> {
  const evalShare = Math.min(exist, held > 0 ? Math.max(1, Math.floor((exist * held) / (train + held))) : 0);
  const fix = exist === 0 ? 'Add tasks.' : `Write split: { train: ${exist - evalShare}, eval: ${evalShare} } or less. ${more}`;
  const number = (value: number) => value.toLocaleString('en-US');
  return loadFailure(`${source} has ${count(exist, 'task')}; the split asks for ${number(train)} to train and ${number(held)} to evaluate, ${number(train + held)} in all.`, fix.trim(), { key: 'split' });
}

/** Defaults filled in; unknown keys and wrong values refused. */
async function completeArgs(generator: Generator<unknown>, given: TasksetSettings['args']): Promise<Loaded<'args', Record<string, unknown>>> {
  const { Ajv } = await import('ajv');
  const args = structuredClone(given) as Record<string, unknown>;
  // The schemas are the generators' own: to check them as well would take longer than what they check.
  const validate = new Ajv({ useDefaults: true, allErrors: true, logger: false, strict: false, meta: false, validateSchema: false }).compile(generator.args);
  if (validate(args)) return { ok: true, args };
  const [fault] = validate.errors!;
  const { instancePath, keyword, message, params } = fault!;
  const names = Object.keys(generator.args.properties);
  if (keyword === 'additionalProperties') {
    const unknown = String(params['additionalProperty']);
    return loadFailure(`There is no argument "${unknown}".`, `${didYouMean(unknown, names)}The arguments are ${names.join(', ')}.`, { key: `args.${unknown}` });
  }
  const path = instancePath.slice(1).replaceAll('/', '.');
  const allowed = keyword === 'enum' ? `: ${(params['allowedValues'] as unknown[]).join(', ')}` : '';
  const description = generator.args.properties[path.split('.')[0]!]?.description ?? '';
  return loadFailure(`${path} ${message}${allowed}.`, description, { key: `args.${path}` });
}
