/**
 * @file Curves in the terminal: a character cell of U+2800 + bits holds 2 × 4 dots.
 */
import { linearScale, type Domain } from './scale.ts';
import type { BandPoint, Point } from './series.ts';

/** One drawing of a plot. Later layers win the cells they share with earlier ones. */
export type PlotLayer =
  /** Points joined by lines, one dot thick or two; gaps stay open. */
  | { readonly kind: 'line'; readonly points: readonly Point[]; readonly thick?: boolean }
  /** Points left alone: raw values under a smoothed line. */
  | { readonly kind: 'dots'; readonly points: readonly Point[] }
  /** The area between two curves, stippled so that a line stands out on it without colour. */
  | { readonly kind: 'band'; readonly points: readonly BandPoint[] }
  /** A dashed horizontal line. */
  | { readonly kind: 'rule'; readonly y: number }
  /** One character per point, in the cell where it falls. */
  | { readonly kind: 'marks'; readonly points: readonly Point[]; readonly mark: string };

export interface PlotOptions {
  /** Columns and rows of text. */
  width: number;
  height: number;
  xDomain: Domain;
  yDomain: Domain;
  ascii?: boolean;
}

/** A character of a plot and the index of the layer it belongs to; null for an empty cell. */
export interface PlotCell {
  char: string;
  layer: number | null;
}

/** Bit of each dot, [column][row], top to bottom. */
const DOT_BITS = [
  [0x01, 0x02, 0x04, 0x40],
  [0x08, 0x10, 0x20, 0x80],
] as const;

/** Draws layers over each other: `height` rows of `width` cells. Values outside the domains are left out. */
export function plotCells(layers: readonly PlotLayer[], options: PlotOptions): PlotCell[][] {
  const { width, height, ascii = false } = options;
  const cells = Array.from({ length: height }, () => Array.from({ length: width }, (): PlotCell => ({ char: ' ', layer: null })));
  if (width <= 0 || height <= 0) return cells;
  layers.forEach((layer, index) => {
    const dots = drawLayer(layer, options);
    for (let row = 0; row < height; row++) {
      for (let column = 0; column < width; column++) {
        const bits = dots.bits[row * width + column]!;
        if (bits === 0) continue;
        const char = layer.kind === 'marks' ? layer.mark : ascii ? asciiDot(bits, layer.kind) : String.fromCodePoint(0x2800 + bits);
        cells[row]![column] = { char, layer: index };
      }
    }
  });
  return cells;
}

/** A single curve as lines of text. */
export function braillePlot(points: readonly Point[], options: PlotOptions): string[] {
  return plotCells([{ kind: 'line', points }], options).map((row) => row.map((cell) => cell.char).join(''));
}

/** Without braille a cell says only in which third its dots are. */
function asciiDot(bits: number, kind: PlotLayer['kind']): string {
  if (kind === 'band') return ':';
  if (kind === 'rule') return '-';
  const top = bits & 0x09;
  const bottom = bits & 0xc0;
  if (kind === 'dots') return '.';
  return top && bottom ? '|' : top ? '\'' : bottom ? '.' : '-';
}

class Dots {
  readonly bits: Uint8Array;
  readonly columns: number;
  readonly rows: number;
  private readonly width: number;

  constructor(width: number, height: number) {
    this.width = width;
    this.columns = 2 * width;
    this.rows = 4 * height;
    this.bits = new Uint8Array(width * height);
  }

  set(x: number, y: number): void {
    if (x < 0 || y < 0 || x >= this.columns || y >= this.rows) return;
    const cell = (y >> 2) * this.width + (x >> 1);
    this.bits[cell]! |= DOT_BITS[x & 1]![y & 3]!;
  }

  /** Bresenham's line. */
  line(x0: number, y0: number, x1: number, y1: number): void {
    const dx = Math.abs(x1 - x0);
    const dy = -Math.abs(y1 - y0);
    const stepX = x0 < x1 ? 1 : -1;
    const stepY = y0 < y1 ? 1 : -1;
    let error = dx + dy;
    for (;;) {
      this.set(x0, y0);
      if (x0 === x1 && y0 === y1) return;
      const doubled = 2 * error;
      if (doubled >= dy) {
        error += dy;
        x0 += stepX;
      }
      if (doubled <= dx) {
        error += dx;
        y0 += stepY;
      }
    }
  }
}

function drawLayer(layer: PlotLayer, { width, height, xDomain, yDomain }: PlotOptions): Dots {
  const dots = new Dots(width, height);
  const xScale = linearScale(xDomain, [0, dots.columns - 1]);
  const yScale = linearScale(yDomain, [dots.rows - 1, 0]);
  const inside = (value: number, [low, high]: Domain): boolean => value >= low && value <= high;
  const at = ({ x, y }: Point): [number, number] | null =>
    y === null || !inside(x, xDomain) || !inside(y, yDomain) ? null : [Math.round(xScale(x)), Math.round(yScale(y))];

  const below = ([x, y]: [number, number]): [number, number] => [x, Math.min(y + 1, dots.rows - 1)];

  if (layer.kind === 'rule') {
    if (inside(layer.y, yDomain)) {
      const y = Math.round(yScale(layer.y));
      for (let x = 0; x < dots.columns; x++) if (x % 4 < 2) dots.set(x, y);
    }
  } else if (layer.kind === 'line') {
    let previous: [number, number] | null = null;
    for (const point of layer.points) {
      const here = at(point);
      if (here !== null) dots.line(...(previous ?? here), ...here);
      if (here !== null && layer.thick) dots.line(...below(previous ?? here), ...below(here));
      previous = here;
    }
  } else if (layer.kind === 'band') {
    drawBand(dots, layer.points, xScale, (value) => yScale(Math.max(yDomain[0], Math.min(yDomain[1], value))));
  } else {
    for (const point of layer.points) {
      const here = at(point);
      if (here !== null) dots.set(...here);
    }
  }
  return dots;
}

/** Fills between the curves column by column, every second dot; the ends between two slices are interpolated. */
function drawBand(dots: Dots, points: readonly BandPoint[], xScale: (x: number) => number, yScale: (y: number) => number): void {
  const column = (x: number, low: number, high: number): void => {
    const top = Math.round(yScale(high));
    const bottom = Math.round(yScale(low));
    for (let y = top; y <= bottom; y++) if ((x + y) % 2 === 0) dots.set(x, y);
  };
  let previous: { x: number; low: number; high: number } | null = null;
  for (const point of points) {
    if (point.low === null || point.high === null) {
      previous = null;
      continue;
    }
    const here = { x: Math.round(xScale(point.x)), low: point.low, high: point.high };
    const from = previous ?? here;
    for (let x = from.x; x <= here.x; x++) {
      const t = here.x === from.x ? 1 : (x - from.x) / (here.x - from.x);
      column(x, from.low + t * (here.low - from.low), from.high + t * (here.high - from.high));
    }
    previous = here;
  }
}
