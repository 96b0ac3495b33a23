/** @file What ran, and where: the settings, what differs from the job before or from the other jobs, and the machine. */
import { diffPipelines, listSettings } from '../config/index.ts';
import type { Change } from '../events.ts';
import { count } from '../util/words.ts';
import { formatDate } from './format.ts';
import { type Html, html, visible, visibleLine } from './html.ts';
import type { ReportJob } from './read-job.ts';

export function renderSettings(job: ReportJob): Html {
  const { pipeline, source, meta } = job;
  const settings = pipeline ? listSettings(pipeline) : [];
  return html`${renderParent(job)}
<details class="fold"><summary>As written <span class="muted">${visibleLine(meta.file)}</span></summary><pre class="source">${visible(source)}</pre></details>
<details class="fold"><summary>Resolved <span class="muted">${settings.length > 0 ? `${settings.length} values, defaults included` : 'the file is missing'}</span></summary><table class="settings"><tbody>${settings.map(({ path, value }) => html`<tr><th scope="row"><code>${path}</code></th><td>${visibleLine(value)}</td></tr>`)}</tbody></table></details>`;
}

/** What is different from the job that this one followed, in watch mode. */
function renderParent({ parent, pipeline, meta }: ReportJob): Html | null {
  if (parent === null) return null;
  const changes = parent.pipeline && pipeline ? diffPipelines(parent.pipeline, pipeline) : [];
  const code = parent.hashes === null ? [] : (['taskset', 'reward'] as const).filter((part) => parent.hashes![part] !== meta.hashes[part]);
  const nothing = changes.length === 0 && code.length === 0;
  return html`<h3>Changed since ${parent.id}</h3>${nothing ? html`<p class="muted">${parent.pipeline === null ? 'That job is not here any more.' : 'Nothing.'}</p>` : changeTable(changes)}${code.map((part) => html`<p>The ${part === 'reward' ? 'reward (its settings or its code)' : 'taskset'} is another one${part === 'reward' && ', so the curves of the two jobs must not be joined'}.</p>`)}`;
}

const changeTable = (changes: readonly Change[]): Html | null =>
  changes.length === 0
    ? null
    : html`<table class="changes"><thead><tr><th>setting</th><th>before</th><th>now</th></tr></thead><tbody>${changes.map(({ path, before, after }) => html`<tr><th scope="row"><code>${path}</code></th><td><del>${visibleLine(before ?? '–')}</del></td><td><ins>${visibleLine(after ?? '–')}</ins></td></tr>`)}</tbody></table>`;

/** Settings in which the jobs differ, a column for each of them. */
export function renderDifferences(jobs: readonly ReportJob[]): Html {
  const settings = jobs.map(({ pipeline }) => new Map(pipeline ? listSettings(pipeline).map(({ path, value }) => [path, value]) : []));
  const paths = [...new Set(settings.flatMap((values) => [...values.keys()]))].filter((path) => new Set(settings.map((values) => values.get(path))).size > 1);
  if (paths.length === 0) return html`<p class="muted">All settings are the same.</p>`;
  return html`<div class="scroll"><table class="changes"><thead><tr><th>setting</th>${jobs.map(({ meta }, job) => html`<th><span class="name j${job % 8}">${meta.id}</span></th>`)}</tr></thead><tbody>${paths.map((path) => html`<tr><th scope="row"><code>${path}</code></th>${settings.map((values) => html`<td>${visibleLine(values.get(path) ?? '–')}</td>`)}</tr>`)}</tbody></table></div>`;
}

/** Why curves of these jobs may not be comparable; null when they are. */
export function incomparable(jobs: readonly ReportJob[]): string | null {
  const differs = (part: 'taskset' | 'reward') => new Set(jobs.map(({ meta }) => meta.hashes[part])).size > 1;
  const parts = (['reward', 'taskset'] as const).filter(differs);
  return parts.length === 0 ? null : `These jobs have different ${parts.map((part) => `${part}s`).join(' and ')}: their curves do not measure the same thing.`;
}

/** Do they differ in nothing but the seed? Only then does their mean say something. */
export function areSeedsOfOne(jobs: readonly ReportJob[]): boolean {
  if (jobs.length < 2 || incomparable(jobs) !== null || jobs.some(({ pipeline }) => pipeline === null)) return false;
  const isFree = ({ path }: Change) => path === 'seed' || path === 'taskset.seed' || path === 'model.name';
  return jobs.every(({ pipeline }) => diffPipelines(jobs[0]!.pipeline!, pipeline!).every(isFree)) && new Set(jobs.map(({ meta }) => meta.seed)).size === jobs.length;
}

export function renderEnvironment({ meta, events }: ReportJob): Html {
  const started = events['job-started'].at(-1);
  const { hashes, host, versions, git } = meta;
  const facts: [string, Html | string | null | undefined][] = [
    ['job', html`<code>${meta.id}</code>`],
    ['began', formatDate(meta.startedAt)],
    ['ended', meta.endedAt && formatDate(meta.endedAt)],
    ['command', html`<code>${visibleLine(meta.argv.join(' '))}</code>`],
    ['directory', html`<code>${visibleLine(meta.cwd)}</code>`],
    ['git', git && html`<code>${git.commit.slice(0, 12)}</code>${git.dirty && ', with changes that were not committed'}`],
    ['model', html`<code>${meta.model}</code>${started && ` from ${started.base}, ${started.parameters.toLocaleString('en-US')} parameters, ${started.trainableParameters === started.parameters ? 'all' : started.trainableParameters.toLocaleString('en-US')} trained`}`],
    ['began at', meta.start.checkpoint === null ? 'the base' : html`<code>${meta.start.checkpoint}</code>, step ${meta.start.step}`],
    ['loss', started?.loss],
    ['seed', String(meta.seed)],
    ['device', `${meta.device}${started && started.threads > 0 ? `, ${count(started.threads, 'thread')}` : ''}`],
    ['machine', `${host.platform}, ${count(host.cpus, 'core')}, ${host.memoryGb} GB`],
    ['versions', Object.entries(versions).map(([name, version]) => `${name} ${version}`).join(', ')],
    ['hashes', html`config <code>${hashes.config.slice(0, 12)}</code>, taskset <code>${hashes.taskset.slice(0, 12)}</code>, reward <code>${hashes.reward.slice(0, 12)}</code>`],
    ['exported', events.exported.length > 0 ? events.exported.map(({ directory, format }) => `${format}: ${directory}`).join('; ') : null],
  ];
  return html`<dl class="facts">${facts.flatMap(([name, value]) => (value === null || value === undefined ? [] : [html`<dt>${name}</dt><dd>${value}</dd>`]))}</dl>`;
}
