/**
 * @file The strings that inline SVG charts are made of. Every chart uses the scales of the terminal plots.
 */
import { formatTick, niceTicks, type Scale } from './scale.ts';
import type { BandPoint, Point } from './series.ts';

/** A coordinate with two decimals at most. SVG knows no NaN: whoever passes one has a bug, and is told. */
export function svgNumber(value: number): string {
  if (!Number.isFinite(value)) throw new Error(`a coordinate must be finite, got ${value}`);
  const text = value.toFixed(2).replace(/\.?0+$/, '');
  return text === '-0' ? '0' : text;
}

/** Text for an element or an attribute value; control characters that XML forbids are dropped. */
export function escapeXml(text: string): string {
  const entities: Record<string, string> = { '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;', "'": '&#39;' };
  // eslint-disable-next-line no-control-regex
  return text.replace(/[\u0000-\u0008\u000b\u000c\u000e-\u001f\ufffe\uffff]/g, '').replace(/[&<>"']/g, (char) => entities[char]!);
}

/** `M x,y L x,y …`; a gap begins a new subpath, and a value between two gaps is a dot of no length (draw with round caps). */
export function svgLinePath(points: readonly Point[], x: Scale, y: Scale): string {
  let path = '';
  let open = false;
  points.forEach((point, index) => {
    if (point.y === null) {
      open = false;
      return;
    }
    const place = `${svgNumber(x(point.x))},${svgNumber(y(point.y))}`;
    const alone = !open && (points[index + 1]?.y ?? null) === null;
    path += open ? `L${place}` : alone ? `M${place}h0` : `M${place}`;
    open = true;
  });
  return path;
}

/** The closed outline of a band: along the upper curve, back along the lower one; one subpath per unbroken run. */
export function svgBandPath(points: readonly BandPoint[], x: Scale, y: Scale): string {
  const runs: { x: number; low: number; high: number }[][] = [[]];
  for (const { x: at, low, high } of points) {
    if (low === null || high === null) runs.push([]);
    else runs.at(-1)!.push({ x: at, low, high });
  }
  const place = (at: number, value: number): string => `${svgNumber(x(at))},${svgNumber(y(value))}`;
  return runs
    .filter((run) => run.length > 1)
    .map((run) => {
      const upper = run.map((point) => place(point.x, point.high));
      const lower = run.map((point) => place(point.x, point.low)).reverse();
      return `M${[...upper, ...lower].join('L')}Z`;
    })
    .join('');
}

export interface SvgAxisOptions {
  /** `bottom` and `left` write their labels outside the plot area. */
  side: 'bottom' | 'left';
  /** Positions along the axis. */
  scale: Scale;
  /** Where the axis lies on the other direction: the y of a bottom axis, the x of a left one. */
  at: number;
  /** Lines across the plot area from `at` to this coordinate; none when left out. */
  gridTo?: number;
  /** About how many ticks. */
  count?: number;
  /** Exact ticks instead of nice ones. */
  ticks?: readonly number[];
  format?: (value: number) => string;
  label?: string;
}

/** Ticks, labels and grid lines of one axis, as `<g class="axis axis-bottom">`; colours come from the page's style sheet. */
export function svgAxis({ side, scale, at, gridTo, count = 5, ticks = niceTicks(scale.domain, count), format, label }: SvgAxisOptions): string {
  const step = ticks.length > 1 ? Math.abs(ticks[1]! - ticks[0]!) : Math.abs(ticks[0] ?? 1) || 1;
  const text = format ?? ((value: number): string => formatTick(value, step));
  const bottom = side === 'bottom';
  const marks = ticks.map((tick) => {
    const place = svgNumber(scale(tick));
    const from = svgNumber(at);
    const grid =
      gridTo === undefined
        ? ''
        : bottom
          ? `<line class="grid" x1="${place}" x2="${place}" y1="${from}" y2="${svgNumber(gridTo)}"/>`
          : `<line class="grid" x1="${from}" x2="${svgNumber(gridTo)}" y1="${place}" y2="${place}"/>`;
    const words = escapeXml(text(tick));
    return bottom
      ? `${grid}<text x="${place}" y="${svgNumber(at + 16)}" text-anchor="middle">${words}</text>`
      : `${grid}<text x="${svgNumber(at - 6)}" y="${place}" dy="0.32em" text-anchor="end">${words}</text>`;
  });
  const [from, to] = scale.range;
  const title =
    label === undefined
      ? ''
      : bottom
        ? `<text class="label" x="${svgNumber(to)}" y="${svgNumber(at + 30)}" text-anchor="end">${escapeXml(label)}</text>`
        : `<text class="label" x="${svgNumber(at)}" y="${svgNumber(Math.min(from, to) - 8)}">${escapeXml(label)}</text>`;
  return `<g class="axis axis-${side}">${marks.join('')}${title}</g>`;
}

/** A diamond per point, for values that were measured now and then; gaps are left out. */
export function svgDiamondsPath(points: readonly Point[], x: Scale, y: Scale, radius: number): string {
  const r = svgNumber(radius);
  return points.map((point) => (point.y === null ? '' : `M${svgNumber(x(point.x))},${svgNumber(y(point.y) - radius)}l${r},${r}l-${r},${r}l-${r},-${r}Z`)).join('');
}

/** A vertical stroke per slice, from its low to its high end: intervals around marks. */
export function svgWhiskersPath(points: readonly BandPoint[], x: Scale, y: Scale): string {
  return points.map(({ x: at, low, high }) => (low === null || high === null ? '' : `M${svgNumber(x(at))},${svgNumber(y(low))}V${svgNumber(y(high))}`)).join('');
}
