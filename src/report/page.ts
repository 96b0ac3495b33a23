/** @file The page as a whole: what to know first stands first, and everything is there without a script. */
import { createHash } from 'node:crypto';
import type { Domain } from '../plot/index.ts';
import type { ChartContext } from './chart.ts';
import { renderCheckpoints } from './checkpoints.ts';
import { client } from './client.ts';
import { type CurveData, renderCurves } from './curves.ts';
import { formatDate } from './format.ts';
import { renderHeader } from './header.ts';
import { type Html, html, jsonBlock, trusted } from './html.ts';
import type { ReportJob } from './read-job.ts';
import { type JobSamples, type TokenData, renderRollouts } from './rollouts.ts';
import { areSeedsOfOne, renderDifferences, renderEnvironment, renderSettings } from './settings.ts';
import { style } from './style.ts';

export interface PageOptions {
  jobs: readonly JobSamples[];
  /** ISO date. */
  writtenAt: string;
}

const generator = trusted('<meta name="generator" content="rlrun">');

/** Is this the beginning of a page that was written here? */
export const isReport = (beginning: string): boolean => beginning.includes(generator.markup);

/** A whole HTML document that loads nothing. */
export function renderPage({ jobs: sampled, writtenAt }: PageOptions): string {
  const jobs = sampled.map(({ job }) => job);
  const context: ChartContext = { jobs: jobs.map(({ rows }) => rows), xDomain: stepsOf(jobs), areSeeds: areSeedsOfOne(jobs) };
  const curves = renderCurves(jobs, context);
  const rollouts = renderRollouts(sampled);
  const trees = renderTrees(jobs);
  const title = jobs.length === 1 ? jobs[0]!.meta.id : `${jobs.length} jobs of ${[...new Set(jobs.map(({ meta }) => meta.pipeline))].join(', ')}`;
  const sections = ['curves', rollouts && 'rollouts', trees && 'checkpoints', 'settings', 'environment'].filter((id) => id !== null);
  const body = html`${renderHeader(sampled, { title, sections })}
<main>${curves.section}${rollouts?.section}${trees}
<section id="settings"><h2>Settings</h2>${jobs.length > 1 && html`<h3>What differs</h3>${renderDifferences(jobs)}`}${perJob(jobs, renderSettings)}</section>
<section id="environment"><h2>Environment</h2>${perJob(jobs, renderEnvironment)}</section></main>
<footer>Written by rlrun ${jobs[0]?.meta.versions['rlrun']} on ${formatDate(writtenAt)}. The numbers are those of <code>metrics.jsonl</code>.</footer>
<div id="at" hidden></div>`;
  return document({ title, body, data: { ...curves.data, tokens: rollouts?.tokens ?? {} } });
}

type PageData = CurveData & { tokens: TokenData };

/** The policy lets only this very script run, whatever else might ever get into the page. */
function document({ title, body, data }: { title: string; body: Html; data: PageData }): string {
  const hash = createHash('sha256').update(client).digest('base64');
  const policy = `default-src 'none'; style-src 'unsafe-inline'; script-src 'sha256-${hash}'; img-src data:; base-uri 'none'; form-action 'none'`;
  return html`<!doctype html>
<html lang="en"><head><meta charset="utf-8">${generator}<title>${title}</title>
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

function renderTrees(jobs: readonly ReportJob[]): Html | null {
  if (jobs.every(({ checkpoints }) => checkpoints.length === 0)) return null;
  return html`<section id="checkpoints"><h2>Checkpoints</h2><p class="lead">Every step’s weights, coloured by the reward of its rollouts. The ring is the head, the star the best held-out reward.</p>${perJob(jobs, renderCheckpoints)}</section>`;
}
