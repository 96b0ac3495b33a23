/** Tasks over random letters: tiny models can learn them, and their tokenizer needs nothing but the alphabet. */
import { drawFor, multisetAt, multisets, type Draft } from '../space.ts';
import { type ArgsSchema, type Generator, sameAsAnswer } from './types.ts';

export interface TextArgs {
  min_length: number;
  max_length: number;
  alphabet: string;
  prompt: string;
}

/** Beyond this a rank is no longer exact in float64, with room for the permutation. */
const LARGEST_SPACE = 2 ** 50;

function textArgs(prompt: string, alphabet = 'abcdefghijklmnopqrstuvwxyz'): ArgsSchema {
  const length = { type: 'integer', minimum: 1, maximum: 24 };
  return {
    type: 'object',
    additionalProperties: false,
    properties: {
      min_length: { description: 'Letters of the shortest texts.', ...length, default: 3, examples: [3] },
      max_length: { description: 'Letters of the longest texts; every length is equally frequent.', ...length, default: 8, examples: [8] },
      alphabet: { description: 'The letters to draw from.', type: 'string', minLength: 2, maxLength: 200, default: alphabet, examples: ['abc'] },
      prompt: { description: 'The prompt, with a place for what varies in braces.', type: 'string', default: prompt, examples: [prompt] },
    },
  };
}

const lengths = ({ min_length, max_length }: TextArgs): number[] => Array.from({ length: max_length - min_length + 1 }, (_, index) => min_length + index);

const checkText =
  (...places: string[]) =>
  ({ min_length, max_length, alphabet, prompt }: TextArgs): ReturnType<NonNullable<Generator['check']>> => {
    if (min_length > max_length) return { key: 'min_length', message: `min_length is ${min_length}, above max_length ${max_length}`, fix: 'Make max_length at least min_length.' };
    const letters = [...alphabet];
    if (new Set(letters).size < letters.length) return { key: 'alphabet', message: 'a letter occurs twice in the alphabet', fix: 'Name every letter once.' };
    const missing = places.find((place) => !prompt.includes(place));
    return missing ? { key: 'prompt', message: `the prompt has no ${missing}`, fix: `Write ${missing} where it belongs.` } : null;
  };

/** The text with this rank among those of one length. Long texts are told apart by their first letters; the rest is drawn. */
function textAt(rank: number, letters: readonly string[], length: number, seed: number): string {
  const counted = countedLength(letters.length, length);
  let [text, left] = ['', rank];
  for (let place = 0; place < counted; place++) {
    text += letters[left % letters.length];
    left = Math.floor(left / letters.length);
  }
  for (let place = counted; place < length; place++) text += letters[Math.floor(drawFor(rank, { seed, use: length, part: place }) * letters.length)];
  return text;
}

const countedLength = (letters: number, length: number): number => Math.min(length, Math.floor(Math.log(LARGEST_SPACE) / Math.log(letters)));

const strataOfTexts = (args: TextArgs, seed: number, draft: (text: string, rank: number, length: number) => Draft) => {
  const letters = [...args.alphabet];
  return lengths(args).map((length) => ({
    size: letters.length ** countedLength(letters.length, length),
    at: (rank: number) => draft(textAt(rank, letters, length, seed), rank, length),
  }));
};

/** `reverse(abc)=` → `cba`. */
export const reverseText: Generator<TextArgs> = {
  description: 'Write a text backwards: the prompt is `reverse(abc)=`, the answer `cba`.',
  disjoint: 'No text is on both sides.',
  args: textArgs('reverse({text})='),
  check: checkText('{text}'),
  strata: (args, seed) =>
    strataOfTexts(args, seed, (text) => ({
      id: 'reverse-text',
      args: { text },
      prompt: args.prompt.replaceAll('{text}', () => text),
      answer: [...text].reverse().join(''),
    })),
  grade: sameAsAnswer,
};

/** `sort(banana)=` → `aaabnn`. */
export const sortLetters: Generator<TextArgs> = {
  description: 'Put the letters of a text in the order of the alphabet given: the prompt is `sort(banana)=`, the answer `aaabnn`.',
  disjoint: 'No two texts are anagrams of each other, on either side.',
  args: textArgs('sort({text})='),
  check(args) {
    const largest = multisets([...args.alphabet].length, args.max_length);
    if (largest > LARGEST_SPACE) return { key: 'max_length', message: `${args.max_length} letters out of so large an alphabet are too many to enumerate`, fix: 'Lower max_length or shorten the alphabet.' };
    return checkText('{text}')(args);
  },
  strata(args, seed) {
    const letters = [...args.alphabet];
    return lengths(args).map((length) => ({
      size: multisets(letters.length, length),
      at(rank) {
        const sorted = multisetAt(rank, letters.length, length).map((index) => letters[index]!);
        const text = shuffled(sorted, (part) => drawFor(rank, { seed, use: length, part })).join('');
        return { id: 'sort-letters', args: { text }, prompt: args.prompt.replaceAll('{text}', () => text), answer: sorted.join('') };
      },
    }));
  },
  grade: sameAsAnswer,
};

/** Fisher and Yates, with one uniform number per place. */
export function shuffled<T>(items: readonly T[], uniform: (place: number) => number): T[] {
  const result = [...items];
  for (let last = result.length - 1; last > 0; last--) {
    const chosen = Math.floor(uniform(last) * (last + 1));
    [result[last], result[chosen]] = [result[chosen]!, result[last]!];
  }
  return result;
}

/** `count(a,banana)=` → `3`. */
export const countLetters: Generator<TextArgs> = {
  description: 'Count a letter in a text: the prompt is `count(a,banana)=`, the answer `3`.',
  disjoint: 'No text is on both sides.',
  args: textArgs('count({letter},{text})=', 'abcde'),
  check: checkText('{letter}', '{text}'),
  strata: (args, seed) =>
    strataOfTexts(args, seed, (text, rank, length) => {
      const letters = [...args.alphabet];
      const letter = letters[Math.floor(drawFor(rank, { seed, use: 100 + length }) * letters.length)]!;
      return {
        id: 'count-letters',
        args: { letter, text },
        prompt: args.prompt.replace(/\{(letter|text)\}/g, (_, place: 'letter' | 'text') => ({ letter, text })[place]),
        answer: String([...text].filter((other) => other === letter).length),
      };
    }),
  grade: sameAsAnswer,
};
