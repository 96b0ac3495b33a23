const EIGHTHS = ['', '▏', '▎', '▍', '▌', '▋', '▊', '▉'] as const;

/** A horizontal bar of `width` columns, exact to an eighth of a column; `share` is clamped to 0…1. */
export function bar(share: number, { width, ascii = false }: { width: number; ascii?: boolean }): string {
  const clamped = Math.max(0, Math.min(1, Number.isFinite(share) ? share : 0));
  if (ascii) return '#'.repeat(Math.round(clamped * width)).padEnd(width);
  const eighths = Math.round(clamped * width * 8);
  return ('█'.repeat(Math.floor(eighths / 8)) + EIGHTHS[eighths % 8]!).padEnd(width);
}

/**
 * Columns for the parts of a stacked bar: whole numbers that add up to `width`, by largest remainder. A part that is not
 * zero gets a column as long as there are enough of them, so that a short phase does not vanish.
 */
export function partition(values: readonly number[], width: number): number[] {
  const total = values.reduce((sum, value) => sum + value, 0);
  if (!(total > 0) || width <= 0) return values.map(() => 0);
  const shares = values.map((value) => (value / total) * width);
  const columns = shares.map((share) => Math.floor(share));
  const largestFirst = (key: (index: number) => number): number[] => [...values.keys()].sort((a, b) => key(b) - key(a));
  const left = width - columns.reduce((sum, count) => sum + count, 0);
  for (const index of largestFirst((i) => shares[i]! - columns[i]!).slice(0, left)) columns[index]!++;
  for (const index of values.keys()) {
    const donor = largestFirst((i) => columns[i]!)[0]!;
    if (values[index]! > 0 && columns[index] === 0 && columns[donor]! > 1) {
      columns[index] = 1;
      columns[donor]!--;
    }
  }
  return columns;
}
