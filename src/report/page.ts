/** @file The page as a whole: what to know first stands first, and everything is there without a script. */
import { createHash } from 'node:crypto';
import { type Domain, formatSigned } from '../plot/index.ts';
import { mean, standardDeviation } from '../util/statistics.ts';
import { type Chart, type ChartContext, type Readout, constantOf, renderChart, renderConstants } from './chart.ts';
import { renderCheckpoints } from './checkpoints.ts';
import { client } from './client.ts';
import { formatDate, formatScore, formatValue } from './format.ts';
import { type Html, html, jsonBlock, trusted } from './html.ts';
import { noticesOf, renderNotices } from './notices.ts';
import type { ReportJob } from './read-job.ts';
import { renderRewardChart } from './reward-chart.ts';
import { type JobSamples, type TokenData, renderRollouts } from './rollouts.ts';
import { spread } from './samples.ts';
import { type ChartSpec, metricNames, sections } from './sections.ts';
import { values } from './series.ts';
import { incomparable, renderDifferences, renderEnvironment, renderSettings } from './settings.ts';
import { style } from './style.ts';
import { type Verdict, progressOf, reproduceCommand, statusOf, verdictOf } from './verdict.ts';

export interface PageOptions {
  jobs: readonly JobSamples[];
  /** ISO date. */
  writtenAt: string;
}

/** A whole HTML document that loads nothing. */
export function renderPage({ jobs: sampled, writtenAt }: PageOptions): string {
  const jobs = sampled.map(({ job }) => job);
  const context: ChartContext = { jobs: jobs.map(({ rows }) => rows), xDomain: stepsOf(jobs) };
  const curves = renderCurves(jobs, context);
  const rollouts = renderRollouts(sampled);
  const title = jobs.length === 1 ? jobs[0]!.meta.id : `${jobs.length} jobs of ${[...new Set(jobs.map(({ meta }) => meta.pipeline))].join(', ')}`;
  const body = html`${renderHeader(jobs, title)}
<main>${curves.sections}${rollouts?.section}${renderTrees(jobs)}
<section id="config"><h2>Config</h2>${jobs.length > 1 && html`<h3>What differs</h3>${renderDifferences(jobs)}`}${perJob(jobs, renderSettings)}</section>
<section id="environment"><h2>Environment</h2>${perJob(jobs, renderEnvironment)}</section></main>
<footer>Written by rlrun ${jobs[0]?.meta.versions['rlrun']} on ${formatDate(writtenAt)}. The numbers are those of <code>metrics.jsonl</code>.</footer>
<div id="at" hidden></div>`;
  return document({ title, body, data: { ...curves.data, tokens: rollouts?.tokens ?? {} } });
}

type PageData = { steps: number[]; domain: Domain; charts: string[][][]; held: string[][]; tokens: TokenData };

/** The policy lets only this very script run, whatever else might ever get into the page. */
function document({ title, body, data }: { title: string; body: Html; data: PageData }): string {
  const hash = createHash('sha256').update(client).digest('base64');
  const policy = `default-src 'none'; style-src 'unsafe-inline'; script-src 'sha256-${hash}'; img-src data:; base-uri 'none'; form-action 'none'`;
  return html`<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>${title}</title>
<meta name="viewport" content="width=device-width, initial-scale=1"><meta http-equiv="Content-Security-Policy" content="${trusted(policy)}">
<link rel="icon" href="data:,"><style>${trusted(style)}</style></head>
<body>${body}
${jsonBlock('data', data)}
<script>${trusted(client)}</script></body></html>
`.markup;
}

function stepsOf(jobs: readonly ReportJob[]): Domain {
  return [0, Math.max(1, ...jobs.map(({ rows }) => rows.reduce((last, { step }) => Math.max(last, step), 0)))];
}

const perJob = (jobs: readonly ReportJob[], render: (job: ReportJob) => Html | null): Html[] =>
  jobs.map((job, index) => html`${jobs.length > 1 && html`<h3 class="name j${index % 8}">${job.meta.id}</h3>`}${render(job)}`);

function renderHeader(jobs: readonly ReportJob[], title: string): Html {
  const links = ['curves', 'rollouts', 'checkpoints', 'config', 'environment'].map((id) => html`<a href="#${id}">${id[0]!.toUpperCase() + id.slice(1)}</a>`);
  const eyebrow = html`<p class="eyebrow"><span>rlrun report</span><span>${formatDate(jobs[0]!.meta.startedAt)}</span></p>`;
  const [only] = jobs;
  return html`<header>${eyebrow}<h1>${title}</h1>${jobs.length === 1 && only ? renderOne(only) : renderMany(jobs)}<nav>${links}</nav></header>`;
}

function renderOne(job: ReportJob): Html {
  const verdict = verdictOf(job);
  const { before, after } = verdict;
  const change = before && after ? after.value - before.value : null;
  const numbers: [string, Html | string][] = [
    ...(before && after ? ([['held-out reward', html`${formatScore(before.value)} → ${formatScore(after.value)} <small class="${verdict.outcome}">${formatSigned(change!)}</small>`]] as [string, Html][]) : []),
    ['status', html`${statusOf(job)}`],
    ['steps', progressOf(job)],
    ['model', html`${job.meta.model} <small>${job.meta.device}, seed ${job.meta.seed}</small>`],
  ];
  return html`<p class="verdict">${verdict.sentence}</p><p class="detail">${verdict.detail}</p>
<dl class="numbers">${numbers.map(([name, value]) => html`<div><dt>${name}</dt><dd>${value}</dd></div>`)}</dl>
${command(job)}${renderNotices(noticesOf(job))}`;
}

function command(job: ReportJob): Html {
  const { git } = job.meta;
  return html`<p class="label">Run it again${git && html`, at commit <code>${git.commit.slice(0, 12)}</code>${git.dirty && ' with changes that were not committed'}`}</p>
<div class="command"><pre>${reproduceCommand(job)}</pre><button class="copy" type="button" hidden>copy</button></div>`;
}

/** Several jobs: a row each, and what they say together when they differ in nothing but the seed. */
function renderMany(jobs: readonly ReportJob[]): Html {
  const verdicts = jobs.map(verdictOf);
  const differing = incomparable(jobs);
  return html`<p class="verdict">${together(jobs, verdicts)}</p>${differing && html`<ul class="notices"><li class="warn"><span class="light warn">▲</span><div><strong>${differing}</strong></div></li></ul>`}
<div class="scroll"><table class="jobs"><thead><tr><th>job</th><th class="n">seed</th><th class="n">steps</th><th class="n">before</th><th class="n">after</th><th class="n">change</th><th>status</th></tr></thead><tbody>
${jobs.map((job, index) => jobRow(job, verdicts[index]!, index))}</tbody></table></div>
${perJob(jobs, (job) => html`${command(job)}${renderNotices(noticesOf(job))}`)}`;
}

function jobRow(job: ReportJob, { before, after, outcome }: Verdict, index: number): Html {
  const change = before && after ? formatSigned(after.value - before.value) : '–';
  return html`<tr><th scope="row"><svg viewBox="0 0 26 8" style="display:inline-block;width:26px" aria-hidden="true"><path class="line j${index % 8}" d="M1,4H25"/></svg> <span class="name j${index % 8}">${job.meta.id}</span></th><td class="n">${job.meta.seed}</td><td class="n">${job.meta.steps}/${job.meta.totalSteps}</td><td class="n">${formatScore(before?.value)}</td><td class="n">${formatScore(after?.value)}</td><td class="n ${outcome}">${change}</td><td>${job.meta.status}</td></tr>`;
}

function together(jobs: readonly ReportJob[], verdicts: readonly Verdict[]): string {
  const scores = verdicts.flatMap(({ after }) => after?.value ?? []);
  if (scores.length < jobs.length) return `${jobs.length} jobs, ${scores.length} of them measured on held-out tasks.`;
  const onlySeeds = incomparable(jobs) === null && new Set(jobs.map(({ pipeline }) => JSON.stringify({ ...pipeline, seed: 0, file: '' }))).size === 1;
  if (onlySeeds) return `Held-out reward ${formatScore(mean(scores))} ± ${formatScore(standardDeviation(scores, 1))} over ${jobs.length} seeds.`;
  const best = verdicts.reduce((top, { after }, index) => (after!.value > verdicts[top]!.after!.value ? index : top), 0);
  return `${jobs[best]!.meta.id} ends highest, at a held-out reward of ${formatScore(scores[best])}.`;
}

/** Steps that the script can point at: enough for every pixel. */
const MAX_POINTS = 1000;

function renderCurves(jobs: readonly ReportJob[], context: ChartContext): { sections: Html; data: Omit<PageData, 'tokens'> } {
  const readouts: Readout[] = [];
  const main = renderRewardChart(jobs, 0, context);
  readouts.push(main?.readouts[0] ?? { unit: 'number', curves: [] });
  const names = metricNames(jobs.flatMap(({ rows }) => rows));
  const shown = new Set<string>(['reward', 'loss:sum']);

  const render = (specs: readonly ChartSpec[]): Html => {
    const present = specs.filter(({ metric }) => names.has(metric));
    for (const { metric, stack = [] } of present) for (const name of [metric, ...stack.map((part) => part.metric)]) shown.add(name);
    const constants = present.flatMap((spec) => {
      const value = constantOf(spec, context);
      return value === null ? [] : [{ spec, value }];
    });
    const charts = present
      .filter((spec) => !constants.some((constant) => constant.spec === spec))
      .flatMap((spec): Chart[] => {
        const chart = renderChart(spec, readouts.length, context);
        if (chart) readouts.push(chart.readout);
        return chart ? [chart] : [];
      });
    return html`${charts.length > 0 && html`<div class="charts">${charts.map(({ figure }) => figure)}</div>`}${renderConstants(constants)}`;
  };

  const five = sections.map(({ id, title, lead, charts }) => {
    const specs = charts(names);
    const hasAny = specs.some(({ metric }) => names.has(metric)) || (id === 'reward' && main);
    return hasAny ? html`<section id="${id}"><h3>${title}</h3><p class="lead">${lead}</p>${id === 'reward' && main?.figure}${render(specs)}</section>` : null;
  });
  const rest = [...names].filter((name) => !shown.has(name) && !/_(low|high)$/.test(name) && !/^completions\/m(in|ax)_length$/.test(name));
  const others = rest.length > 0 && html`<details class="fold"><summary>Other metrics <span class="muted">${rest.length}</span></summary>${render(rest.map((metric) => ({ metric, title: metric, unit: 'number', isSparse: metric.startsWith('eval/') })))}</details>`;

  const steps = spread([...new Set(jobs.flatMap(({ rows }) => rows.map(({ step }) => step)))].sort((a, b) => a - b), MAX_POINTS);
  const data = { steps, domain: context.xDomain, charts: readouts.map((readout) => textsAt(steps, readout)), held: main ? textsAt(steps, main.readouts[1], formatScore) : [] };
  return { sections: html`<section id="curves"><h2>Curves</h2>${five}${others}${numbersTable(jobs)}</section>`, data };
}

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

function renderTrees(jobs: readonly ReportJob[]): Html | null {
  if (jobs.every(({ checkpoints }) => checkpoints.length === 0)) return null;
  return html`<section id="checkpoints"><h2>Checkpoints</h2><p class="lead">Every step’s weights, coloured by the reward of its rollouts. The ring is the head, the star the best held-out reward.</p>${perJob(jobs, renderCheckpoints)}</section>`;
}
