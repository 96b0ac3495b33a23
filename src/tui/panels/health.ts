import { healthRules, isHealthMetric, levelOf, type HealthRule, type Level } from '../../health/index.ts';
import { extent, formatNumber, formatPercent, plotCells, sparkline, type Domain } from '../../plot/index.ts';
import { fit, fitBlock, span, type Line, type Size, type Span } from '../line.ts';
import type { Model } from '../model.ts';
import { healthContext, type DashboardState } from '../state.ts';
import type { Theme, Tone } from '../theme.ts';
import { mean } from '../../util/statistics.ts';

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
  /** From lowest to highest, and not less than what is worth a picture: noise in the seventh digit is a flat line. */
  range: Domain;
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
    const range = widened(extent(values) ?? [value, value], rule?.grain ?? 0);
    return {
      metric,
      label: rule?.label ?? metric,
      level: stale ? 'unknown' : levelOf(metric, value, context),
      value: units[rule?.unit ?? 'number'](value),
      trend: trendOf(values, range),
      points,
      range,
    };
  });
  const chosen = new Set([...all].sort((a, b) => urgency[b.level] - urgency[a.level]).slice(0, count));
  return all.filter((gauge) => chosen.has(gauge));
}

/** At least `grain` wide, and never empty. */
function widened([low, high]: Domain, grain: number): Domain {
  const missing = Math.max(grain, low === high ? Math.abs(low) * 0.1 || 1 : 0) - (high - low);
  if (missing <= 0) return [low, high];
  // What is never negative keeps its zero line.
  const below = low >= 0 ? Math.min(low, missing / 2) : missing / 2;
  return [low - below, high + missing - below];
}

const TREND_STEPS = 5;

/** The mean of the last values against that of those before; less than a tenth of the whole range is no trend. */
function trendOf(values: readonly number[], [low, high]: Domain): Gauge['trend'] {
  const recent = values.slice(-TREND_STEPS);
  const before = values.slice(-2 * TREND_STEPS, -TREND_STEPS);
  const [now, then] = before.length === 0 ? [values.at(-1)!, values[0]!] : [mean(recent), mean(before)];
  const change = now - then;
  return Math.abs(change) <= (high - low) / 10 ? 'level' : change > 0 ? 'up' : 'down';
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

function flatGauge({ label, level, value, trend, points, range }: Gauge, theme: Theme, width: number): Line {
  const room = Math.max(4, width - LABEL - VALUE - 6);
  const values = points.slice(-200).map((point) => point.y);
  return [
    light(level, theme),
    ...fit([span(` ${label}`, urgency[level] === 0 ? 'plain' : lights[level].tone)], LABEL + 2, theme.glyph.ellipsis),
    span(sparkline(values, { width: room, domain: range, ascii: theme.ascii, airy: true }), 'band'),
    span(value.padStart(VALUE), 'plain', { bold: true }),
    span(` ${theme.glyph[trend]}`, 'muted'),
  ];
}

function tallGauge({ label, level, value, trend, points, range }: Gauge, theme: Theme, width: number): Line[] {
  const left = LABEL + 5;
  const room = width - left - 1;
  const cells = plotCells([{ kind: 'line', points }], { width: room, height: 2, xDomain: [points[0]!.x, points.at(-1)!.x], yDomain: range, ascii: theme.ascii });
  const plot = cells.map((row) => span(row.map((cell) => cell.char).join(''), 'accent'));
  return [
    [light(level, theme), ...fit([span(` ${label}`, urgency[level] === 0 ? 'plain' : lights[level].tone)], left, theme.glyph.ellipsis), plot[0]!],
    [...fit([span(`  ${value}`, 'plain', { bold: true }), span(` ${theme.glyph[trend]}`, 'muted')], left + 1, theme.glyph.ellipsis), plot[1]!],
  ];
}
