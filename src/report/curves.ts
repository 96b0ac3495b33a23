/** @file All curves of the page: the large one, the five sections, what is left over, and the same as figures. */
import { formatScore } from '../util/words.ts';
import { type Chart, type ChartContext, type Readout, constantOf, renderChart, renderConstants } from './chart.ts';
import type { Domain } from '../plot/index.ts';
import { formatValue } from './format.ts';
import { type Html, html } from './html.ts';
import type { ReportJob } from './read-job.ts';
import { renderRewardChart } from './reward-chart.ts';
import { spread } from './samples.ts';
import { type ChartSpec, metricNames, sections } from './sections.ts';
import { curve, values } from './series.ts';

/** What the script needs for its cross-hair: the texts of every chart's caption at every step. */
export interface CurveData {
  steps: number[];
  domain: Domain;
  charts: string[][][];
  held: string[][];
}

/** Steps that the script can point at: enough for every pixel. */
const MAX_POINTS = 1000;

export function renderCurves(jobs: readonly ReportJob[], context: ChartContext): { section: Html; data: CurveData } {
  const readouts: Readout[] = [];
  const main = renderRewardChart(jobs, 0, context);
  readouts.push(main?.readouts[0] ?? { unit: 'number', curves: [] });
  const names = metricNames(jobs.flatMap(({ rows }) => rows));
  const shown = new Set<string>(['reward', 'loss:sum']);
  const drawn = drawnCurves(context);
  if (main) drawn.twinOf('reward');

  const render = (specs: readonly ChartSpec[]): Html => {
    const present = specs.filter(({ metric }) => names.has(metric));
    for (const { metric, stack = [] } of present) for (const name of [metric, ...stack.map((part) => part.metric)]) shown.add(name);
    const constants = present.flatMap((spec) => {
      const value = constantOf(spec, context);
      return value === null ? [] : [{ spec, value }];
    });
    const changing = present.filter((spec) => !constants.some((constant) => constant.spec === spec));
    const twins = changing.flatMap((spec) => {
      const twin = drawn.twinOf(spec.metric);
      return twin === null ? [] : [{ spec, twin }];
    });
    const charts = changing
      .filter((spec) => !twins.some((twin) => twin.spec === spec))
      .flatMap((spec): Chart[] => {
        const chart = renderChart(spec, readouts.length, context);
        if (chart) readouts.push(chart.readout);
        return chart ? [chart] : [];
      });
    return html`${charts.length > 0 && html`<div class="charts">${charts.map(({ figure }) => figure)}</div>`}${renderTwins(twins)}${renderConstants(constants)}`;
  };

  const five = sections.map(({ id, title, lead, charts }) => {
    const specs = charts(names);
    const hasAny = specs.some(({ metric }) => names.has(metric)) || (id === 'reward' && main);
    if (!hasAny) return null;
    // The large curve needs no heading above its own title.
    if (id === 'reward' && main) return html`<section id="reward">${main.figure}<p class="lead">${lead}</p>${render(specs)}</section>`;
    return html`<section id="${id}"><h3>${title}</h3><p class="lead">${lead}</p>${render(specs)}</section>`;
  });
  const rest = [...names].filter((name) => !shown.has(name) && !/_(low|high)$/.test(name) && !/^completions\/m(in|ax)_length$/.test(name));
  const others = rest.length > 0 && html`<details class="fold"><summary>Other metrics <span class="muted">${rest.length}</span></summary>${render(rest.map((metric) => ({ metric, title: metric, unit: 'number', isSparse: metric.startsWith('eval/') })))}</details>`;

  const steps = spread([...new Set(jobs.flatMap(({ rows }) => rows.map(({ step }) => step)))].sort((a, b) => a - b), MAX_POINTS);
  const data = { steps, domain: context.xDomain, charts: readouts.map((readout) => textsAt(steps, readout)), held: main ? textsAt(steps, main.readouts[1], formatScore) : [] };
  return { section: html`<section id="curves"><h2>Curves</h2>${five}${others}${numbersTable(jobs)}</section>`, data };
}

/** Remembers the curves by their values: a metric that repeats another (an accuracy that is the reward) gets words and no second chart. */
function drawnCurves({ jobs }: ChartContext): { twinOf(metric: string): string | null } {
  const drawn = new Map<string, string>();
  return {
    twinOf(metric) {
      const key = JSON.stringify(jobs.map((rows) => curve(rows, metric)));
      const twin = drawn.get(key);
      if (twin === undefined) drawn.set(key, metric);
      return twin === undefined || twin === metric ? null : twin;
    },
  };
}

const renderTwins = (twins: readonly { spec: ChartSpec; twin: string }[]): Html | null =>
  twins.length === 0 ? null : html`<p class="constants">${twins.map(({ spec, twin }) => html`<span title="${spec.metric}">${spec.title} <b>is the same curve as</b> <code>${twin}</code></span>`)}</p>`;

/** The value of each curve at each step, as it stands in the caption: the last one measured up to there. */
function textsAt(steps: readonly number[], { unit, curves }: Readout, format = formatValue[unit]): string[][] {
  return curves.map((points) => {
    const known = points.filter(({ y }) => y !== null);
    let next = 0;
    return steps.map((step) => {
      while (next < known.length && known[next]!.x <= step) next++;
      return next === 0 ? '' : format(known[next - 1]!.y!);
    });
  });
}

const COLUMNS = ['reward', 'within_group_reward_std', 'eval/reward', 'entropy', 'kl', 'grad_norm', 'completions/mean_length', 'completions/clipped_ratio'] as const;

/** The same as figures, for those who rather read than look. */
function numbersTable(jobs: readonly ReportJob[]): Html {
  return html`${jobs.map(({ rows, meta }) => {
    const columns = COLUMNS.filter((name) => values(rows, name).length > 0);
    const measured = rows.filter(({ kind, metrics }) => kind !== 'rollback' && columns.some((name) => metrics[name] !== undefined));
    const cell = (value: number | undefined) => html`<td class="n">${value === undefined ? '' : formatValue.number(value)}</td>`;
    return html`<details class="fold"><summary>As a table <span class="muted">${jobs.length > 1 && meta.id}</span></summary><div class="scroll"><table><thead><tr><th class="n">step</th>${columns.map((name) => html`<th class="n">${name}</th>`)}</tr></thead><tbody>${spread(measured, 40).map(({ step, metrics }) => html`<tr><td class="n">${step}</td>${columns.map((name) => cell(metrics[name]))}</tr>`)}</tbody></table></div></details>`;
  })}`;
}
