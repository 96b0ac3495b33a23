import { healthRules, isHealthMetric, levelOf, type HealthRule, type Level } from '../../health/index.ts';
import { extent, formatNumber, formatPercent, plotCells, sparkline } from '../../plot/index.ts';
import { fit, fitBlock, span, type Line, type Size, type Span } from '../line.ts';
import type { Model } from '../model.ts';
import { healthContext, type DashboardState } from '../state.ts';
import type { Theme, Tone } from '../theme.ts';

/** In the order of importance; of alternatives the first that a job measures. */
const shown: readonly (readonly string[])[] = [
  ['eval/reward'],
  ['entropy'],
  ['kl', 'kl_pre_post/v2', 'kl_sample_train/v2'],
  ['completions/mean_length'],
  ['completions/clipped_ratio'],
  ['grad_norm'],
  ['sampling/logp_difference/mean', 'sampling/logp_difference/max'],
  ['tokens_per_second'],
  ['groups/all_bad'],
  ['groups/all_good'],
  ['within_group_reward_std'],
  ['rollouts/error_ratio'],
  ['clip_ratio/region_mean'],
];

const units: { readonly [U in HealthRule['unit']]: (value: number) => string } = {
  number: formatNumber,
  share: formatPercent,
  tokens: formatNumber,
  'tokens/s': formatNumber,
  ms: formatNumber,
};

const lights: { readonly [L in Gauge['level']]: { glyph: 'ok' | 'warn' | 'bad' | 'dot'; tone: Tone } } = {
  unknown: { glyph: 'dot', tone: 'muted' },
  ok: { glyph: 'ok', tone: 'ok' },
  warn: { glyph: 'warn', tone: 'warn' },
  bad: { glyph: 'bad', tone: 'bad' },
};

export const light = (level: Gauge['level'], { glyph }: Theme): Span => span(glyph[lights[level].glyph], lights[level].tone, { bold: level === 'bad' });

export interface Gauge {
  metric: string;
  label: string;
  /** Unknown while the newest values belong to weights that were rolled back. */
  level: Level | 'unknown';
  value: string;
  trend: 'up' | 'down' | 'level';
  points: readonly { x: number; y: number | null }[];
}

/** The metrics worth a place, as many as fit; those out of range push out quiet ones. */
export function gauges(state: DashboardState, count: number): Gauge[] {
  const context = healthContext(state);
  const stale = state.marks.get(state.finishedSteps) === 'rolled-back';
  const measured = shown.flatMap((alternatives) => alternatives.find((metric) => state.histories.has(metric)) ?? []);
  const all = measured.map((metric): Gauge => {
    const { points, values } = state.histories.get(metric)!;
    const value = values.at(-1)!;
    const rule = isHealthMetric(metric) ? healthRules[metric] : null;
    return {
      metric,
      label: rule?.label ?? metric,
      level: stale ? 'unknown' : levelOf(metric, value, context),
      value: units[rule?.unit ?? 'number'](value),
      trend: trendOf(values),
      points,
    };
  });
  const chosen = new Set([...all].sort((a, b) => urgency[b.level] - urgency[a.level]).slice(0, count));
  return all.filter((gauge) => chosen.has(gauge));
}

/** Against the value five steps ago; less than a twentieth of the whole range is no trend. */
function trendOf(values: readonly number[]): Gauge['trend'] {
  const range = extent(values);
  const before = values.at(-6) ?? values[0];
  if (!range || before === undefined) return 'level';
  const change = values.at(-1)! - before;
  return Math.abs(change) <= (range[1] - range[0]) / 20 ? 'level' : change > 0 ? 'up' : 'down';
}

/** Small multiples: a line each, or two lines with a curve when there is room. */
export function healthPanel({ state, theme }: Model, { width, height }: Size): Line[] {
  const tall = height >= 16 && width >= 36;
  const entries = gauges(state, tall ? Math.floor(height / 2) : height);
  const lines = entries.flatMap((gauge) => (tall ? tallGauge(gauge, theme, width) : [flatGauge(gauge, theme, width)]));
  return fitBlock(lines, { width, height }, theme.glyph.ellipsis);
}

const urgency: { readonly [L in Gauge['level']]: number } = { unknown: 0, ok: 0, warn: 1, bad: 2 };

const LABEL = 10;
const VALUE = 7;

function flatGauge({ label, level, value, trend, points }: Gauge, theme: Theme, width: number): Line {
  const room = Math.max(4, width - LABEL - VALUE - 6);
  const values = points.slice(-200).map((point) => point.y);
  return [
    light(level, theme),
    ...fit([span(` ${label}`, urgency[level] === 0 ? 'plain' : lights[level].tone)], LABEL + 2, theme.glyph.ellipsis),
    span(sparkline(values, { width: room, ascii: theme.ascii, airy: true }), 'band'),
    span(value.padStart(VALUE), 'plain', { bold: true }),
    span(` ${theme.glyph[trend]}`, 'muted'),
  ];
}

function tallGauge({ label, level, value, trend, points }: Gauge, theme: Theme, width: number): Line[] {
  const left = LABEL + 5;
  const room = width - left - 1;
  const range = extent(points.map((point) => point.y)) ?? [0, 1];
  const yDomain = range[0] === range[1] ? ([range[0] - 1, range[1] + 1] as const) : range;
  const cells = plotCells([{ kind: 'line', points }], { width: room, height: 2, xDomain: [points[0]!.x, points.at(-1)!.x], yDomain, ascii: theme.ascii });
  const plot = cells.map((row) => span(row.map((cell) => cell.char).join(''), 'accent'));
  return [
    [light(level, theme), ...fit([span(` ${label}`, urgency[level] === 0 ? 'plain' : lights[level].tone)], left, theme.glyph.ellipsis), plot[0]!],
    [...fit([span(`  ${value}`, 'plain', { bold: true }), span(` ${theme.glyph[trend]}`, 'muted')], left + 1, theme.glyph.ellipsis), plot[1]!],
  ];
}
