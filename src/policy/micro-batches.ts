/**
 * @file Splitting a batch into runs of the training graph.
 *
 * Sequences with a common beginning become one row (`token-tree.ts`); rows are sorted by length, so that little is padded, and cut
 * by a budget of padded tokens. Denominators belong to the whole batch, so no split, order or padding changes the gradient.
 */
import { f32, i64, type HostTensor } from '../onnx/index.ts';
import { equalParts } from '../util/parts.ts';
import { actionPositions, tokenWeight, type Denominators } from './losses/weights.ts';
import { addText, attentionBias, emptyTree, isPath, sharedLength, type TokenTree } from './token-tree.ts';
import { ATTENTION_BIAS, TRAINING_INPUTS } from './training-graph.ts';
import type { Loss, TrainingSequence } from './types.ts';

/** A sequence with its place in the batch, its scored positions and the columns of its tokens in the row. */
export interface Scored {
  readonly sequence: TrainingSequence;
  readonly index: number;
  readonly positions: readonly number[];
  readonly columns: readonly number[];
}

/** Sequences that share a row. */
export interface Row {
  readonly tree: TokenTree;
  readonly scored: readonly Scored[];
}

export interface MicroBatchOptions {
  /** Padded tokens of a run; a run has at least one row. */
  readonly budget: number;
  /** The widest row that may hold more than one text; 0: sequences share nothing. */
  readonly sharedWidth: number;
}

/** Rows of sequences with at least one scored token, in runs. */
export function microBatches(sequences: readonly TrainingSequence[], { budget, sharedWidth }: MicroBatchOptions): Row[][] {
  const rows = rowsOf(sequences, sharedWidth).toSorted((a, b) => widthOf(a) - widthOf(b));
  const batches: Row[][] = [];
  let current: Row[] = [];
  for (const row of rows) {
    if (current.length > 0 && widthOf(row) * (current.length + 1) > budget) {
      batches.push(current);
      current = [];
    }
    current.push(row);
  }
  return current.length > 0 ? [...batches, current] : batches;
}

const widthOf = ({ tree }: Row): number => tree.tokenIds.length;

/**
 * The row length at which attention is taken to cost as much as everything else. By arithmetic alone it is six times the model's width;
 * attention's products are small and its softmax is none, so for small models it is less.
 */
const ATTENTION_LENGTH = 512;

/** What a row of so many tokens costs, in tokens. */
const cost = (width: number): number => width + width ** 2 / ATTENTION_LENGTH;

/** A row that may still take texts in. */
interface OpenRow {
  readonly tree: TokenTree;
  readonly scored: Scored[];
}

type Unplaced = Omit<Scored, 'columns'>;

/** A sequence joins the row before it if that is cheaper than a row of its own; sorted by their tokens, those that share most are neighbours. */
function rowsOf(sequences: readonly TrainingSequence[], sharedWidth: number): Row[] {
  const scored = sequences
    .map((sequence, index) => ({ sequence, index, positions: actionPositions(sequence) }))
    .filter(({ positions }) => positions.length > 0)
    .toSorted((a, b) => compareTokens(a.sequence.tokenIds, b.sequence.tokenIds) || a.index - b.index);
  /** The rows of a chain divide a group among them. */
  const chains: OpenRow[][] = [];
  for (const each of scored) {
    const text = textOf(each), row = chains.at(-1)?.at(-1);
    if (row !== undefined && isCheaperTogether(row.tree, text, sharedWidth)) add(row, each);
    else if (row !== undefined && 2 * sharedLength(row.tree, text) >= text.length) chains.at(-1)!.push(rowOf([each]));
    else chains.push([rowOf([each])]);
  }
  return chains.flatMap((chain) => (chain.length === 1 ? chain : evened(chain, sharedWidth)));
}

/** A short rest of a group would be padded to the length of the other rows. */
function evened(chain: readonly OpenRow[], sharedWidth: number): readonly OpenRow[] {
  const even = equalParts(chain.flatMap((row) => row.scored), chain.length).map(rowOf);
  return even.every((row) => row.scored.length === 1 || widthOf(row) <= sharedWidth) ? even : chain;
}

/** The last token predicts nothing that is scored. */
const textOf = ({ sequence }: Unplaced): readonly number[] => sequence.tokenIds.slice(0, -1);

function rowOf(members: readonly Unplaced[]): OpenRow {
  const row: OpenRow = { tree: emptyTree(), scored: [] };
  for (const member of members) add(row, member);
  return row;
}

const add = ({ tree, scored }: OpenRow, member: Unplaced): void => { scored.push({ ...member, columns: addText(tree, textOf(member)) }); };

function isCheaperTogether(tree: TokenTree, text: readonly number[], sharedWidth: number): boolean {
  const width = tree.tokenIds.length, together = width + text.length - sharedLength(tree, text);
  return together <= sharedWidth && cost(together) < cost(width) + cost(text.length);
}

function compareTokens(a: readonly number[], b: readonly number[]): number {
  for (let at = 0; at < a.length && at < b.length; at++) if (a[at] !== b[at]) return a[at]! - b[at]!;
  return a.length - b.length;
}

/** The sequences of a run, in the order in which it scores them. */
export const scoredOf = (rows: readonly Row[]): Scored[] => rows.flatMap(({ scored }) => scored);

/** Does any row hold more than one text? Then the graph must be told who sees whom. */
export const isShared = (rows: readonly Row[]): boolean => rows.some(({ tree }) => !isPath(tree));

/** Graphs that can leave out logits are told not to: `logit_positions` chooses. */
export const ALL_LOGITS: Record<string, HostTensor> = { num_logits_to_keep: i64(new BigInt64Array(1), []) };

/** Right-padded decoder inputs: input_ids, attention_mask, position_ids, all int64 (B, S). Without `positions`, tokens count from 0. */
export function decoderFeeds(rows: readonly { readonly tokenIds: readonly number[]; readonly positions?: readonly number[] }[]): { feeds: Record<string, HostTensor>; width: number } {
  const width = Math.max(...rows.map(({ tokenIds }) => tokenIds.length));
  const ids = new BigInt64Array(rows.length * width), mask = new BigInt64Array(rows.length * width), places = new BigInt64Array(rows.length * width);
  rows.forEach(({ tokenIds, positions }, row) => {
    tokenIds.forEach((token, column) => {
      const at = row * width + column;
      ids[at] = BigInt(token);
      mask[at] = 1n;
      places[at] = BigInt(positions?.[column] ?? column);
    });
  });
  const dims = [rows.length, width];
  return { width, feeds: { ...ALL_LOGITS, input_ids: i64(ids, dims), attention_mask: i64(mask, dims), position_ids: i64(places, dims) } };
}

/** Everything the training graph is fed besides parameters. `reference`: log-probabilities per batch index, for the KL term. */
export function trainingFeeds(rows: readonly Row[], { loss, totals, reference }: { loss: Pick<Loss, 'reduction' | 'constantLength'>; totals: Denominators; reference: readonly (readonly number[])[] | null }): Record<string, HostTensor> {
  const { feeds, width } = decoderFeeds(rows.map(({ tree }) => tree));
  const sequences = scoredOf(rows);
  const count = sequences.reduce((sum, { positions }) => sum + positions.length, 0);
  const logitPositions = new BigInt64Array(count), targets = new BigInt64Array(count), sequenceOf = new BigInt64Array(count);
  const inverseTemperature = new Float32Array(count), sampling = new Float32Array(count), advantages = new Float32Array(count), weights = new Float32Array(count), referenceLogprobs = new Float32Array(count);
  let at = 0, order = 0;
  rows.forEach(({ scored }, row) => {
    for (const { sequence, index, positions, columns } of scored) {
      const weight = tokenWeight(loss, positions.length, totals);
      for (const position of positions) {
        // The logits that predict a token stand at the one before it.
        logitPositions[at] = BigInt(row * width + columns[position - 1]!);
        targets[at] = BigInt(sequence.tokenIds[position]!);
        sequenceOf[at] = BigInt(order);
        inverseTemperature[at] = 1 / sequence.temperature;
        sampling[at] = sequence.samplingLogprobs[position]!;
        advantages[at] = sequence.advantages[position]!;
        weights[at] = weight;
        referenceLogprobs[at] = reference?.[index]?.[position] ?? 0;
        at += 1;
      }
      order += 1;
    }
  });
  const { targets: t, inverseTemperature: it, samplingLogprobs: sl, advantages: a, weights: w, sequence: s, inverseLengths: il, referenceLogprobs: rl } = TRAINING_INPUTS;
  return {
    ...feeds,
    ...(isShared(rows) ? { [ATTENTION_BIAS]: f32(attentionBias(rows.map(({ tree }) => tree), width), [rows.length, 1, width, width]) } : {}),
    logit_positions: i64(logitPositions, [count]),
    [t]: i64(targets, [count]), [s]: i64(sequenceOf, [count]),
    [it]: f32(inverseTemperature, [count, 1]), [sl]: f32(sampling, [count]), [a]: f32(advantages, [count]), [w]: f32(weights, [count]),
    [il]: f32(Float32Array.from(sequences, ({ positions }) => 1 / positions.length), [sequences.length]),
    [rl]: f32(referenceLogprobs, [count]),
  };
}

/** Scores of a micro-batch's tokens, back at their places: one array per sequence of the batch, 0 where nothing is scored. */
export function atPositions(rows: readonly Row[], values: Float32Array): { index: number; values: number[] }[] {
  let at = 0;
  return scoredOf(rows).map(({ sequence, index, positions }) => {
    const places = Array.from({ length: sequence.tokenIds.length }, () => 0);
    for (const position of positions) places[position] = values[at++]!;
    return { index, values: places };
  });
}
