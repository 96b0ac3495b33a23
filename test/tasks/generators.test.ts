import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { type GeneratorName, generators, loadTaskset, type Task } from '../../src/tasks/index.ts';
import { multisetAt, multisets, shuffledRank } from '../../src/tasks/space.ts';

async function load(name: string, args: Record<string, unknown>, { train = 60, held = 20, seed = 7 } = {}) {
  const loaded = await loadTaskset({ settings: { source: `builtin:${name}`, args, split: { train, eval: held }, seed } });
  if (!loaded.ok) throw new Error(loaded.error.message);
  return loaded.taskset;
}

const lengthArgs = fc.integer({ min: 4, max: 8 }).chain((min) => fc.record({ min_length: fc.constant(min), max_length: fc.integer({ min, max: 12 }), alphabet: fc.constantFrom('abcd', 'abcdefghijklmnopqrstuvwxyz', 'αβγδ😀') }));
const argsOf: Record<GeneratorName, fc.Arbitrary<Record<string, unknown>>> = {
  arith: fc.record({ operations: fc.shuffledSubarray(['add', 'subtract', 'multiply'], { minLength: 1 }), digits: fc.integer({ min: 2, max: 6 }), negative: fc.boolean() }),
  'reverse-text': lengthArgs,
  'sort-letters': lengthArgs.map((args) => ({ ...args, max_length: Math.max(args.max_length, 6) })),
  'count-letters': lengthArgs,
  countdown: fc.record({ numbers: fc.integer({ min: 2, max: 6 }), max_number: fc.integer({ min: 20, max: 100 }), max_target: fc.integer({ min: 100, max: 1000 }), use_all: fc.boolean() }),
};

/** What may not be on both sides, besides the prompt itself. */
const kinship: Record<GeneratorName, (task: Task) => string> = {
  arith: ({ prompt, args }) => `${(prompt as string).match(/\D/)![0]} ${[args['a'], args['b']].map(Number).sort((a, b) => a - b)}`,
  'reverse-text': ({ args }) => String(args['text']),
  'sort-letters': ({ args }) => [...String(args['text'])].sort().join(''),
  'count-letters': ({ args }) => String(args['text']),
  countdown: ({ args }) => String([...(args['numbers'] as number[])].sort((a, b) => a - b)),
};

/** The answer by another way than the generator's. */
const solve: Record<GeneratorName, (task: Task) => string> = {
  arith: ({ prompt }) => String(Function(`return ${(prompt as string).slice(0, -1)}`)()),
  'reverse-text': ({ args }) => [...String(args['text'])].reduce((done, letter) => letter + done, ''),
  'sort-letters': ({ args, answer }) => (Array.from(answer!).sort().join('') === Array.from(String(args['text'])).sort().join('') ? answer! : 'no anagram'),
  'count-letters': ({ args }) => String(String(args['text']).split(String(args['letter'])).length - 1),
  countdown: ({ args, answer }) => (Function(`return ${answer}`)() === args['target'] ? answer! : 'misses the target'),
};

describe.each(Object.keys(generators) as GeneratorName[])('%s', (name) => {
  test('the same seed makes the same tasks, another seed others', async () => {
    const one = await load(name, {});
    expect(await load(name, {})).toEqual(one);
    expect((await load(name, {}, { seed: 8 })).train.map(({ prompt }) => prompt)).not.toEqual(one.train.map(({ prompt }) => prompt));
    expect((await load(name, {}, { seed: 8 })).hash).not.toBe(one.hash);
  });

  test('every task is right, and worth full marks by its own grader', () =>
    fc.assert(
      fc.asyncProperty(argsOf[name], fc.nat(), async (args, seed) => {
        const { train, eval: held } = await load(name, args, { seed });
        expect(train).toHaveLength(60);
        expect(held).toHaveLength(20);
        for (const task of [...train, ...held]) {
          expect(task.answer).toBe(solve[name](task));
          expect(generators[name].grade(task, ` ${task.answer}\n`)).toEqual({ ok: true, value: 1 });
          expect(generators[name].grade(task, '')).toMatchObject({ ok: true, value: 0 });
          expect(task.id).toMatch(/^[a-z-]+-[0-9a-f]{8}$/);
        }
      }),
      { numRuns: 15 },
    ));

  test('no task occurs twice, and none on one side is kin to one on the other', () =>
    fc.assert(
      fc.asyncProperty(argsOf[name], fc.nat(), async (args, seed) => {
        const { train, eval: held } = await load(name, args, { seed });
        expect(new Set([...train, ...held].map(({ id }) => id)).size).toBe(80);
        const trained = new Set(train.map(kinship[name]));
        expect(held.filter((task) => trained.has(kinship[name](task)))).toEqual([]);
      }),
      { numRuns: 15 },
    ));

  test('eval tasks stay the same when there is more to train', async () => {
    const small = await load(name, {}, { train: 50 });
    const large = await load(name, {}, { train: 100 });
    expect(large.eval).toEqual(small.eval);
    expect(large.train.slice(0, 50)).toEqual(small.train);
  });
});

test('arith writes what a tiny model can read', async () => {
  const { train } = await load('arith', { operations: ['add', 'subtract'], digits: 1 });
  for (const { prompt, answer } of train) {
    expect(prompt).toMatch(/^\d[+-]\d=$/);
    expect(answer).toMatch(/^\d+$/);
  }
});

test('a space can be used up to its last task', async () => {
  const { train, eval: held } = await load('arith', { digits: 1 }, { train: 44, held: 11 });
  const pairs = new Set([...train, ...held].map(kinship.arith));
  expect(pairs.size).toBe(55);
});

test.each([
  ['arith', { digits: 1 }, { train: 50, eval: 6 }, 'builtin:arith has 55 tasks; the split asks for 50 to train and 6 to evaluate, 56 in all.', 'Write split: { train: 50, eval: 5 } or less. Or allow more tasks in taskset.args.'],
  ['sort-letters', { alphabet: 'ab', min_length: 1, max_length: 2 }, { train: 9, eval: 0 }, 'builtin:sort-letters has 5 tasks; the split asks for 9 to train and 0 to evaluate, 9 in all.', 'Write split: { train: 5, eval: 0 } or less. Or allow more tasks in taskset.args.'],
])('%s %j is too small for %j', async (name, args, split, message, fix) => {
  const loaded = await loadTaskset({ settings: { source: `builtin:${name}`, args, split, seed: 1 } });
  expect(loaded).toMatchObject({ ok: false, error: { key: 'split', message, fix } });
});

test.each([
  ['builtin:arit', {}, 'source', 'There is no built-in taskset "arit".', 'Did you mean "arith"? The built-in tasksets are arith, reverse-text, sort-letters, count-letters, countdown.'],
  ['builtin:constructor', {}, 'source', 'There is no built-in taskset "constructor".', 'The built-in tasksets are arith, reverse-text, sort-letters, count-letters, countdown.'],
  ['builtin:arith', { digit: 2 }, 'args.digit', 'There is no argument "digit".', 'Did you mean "digits"? The arguments are operations, digits, negative.'],
  ['builtin:arith', { digits: 7 }, 'args.digits', 'digits must be <= 6.', 'Operands have at most this many digits: 2 means 0 to 99.'],
  ['builtin:arith', { operations: ['power'] }, 'args.operations.0', 'operations.0 must be equal to one of the allowed values: add, subtract, multiply.', 'Which operations to mix, in equal parts.'],
  ['builtin:reverse-text', { min_length: 5, max_length: 4 }, 'args.min_length', 'builtin:reverse-text: min_length is 5, above max_length 4.', 'Make max_length at least min_length.'],
  ['builtin:reverse-text', { prompt: 'reverse' }, 'args.prompt', 'builtin:reverse-text: the prompt has no {text}.', 'Write {text} where it belongs.'],
  ['builtin:countdown', { max_target: 3 }, 'args.max_target', 'builtin:countdown: max_target is 3, below max_number 25.', 'Raise max_target to at least max_number.'],
  ['tasks.csv', {}, 'source', 'tasks.csv is no taskset.', 'Name a builtin:… or a file ending in .jsonl, .json, .yaml, .yml, .ts or .js.'],
])('%s %j is refused', async (source, args, key, message, fix) => {
  const loaded = await loadTaskset({ settings: { source, args, split: { train: 1, eval: 1 }, seed: 1 } });
  expect(loaded).toEqual({ ok: false, error: { message, fix, key, at: null, files: [] } });
});

test('the keyed shuffle is a permutation, whatever the size', () => {
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 300 }), fc.nat(), fc.nat(9), (size, seed, stream) => {
      const ranks = Array.from({ length: size }, (_, index) => shuffledRank(index, size, { seed, stream }));
      expect([...ranks].sort((a, b) => a - b)).toEqual(Array.from({ length: size }, (_, index) => index));
    }),
  );
});

test('multisets are numbered without gap or repetition', () => {
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 6 }), fc.integer({ min: 1, max: 4 }), (kinds, count) => {
      const all = Array.from({ length: multisets(kinds, count) }, (_, rank) => multisetAt(rank, kinds, count));
      expect(new Set(all.map(String)).size).toBe(all.length);
      for (const members of all) {
        expect(members).toHaveLength(count);
        expect([...members].sort((a, b) => a - b)).toEqual(members);
        expect(members.every((member) => member >= 0 && member < kinds)).toBe(true);
      }
    }),
  );
});

test('multisets are numbered exactly up to the largest space', () => {
  const last = multisets(10 ** 6, 2) - 1;
  expect(multisetAt(last, 10 ** 6, 2)).toEqual([999_999, 999_999]);
  expect(multisetAt(last - 1, 10 ** 6, 2)).toEqual([999_998, 999_999]);
});
