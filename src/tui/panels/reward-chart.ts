import {
  extent,
  formatNumber,
  formatTick,
  niceDomain,
  niceTicks,
  plotCells,
  smooth,
  type Domain,
  type PlotLayer,
  type Point,
} from '../../plot/index.ts';
import { fitBlock, span, wholeParts, type Line, type Size, type Span } from '../line.ts';
import type { Model } from '../model.ts';
import { bestCheckpoint, scores, type DashboardState, type StepMark } from '../state.ts';
import type { Style, Theme } from '../theme.ts';

/** From here on single steps are dots and their moving average is the line. */
const SMOOTH_FROM = 40;

/** The metric that the large curve shows: the reward, or the loss while a model only imitates answers. */
export function mainMetric(state: DashboardState): { name: string; label: string } {
  const imitating = state.stage?.kind === 'sft' && state.histories.has('policy_loss');
  return imitating || (!state.histories.has('reward') && state.histories.has('policy_loss')) ? { name: 'policy_loss', label: 'loss' } : { name: 'reward', label: 'reward' };
}

/** Heading of the chart, which is its legend as well: as many entries as fit. */
export function rewardTitle({ state, theme }: Model, width: number): Line {
  const { glyph } = theme;
  const { name, label } = mainMetric(state);
  const isReward = name === 'reward';
  const values = state.histories.get(name)?.values ?? [];
  const last = values.at(-1);
  const entries: Line[] = [[span(label, 'plain', { bold: true }), ...(last === undefined ? [] : [span(` ${formatNumber(last)}`, 'reward', { bold: true })])]];
  const change = last === undefined ? 0 : last - (values.at(-6) ?? values[0]!);
  if (change !== 0) entries.push([span(` ${change > 0 ? glyph.rise : glyph.fall}${formatNumber(Math.abs(change))}`, change > 0 === isReward ? 'ok' : 'bad')]);
  const { after } = scores(state);
  if (after) entries.push([span(`  ${glyph.evaluation} held-out ${formatNumber(after.value)}`, 'eval')]);
  const baseline = state.evaluations.find((entry) => entry.baseline);
  if (baseline) entries.push([span(`  ${glyph.held}${glyph.held} baseline ${formatNumber(baseline.reward)}`, 'baseline')]);
  const spread = isReward ? state.metrics['within_group_reward_std'] : undefined;
  if (spread !== undefined) entries.push([span(`  ${glyph.band} ${glyph.plusMinus}${formatNumber(spread)} in a group`, 'band')]);
  return wholeParts(entries, width);
}

/** The curve over its band, held-out scores as marks, and the fate of the head along the axis. Exactly `height` lines. */
export function rewardChart(model: Model, { width, height }: Size): Line[] {
  const { state, theme } = model;
  const { name } = mainMetric(state);
  const points = state.histories.get(name)?.points ?? [];
  const rows = height - 2;
  if (rows < 2) return fitBlock([], { width, height });
  if (points.length === 0 && state.evaluations.length === 0) return fitBlock(waiting(model, width, height), { width, height });

  const layers = chartLayers(state, theme, name, points, Math.floor(width / 4));
  const xDomain: Domain = [0, horizon(state)];
  const yDomain = valueDomain(layers);
  const ticks = niceTicks(yDomain, Math.max(2, Math.round(rows / 3)));
  const step = ticks.length > 1 ? ticks[1]! - ticks[0]! : 1;
  const labels = ticks.map((tick) => formatTick(tick, step));
  const gutter = Math.max(...labels.map((label) => label.length)) + 1;
  const columns = width - gutter - 1;
  if (columns < 8) return fitBlock([], { width, height });

  const rowOf = (value: number): number => Math.round(((yDomain[1] - value) / (yDomain[1] - yDomain[0])) * (rows - 1));
  const labelAt = new Map(ticks.map((tick, index) => [rowOf(tick), labels[index]!]));
  const cells = plotCells(layers.map(({ layer }) => layer), { width: columns, height: rows, xDomain, yDomain, ascii: theme.ascii });
  const plot = cells.map((row, index): Line => {
    const label = labelAt.get(index);
    return [
      span((label ?? '').padStart(gutter), 'muted'),
      span(label === undefined ? theme.glyph.yAxis : theme.glyph.tick, 'muted', { dim: true }),
      ...row.map(({ char, layer }) => (layer === null ? span(char) : { text: char, ...layers[layer]!.style })),
    ];
  });
  return fitBlock([...plot, headAxis(state, theme, { gutter, columns, xDomain }), stepLabels(xDomain, { gutter, columns, total: state.job?.totalSteps ?? 0 })], { width, height });
}

interface StyledLayer {
  layer: PlotLayer;
  style: Style;
}

function chartLayers(state: DashboardState, { glyph }: Theme, name: string, points: readonly Point[], manyMarks: number): StyledLayer[] {
  const layers: StyledLayer[] = [];
  const isReward = name === 'reward';
  if (isReward) layers.push({ layer: { kind: 'band', points: state.band }, style: { tone: 'band' } });
  if (isReward && state.previousReward) layers.push({ layer: { kind: 'line', points: state.previousReward.points }, style: { tone: 'previous', dim: true } });
  const baseline = state.evaluations.find((entry) => entry.baseline);
  if (isReward && baseline) layers.push({ layer: { kind: 'rule', y: baseline.reward }, style: { tone: 'baseline' } });
  const smoothed = points.length >= SMOOTH_FROM;
  if (smoothed) layers.push({ layer: { kind: 'dots', points }, style: { tone: 'reward', dim: true } });
  layers.push({ layer: { kind: 'line', points: smoothed ? smooth(points, 0.8) : points, thick: true }, style: { tone: 'reward', bold: true } });
  if (!isReward) return layers;
  const evaluations = state.evaluations.map((entry): Point => ({ x: entry.step, y: entry.reward }));
  const crowded = evaluations.length > manyMarks;
  if (crowded) layers.push({ layer: { kind: 'line', points: evaluations }, style: { tone: 'eval' } });
  layers.push({ layer: { kind: 'marks', points: crowded ? evaluations.slice(-1) : evaluations, mark: glyph.evaluation }, style: { tone: 'eval', bold: true } });
  const best = evaluations.length > 1 ? bestCheckpoint(state) : null;
  if (best?.evalReward != null) layers.push({ layer: { kind: 'marks', points: [{ x: best.step, y: best.evalReward }], mark: glyph.best }, style: { tone: 'eval', bold: true } });
  return layers;
}

/** Round, around everything that is drawn, and down to zero when all of it is positive. */
function valueDomain(layers: readonly StyledLayer[]): Domain {
  const values = layers.flatMap(({ layer }) => {
    if (layer.kind === 'rule') return [layer.y];
    if (layer.kind === 'band') return layer.points.flatMap(({ low, high }) => [low, high]);
    return layer.points.map(({ y }) => y);
  });
  const [low, high] = extent(values) ?? [0, 1];
  return niceDomain([low > 0 ? 0 : low, high]);
}

/** The axis ends at the next round step, so that a young curve has room to grow and an old one is not squeezed. */
function horizon({ step, job }: DashboardState): number {
  const total = Math.max(1, job?.totalSteps ?? 1);
  let end = 10;
  // 10, 15, 20, 30, 40, 60, 80, …
  for (let doubled = 20; end < step; end = end < doubled && end * 1.5 < doubled ? end * 1.5 : doubled) if (end >= doubled) doubled *= 2;
  return Math.max(step, Math.min(end, total));
}

const severity: { readonly [M in StepMark]: number } = { promoted: 0, held: 1, skipped: 2, 'rolled-back': 3 };

interface AxisPlace {
  gutter: number;
  columns: number;
  xDomain: Domain;
}

/** One column may stand for many steps: it shows the most remarkable of them. */
function headAxis(state: DashboardState, { glyph }: Theme, { gutter, columns, xDomain }: AxisPlace): Line {
  const marks: (StepMark | undefined)[] = Array.from({ length: columns });
  for (const [step, mark] of state.marks) {
    const column = Math.round(((step - xDomain[0]) / (xDomain[1] - xDomain[0])) * (columns - 1));
    const present = marks[column];
    if (present === undefined || severity[mark] > severity[present]) marks[column] = mark;
  }
  const signs: { readonly [M in StepMark]: Span } = {
    promoted: span(glyph.promoted, 'ok'),
    held: span(glyph.held, 'warn'),
    skipped: span(glyph.skipped, 'muted'),
    'rolled-back': span(glyph.rolledBack, 'bad', { bold: true }),
  };
  // Steps between two promoted ones belong to the same line when columns outnumber steps.
  let trail: StepMark | undefined;
  const last = marks.findLastIndex((mark) => mark !== undefined);
  const line = marks.map((mark, column) => {
    if (mark !== undefined) trail = mark === 'rolled-back' ? undefined : mark;
    if (mark !== undefined) return signs[mark];
    return trail !== undefined && column < last ? signs[trail] : span(glyph.rule, 'muted', { dim: true });
  });
  return [span(' '.repeat(gutter)), span(glyph.axis, 'muted', { dim: true }), ...line];
}

function stepLabels(xDomain: Domain, { gutter, columns, total }: Omit<AxisPlace, 'xDomain'> & { total: number }): Line {
  const text = Array.from({ length: columns }, () => ' ');
  const write = (label: string, center: number): void => {
    const start = Math.max(0, Math.min(columns - label.length, center - Math.floor(label.length / 2)));
    if (text.slice(Math.max(0, start - 1), start + label.length + 1).some((char) => char !== ' ')) return;
    for (const [index, char] of [...label].entries()) text[start + index] = char;
  };
  if (total === xDomain[1]) write(String(total), columns - 1);
  for (const tick of niceTicks(xDomain, Math.max(2, Math.floor(columns / 10)))) {
    if (Number.isInteger(tick)) write(String(tick), Math.round(((tick - xDomain[0]) / (xDomain[1] - xDomain[0])) * (columns - 1)));
  }
  return [span(' '.repeat(gutter + 1)), span(text.join(''), 'muted')];
}

function waiting({ state }: Model, width: number, height: number): Line[] {
  const text = state.phase === 'eval' ? 'measuring the model before it learns' : state.job ? 'the first step is under way' : 'loading the model';
  const above = Array.from({ length: Math.floor(height / 2) - 1 }, (): Line => []);
  return [...above, [span(' '.repeat(Math.max(0, Math.floor((width - text.length) / 2)))), span(text, 'muted')]];
}
