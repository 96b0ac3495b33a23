import { createHash } from 'node:crypto';
import { basename, extname } from 'node:path';
import type { RuntimeSettings, TasksetSettings } from '../config/types.ts';
import { type Environment, openEnvironment, PROGRAM } from '../environments/index.ts';
import { type Failure, openUserCode } from '../runtimes/index.ts';
import { type LoadError, type Loaded, loadFailure } from '../util/load-error.ts';
import { permutation } from '../util/random.ts';
import { workerUrl } from '../util/worker-url.ts';
import { BUILTIN, generate, tooFew } from './generate.ts';
import { listRows, readRows, ROW_FILES } from './read-rows.ts';
import { checkRow, isModule, type RowTask, type SourceRow } from './rows.ts';
import type { RowsCall, RowsReply } from './rows.worker.ts';
import type { Task, Taskset } from './types.ts';

export interface LoadTasksetOptions {
  settings: TasksetSettings;
  /** Where task modules and environments run; needed for rows whose prompts a program makes. */
  runtime?: RuntimeSettings;
  /** What user code prints, as it comes. */
  onOutput?: (text: string) => void;
  signal?: AbortSignal;
}

type Sides = Record<'train' | 'eval', Task[]>;

const PATIENT: RuntimeSettings = { kind: 'local', command: [], cwd: '.', env: [], concurrency: 2, setupTimeoutMs: 60_000, scoreTimeoutMs: 60_000, rolloutTimeoutMs: 120_000, memoryMb: 1024 };

/**
 * Loads a taskset: a built-in generator, rows of a JSON, JSON Lines or YAML file, or a TypeScript module. Train and eval are
 * disjoint: no question is in both. Every fault of the user's files comes back as a value.
 */
export async function loadTaskset(options: LoadTasksetOptions): Promise<Loaded<'taskset', Taskset>> {
  const { settings, signal } = options;
  signal?.throwIfAborted();
  const { source } = settings;
  if (source.startsWith(BUILTIN)) {
    const made = await generate(settings);
    return made.ok ? { ok: true, taskset: taskset(source.slice(BUILTIN.length), made.tasks, { files: [], hashes: [] }) } : made;
  }
  if (!isModule(source) && !ROW_FILES.includes(extname(source).toLowerCase())) {
    return loadFailure(`${source} is no taskset.`, `Name a builtin:… or a file ending in ${ROW_FILES.join(', ')}, .ts or .js.`, { key: 'source' });
  }
  const read = isModule(source) ? await runModule(options) : { ...(await readRows(source)), templates: [], files: [source] };
  if (!read.ok) return read;
  const refuse = (failed: { ok: false; error: LoadError }) => ({ ok: false as const, error: { ...failed.error, files: [...new Set([...read.files, ...failed.error.files])] } });
  const checked = checkRows(read.rows, { file: source, templates: read.templates });
  if (!checked.ok) return refuse(checked);
  const divided = divide(checked.rows, settings);
  if (!divided.ok) return refuse(divided);
  const prompted = await askForPrompts(divided.sides, options);
  if (!prompted.ok) return refuse(prompted);
  return { ok: true, taskset: taskset(basename(source, extname(source)), prompted.sides, { files: [...new Set([...read.files, ...prompted.files])], hashes: prompted.hashes }) };
}

function taskset(name: string, { train, eval: held }: Sides, { files, hashes }: { files: readonly string[]; hashes: readonly string[] }): Taskset {
  // Absolute paths differ between machines; what the files say is in the hashes.
  const textOf = (task: Task) => JSON.stringify(task, (key, value: unknown) => (key === 'template' ? (value as { id: string }).id : value));
  // Task by task: all of them may be more than a text can hold.
  const hash = createHash('sha256').update('[');
  for (const side of [train, held]) {
    hash.update('[');
    side.forEach((task, index) => hash.update(`${index > 0 ? ',' : ''}${textOf(task)}`));
    hash.update('],');
  }
  hash.update(`${JSON.stringify(hashes)}]`);
  return { name, train, eval: held, hash: hash.digest('hex'), files };
}

type ReadModule = { ok: true; rows: SourceRow[]; templates: string[]; files: readonly string[] } | { ok: false; error: LoadError };

async function runModule({ settings: { source, args, split, seed }, runtime = PATIENT, onOutput, signal }: LoadTasksetOptions): Promise<ReadModule> {
  const failed = ({ message, at }: Failure, files: readonly string[]) =>
    loadFailure(`${source}: ${message}.`, 'Export a list of { prompt, answer } by default, or a generator of them.', { key: 'source', at: at ?? null, files });
  const opened = await openUserCode({ entry: workerUrl('rows.worker', import.meta.url), paths: [source], runtime, onOutput, signal });
  if (!opened.ok) return failed(opened.failure, opened.files);
  await using code = opened.code;
  const call: RowsCall = { path: source, args, seed, ...split };
  const outcome = await code.pool.call('rows', call, { timeoutMs: runtime.setupTimeoutMs, signal });
  if (!outcome.ok) return failed(outcome.failure, code.files);
  const { rows: text, templates } = outcome.value as RowsReply;
  const value: unknown = JSON.parse(text);
  const rows = listRows(value, value, source);
  return rows.ok ? { ok: true, rows: rows.rows, templates, files: code.files } : { ok: false, error: { ...rows.error, files: code.files } };
}

function checkRows(rows: readonly SourceRow[], context: { file: string; templates: readonly string[] }): Loaded<'rows', RowTask[]> {
  const checked: RowTask[] = [];
  const named = new Map<string, RowTask>();
  for (const source of rows) {
    const result = checkRow(source, context);
    if (!result.ok) return loadFailure(`${context.file}, ${result.fault.message}.`, result.fault.fix, placeOf(source.name, context.file));
    const row = result.row.isNamed ? result.row : withFreeId(result.row, named);
    const { id } = row.task;
    const other = named.get(id);
    if (other !== undefined) return loadFailure(`${context.file}, ${source.name}: ${row.isNamed ? `the task "${id}"` : `the same task`} is there already, in ${other.name}.`, row.isNamed ? 'Give each row a slug of its own.' : 'Remove one, or give each a slug of its own.', placeOf(source.name, context.file));
    named.set(id, row);
    checked.push(row);
  }
  const sided = checked.filter(({ split }) => split !== null).length;
  if (sided > 0 && sided < checked.length) return loadFailure(`${context.file}: ${sided} of ${checked.length} rows have a split.`, 'Give every row one, or none.', { key: 'source' });
  return { ok: true, rows: checked };
}

/** Names made of eight hex digits collide among some ten thousand rows; only the same question and answer twice is a mistake. */
function withFreeId(row: RowTask, named: ReadonlyMap<string, RowTask>): RowTask {
  for (let id = row.task.id, number = 2; ; id = `${row.task.id}-${number++}`) {
    const other = named.get(id);
    if (!other || (other.question === row.question && other.task.answer === row.task.answer)) return id === row.task.id ? row : { ...row, task: { ...row.task, id } };
  }
}

function placeOf(name: string, file: string): Partial<Pick<LoadError, 'key' | 'at'>> {
  const line = /^line (\d+)$/.exec(name)?.[1];
  return { key: 'source', ...(line ? { at: { file, line: Number(line), column: 1 } } : {}) };
}

/** As the rows say, else at random with equal questions on one side: train from the front of the shuffled rows, eval from the back. */
function divide(rows: readonly RowTask[], { source, split, seed }: TasksetSettings): { ok: true; sides: Record<'train' | 'eval', RowTask[]> } | { ok: false; error: LoadError } {
  if (split.train + split.eval > rows.length) return tooFew(source, rows.length, split);
  if (rows.some((row) => row.split !== null)) return divideAsWritten(rows, { source, split });
  const byQuestion = Map.groupBy(rows, ({ question }) => question);
  const groups = [...byQuestion.values()];
  const order = permutation([seed, 0x20000], groups.length).map((index) => groups[index]!);
  const sides = { train: [] as RowTask[], eval: [] as RowTask[] };
  while (sides.eval.length < split.eval && order.length > 0) sides.eval.push(...order.pop()!);
  while (sides.train.length < split.train && order.length > 0) sides.train.push(...order.shift()!);
  for (const side of ['train', 'eval'] as const) {
    if (sides[side].length < split[side]) {
      return loadFailure(`${source}: rows with the same prompt stay on one side of the split, which leaves ${sides[side].length} to ${side}; the split asks for ${split[side]}.`, 'Ask for fewer, or remove rows that repeat a prompt.', { key: 'split' });
    }
    sides[side].length = split[side];
  }
  return { ok: true, sides };
}

function divideAsWritten(rows: readonly RowTask[], { source, split }: Pick<TasksetSettings, 'source' | 'split'>): ReturnType<typeof divide> {
  const sides = { train: rows.filter((row) => row.split === 'train'), eval: rows.filter((row) => row.split === 'eval') };
  const trained = new Map(sides.train.map((row) => [row.question, row.name]));
  const leaked = sides.eval.find(({ question }) => trained.has(question));
  if (leaked) return loadFailure(`${source}: ${leaked.name} of eval asks the same as ${trained.get(leaked.question)!} of train.`, 'Remove one of them: a held-out task must not be trained on.', { key: 'source' });
  for (const side of ['train', 'eval'] as const) {
    if (split[side] > sides[side].length) return loadFailure(`${source} has ${sides[side].length} tasks to ${side}; the split asks for ${split[side]}.`, `Write split: { train: ${sides.train.length}, eval: ${sides.eval.length} } or less.`, { key: 'split' });
    sides[side].length = split[side];
  }
  return { ok: true, sides };
}

type Prompted = { ok: true; sides: Sides; files: readonly string[]; hashes: readonly string[] } | { ok: false; error: LoadError };

/** Has every template make its prompt. Each environment is opened once and closed again: grading opens it anew. */
async function askForPrompts(sides: Record<'train' | 'eval', RowTask[]>, { settings, runtime = PATIENT, onOutput, signal }: LoadTasksetOptions): Promise<Prompted> {
  const environments = new Map<string, Environment>();
  const sources = new Set([...sides.train, ...sides.eval].flatMap(({ task }) => (task.prompt === null ? [task.template!.source] : [])));
  try {
    for (const source of sources) {
      const opened = await openEnvironment({ source, runtime, onOutput, signal });
      if (!opened.ok) return loadFailure(`${source === PROGRAM ? settings.source : source}: ${opened.failure.message}.`, 'Its rows name templates that something has to run.', { key: 'source', at: opened.failure.at ?? null, files: opened.files });
      environments.set(source, opened.environment);
    }
    const files = [...environments.values()].flatMap((environment) => environment.files);
    const asked = await askAll(sides, { environments, signal });
    if ('fault' in asked) {
      const isProgram = asked.source === PROGRAM;
      const fix = isProgram ? 'The program answers each line on stdin with one on stdout: see docs/subprocess.md.' : 'A template yields its prompt first, then the reward.';
      return loadFailure(`${settings.source}, ${asked.fault}.`, fix, { key: isProgram ? '/runtime.command' : 'source', files });
    }
    return { ok: true, sides: asked, files, hashes: [...environments.values()].map(({ hash }) => hash) };
  } finally {
    await Promise.all([...environments.values()].map((environment) => environment[Symbol.asyncDispose]()));
  }
}

class SetupFault extends Error {
  readonly source: string;
  constructor(source: string, message: string) {
    super(message);
    this.source = source;
  }
}

/** The first fault is enough: a program that cannot do one task is not asked for thousands. */
async function askAll(
  sides: Record<'train' | 'eval', RowTask[]>,
  { environments, signal }: { environments: ReadonlyMap<string, Environment>; signal: AbortSignal | undefined },
): Promise<Sides | { fault: string; source: string }> {
  const stop = new AbortController();
  const until = signal ? AbortSignal.any([signal, stop.signal]) : stop.signal;
  const ask = async ({ task, name }: RowTask): Promise<Task> => {
    if (task.prompt !== null) return task as Task;
    const { id, source } = task.template!;
    const prompt = await environments.get(source)!.setup({ template: id, args: task.args }, until);
    if (!prompt.ok) throw new SetupFault(source, `${name}: ${prompt.failure.message}`);
    return { ...task, prompt: prompt.value };
  };
  try {
    const [train, held] = await Promise.all([Promise.all(sides.train.map(ask)), Promise.all(sides.eval.map(ask))]);
    return { train, eval: held };
  } catch (error) {
    stop.abort();
    if (error instanceof SetupFault) return { fault: error.message, source: error.source };
    throw error;
  }
}
