import type { RewardSettings } from '../config/types.ts';
import type { Answer } from '../environments/index.ts';
import type { Conversation } from '../events.ts';
import { invalid, isProgram, type Verdict } from '../runtimes/index.ts';
import { type GeneratorName, generators } from '../tasks/index.ts';
import { userEnvironment } from '../util/user-environment.ts';
import { keyInside, type Loaded, loadFailure } from '../util/load-error.ts';
import type { GraderTools } from './tools.ts';
import { goldNumber, isClose, lastNumber } from './numbers.ts';
import { sameText } from './same-text.ts';
import { holds } from './search.ts';
import { similarity } from './similarity.ts';
import type { RewardKind, ScoreRequest, SettingsOf } from './types.ts';
import { whenAll } from './when-all.ts';
import { f1 } from './words.ts';

/** A loaded grader. Built-ins of bounded cost answer at once; whatever runs a user's code answers later. */
export interface Grader {
  (request: ScoreRequest, signal?: AbortSignal): Verdict | Promise<Verdict>;
  /** What is wrong with a gold answer, whatever it is compared with: looked for in every task before any model is run. */
  readonly refuses?: (answer: string) => string | null;
}
export type LoadedGrader = Loaded<'grader', Grader>;

/** Comparing two repetitive texts can take this product of their lengths hundreds of times over; above it, it leaves the main thread. */
const INLINE_COMPARISONS = 250_000;

const value = (number: number | boolean): Verdict => ({ ok: true, value: Number(number) });
const ready = (grader: Grader): LoadedGrader => ({ ok: true, grader });

/** Most built-ins compare the completion with the task's gold answer; without one, or with one that they refuse, they cannot say anything. */
function againstAnswer(grade: (completion: string, answer: string, signal?: AbortSignal) => Verdict | Promise<Verdict>, refuses: Grader['refuses'] = () => null): LoadedGrader {
  const grader: Grader = ({ task: { answer }, completion }, signal) => {
    const fault = answer === null ? 'the task has no `answer` to compare with' : refuses(answer);
    return fault === null ? grade(completion, answer!, signal) : invalid(fault);
  };
  return ready(Object.assign(grader, { refuses }));
}

/** How each kind of reward becomes a grader. */
export const graderRules: { [K in RewardKind]: (settings: SettingsOf<K>, tools: GraderTools) => LoadedGrader | Promise<LoadedGrader> } = {
  exact_match: () => againstAnswer((completion, answer) => value(sameText(completion, answer))),

  contains: ({ value: needle }) => searchFor(needle === null ? null : [needle], 'value', (has, [text]) => has(text!)),
  contains_any: ({ values }) => searchFor(values, 'values', (has, texts) => texts.some(has)),
  contains_all: ({ values }) => searchFor(values, 'values', (has, texts) => texts.every(has)),

  regex({ pattern, flags, full }, { inWorker }) {
    // `g` and `y` would make a test depend on the one before it.
    const kept = flags.replace(/[gy]/g, '');
    // Start and end of the text whatever the flags are: `^` and `$` mean lines under `m`.
    const source = full ? `(?<![^])(?:${pattern})(?![^])` : pattern;
    try {
      new RegExp(pattern, kept);
    } catch (error) {
      return loadFailure(`The pattern is no regular expression: ${(error as Error).message}.`, 'Correct the pattern; backslashes need single quotes in YAML.', { key: 'pattern' });
    }
    return ready(async ({ completion }, signal) => {
      const matched = await inWorker('regex', { source, flags: kept, completion: full ? completion.trim() : completion }, signal);
      return matched.ok ? value(matched.value) : matched;
    });
  },

  numeric_match: (settings) =>
    againstAnswer(
      (completion, answer) => {
        const given = lastNumber(completion);
        return value(given !== null && isClose(given, goldNumber(answer)!, settings));
      },
      (answer) => (goldNumber(answer) === null ? `the task's answer ${JSON.stringify(answer.slice(0, 40))} is not a number and nothing else; write the number alone, or compare with exact_match` : null),
    ),

  f1: () => againstAnswer((completion, answer) => value(f1(completion, answer))),

  similarity: (_settings, { inWorker }) =>
    againstAnswer((completion, answer, signal) => {
      if (completion.length * answer.length <= INLINE_COMPARISONS) return value(similarity(completion, answer));
      return inWorker('similarity', { completion, answer }, signal).then((compared) => (compared.ok ? value(compared.value) : compared));
    }),

  /** 1 inside the bounds; outside it falls with the ratio, so that a nearer length always scores higher. */
  length: ({ min, max, unit }) =>
    ready(({ completion, completionTokens }) => {
      const length = unit === 'tokens' ? completionTokens : [...completion].length;
      return value(length < min ? length / min : length > max ? max / length : 1);
    }),

  async json_schema({ schema }, { inWorker }) {
    const { compileSchema } = await import('./json-schema.ts');
    try {
      compileSchema(schema);
    } catch (error) {
      return loadFailure(`The schema is no JSON Schema: ${(error as Error).message}.`, 'Correct the schema (draft 2020-12, or name another in $schema).', { key: 'schema' });
    }
    return ready(async ({ completion }, signal) => {
      const problem = await inWorker('json_schema', { schema, completion }, signal);
      if (!problem.ok) return problem;
      return problem.value === null ? value(1) : { ok: true, value: 0, info: { problem: problem.value } };
    });
  },

  async command(settings, { runtime, onOutput, limit }) {
    if (settings.command.length === 0) return loadFailure('The command is empty.', 'Write the program and its arguments, such as [python3, reward.py].', { key: 'command' });
    if (!isProgram(settings.command[0]!, settings.cwd)) {
      return loadFailure(`There is no program ${settings.command[0]!}.`, `It is looked for in ${/[\\/]/.test(settings.command[0]!) ? settings.cwd : 'the folders of PATH'}.`, { key: 'command.0' });
    }
    const { askCommand } = await import('./command.ts');
    const [timeoutMs, env] = [Math.min(settings.timeoutMs, runtime.scoreTimeoutMs), userEnvironment(runtime.env)];
    return ready((request, signal) => limit(() => askCommand(settings, request, { timeoutMs, memoryMb: runtime.memoryMb, env, onOutput, signal })));
  },

  async module({ path, args }, { inWorker }) {
    const checked = await inWorker('check', { path });
    if (!checked.ok) return loadFailure(`${path} cannot be loaded: ${checked.failure.message}.`, 'Mend the file; a reward is `export default (completion, task, info) => number`, or null for no verdict.', { key: 'path', at: checked.failure.at ?? null });
    if (checked.value !== null) return loadFailure(`${path}: ${checked.value}.`, 'Write `export default (completion, task, info) => number`.', { key: 'path' });
    return ready(async (request, signal) => {
      const verdict = await inWorker('module', { path, args, request }, signal);
      return verdict.ok ? verdict.value : verdict;
    });
  },

  task: (_settings, { environmentOf }) =>
    ready(({ task, completion, conversation }, signal) => {
      if (conversation?.verdict) return verdictOf(conversation.verdict);
      if (!task.template) return invalid('the task has no grader of its own; use another kind, such as exact_match');
      const { id, source } = task.template;
      if (source.startsWith('builtin:')) return generators[source.slice('builtin:'.length) as GeneratorName].grade(task, completion);
      const judged = { template: id, args: task.args, prompt: task.prompt };
      return environmentOf(source).then((environment) => (environment.ok ? environment.value.grade(judged, answersOf(completion, conversation), signal) : environment));
    }),

  // The best of what was said; the worst of all is not known while somebody is silent.
  any: ({ rewards }, tools) => best(rewards, tools, (value, other) => value !== null && (other === null || value > other)),
  all: ({ rewards }, tools) => best(rewards, tools, (value, other) => other !== null && (value === null || value < other)),
};

const verdictOf = ({ reward, info, subscores }: NonNullable<Conversation['verdict']>): Verdict =>
  ({ ok: true, value: reward, ...(info ? { info } : {}), ...(subscores ? { children: subscores } : {}) });

/** What the environment was told. */
const answersOf = (completion: string, conversation: Conversation | undefined): Answer[] =>
  conversation === undefined
    ? [{ content: completion, toolCalls: [] }]
    : conversation.messages.filter(({ heard }) => heard).map(({ content, toolCalls = [] }) => ({ content, toolCalls }));

/** Loads one entry of a `reward:` list, of whatever kind. */
export function loadGrader<K extends RewardKind>(settings: SettingsOf<K>, tools: GraderTools): LoadedGrader | Promise<LoadedGrader> {
  return graderRules[settings.kind as K](settings, tools);
}

/** An empty needle is refused: it is found everywhere. */
function searchFor(values: readonly string[] | null, key: string, found: (has: (text: string) => boolean, values: readonly string[]) => boolean): LoadedGrader {
  const search = (completion: string, texts: readonly string[]): Verdict => {
    return value(found((text) => holds(completion, text), texts));
  };
  if (values === null) return againstAnswer((completion, answer) => search(completion, [answer]), (answer) => (answer === '' ? 'the task has an empty `answer`, which every text contains' : null));
  if (values.length === 0) return loadFailure('There is nothing to search for.', "Give at least one text, or leave the key out to search for the task's answer.", { key });
  if (values.includes('')) return loadFailure('An empty text is contained in every completion.', 'Give a text of at least one character.', { key });
  return ready(({ completion }) => search(completion, values));
}

/** The child that wins (the first of equals) gives its value; all are kept, with weight 1 for the winner and 0 for the rest. */
async function best(rewards: readonly RewardSettings[], tools: GraderTools, beats: (value: number | null, other: number | null) => boolean): Promise<LoadedGrader> {
  if (rewards.length === 0) return loadFailure('There is no reward to choose from.', 'Give at least one reward.', { key: 'rewards' });
  const children: { name: string; grade: Grader }[] = [];
  for (const [index, settings] of rewards.entries()) {
    const loaded = await loadGrader(settings, tools);
    if (!loaded.ok) return { ok: false, error: { ...loaded.error, key: keyInside(`rewards.${index}`, loaded.error.key) } };
    children.push({ name: settings.name, grade: loaded.grader });
  }
  const choose = (verdicts: readonly Verdict[]): Verdict => {
    let winner = 0;
    const values: (number | null)[] = [];
    for (const [index, verdict] of verdicts.entries()) {
      if (!verdict.ok) return { ok: false, failure: { ...verdict.failure, message: `${children[index]!.name}: ${verdict.failure.message}` } };
      values.push(verdict.value);
      if (beats(verdict.value, values[winner]!)) winner = index;
    }
    return {
      ok: true,
      value: values[winner]!,
      children: children.map(({ name }, index) => ({ name, value: values[index]!, weight: index === winner ? 1 : 0 })),
    };
  };
  const grader: Grader = (request, signal) => whenAll(children.map(({ grade }) => grade(request, signal)), choose);
  return ready(Object.assign(grader, { refuses: (answer: string) => firstRefusal(children, answer) }));
}

/** What the first grader that refuses a gold answer says of it. */
export function firstRefusal(graders: readonly { name: string; grade: Grader }[], answer: string): string | null {
  for (const { name, grade } of graders) {
    const fault = grade.refuses?.(answer) ?? null;
    if (fault !== null) return `${name}: ${fault}`;
  }
  return null;
}
