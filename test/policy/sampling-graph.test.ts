/** The sampling head by itself: what it draws, how often, and what it says of the probability. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { Builder, createSession, f32, i64, type Session } from '../../src/onnx/index.ts';
import { CLOSE, NOISE_INPUTS, noiseShape } from '../../src/policy/exact-draw.ts';
import { SAMPLING_INPUTS, samplingGraph, type HeadOptions } from '../../src/policy/sampling-graph.ts';
import { gumbels, normal, uniform, uniformFloat32 } from '../../src/util/random.ts';

interface Head extends HeadOptions { vocabulary: number }
interface Draw { temperature?: number; greedy?: boolean; topK?: number; topP?: number; uniform: number }

/** A "decoder" whose logits are fed. */
function headOf({ vocabulary, ...head }: Head): Promise<Session> {
  const b = new Builder();
  b.output('logits', b.mul(b.input('theta', 'float32', ['drawn', vocabulary]), 1));
  return createSession(samplingGraph(b.build(), head), { threads: 1 });
}

/** Draws once for each row of `logits`. */
async function draw(session: Session, logits: Float32Array, vocabulary: number, draws: readonly Draw[]): Promise<{ tokens: number[]; logprobs: number[]; margins: number[] }> {
  const { blocks, width } = noiseShape(vocabulary);
  // One stream of noise for each uniform number.
  const noise = draws.map(({ uniform }) => { const both = new Float32Array(blocks + width); gumbels([Math.floor(uniform * 2 ** 23)], 3, both); return both; });
  const noiseOf = (from: number, to: number) => f32(Float32Array.from(noise.flatMap((both) => [...both.subarray(from, to)])), [draws.length, to - from]);
  const column = (value: (each: Draw) => number) => f32(Float32Array.from(draws, value), [draws.length, 1]);
  const outputs = await session.run({
    theta: f32(logits, [draws.length, vocabulary]),
    [SAMPLING_INPUTS.inverseTemperature]: column(({ temperature = 1 }) => 1 / temperature), [SAMPLING_INPUTS.greedy]: column(({ greedy }) => (greedy ? 1 : 0)),
    [SAMPLING_INPUTS.uniform]: column(({ uniform }) => uniform), [SAMPLING_INPUTS.topK]: column(({ topK }) => topK || vocabulary), [SAMPLING_INPUTS.topP]: column(({ topP = 1 }) => topP),
    [SAMPLING_INPUTS.candidates]: i64(BigInt64Array.of(BigInt(Math.min(vocabulary, 1 + Math.max(...draws.map(({ topK }) => topK || vocabulary))))), [1]),
    [NOISE_INPUTS.block]: noiseOf(0, blocks), [NOISE_INPUTS.token]: noiseOf(blocks, blocks + width),
  });
  return { tokens: Array.from(outputs['token']!.data, Number), logprobs: Array.from(outputs['logprob']!.data, Number), margins: Array.from(outputs['margin']?.data ?? [], Number) };
}

/** The distribution that should be sampled, in float64. */
function distribution(logits: ArrayLike<number>, { temperature = 1, topK = 0, topP = 1 }: Omit<Draw, 'uniform'>): number[] {
  const scaled = Array.from(logits, (logit) => logit / temperature), most = Math.max(...scaled);
  const mass = scaled.map((logit) => Math.exp(logit - most));
  const order = mass.map((_, token) => token).sort((a, b) => mass[b]! - mass[a]! || a - b).slice(0, topK || mass.length);
  const kept = order.reduce((sum, token) => sum + mass[token]!, 0);
  const result = mass.map(() => 0);
  let before = 0;
  for (const token of order) {
    if (before / kept >= topP) break;
    result[token] = mass[token]!;
    before += mass[token]!;
  }
  return result.map((value) => value / before);
}

/** Pearson's statistic over cells of at least five expected draws, as standard normal deviations (Wilson and Hilferty). */
function chiSquareDeviation(counts: readonly number[], probabilities: readonly number[]): number {
  const draws = counts.reduce((sum, count) => sum + count, 0);
  const cells: { seen: number; expected: number }[] = [];
  let rest = { seen: 0, expected: 0 };
  probabilities.forEach((probability, token) => {
    const cell = { seen: counts[token]!, expected: probability * draws };
    if (cell.expected >= 5) cells.push(cell);
    else rest = { seen: rest.seen + cell.seen, expected: rest.expected + cell.expected };
  });
  if (rest.expected >= 5) cells.push(rest);
  const statistic = cells.reduce((sum, { seen, expected }) => sum + (seen - expected) ** 2 / expected, 0), freedom = cells.length - 1;
  expect(freedom).toBeGreaterThan(3);
  return (Math.cbrt(statistic / freedom) - (1 - 2 / (9 * freedom))) / Math.sqrt(2 / (9 * freedom));
}

const randomLogits = (seed: number, count: number, spread: number): Float32Array => Float32Array.from({ length: count }, (_, at) => spread * normal([seed], at));

const settings = [
  { name: 'plain, a small vocabulary', vocabulary: 40, filtered: false, draw: {} },
  { name: 'plain, at temperature .6', vocabulary: 40, filtered: false, draw: { temperature: 0.6 } },
  { name: 'plain, searched in two levels', vocabulary: 3000, filtered: false, draw: {} },
  { name: 'plain, a vocabulary that fills its last block', vocabulary: 4096, filtered: false, draw: { temperature: 1.4 } },
  { name: 'top-k', vocabulary: 40, filtered: true, draw: { topK: 12 } },
  { name: 'top-p', vocabulary: 40, filtered: true, draw: { topP: 0.8 } },
  { name: 'top-k and top-p at a temperature', vocabulary: 3000, filtered: true, draw: { topK: 300, topP: 0.85, temperature: 1.3 } },
  { name: 'the filtered head without a filter', vocabulary: 3000, filtered: true, draw: {} },
  { name: 'exact, a small vocabulary', vocabulary: 40, filtered: false, exact: true, draw: { temperature: 0.8 } },
  { name: 'exact, blocks of tokens, the last one not full', vocabulary: 3000, filtered: false, exact: true, draw: {} },
  { name: 'exact, top-k', vocabulary: 40, filtered: true, exact: true, draw: { topK: 12 } },
  { name: 'exact, top-k and top-p at a temperature', vocabulary: 3000, filtered: true, exact: true, draw: { topK: 300, topP: 0.85, temperature: 1.3 } },
];

describe.each(settings)('$name', ({ vocabulary, filtered, exact = false, draw: options }) => {
  let session: Session;
  beforeAll(async () => { session = await headOf({ vocabulary, filtered, exact }); });
  afterAll(() => session.dispose());

  test('tokens come as often as they should (chi-square)', async () => {
    const draws = vocabulary > 1000 ? 12_000 : 40_000, rows = 400;
    const logits = randomLogits(vocabulary, vocabulary, 1.5), repeated = new Float32Array(rows * vocabulary);
    for (let row = 0; row < rows; row++) repeated.set(logits, row * vocabulary);
    const probabilities = distribution(logits, options), counts = probabilities.map(() => 0);
    for (let first = 0; first < draws; first += rows) {
      const { tokens } = await draw(session, repeated, vocabulary, Array.from({ length: rows }, (_, row) => ({ ...options, uniform: uniformFloat32([11], first + row) })));
      for (const token of tokens) counts[token]! += 1;
    }
    counts.forEach((count, token) => { if (probabilities[token] === 0) expect(count, `token ${token} is filtered out`).toBe(0); });
    expect(Math.abs(chiSquareDeviation(counts, probabilities))).toBeLessThan(3.5);
  });

  test('the log-probability is that of the distribution drawn from', async () => {
    const rows = 64, logits = randomLogits(5, rows * vocabulary, 2);
    const { tokens, logprobs } = await draw(session, logits, vocabulary, Array.from({ length: rows }, (_, row) => ({ ...options, uniform: uniformFloat32([12], row) })));
    tokens.forEach((token, row) => {
      const probability = distribution(logits.subarray(row * vocabulary, (row + 1) * vocabulary), options)[token]!;
      expect(Math.abs(logprobs[row]! - Math.log(probability))).toBeLessThan(1e-5);
    });
  });

  test('the ends of the unit interval draw tokens that are possible', async () => {
    // One token in three has no mass at all, the first and the last among them.
    const logits = randomLogits(6, vocabulary, 2).map((logit, token) => (token % 3 === 0 || token === vocabulary - 1 ? -Infinity : logit));
    const ends = [2 ** -24, 2 ** -23, 0.5, 1 - 2 ** -23, 1 - 2 ** -24];
    const repeated = new Float32Array(ends.length * vocabulary);
    ends.forEach((_, row) => repeated.set(logits, row * vocabulary));
    const { tokens, logprobs } = await draw(session, repeated, vocabulary, ends.map((uniform) => ({ ...options, uniform })));
    const probabilities = distribution(logits, options);
    tokens.forEach((token, row) => {
      expect(probabilities[token], `token ${token} for ${ends[row]}`).toBeGreaterThan(0);
      expect(Number.isFinite(logprobs[row])).toBe(true);
    });
  });
});

test.each([[40, false], [3000, false], [40, true], [3000, true]])('greedy takes the first of the most likely of %d tokens (exact: %s)', async (vocabulary, exact) => {
  const session = await headOf({ vocabulary, filtered: false, exact });
  const logits = randomLogits(7, 2 * vocabulary, 2);
  logits[vocabulary + 7] = logits[vocabulary + 21] = 50;
  const { tokens } = await draw(session, logits, vocabulary, [{ greedy: true, uniform: 0.99 }, { greedy: true, uniform: 0.99 }]);
  expect(tokens).toEqual([logits.subarray(0, vocabulary).indexOf(Math.max(...logits.subarray(0, vocabulary))), 7]);
  await session.dispose();
});

test('a distribution all on one token draws it, whatever the number', async () => {
  for (const filtered of [false, true]) {
    const session = await headOf({ vocabulary: 2500, filtered });
    const logits = new Float32Array(3 * 2500).fill(-1e9);
    for (let row = 0; row < 3; row++) logits[row * 2500 + 1234] = 0;
    const { tokens, logprobs } = await draw(session, logits, 2500, [2 ** -24, 0.5, 1 - 2 ** -24].map((uniform) => ({ uniform, topK: 5, topP: 0.5 })));
    expect(tokens).toEqual([1234, 1234, 1234]);
    expect(logprobs).toEqual([0, 0, 0]);
    await session.dispose();
  }
});

test.each<[string, boolean, Omit<Draw, 'uniform'>]>([['plain', false, {}], ['greedy', false, { greedy: true }], ['top-k', true, { topK: 8 }], ['top-p', true, { topP: 0.9 }]])(
  'exact, %s: logits that are a little off draw another token only where the margin says that it was close',
  async (_, filtered, options) => {
    const vocabulary = 300, rows = 4000;
    const session = await headOf({ vocabulary, filtered, exact: true });
    const logits = randomLogits(21, rows * vocabulary, 2), off = logits.map((logit, at) => logit + CLOSE * (uniform([22], at) - 0.5) * 0.98);
    const draws = Array.from({ length: rows }, (_, row) => ({ ...options, uniform: uniformFloat32([23], row) }));
    const before = await draw(session, logits, vocabulary, draws), after = await draw(session, off, vocabulary, draws);
    const moved = before.tokens.filter((token, row) => token !== after.tokens[row]).length;
    before.tokens.forEach((token, row) => { if (before.margins[row]! >= CLOSE) expect(after.tokens[row]).toBe(token); });
    const close = before.margins.filter((margin) => margin < CLOSE).length;
    expect(close).toBeGreaterThanOrEqual(moved);
    expect(close / rows).toBeLessThan(options.topP === undefined ? 0.008 : 0.08);
    await session.dispose();
  },
);
