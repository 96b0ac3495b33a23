/** @file One metric of all jobs as an inline SVG with its caption. Nothing here needs a script; the script only moves the cross-hair. */
import type { MetricsRow } from '../events.ts';
import { type HealthMetric, healthRules, isHealthMetric, levelOf } from '../health/index.ts';
import { type BandPoint, type Domain, type Point, type Scale, downsample, extent, formatNumber, linearScale, niceDomain, smooth, svgAxis, svgBandPath, svgDiamondsPath, svgLinePath, svgWhiskersPath } from '../plot/index.ts';
import { mean } from '../util/statistics.ts';
import { formatValue, tickFormat } from './format.ts';
import { type Html, html, trusted } from './html.ts';
import type { ChartSpec } from './sections.ts';
import { band, curve, meanOf, values } from './series.ts';

/** Pixels of the drawing. The plot area is what the margins leave. */
export interface Frame {
  width: number;
  height: number;
  left: number;
  right: number;
  top: number;
  bottom: number;
}

const SMALL: Frame = { width: 360, height: 168, left: 46, right: 8, top: 10, bottom: 26 };

/** From here on single steps are drawn faintly under their moving average. */
const SMOOTH_FROM = 40;
/** The average reaches back five steps, or a fortieth of a long job. */
const smoothed = (points: readonly Point[]): Point[] => smooth(points, 1 - 1 / Math.max(5, points.length / 40));
export const isSmoothed = (points: readonly Point[]): boolean => points.length >= SMOOTH_FROM;
/** Values that differ by less than this share are told in a word instead of a chart. */
const CONSTANT = 1e-5;
const STACK_COLUMNS = 120;

/** A curve that the script can read out: one per job. */
export interface Readout {
  unit: ChartSpec['unit'];
  curves: readonly (readonly Point[])[];
}

export interface Chart {
  figure: Html;
  readout: Readout;
}

export interface ChartContext {
  /** Rows of each job. */
  jobs: readonly (readonly MetricsRow[])[];
  xDomain: Domain;
  /** Do the jobs differ in nothing but the seed? Then their mean is drawn over them. */
  areSeeds: boolean;
}

/** A metric that never changed, in words; null for one that no job has. */
export function constantOf(spec: ChartSpec, { jobs }: ChartContext): number | null {
  const range = extent(jobs.flatMap((rows) => values(rows, spec.metric)));
  if (range === null || range[1] - range[0] > CONSTANT * Math.max(Math.abs(range[0]), Math.abs(range[1]))) return null;
  return range[1];
}

/** Null when no job has more than one value. `index`: the number under which the script finds the chart. */
export function renderChart(spec: ChartSpec, index: number, context: ChartContext): Chart | null {
  const curves = context.jobs.map((rows) => curve(rows, spec.metric));
  if (!curves.some((points) => points.filter(({ y }) => y !== null).length > 1)) return null;
  const single = context.jobs.length === 1;
  const stack = single && spec.stack ? stackOf(context.jobs[0]!, spec.stack) : null;
  const area = spec.band && single && stack === null ? band(context.jobs[0]!, spec.band) : [];
  const body = stack ? drawStack(stack, spec, context) : drawCurves({ spec, curves, area }, context);
  const figure = html`<figure class="chart" data-chart="${index}">${caption(spec, curves, context)}${stack && legend(stack)}${svg(body, { frame: SMALL, label: describe(spec.title, curves, spec) })}</figure>`;
  return { figure, readout: { unit: spec.unit, curves } };
}

export function svg(body: string, { frame: { width, height, left, right, top, bottom }, label, className = '' }: { frame: Frame; label: string; className?: string }): Html {
  const cross = `<line class="cross" y1="${top}" y2="${height - bottom}"/>`;
  return html`<svg class="plot ${className}" viewBox="0 0 ${width} ${height}" role="img" aria-label="${label}" data-left="${left}" data-right="${width - right}">${trusted(body + cross)}</svg>`;
}

/** The curve in a sentence, for those who do not see it. */
export function describe(title: string, curves: readonly (readonly Point[])[], { unit }: Pick<ChartSpec, 'unit'>): string {
  const format = formatValue[unit];
  const sentences = curves.flatMap((points, job) => {
    const known = points.filter((point): point is Point & { y: number } => point.y !== null);
    if (known.length === 0) return [];
    const [first, last] = [known[0]!, known.at(-1)!];
    const [low, high] = extent(known.map(({ y }) => y))!;
    return [`${curves.length > 1 ? `job ${job + 1}: ` : ''}${format(first.y)} at step ${first.x}, ${format(last.y)} at step ${last.x}, between ${format(low)} and ${format(high)}`];
  });
  return `${title}: ${sentences.join('; ')}`;
}

function caption({ metric, title, unit }: ChartSpec, curves: readonly (readonly Point[])[], { jobs }: ChartContext): Html {
  const readouts = curves.map((points, job) => {
    const last = points.findLast(({ y }) => y !== null)?.y ?? null;
    return html`<output class="value j${job % 8}">${last === null ? '–' : formatValue[unit](last)}</output>`;
  });
  return html`<figcaption><span class="title">${title}</span>${health(metric, jobs)}<span class="values">${readouts}</span><code>${metric}</code></figcaption>`;
}

/** A light, only where a single job ended outside the healthy range. */
function health(metric: string, jobs: ChartContext['jobs']): Html | null {
  const rows = jobs.length === 1 ? jobs[0]! : [];
  const all = values(rows, metric);
  const last = all.at(-1);
  if (last === undefined || !isHealthMetric(metric)) return null;
  const level = levelOf(metric, last, { step: rows.at(-1)!.step, history: (name) => values(rows, name) });
  if (level === 'ok') return null;
  return html`<span class="light ${level}" title="healthy: ${healthRules[metric satisfies HealthMetric].healthy}">${level === 'bad' ? '■' : '▲'}</span>`;
}

interface Curves {
  spec: ChartSpec;
  curves: readonly (readonly Point[])[];
  /** Around the only job. */
  area: readonly BandPoint[];
}

function drawCurves({ spec, curves, area }: Curves, { xDomain, areSeeds }: ChartContext): string {
  const [low, high] = extent([...curves.flat().map(({ y }) => y), ...area.flatMap((slice) => [slice.low, slice.high])]) ?? [0, 1];
  const { x, y, axes } = axesOf(SMALL, xDomain, niceDomain([Math.min(low, 0), high]), spec);
  const around = spec.isSparse ? `<path class="whiskers j0" d="${svgWhiskersPath(area, x, y)}"/>` : `<path class="band j0" d="${svgBandPath(thinBand(area), x, y)}"/>`;
  return axes + around + linesOf(curves, { isSparse: spec.isSparse ?? false, areSeeds, width: SMALL.width }, x, y);
}

interface LineOptions {
  isSparse: boolean;
  areSeeds: boolean;
  width: number;
}

/** The curves of all jobs; of seeds faintly, under their mean and over the area from the lowest to the highest of them. */
export function linesOf(curves: readonly (readonly Point[])[], { isSparse, areSeeds, width }: LineOptions, x: Scale, y: Scale): string {
  if (!areSeeds) return curves.map((points, job) => lineOf(points, { job, isSparse, width }, x, y)).join('');
  const lines = curves.map((points) => (isSparse || !isSmoothed(points) ? points : smoothed(points)));
  const { area, middle } = meanOf(lines);
  const path = (line: readonly Point[]) => svgLinePath(downsample(line, width / 2), x, y);
  return [
    `<path class="band mean" d="${svgBandPath(thinBand(area, width / 2), x, y)}"/>`,
    ...lines.map((points, job) => `<path class="line seed j${job % 8}" d="${path(points)}"/>`),
    `<path class="line mean" d="${path(middle)}"/>`,
    isSparse ? `<path class="marks mean" d="${svgDiamondsPath(middle, x, y, 3.5)}"/>` : '',
  ].join('');
}

/** Scales of a frame and its drawn axes. `axisAt`: where the step labels stand, when something lies between them and the plot. */
export function axesOf(frame: Frame, xDomain: Domain, yDomain: Domain, { unit }: Pick<ChartSpec, 'unit'>, axisAt = frame.height - frame.bottom) {
  const x = linearScale(xDomain, [frame.left, frame.width - frame.right]);
  const y = linearScale(yDomain, [frame.height - frame.bottom, frame.top]);
  const isLarge = frame.height > 240;
  const count = isLarge ? 5 : 3;
  const axes =
    svgAxis({ side: 'left', scale: y, at: frame.left, gridTo: frame.width - frame.right, count, format: tickFormat(unit, yDomain, count) }) +
    svgAxis({ side: 'bottom', scale: x, at: axisAt, count: Math.max(3, Math.round(frame.width / 110)), ...wholeSteps(xDomain), ...(isLarge ? { label: 'step' } : {}) });
  return { x, y, axes };
}

/** Three steps have no step 1.5. */
const wholeSteps = ([low, high]: Domain): { ticks?: number[] } => (high - low > 6 ? {} : { ticks: Array.from({ length: high - low + 1 }, (_, step) => low + step) });

/** One job's curve: marks where values are rare, a faint line under its average where they are many. */
function lineOf(points: readonly Point[], { job, isSparse, width }: { job: number; isSparse: boolean; width: number }, x: Scale, y: Scale): string {
  const path = (line: readonly Point[]) => svgLinePath(downsample(line, width / 2), x, y);
  if (isSparse) return `<path class="line j${job % 8}" d="${path(points)}"/><path class="marks j${job % 8}" d="${svgDiamondsPath(points, x, y, 3.5)}"/>`;
  if (!isSmoothed(points)) return `<path class="line j${job % 8}" d="${path(points)}"/>`;
  return `<path class="raw j${job % 8}" d="${path(points)}"/><path class="line j${job % 8}" d="${path(smoothed(points))}"/>`;
}

/** Bands keep their outline: the widest slice of each bucket. */
export function thinBand(points: readonly BandPoint[], buckets = 300): BandPoint[] {
  if (points.length <= buckets) return [...points];
  return Array.from({ length: buckets }, (_, bucket): BandPoint => {
    const part = points.slice(Math.floor((bucket * points.length) / buckets), Math.floor(((bucket + 1) * points.length) / buckets));
    const [low, high] = [extent(part.map((point) => point.low)), extent(part.map((point) => point.high))];
    return { x: part[0]!.x, low: low?.[0] ?? null, high: high?.[1] ?? null };
  });
}

interface Layer {
  label: string;
  points: BandPoint[];
}

/** Parts on top of each other, averaged over neighbouring steps where there are many; parts that are always 0 are left out. */
function stackOf(rows: readonly MetricsRow[], parts: NonNullable<ChartSpec['stack']>): Layer[] | null {
  const steps = rows.filter(({ kind, metrics }) => (kind === 'step' || kind === 'skipped') && parts.some(({ metric }) => metrics[metric] !== undefined));
  if (steps.length < 2) return null;
  const columns = Math.min(STACK_COLUMNS, steps.length);
  const buckets = Array.from({ length: columns }, (_, column) => steps.slice(Math.floor((column * steps.length) / columns), Math.floor(((column + 1) * steps.length) / columns)));
  const floor = buckets.map(() => 0);
  return parts.flatMap(({ metric, label }) => {
    const heights = buckets.map((bucket) => mean(bucket.map(({ metrics }) => metrics[metric] ?? 0)));
    if (heights.every((height) => height === 0)) return [];
    const points = heights.map((height, column) => {
      const low = floor[column]!;
      floor[column] = low + height;
      return { x: column === columns - 1 ? buckets[column]!.at(-1)!.step : buckets[column]![0]!.step, low, high: low + height };
    });
    return [{ label, points }];
  });
}

function drawStack(layers: readonly Layer[], spec: ChartSpec, { xDomain }: ChartContext): string {
  const highest = extent(layers.flatMap(({ points }) => points.map(({ high }) => high)))?.[1] ?? 1;
  const { x, y, axes } = axesOf(SMALL, xDomain, spec.unit === 'share' ? [0, 1] : niceDomain([0, highest]), spec);
  return layers.map(({ points }, index) => `<path class="stack s${index % 5}" d="${svgBandPath(points, x, y)}"/>`).join('') + axes;
}

const legend = (layers: readonly Layer[]): Html => html`<p class="legend">${layers.map(({ label }, index) => html`<span><i class="swatch s${index % 5}"></i>${label}</span>`)}</p>`;

/** Metrics that never changed, in a line of words. */
export function renderConstants(found: readonly { spec: ChartSpec; value: number }[]): Html | null {
  if (found.length === 0) return null;
  const words = found.map(({ spec, value }) => html`<span title="${spec.metric}">${spec.title} <b>${spec.unit === 'number' ? formatNumber(value) : formatValue[spec.unit](value)}</b></span>`);
  return html`<p class="constants"><span>Never changed:</span> ${words}</p>`;
}

