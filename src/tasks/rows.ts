/** Rows that users write: HUD's `Task` format (`env, id, args, slug, …`), or simply a prompt and its answer. */
import { hash } from 'node:crypto';
import { basename, dirname, extname, resolve } from 'node:path';
import { isPrompt, PROGRAM } from '../environments/index.ts';
import { didYouMean } from '../util/did-you-mean.ts';
import { halfPair, roundedNumber } from './lost-in-reading.ts';
import { NumberLiteral, slugOf } from './slug.ts';
import type { Task } from './types.ts';

/** One row as it was read. */
export interface SourceRow {
  value: unknown;
  /** For messages: `line 3`, `row 12`. */
  name: string;
  /** The same with numbers as they stood in the file: slugs and answers are made of these. */
  literal: unknown;
  split: 'train' | 'eval' | null;
}

/** A row that has been checked; a template's prompt is still to be asked for. */
export interface RowTask {
  task: Omit<Task, 'prompt'> & { prompt: Task['prompt'] | null };
  name: string;
  split: 'train' | 'eval' | null;
  /** Did its author give it a slug? */
  isNamed: boolean;
  /** Rows with the same question stay on the same side of the split. */
  question: string;
}

export interface RowFault {
  message: string;
  fix: string;
}

/** HUD's fields and ours; what rlrun cannot honour is refused where ignoring it would change the meaning. */
const KEYS: Record<string, 'used' | 'kept for HUD' | { instead: string }> = {
  prompt: 'used',
  answer: 'used',
  split: 'used',
  env: 'used',
  id: 'used',
  args: 'used',
  slug: 'used',
  validation: 'kept for HUD',
  columns: 'kept for HUD',
  agent_config: { instead: 'Set max_tokens, system and the like under `agent:` of the pipeline.' },
  runtime_config: { instead: 'Set limits under `runtime:` of the pipeline.' },
  verifier: { instead: 'Judge the completion with a `reward:` of the pipeline.' },
};

export interface RowContext {
  /** The file that holds the rows; module paths in `env` are relative to it. */
  file: string;
  /** Templates that the file itself exports. */
  templates: readonly string[];
}

const isRecord = (value: unknown): value is Record<string, unknown> => typeof value === 'object' && value !== null && !Array.isArray(value);

/** No task is nested like this; the limit keeps the recursion of everything behind it safe. */
const MAX_DEPTH = 100;

const isDeeperThan = (depth: number, value: unknown): boolean =>
  typeof value === 'object' && value !== null && (depth === 0 || Object.values(value).some((inner) => isDeeperThan(depth - 1, inner)));

export function checkRow({ value, name, literal: written, split: side }: SourceRow, context: RowContext): { ok: true; row: RowTask } | { ok: false; fault: RowFault } {
  const refuse = (message: string, fix: string) => ({ ok: false as const, fault: { message: `${name}: ${message}`, fix } });
  if (!isRecord(value)) return refuse('expected an object with a prompt, or with the id of a template', 'Write { "prompt": "12+34=", "answer": "46" }.');
  if (isDeeperThan(MAX_DEPTH, value)) return refuse(`values are nested more than ${MAX_DEPTH} levels deep, or contain themselves`, 'Write flat rows: what a grader needs besides prompt and answer belongs into "args".');
  for (const key of Object.keys(value)) {
    const use = Object.hasOwn(KEYS, key) ? KEYS[key]! : null;
    if (use === null) return refuse(`there is no key "${key}"`, `${didYouMean(key, Object.keys(KEYS))}The keys are ${Object.keys(KEYS).join(', ')}.`);
    if (typeof use === 'object' && value[key] !== null) return refuse(`rlrun does not read "${key}" of a task`, use.instead);
  }
  const { prompt = null, answer = null, env = null, id = null, args = {}, slug = null, split = side } = value;
  if (!isRecord(args)) return refuse('"args" has to be an object', 'Write "args": {} with the names and values of the arguments.');
  for (const [key, text] of Object.entries({ id, slug })) if (text !== null && (typeof text !== 'string' || text === '')) return refuse(`"${key}" has to be a text`, `Put "${key}" in quotes.`);
  if (split !== null && split !== 'train' && split !== 'eval') return refuse('"split" has to be train or eval', 'Leave it out to have the rows split at random.');
  if (answer !== null && (!['string', 'number', 'boolean'].includes(typeof answer) || Number.isNaN(answer))) return refuse('"answer" has to be a text or a number', 'Write the one right answer; what a grader needs besides belongs into "args".');
  if (prompt !== null && (!isPrompt(prompt) || prompt === '')) return refuse('"prompt" has to be a text, or messages with role and content', 'Write "prompt": "12+34=".');
  if (prompt === null && id === null) return refuse('there is neither a prompt nor the id of a template', 'Write { "prompt": "12+34=", "answer": "46" }.');

  const broken = halfPair({ prompt, answer, args });
  if (broken !== null) return refuse(`"${broken}" holds half of a surrogate pair, which is no character`, 'Write the whole character, or leave it out.');
  const literal = written as typeof value;
  const literalArgs = isRecord(literal['args']) ? literal['args'] : args;
  const rounded = roundedNumber(literalArgs, 'args') ?? (typeof answer === 'number' && !(literal['answer'] instanceof NumberLiteral) ? roundedNumber(answer, 'answer') : null);
  if (rounded !== null) return refuse(`"${rounded}" is a whole number with more digits than a number can keep here`, 'Write it in quotes.');
  const answerText = answer === null ? null : literal['answer'] instanceof NumberLiteral ? literal['answer'].source : String(answer as string | number | boolean);
  // By its value, as long as that says it all: ids should survive another way to write a number.
  const answerKey = typeof answer === 'number' && roundedNumber(literal['answer'], '') !== null ? answerText : answer;
  const taskId = (slug ?? (id !== null ? slugOf(id as string, literalArgs) : anonymousId(context.file, prompt, answerKey, args))) as string;
  const template = prompt === null ? { id: id as string, source: templateSource(env, context) } : null;
  if (template?.source === context.file && !context.templates.includes(template.id)) {
    return refuse(`there is no template "${template.id}"`, `${didYouMean(template.id, context.templates)}The file exports ${context.templates.join(', ') || 'no `templates`'}.`);
  }
  return {
    ok: true,
    row: {
      task: { id: taskId, prompt: prompt as Task['prompt'] | null, answer: answerText, args, ...(template ? { template } : {}) },
      name,
      split,
      isNamed: slug !== null,
      question: digest(template ? [template, literalArgs] : prompt),
    },
  };
}

/** A module named in `env`, else the templates of the file itself, else the program of the runtime. */
function templateSource(env: unknown, { file, templates }: RowContext): string {
  if (typeof env === 'string' && /\.[cm]?[jt]s$/.test(env)) return resolve(dirname(file), env);
  return env === null && (templates.length > 0 || isModule(file)) ? file : PROGRAM;
}

export const isModule = (file: string): boolean => /\.[cm]?[jt]s$/.test(file);

const digest = (content: unknown): string => hash('sha1', JSON.stringify(content), 'hex');

/** A row without a name is named by what it says, so that its id survives a new order of the rows. */
function anonymousId(file: string, ...content: unknown[]): string {
  return `${basename(file, extname(file))}-${digest(content).slice(0, 8)}`;
}
