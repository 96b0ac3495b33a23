/**
 * How alike two texts are, 2·M/(|a| + |b|), where M counts the characters inside matching blocks: the longest common block,
 * then the same to its left and to its right (Ratcliff and Obershelp 1988). Equals Python's
 * `SequenceMatcher(None, a, b, autojunk=False).ratio()`: the heuristic that ignores frequent characters of long texts is off,
 * since it makes two nearly equal long texts look unlike. Two empty texts give 0 here: there is nothing to praise.
 */
export function similarity(completion: string, answer: string): number {
  const [a, b] = [[...completion.normalize('NFC')], [...answer.normalize('NFC')]];
  if (a.length + b.length === 0) return 0;
  return (2 * matchedCharacters(a, b)) / (a.length + b.length);
}

/** What is left to compare, and the size that no common block in it exceeds. */
type Range = readonly [aLow: number, aHigh: number, bLow: number, bHigh: number, largest: number];

function matchedCharacters(a: readonly string[], b: readonly string[]): number {
  const positions = new Map<string, number[]>();
  b.forEach((character, index) => {
    const known = positions.get(character);
    if (known) known.push(index);
    else positions.set(character, [index]);
  });
  /** Where each character of `a` occurs in `b`, ascending. */
  const matches = a.map((character) => positions.get(character) ?? []);
  const rows: [Int32Array, Int32Array] = [new Int32Array(b.length + 1), new Int32Array(b.length + 1)];
  let matched = 0;
  const open: Range[] = [[0, a.length, 0, b.length, Math.min(a.length, b.length)]];
  for (let range = open.pop(); range !== undefined; range = open.pop()) {
    const [aLow, aHigh, bLow, bHigh] = range;
    const [aStart, bStart, size] = longestBlock(matches, rows, range);
    if (size === 0) continue;
    matched += size;
    if (aLow < aStart && bLow < bStart) open.push([aLow, aStart, bLow, bStart, size]);
    if (aStart + size < aHigh && bStart + size < bHigh) open.push([aStart + size, aHigh, bStart + size, bHigh, size]);
  }
  return matched;
}

/**
 * The longest common block, earliest in `a`, then earliest in `b`. The search ends at the first block of the largest possible
 * size, without which repetitive texts would take cubic time. The two rows are scratch space, all 0 before and after.
 */
function longestBlock(
  matches: readonly (readonly number[])[],
  rows: readonly [Int32Array, Int32Array],
  [aLow, aHigh, bLow, bHigh, largest]: Range,
): [aStart: number, bStart: number, size: number] {
  let [aStart, bStart, size] = [aLow, bLow, 0];
  // above[j + 1] is the length of the common block that ends at a[i − 1] and b[j].
  let [above, row] = rows;
  const clear = (cells: Int32Array, i: number) => {
    if (i >= aLow) for (const j of matches[i]!) cells[j + 1] = 0;
  };
  let i = aLow;
  for (; i < aHigh && size < largest; i++) {
    const places = matches[i]!;
    for (let place = firstFrom(places, bLow); place < places.length && places[place]! < bHigh; place++) {
      const j = places[place]!;
      const length = above[j]! + 1;
      row[j + 1] = length;
      if (length > size) [aStart, bStart, size] = [i - length + 1, j - length + 1, length];
    }
    clear(above, i - 1);
    [above, row] = [row, above];
  }
  clear(above, i - 1);
  return [aStart, bStart, size];
}

/** The index of the first of ascending numbers that is at least `low`. */
function firstFrom(ascending: readonly number[], low: number): number {
  let [from, to] = [0, ascending.length];
  while (from < to) {
    const middle = (from + to) >> 1;
    if (ascending[middle]! < low) from = middle + 1;
    else to = middle;
  }
  return from;
}
