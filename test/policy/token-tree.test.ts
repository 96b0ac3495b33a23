import { expect, test } from 'vitest';
import { microBatches } from '../../src/policy/micro-batches.ts';
import { addText, attentionBias, emptyTree, isPath, sharedLength } from '../../src/policy/token-tree.ts';
import type { TrainingSequence } from '../../src/policy/types.ts';
import { uniform } from '../../src/util/random.ts';

test('what texts begin with in common stands there once', () => {
  const tree = emptyTree();
  expect(addText(tree, [1, 2, 3, 4])).toEqual([0, 1, 2, 3]);
  expect(isPath(tree)).toBe(true);
  expect(sharedLength(tree, [1, 2, 9])).toBe(2);
  expect(addText(tree, [1, 2, 5, 4])).toEqual([0, 1, 4, 5]);
  expect(addText(tree, [1, 2, 3])).toEqual([0, 1, 2]);
  expect(addText(tree, [7])).toEqual([6]);
  expect(tree).toMatchObject({ tokenIds: [1, 2, 3, 4, 5, 4, 7], parents: [-1, 0, 1, 2, 1, 4, -1], positions: [0, 1, 2, 3, 2, 3, 0] });
  expect(isPath(tree)).toBe(false);
});

test('a token sees its ancestors and itself; padding is left alone', () => {
  const tree = emptyTree();
  addText(tree, [1, 2]);
  addText(tree, [1, 3]);
  const seen = Array.from(attentionBias([tree], 4), (value) => (value === 0 ? 1 : 0));
  expect(seen).toEqual([
    1, 1, 1, 1, // a later key is the causal mask's affair
    1, 1, 1, 1,
    1, 0, 1, 1,
    1, 1, 1, 1,
  ]);
});

const sequence = (tokenIds: number[]): TrainingSequence => {
  const mask = tokenIds.map((_, at) => (at > 0 ? 1 : 0));
  return { tokenIds, actionMask: mask, samplingLogprobs: mask, advantages: mask, temperature: 1 };
};

test('every text can be read back from its columns, whatever shares its row', () => {
  const texts = Array.from({ length: 60 }, (_, index) => [1, ...Array.from({ length: 2 + (index % 9) }, (_, at) => Math.floor(uniform([5, index % 7], at) * 3) + (at > 4 ? index % 2 : 0))]);
  const rows = microBatches(texts.map(sequence), { budget: 64, sharedWidth: 40 }).flat();
  const seen = rows.flatMap(({ tree, scored }) => scored.map(({ index, columns }) => {
    expect(columns.map((column) => tree.tokenIds[column])).toEqual(texts[index]!.slice(0, -1));
    expect(columns.map((column) => tree.positions[column])).toEqual(columns.map((_, at) => at));
    columns.forEach((column, at) => expect(tree.parents[column]).toBe(at === 0 ? -1 : columns[at - 1]));
    return index;
  }));
  expect(seen.toSorted((a, b) => a - b)).toEqual(texts.map((_, index) => index));
  for (const { tree } of rows) expect(tree.tokenIds.length).toBeLessThanOrEqual(40);
});

test('a group costs its prompt once, unless its answers are so long that attention over all of them costs more', () => {
  const group = (prompt: number, answer: number): TrainingSequence[] => Array.from({ length: 8 }, (_, sample) => sequence([...Array.from({ length: prompt }, () => 1), ...Array.from({ length: answer }, (_, at) => 2 + sample + at)]));
  const rowsOf = (sequences: TrainingSequence[], sharedWidth: number): number[] => microBatches(sequences, { budget: 1e9, sharedWidth }).flat().map(({ tree }) => tree.tokenIds.length);
  expect(rowsOf(group(40, 5), 1000)).toEqual([40 + 8 * 4]);
  expect(rowsOf(group(40, 5), 0)).toEqual(Array.from({ length: 8 }, () => 44));
  expect(rowsOf(group(10, 600), 10_000)).toHaveLength(8);
  // Six answers would fit into a row: the other two would be padded to its length.
  expect(rowsOf(group(256, 129), 10_000)).toEqual([256 + 4 * 128, 256 + 4 * 128]);
  expect(rowsOf(group(256, 129), 256 + 3 * 128)).toEqual([256 + 2 * 128, 256 + 3 * 128, 256 + 3 * 128]);
  // Equal parts of texts of unequal length might be too wide.
  const uneven = [...group(40, 3).slice(0, 4), ...group(40, 21).slice(4)];
  expect(Math.max(...rowsOf(uneven, 80))).toBeLessThanOrEqual(80);
});
