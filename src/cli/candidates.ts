/** What a half-typed command line may go on with: commands and flags from the table, models, checkpoints and jobs from the project. */
import type { CommandSpec } from './types.ts';
import { completionScripts } from './completion-scripts.ts';
import { type FlagSpec, type Value, flagSpecs } from './flags.ts';
import type { Io } from './io.ts';
import { rootOf } from './paths.ts';
import { storeOf } from './store.ts';

interface Table {
  commands: Readonly<Record<string, CommandSpec>>;
  io: Io;
}

interface Candidate {
  word: string;
  about?: string;
}

/** A request to the shell (`:files`, `:more`), or something to choose. */
type Answer = Candidate | `:${'files' | 'pipelines' | 'folders' | 'more'}`;

/** `words`: what stands after `rlrun`, the last one unfinished and maybe empty. The lines that the completion scripts read. */
export async function candidatesFor(words: readonly string[], table: Table): Promise<string[]> {
  const current = words.at(-1)!;
  // A project that cannot be read completes to nothing: a shell's prompt is no place for messages.
  const answers = await answersFor(words.slice(0, -1), current, table).catch(() => []);
  return answers.flatMap((answer) => {
    if (typeof answer === 'string') return [answer];
    return answer.word.startsWith(current) ? [answer.about ? `${answer.word}\t${answer.about.replaceAll(/\s+/g, ' ')}` : answer.word] : [];
  });
}

async function answersFor(before: readonly string[], current: string, table: Table): Promise<Answer[]> {
  const { commands } = table;
  const [first, second] = before;
  if (first === undefined && !current.startsWith('-')) {
    const names = firstWordsOf(commands);
    // `models` is the command, also where there is a folder of that name.
    const isCommand = current !== '' && names.some(({ word }) => word.startsWith(current));
    return isCommand ? names : [...names, ':pipelines'];
  }
  const seconds = first === undefined ? [] : secondWordsOf(first, commands);
  if (seconds.length > 0 && second === undefined) return current.startsWith('-') ? [help] : seconds;
  const named = seconds.length > 0 ? `${first} ${second}` : (first ?? '');
  const isNamed = named in commands;
  if (seconds.length > 0 && !isNamed) return [];
  const rest = isNamed ? before.slice(named.split(' ').length) : before;
  return answersInside(commands[isNamed ? named : 'run']!, { rest, current, table });
}

const help = { word: '--help', about: 'print this help' };

function firstWordsOf(commands: Table['commands']): Candidate[] {
  const names = [...new Set(Object.keys(commands).map((name) => name.split(' ')[0]!))];
  return names.map((first) => ({ word: first, about: commands[first]?.summary ?? secondWordsOf(first, commands).map(({ word }) => word).join(', ') }));
}

const secondWordsOf = (first: string, commands: Table['commands']): Candidate[] =>
  Object.entries(commands).flatMap(([name, { summary }]) => (name.startsWith(`${first} `) ? [{ word: name.slice(first.length + 1), about: summary }] : []));

const namesOf = ({ syntax }: FlagSpec): string[] => syntax.replace(/ <.*$/, '').split(', ');
const takesValue = ({ syntax }: FlagSpec): boolean => syntax.includes('<');

async function answersInside({ args = [], flags }: CommandSpec, { rest, current, table }: { rest: readonly string[]; current: string; table: Table }): Promise<Answer[]> {
  const specs = flags.map((flag): FlagSpec => flagSpecs[flag]);
  const specOf = (word: string) => specs.find((spec) => namesOf(spec).includes(word));
  const given: string[] = [];
  let awaiting: FlagSpec | undefined;
  let isOver = false;
  const seen = new Set<FlagSpec>();
  for (const word of rest) {
    if (awaiting) {
      awaiting = undefined;
      continue;
    }
    if (!isOver && word === '--') isOver = true;
    else if (!isOver && word.startsWith('-')) {
      const spec = specOf(word.replace(/=.*/, ''));
      if (spec) seen.add(spec);
      if (spec && takesValue(spec) && !word.includes('=')) awaiting = spec;
    } else given.push(word);
  }
  const context = { given, current, table };
  if (awaiting) return valuesOf(awaiting, context);
  const [, name, value] = /^(--[\w-]+=)(.*)$/s.exec(current) ?? [];
  if (!isOver && name !== undefined) {
    const spec = specOf(name.slice(0, -1));
    const values = spec ? await valuesOf(spec, { ...context, current: value! }) : [];
    return values.flatMap((answer): Answer[] => (typeof answer === 'string' ? (answer === ':more' ? [answer] : []) : [{ ...answer, word: name + answer.word }]));
  }
  if (!isOver && current.startsWith('-')) {
    const left = specs.filter((spec) => spec.repeatable || !seen.has(spec));
    return [...left.flatMap((spec) => namesOf(spec).map((word) => ({ word, about: spec.description }))), help];
  }
  const last = args.at(-1);
  const arg = args[given.length] ?? (last?.syntax.includes('...') ? last : undefined);
  return arg?.value ? values[arg.value](context) : [];
}

interface Context {
  /** The arguments before this one. */
  given: readonly string[];
  current: string;
  table: Table;
}

async function valuesOf({ choices, value }: FlagSpec, context: Context): Promise<Answer[]> {
  if (choices) return choices.map((word) => ({ word }));
  return value ? values[value](context) : [];
}

const values: { [V in Value]: (context: Context) => Promise<Answer[]> } = {
  pipeline: async () => [':pipelines'],
  file: async () => [':files'],
  folder: async () => [':folders'],
  shell: async () => Object.keys(completionScripts).map((word) => ({ word })),
  async model({ table: { io } }) {
    const models = await (await storeOf(io)).list();
    return models.flatMap(({ kind, source, base }) => (kind === 'model' ? [{ word: source, about: base ?? '' }] : []));
  },
  async source(context) {
    const { current, table: { io } } = context;
    const [slug, after] = current.split('@', 2) as [string, string?];
    if (after !== undefined) return (await checkpointsOf(slug, io)).map(({ word, ...about }) => ({ word: `${slug}@${word}`, ...about }));
    const models = await (await storeOf(io)).list();
    return [...models.map(({ source, base }) => ({ word: source, about: base ?? 'base' })), ':folders'];
  },
  /** Of the model that was named before, or of the pipeline's. */
  async checkpoint({ given: [named = ''], table: { io } }) {
    const slug = /\.ya?ml$/.test(named) ? await modelOfPipeline(named, io) : named;
    return [{ word: 'base', about: 'as it was forked' }, ...(await checkpointsOf(slug, io))];
  },
  async job({ table: { io } }) {
    const { listJobs } = await import('../pipeline/index.ts');
    const jobs = await listJobs(rootOf(io));
    return [{ word: 'latest', about: 'the newest one' }, ...jobs.map(({ id, model, status }) => ({ word: id, about: `${model}, ${status}` }))];
  },
  async rollout({ table: { io } }) {
    const { findJob, lastRollouts } = await import('../pipeline/index.ts');
    const job = await findJob(rootOf(io), 'latest');
    const { rollouts } = job ? await lastRollouts(job) : { rollouts: [] };
    return rollouts.map(({ id, reward }) => ({ word: id, about: `reward ${reward ?? '–'}` }));
  },
  /** Keys of the pipeline's schema; what belongs to one kind of something is offered for all of them. */
  async setting({ current }) {
    if (current.includes('=')) return [];
    const { keyPlaces } = await import('../config/index.ts');
    const paths = [...new Set([...keyPlaces().values()].flat())].filter((path) => !/^(reward|steps)\./.test(path));
    return [...paths.sort().map((path) => ({ word: `${path}=` })), ':more'];
  },
};

/** Those that still have their weights; without, nothing can be done with one. */
async function checkpointsOf(slug: string, io: Io): Promise<Candidate[]> {
  const { checkpoints } = await (await (await storeOf(io)).model(slug)).scan();
  return checkpoints.flatMap(({ name, pruned }) => (pruned ? [] : [{ word: name }])).reverse();
}

async function modelOfPipeline(file: string, io: Io): Promise<string> {
  const { loadPipeline } = await import('../config/index.ts');
  const loaded = await loadPipeline({ file, sets: [], env: io.env, directory: io.cwd });
  if (!loaded.ok) throw new Error(`${file} cannot be read`);
  return loaded.pipeline.model.name;
}
