/**
 * Random numbers by coordinates instead of by history: the same (key, position) always gives the same number, so neither
 * the order of work nor a restart can change a result.
 *
 * Philox 4x32-10 of Salmon et al., "Parallel random numbers: as easy as 1, 2, 3" (SC 2011): a bijection of 128-bit
 * counters, chosen by a 64-bit key, that passes BigCrush.
 */

/**
 * Coordinates of one stream, at most four whole numbers: a seed below 2⁵³, then up to three below 2³² (step, task, sample).
 * Keys of different lengths never share a stream.
 */
export type StreamKey = readonly number[];

export type Words = [number, number, number, number];

const MULTIPLIER_0 = 0xd2511f53;
const MULTIPLIER_1 = 0xcd9e8d57;
const WEYL_0 = 0x9e3779b9;
const WEYL_1 = 0xbb67ae85;
const TWO_32 = 0x1_0000_0000;

/** The upper 32 bits of the 64-bit product of two unsigned 32-bit integers. */
function multiplyHigh(a: number, b: number): number {
  const aHigh = a >>> 16;
  const aLow = a & 0xffff;
  const bHigh = b >>> 16;
  const bLow = b & 0xffff;
  const middle = aHigh * bLow + ((aLow * bLow) >>> 16);
  const carry = aLow * bHigh + (middle & 0xffff);
  return (aHigh * bHigh + (middle >>> 16) + (carry >>> 16)) >>> 0;
}

/** Ten rounds of Philox 4x32: four counter words and two key words in, four random words out (all unsigned 32 bits). */
export function philox4x32(counter: Readonly<Words>, key: readonly [number, number]): Words {
  let [c0, c1, c2, c3] = counter;
  let [k0, k1] = key;
  for (let round = 0; round < 10; round++) {
    const high0 = multiplyHigh(MULTIPLIER_0, c0);
    const high1 = multiplyHigh(MULTIPLIER_1, c2);
    const low0 = Math.imul(MULTIPLIER_0, c0) >>> 0;
    const low1 = Math.imul(MULTIPLIER_1, c2) >>> 0;
    c0 = (high1 ^ c1 ^ k0) >>> 0;
    c1 = low1;
    c2 = (high0 ^ c3 ^ k1) >>> 0;
    c3 = low0;
    k0 = (k0 + WEYL_0) >>> 0;
    k1 = (k1 + WEYL_1) >>> 0;
  }
  return [c0, c1, c2, c3];
}

/** The four random words (unsigned 32 bits) at a position of a stream. The key's length goes into the spare high bits of the seed. */
export function randomWords(key: StreamKey, position: number): Words {
  const [seed = 0, a = 0, b = 0, c = 0] = key;
  if (key.length > 4 || !Number.isSafeInteger(seed) || seed < 0) {
    throw new RangeError(`A stream key is up to four whole numbers from 0, the first below 2^53; got [${key.join(', ')}].`);
  }
  return philox4x32([position >>> 0, a >>> 0, b >>> 0, c >>> 0], [seed >>> 0, (Math.floor(seed / TWO_32) | (key.length << 24)) >>> 0]);
}

/** A uniform number strictly between 0 and 1 with 52 random bits. `Math.fround` may round it to 1: see `uniformFloat32`. */
export function uniform(key: StreamKey, position: number): number {
  const [high, low] = randomWords(key, position);
  return ((high >>> 6) * 0x400_0000 + (low >>> 6) + 0.5) * 2 ** -52;
}

/** A uniform number strictly between 0 and 1 that is exact in float32 (23 random bits), for tensors. */
export function uniformFloat32(key: StreamKey, position: number): number {
  return ((randomWords(key, position)[0] >>> 9) + 0.5) * 2 ** -23;
}

/** A standard normal number, by Box and Muller. */
export function normal(key: StreamKey, position: number): number {
  const [a, b, c, d] = randomWords(key, position);
  const radius = Math.sqrt(-2 * Math.log(((a >>> 6) * 0x400_0000 + (b >>> 6) + 0.5) * 2 ** -52));
  return radius * Math.cos(2 * Math.PI * ((c >>> 6) * 0x400_0000 + (d >>> 6)) * 2 ** -52);
}

/** How many words one position of `gumbels` may take: the positions that a stream has are divided by it. */
const GUMBEL_WORDS = 2048;

/** Fills `into` with standard Gumbel numbers, −log(−log u), those of one position of a stream: at most 2,048, and at most 2²³ positions. */
export function gumbels(key: StreamKey, position: number, into: Float32Array): void {
  if (into.length > GUMBEL_WORDS || position >= (TWO_32 * 4) / GUMBEL_WORDS) throw new RangeError(`a position has up to ${GUMBEL_WORDS} Gumbel numbers; got ${into.length} at position ${position}`);
  for (let at = 0; at < into.length; at += 4) {
    const words = randomWords(key, (position * GUMBEL_WORDS + at) / 4);
    for (let index = at; index < at + 4 && index < into.length; index++) into[index] = -Math.log(-Math.log((words[index - at]! + 0.5) / TWO_32));
  }
}

/** The numbers 0 … length − 1 in a random order (Fisher and Yates). */
export function permutation(key: StreamKey, length: number): number[] {
  const order = Array.from({ length }, (_, index) => index);
  for (let last = length - 1; last > 0; last--) {
    const chosen = Math.floor(uniform(key, last) * (last + 1));
    [order[last], order[chosen]] = [order[chosen]!, order[last]!];
  }
  return order;
}
