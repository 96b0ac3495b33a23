/**
 * Finite spaces of tasks, drawn without repetition.
 *
 * A generator describes its tasks as strata (one per operation, one per length, …), each a numbered space. A keyed permutation
 * shuffles every stratum; train takes from its front and eval from its back, so the two are disjoint by construction, and a
 * larger train split leaves the eval tasks of a large space as they are.
 */
import { uniform } from '../util/random.ts';

/** What a generator makes: a task before it has its unique id. */
export interface Draft {
  /** The template's name; with `args` it makes the task's slug. */
  id: string;
  args: Record<string, unknown>;
  prompt: string;
  answer: string;
}

export interface Stratum {
  /** How many tasks exist, below 2⁵². */
  size: number;
  at(rank: number): Draft;
}

export interface Split {
  train: number;
  eval: number;
}

const ROUNDS = 4;

/**
 * The place of `index` in a shuffled 0 … size − 1, without storing the shuffle: a balanced Feistel network over the next
 * square, walked along its cycle until it falls inside (Black and Rogaway, "Ciphers with arbitrary finite domains", 2002).
 */
export function shuffledRank(index: number, size: number, key: { seed: number; stream: number }): number {
  const half = Math.ceil(Math.sqrt(size));
  let rank = index;
  do {
    let left = Math.floor(rank / half);
    let right = rank % half;
    for (let round = 0; round < ROUNDS; round++) {
      const mixed = Math.floor(uniform([key.seed, key.stream, round], right) * half);
      [left, right] = [right, (left + mixed) % half];
    }
    rank = left * half + right;
  } while (rank >= size);
  return rank;
}

/** How many tasks a split takes from the front and from the back of each stratum: as even as the small strata allow. */
function allot(sizes: readonly number[], wanted: Split): { train: number[]; eval: number[] } {
  const share = wanted.eval / (wanted.train + wanted.eval || 1);
  const back = sizes.map((size) => Math.floor(size * share));
  let missing = wanted.eval - back.reduce((total, size) => total + size, 0);
  for (let stratum = 0; missing > 0; stratum = (stratum + 1) % sizes.length) {
    if (back[stratum]! < sizes[stratum]!) {
      back[stratum]!++;
      missing--;
    }
  }
  return { train: fillEvenly(sizes.map((size, stratum) => size - back[stratum]!), wanted.train), eval: fillEvenly(back, wanted.eval) };
}

/** Shares `wanted` among rooms of the given capacities, one to each in turn while it has space. */
function fillEvenly(capacities: readonly number[], wanted: number): number[] {
  const taken = capacities.map(() => 0);
  let left = wanted;
  while (left > 0) {
    const open = capacities.flatMap((capacity, room) => (taken[room]! < capacity ? [room] : []));
    const each = Math.max(1, Math.floor(left / open.length));
    for (const room of open) {
      const more = Math.min(each, left, capacities[room]! - taken[room]!);
      taken[room]! += more;
      left -= more;
    }
  }
  return taken;
}

/** Train and eval drafts of a space, or how many tasks there are when it is too small. Order: shuffled, strata mixed. */
export function drawSplit(strata: readonly Stratum[], wanted: Split, seed: number): { ok: true; train: Draft[]; eval: Draft[] } | { ok: false; exist: number } {
  const sizes = strata.map((stratum) => stratum.size);
  const exist = sizes.reduce((total, size) => total + size, 0);
  if (wanted.train + wanted.eval > exist) return { ok: false, exist };
  const counts = allot(sizes, wanted);
  const take = (taken: readonly number[], fromBack: boolean): Draft[] =>
    interleave(
      strata.map((stratum, index) =>
        Array.from({ length: taken[index]! }, (_, position) => {
          const place = fromBack ? stratum.size - 1 - position : position;
          return stratum.at(shuffledRank(place, stratum.size, { seed, stream: index }));
        }),
      ),
    );
  return { ok: true, train: take(counts.train, false), eval: take(counts.eval, true) };
}

/** One of each list in turn, so that every batch sees every stratum. */
function interleave<T>(lists: readonly (readonly T[])[]): T[] {
  const longest = Math.max(0, ...lists.map((list) => list.length));
  return Array.from({ length: longest }, (_, position) => lists.flatMap((list) => (position < list.length ? [list[position]!] : []))).flat();
}

/** n over k, exact while below 2⁵³. */
export function choose(n: number, k: number): number {
  let ways = 1;
  for (let i = 1; i <= k; i++) ways = (ways * (n - k + i)) / i;
  return n < k ? 0 : ways;
}

/** How many multisets of `count` members drawn from `kinds` kinds there are. */
export const multisets = (kinds: number, count: number): number => choose(kinds + count - 1, count);

/** The multiset of `count` numbers from 0 with this rank, ascending (combinatorial number system). */
export function multisetAt(rank: number, kinds: number, count: number): number[] {
  const members: number[] = [];
  let left = rank;
  for (let size = count; size > 0; size--) {
    let [low, high] = [size - 1, kinds + count - 2];
    while (low < high) {
      const middle = Math.ceil((low + high) / 2);
      if (choose(middle, size) <= left) low = middle;
      else high = middle - 1;
    }
    left -= choose(low, size);
    members.unshift(low - (size - 1));
  }
  return members;
}

/** A uniform number in (0, 1) that belongs to one task; `use` tells apart what it is drawn for. */
export function drawFor(rank: number, key: { seed: number; use: number; part?: number }): number {
  return uniform([key.seed, 0x10000 + key.use, Math.floor(rank / 2 ** 32), key.part ?? 0], rank);
}
