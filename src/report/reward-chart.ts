/** @file The large curve: reward over its spread, held-out marks with their intervals, the start as a rule, the head's fate along the axis. */
import { formatScore } from '../util/words.ts';
import { type Point, type Scale, extent, niceDomain, svgBandPath, svgDiamondsPath, svgNumber, svgWhiskersPath } from '../plot/index.ts';
import { type ChartContext, type Frame, type Readout, axesOf, describe, isSmoothed, linesOf, svg, thinBand } from './chart.ts';
import { formatValue } from './format.ts';
import { type Html, clip, html, visibleLine } from './html.ts';
import type { ReportJob } from './read-job.ts';
import { band, curve, fates, spreadOfReward } from './series.ts';
import { evaluations } from '../util/held-out.ts';

const WIDE: Frame = { width: 1080, height: 340, left: 46, right: 12, top: 12, bottom: 32 };
const NARROW: Frame = { width: 380, height: 260, left: 40, right: 8, top: 10, bottom: 32 };
/** Height of a job's strip between the plot and the step labels. */
const STRIP = 9;

/** The script reads out the curve under the first index and the held-out marks under the second. */
export interface RewardChart {
  figure: Html;
  readouts: readonly [Readout, Readout];
}

/** Jobs that only imitate answers have no reward; their loss is the curve then. */
export function renderRewardChart(jobs: readonly ReportJob[], index: number, context: ChartContext): RewardChart | null {
  const hasReward = context.jobs.some((rows) => curve(rows, 'reward').length > 0);
  const metric = hasReward || context.jobs.every((rows) => curve(rows, 'policy_loss').length === 0) ? 'reward' : 'policy_loss';
  const curves = context.jobs.map((rows) => curve(rows, metric));
  const marks = context.jobs.map((rows) => (metric === 'reward' ? evaluations(rows) : []));
  if ([...curves, ...marks].every((list) => list.length === 0)) return null;

  const title = metric === 'reward' ? 'Reward' : 'Loss';
  const label = describe(title, curves, { unit: 'number' });
  const drawings = ([['wide', WIDE], ['narrow', NARROW]] as const).map(([className, frame]) => {
    const strips = STRIP * jobs.length + 4;
    const grown = { ...frame, height: frame.height + strips, bottom: frame.bottom + strips };
    return svg(draw({ frame: grown, metric, curves, marks }, context), { frame: grown, label, className });
  });
  const figure = html`<figure class="chart main" data-chart="${index}">${caption({ title, metric, curves, marks, context })}${drawings}${key({ title, metric, curves, marks, context })}</figure>`;
  const held = marks.map((list) => list.map(({ step, value }): Point => ({ x: step, y: value })));
  return { figure, readouts: [{ unit: 'number', curves }, { unit: 'number', curves: held }] };
}

type Marks = ReturnType<typeof evaluations>[];

interface Drawing {
  frame: Frame;
  metric: string;
  curves: Point[][];
  marks: Marks;
}

function draw({ frame, metric, curves, marks }: Drawing, context: ChartContext): string {
  const single = context.jobs.length === 1;
  const spread = single && metric === 'reward' ? band(context.jobs[0]!, spreadOfReward) : [];
  const whiskers = marks.map((list) => list.map(({ step, low, high }) => ({ x: step, low, high })));
  const ends = [...spread, ...whiskers.flat()].flatMap(({ low, high }) => [low, high]);
  const [low, high] = extent([...curves.flat().map(({ y }) => y), ...marks.flat().map(({ value }) => value), ...ends]) ?? [0, 1];
  const yDomain = niceDomain([low > 0 ? 0 : low, high]);
  const { x, y, axes } = axesOf(frame, context.xDomain, yDomain, { unit: 'number' }, frame.height - 32);

  const baseline = single ? marks[0]!.find(({ isBaseline }) => isBaseline) : undefined;
  const across = (value: number, className: string) => `<line class="${className}" x1="${frame.left}" x2="${frame.width - frame.right}" y1="${svgNumber(y(value))}" y2="${svgNumber(y(value))}"/>`;
  const heldOut = marks.map((list, job) => {
    const points = list.map(({ step, value }): Point => ({ x: step, y: value }));
    const tone = single ? 'held' : `j${job % 8}`;
    // Side by side: jobs are measured after the same steps.
    const beside: Scale = Object.assign((step: number) => x(step) + (job - (marks.length - 1) / 2) * Math.min(8, 40 / marks.length), { domain: x.domain, range: x.range });
    return `<path class="whiskers ${tone}" d="${svgWhiskersPath(whiskers[job]!, beside, y)}"/><path class="marks ${tone}" d="${svgDiamondsPath(points, beside, y, points.length > 40 ? 3 : single ? 5 : 4)}"/>`;
  });
  return [
    axes,
    single ? stageLines(context, frame, x) : '',
    `<path class="band j0" d="${svgBandPath(thinBand(spread, frame.width / 2), x, y)}"/>`,
    baseline ? across(baseline.value, 'baseline') : '',
    linesOf(curves, { isSparse: false, areSeeds: context.areSeeds, width: frame.width }, x, y),
    ...heldOut,
    ...context.jobs.map((_, job) => headStrip(job, context, frame, x)),
  ].join('');
}

/** Where a stage begins, when there are several. */
function stageLines({ jobs: [rows = []] }: ChartContext, frame: Frame, x: (step: number) => number): string {
  const steps = rows.filter(({ kind }) => kind === 'step' || kind === 'skipped');
  const begins = steps.filter((row, index) => row.stage !== steps[index - 1]?.stage);
  if (begins.length < 2) return '';
  return begins
    .map(({ step, stage }) => {
      const at = svgNumber(x(step - 0.5));
      return `<line class="stage" x1="${at}" x2="${at}" y1="${frame.top}" y2="${frame.height - frame.bottom}"/>${html`<text class="stage" x="${at}" dx="4" y="${frame.top + 9}">${clip(visibleLine(stage), 28)}</text>`.markup}`;
    })
    .join('');
}

/** The fate of the head, step by step: a full bar where it moved, an outline where it was held, a thin line where nothing was learnt. */
function headStrip(job: number, { jobs, xDomain }: ChartContext, frame: Frame, x: (step: number) => number): string {
  const top = frame.height - frame.bottom + 4 + STRIP * job;
  const clamp = (step: number) => x(Math.max(xDomain[0], Math.min(xDomain[1], step)));
  return fates(jobs[job]!)
    .map(({ fate, from, to, reason }) => {
      const words = html`<title>${from === to ? `step ${from}` : `steps ${from} to ${to}`}: ${fate === 'promoted' ? 'promoted' : fate === 'held' ? 'saved, the head stayed' : fate === 'skipped' ? 'skipped' : 'rolled back'}${reason && `: ${reason}`}</title>`.markup;
      if (fate === 'rolled-back') {
        const at = svgNumber(x(from + 0.5));
        return `<g class="rollback"><line x1="${at}" x2="${at}" y1="${frame.top}" y2="${top + STRIP - 2}"/><text x="${at}" y="${top + 7}" text-anchor="middle">↺</text>${words}</g>`;
      }
      const [begin, end] = [clamp(from - 0.5), clamp(to + 0.5)];
      const [height, lift] = fate === 'skipped' ? [1, 2] : [5, 0];
      return `<rect class="fate ${fate} j${job % 8}" x="${svgNumber(begin)}" y="${top + lift}" width="${svgNumber(Math.max(0.5, end - begin))}" height="${height}">${words}</rect>`;
    })
    .join('');
}

interface Caption {
  title: string;
  metric: string;
  curves: Point[][];
  marks: Marks;
  context: ChartContext;
}

function caption({ title, metric, curves, marks, context }: Caption): Html {
  const single = context.jobs.length === 1;
  const values = curves.map((points, job) => {
    const last = points.findLast(({ y }) => y !== null)?.y ?? null;
    return html`<output class="value j${job % 8}">${last === null ? '–' : formatValue.number(last)}</output>`;
  });
  const held = marks.map((list, job) => html` <output class="value ${single ? 'held' : `j${job % 8}`}">${formatScore(list.at(-1)?.value)}</output>`);
  return html`<figcaption><span class="title">${title}</span><code>${metric}</code><span class="values">${values}${marks.some((list) => list.length > 0) && html`<span class="heldout">held-out ◆ ${held}</span>`}</span></figcaption>`;
}

/** What the signs mean: only those that are there. */
function key({ metric, curves, marks, context: { jobs, areSeeds } }: Caption): Html {
  const single = jobs.length === 1;
  const present = new Set(jobs.flatMap((rows) => fates(rows).map(({ fate }) => fate)));
  const baseline = single ? marks[0]!.find(({ isBaseline }) => isBaseline) : undefined;
  const entries: (Html | false | undefined)[] = [
    areSeeds && html`<span><i class="swatch mean"></i>mean of ${jobs.length} seeds, from the lowest to the highest of them</span>`,
    curves.some(isSmoothed) && html`<span><i class="swatch smooth"></i>moving average${!areSeeds && ' over single steps'}</span>`,
    single && metric === 'reward' && band(jobs[0]!, spreadOfReward).length > 0 && html`<span><i class="swatch area"></i>± spread within a group</span>`,
    marks.some((list) => list.length > 0) && html`<span><b class="${single ? 'held' : ''}">◆</b> held-out, with its interval</span>`,
    baseline && html`<span><i class="swatch rule"></i>held-out before the first step: ${formatScore(baseline.value)}</span>`,
    present.has('promoted') && html`<span><i class="swatch bar"></i>promoted</span>`,
    present.has('held') && html`<span><i class="swatch outline"></i>saved, head held back</span>`,
    present.has('skipped') && html`<span><i class="swatch thin"></i>skipped</span>`,
    present.has('rolled-back') && html`<span><b class="bad">↺</b> rolled back</span>`,
  ];
  return html`<p class="legend">${entries.filter((entry) => entry !== undefined)}</p>`;
}
