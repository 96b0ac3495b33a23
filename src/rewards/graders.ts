import type { RewardSettings } from '../config/types.ts';
import { type LoadError, type Loaded, loadFailure } from '../util/load-error.ts';
import { isClose, lastNumber } from './numbers.ts';
import { similarity } from './similarity.ts';
import type { ScoreRequest } from './types.ts';
import { f1, sameText } from './words.ts';
import { invalid, type Verdict } from './verdict.ts';

/** A loaded grader. Built-ins answer at once; user code answers later. */
export type Grader = (request: ScoreRequest, signal?: AbortSignal) => Verdict | Promise<Verdict>;

export type RewardKind = RewardSettings['kind'];
/** The settings of one kind; kinds that share a shape are told apart by the intersection. */
export type SettingsOf<K extends RewardKind> = RewardSettings & { readonly kind: K };

const value = (number: number | boolean): Verdict => ({ ok: true, value: Number(number) });
const ready = (grader: Grader): Loaded<'grader', Grader> => ({ ok: true, grader });

/** Most built-ins compare the completion with the task's gold answer; without one they cannot say anything. */
const againstAnswer = (grade: (completion: string, answer: string) => Verdict): Loaded<'grader', Grader> =>
  ready(({ task, completion }) => (task.answer === null ? invalid('the task has no `answer` to compare with') : grade(completion, task.answer)));

/** Case-blind search for a text. Empty needles would be found everywhere. */
const holds = (completion: string, needle: string): boolean => completion.toLowerCase().includes(needle.toLowerCase());

function needles(values: readonly string[] | null, found: (completion: string, values: readonly string[]) => boolean): Loaded<'grader', Grader> {
  if (values === null) return againstAnswer((completion, answer) => (answer === '' ? invalid('the task has an empty `answer`, which every text contains') : value(found(completion, [answer]))));
  if (values.length === 0) return loadFailure('There is nothing to search for.', 'Give at least one text, or leave the key out to search for the task\'s answer.', { key: 'values' });
  if (values.includes('')) return loadFailure('An empty text is contained in every completion.', 'Give a text of at least one character.', { key: 'values' });
  return ready(({ completion }) => value(found(completion, values)));
}

/** Every built-in that runs inline: pure functions of bounded cost. */
export const inlineGraders = {
  exact_match: (_settings: SettingsOf<'exact_match'>) => againstAnswer((completion, answer) => value(sameText(completion, answer))),

  contains: ({ value: needle }: SettingsOf<'contains'>) => needles(needle === null ? null : [needle], (completion, [text]) => holds(completion, text!)),
  contains_any: ({ values }: SettingsOf<'contains_any'>) => needles(values, (completion, texts) => texts.some((text) => holds(completion, text))),
  contains_all: ({ values }: SettingsOf<'contains_all'>) => needles(values, (completion, texts) => texts.every((text) => holds(completion, text))),

  numeric_match: (settings: SettingsOf<'numeric_match'>) =>
    againstAnswer((completion, answer) => {
      const gold = lastNumber(answer);
      if (gold === null) return invalid(`the task's answer ${JSON.stringify(answer.slice(0, 40))} holds no number`);
      const given = lastNumber(completion);
      return value(given !== null && isClose(given, gold, settings));
    }),

  f1: (_settings: SettingsOf<'f1'>) => againstAnswer((completion, answer) => value(f1(completion, answer))),
  similarity: (_settings: SettingsOf<'similarity'>) => againstAnswer((completion, answer) => value(similarity(completion, answer))),

  /** 1 inside the bounds; outside it falls with the ratio, so that a nearer length always scores higher. */
  length: ({ min, max, unit }: SettingsOf<'length'>) =>
    ready(({ completion, completionTokens }) => {
      const length = unit === 'tokens' ? completionTokens : [...completion].length;
      return value(length < min ? length / min : length > max ? max / length : 1);
    }),
};

export type { LoadError };
