/**
 * How alike two texts are, 2·M/(|a| + |b|), where M counts the characters inside matching blocks: the longest common block,
 * then the same to its left and to its right (Ratcliff and Obershelp 1988). Equals Python's
 * `SequenceMatcher(None, a, b, autojunk=False).ratio()`: the heuristic that ignores frequent characters of long texts is off,
 * since it makes two nearly equal long texts look unlike. Two empty texts give 0 here: there is nothing to praise.
 */
export function similarity(completion: string, answer: string): number {
  const [a, b] = [[...completion], [...answer]];
  if (a.length + b.length === 0) return 0;
  return (2 * matchedCharacters(a, b)) / (a.length + b.length);
}

function matchedCharacters(a: readonly string[], b: readonly string[]): number {
  const positions = new Map<string, number[]>();
  b.forEach((character, index) => {
    const known = positions.get(character);
    if (known) known.push(index);
    else positions.set(character, [index]);
  });
  let matched = 0;
  const open: [aLow: number, aHigh: number, bLow: number, bHigh: number][] = [[0, a.length, 0, b.length]];
  for (let range = open.pop(); range !== undefined; range = open.pop()) {
    const [aLow, aHigh, bLow, bHigh] = range;
    const [aStart, bStart, size] = longestBlock(a, positions, range);
    if (size === 0) continue;
    matched += size;
    if (aLow < aStart && bLow < bStart) open.push([aLow, aStart, bLow, bStart]);
    if (aStart + size < aHigh && bStart + size < bHigh) open.push([aStart + size, aHigh, bStart + size, bHigh]);
  }
  return matched;
}

/** The longest common block, earliest in `a`, then earliest in `b`. */
function longestBlock(
  a: readonly string[],
  positions: ReadonlyMap<string, readonly number[]>,
  [aLow, aHigh, bLow, bHigh]: readonly [number, number, number, number],
): [aStart: number, bStart: number, size: number] {
  let [aStart, bStart, size] = [aLow, bLow, 0];
  let endingAt = new Map<number, number>();
  for (let i = aLow; i < aHigh; i++) {
    const next = new Map<number, number>();
    for (const j of positions.get(a[i]!) ?? []) {
      if (j < bLow) continue;
      if (j >= bHigh) break;
      const length = (endingAt.get(j - 1) ?? 0) + 1;
      next.set(j, length);
      if (length > size) [aStart, bStart, size] = [i - length + 1, j - length + 1, length];
    }
    endingAt = next;
  }
  return [aStart, bStart, size];
}
