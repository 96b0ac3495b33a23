import { extent, type Domain } from './scale.ts';

const BLOCKS = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'] as const;
/** Eight heights for terminals that know ASCII alone. */
const ASCII_BLOCKS = ['_', '.', ',', '-', '=', '+', '*', '#'] as const;

export interface SparklineOptions {
  width: number;
  /** Values at the bottom and the top; the extent of the values when left out. */
  domain?: Domain;
  ascii?: boolean;
  /** Leaves the top eighth free, so that sparklines in neighbouring rows do not grow together. */
  airy?: boolean;
}

/** The block that stands for a share of the full height, 0 at the bottom and 1 at the top. */
export function block(share: number, ascii = false): string {
  const blocks = ascii ? ASCII_BLOCKS : BLOCKS;
  return blocks[Math.max(0, Math.min(7, Math.floor(share * 8)))]!;
}

/**
 * A curve in one line of text, newest value last; null is a blank. More values than columns: each column shows the value
 * of its bucket that lies farthest from the mean, so that spikes survive. A constant series runs along the middle.
 */
export function sparkline(values: readonly (number | null)[], { width, domain, ascii = false, airy = false }: SparklineOptions): string {
  const [low, high] = domain ?? extent(values) ?? [0, 0];
  const known = values.filter((value) => value !== null);
  const mean = known.reduce((sum, value) => sum + value, 0) / Math.max(1, known.length);
  const columns = Math.min(width, values.length);
  let text = '';
  for (let column = 0; column < columns; column++) {
    const start = Math.floor((column * values.length) / columns);
    const end = Math.floor(((column + 1) * values.length) / columns);
    let shown: number | null = null;
    for (let i = start; i < end; i++) {
      const value = values[i]!;
      if (value !== null && (shown === null || Math.abs(value - mean) > Math.abs(shown - mean))) shown = value;
    }
    text += shown === null ? ' ' : block((high === low ? 0.4 : (shown - low) / (high - low)) * (airy ? 0.87 : 1), ascii);
  }
  return text.padStart(width);
}
