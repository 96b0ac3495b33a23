/** @file What one wants to know first: did it get better, by how much, in what time, is something wrong, and what to type next. */
import { formatScore } from '../util/words.ts';
import { linearScale, niceDomain, svgAxis, svgNumber } from '../plot/index.ts';
import type { Score } from '../util/held-out.ts';
import { mean, standardDeviation } from '../util/statistics.ts';
import { type Command, nextCommands, reproduceCommand } from './commands.ts';
import { formatChange, formatDate } from './format.ts';
import { type Html, html, trusted, visibleLine } from './html.ts';
import { noticesOf, renderNotices, sharedNotices } from './notices.ts';
import type { ReportJob } from './read-job.ts';
import type { JobSamples } from './rollouts.ts';
import { areSeedsOfOne, incomparable } from './settings.ts';
import { type Verdict, confidenceOf, durationOf, reasonOf, stepsOf, verdictOf } from './verdict.ts';

/** `sections`: those that the page really has. */
export function renderHeader(sampled: readonly JobSamples[], { title, sections }: { title: string; sections: readonly string[] }): Html {
  const [only] = sampled;
  const links = sections.map((id) => html`<a href="#${id}">${id[0]!.toUpperCase() + id.slice(1)}</a>`);
  return html`<header><p class="eyebrow"><span>rlrun report</span><span>${formatDate(sampled[0]!.job.meta.startedAt)}</span></p>
${sampled.length === 1 && only ? renderOne(only, title) : renderMany(sampled.map(({ job }) => job), title)}<nav>${links}</nav></header>`;
}

function renderOne({ job, steps }: JobSamples, title: string): Html {
  const verdict = verdictOf(job);
  const { before, after, change, outcome } = verdict;
  const duration = durationOf(job);
  const numbers: [string, Html | string][] = [
    ...(change ? [['change', html`<span class="${outcome}">${formatChange({ ...change, low: null })}</span> ${change.low !== null && html`<small>${confidenceOf(job)} ${formatChange(change).replace(/^\S+ /, '')}</small>`}`] as [string, Html]] : []),
    ['time', html`${duration ?? '–'} <small>${stepsOf(job)}</small>`],
    ['status', html`<span class="${job.meta.status === 'failed' && 'worse'}">${job.meta.status}</span> <small>${visibleLine(reasonOf(job) ?? '')}</small>`],
    ['model', html`${job.meta.model} <small>${job.meta.device}, seed ${job.meta.seed}</small>`],
  ];
  const prompts = steps.toReversed().flatMap(({ samples }) => samples.map(({ prompt }) => prompt));
  return html`<div class="hero"><div><h1>${title}</h1><p class="verdict">${verdict.sentence}</p><p class="detail">${verdict.detail}</p></div>${before && after && renderIntervals({ before, after }, outcome)}</div>
<dl class="numbers">${numbers.map(([name, value]) => html`<div><dt>${name}</dt><dd>${value}</dd></div>`)}</dl>
${renderNotices(noticesOf(job))}
${renderCommands(nextCommands(job, prompts), job)}`;
}

/** Both scores with their intervals on one scale: where they do not overlap, nobody has to calculate. */
function renderIntervals(scores: { before: Score; after: Score }, outcome: Verdict['outcome']): Html {
  const rows = [{ name: 'before', y: 22, ...scores.before }, { name: 'after', y: 58, ...scores.after }];
  const ends = rows.flatMap(({ value, low, high }) => [value, low ?? value, high ?? value]);
  const x = linearScale(niceDomain([Math.min(...ends), Math.max(...ends)], 4), [64, 356]);
  const at = (value: number) => svgNumber(x(value));
  const bars = rows.map(({ name, y, value, low, high }) => {
    const tone = name === 'before' ? 'before' : outcome;
    return html`<text class="name" x="0" y="${y + 4}">${name}</text><line class="interval ${tone}" x1="${at(low ?? value)}" x2="${at(high ?? value)}" y1="${y}" y2="${y}"/><path class="point ${tone}" d="M${at(value)},${y - 6}l6,6l-6,6l-6,-6Z"/><text class="score" x="${at(value)}" y="${y - 11}" text-anchor="middle">${formatScore(value)}</text>`;
  });
  const words = rows.map(({ name, value, low, high }) => `${name} ${formatScore(value)}${low === null ? '' : `, between ${formatScore(low)} and ${formatScore(high)}`}`).join('; ');
  return html`<svg class="intervals" viewBox="0 0 370 100" role="img" aria-label="held-out reward: ${words}">${trusted(svgAxis({ side: 'bottom', scale: x, at: 78, gridTo: 8, count: 4 }))}${bars}</svg>`;
}

function renderCommands(commands: readonly Command[], { meta: { git, parent } }: ReportJob): Html {
  const again = html`${git && html` <small>at commit <code>${git.commit.slice(0, 12)}</code>${git.dirty && ' with changes that were not committed'}</small>`}${parent !== null && html` <small>with the file as it is <a href="#settings">below</a></small>`}`;
  return html`<dl class="commands">${commands.map(({ label, words }) => html`<div><dt>${label}${label === 'Run it again' && again}</dt><dd class="command"><pre>${words}</pre><button class="copy" type="button" hidden>copy</button></dd></div>`)}</dl>`;
}

/** Several jobs: a row each, and what they say together when they differ in nothing but the seed. */
function renderMany(jobs: readonly ReportJob[], title: string): Html {
  const verdicts = jobs.map(verdictOf);
  const differing = incomparable(jobs);
  const shared = sharedNotices(jobs.map((job) => ({ name: job.meta.id, notices: noticesOf(job) })));
  const warning = differing === null ? [] : [{ level: 'warn' as const, code: 'incomparable', message: differing, fix: null, when: '' }];
  return html`<h1>${title}</h1><p class="verdict">${together(jobs, verdicts)}</p>
<div class="scroll"><table class="jobs"><thead><tr><th>job</th><th class="n">seed</th><th class="n">steps</th><th class="n">time</th><th class="n">before</th><th class="n">after</th><th class="n">change, with its interval</th><th class="n">best</th><th>status</th></tr></thead><tbody>
${jobs.map((job, index) => jobRow(job, verdicts[index]!, index))}</tbody></table></div>
${renderNotices([...warning, ...shared])}
<dl class="commands"><div><dt>Run them again</dt><dd class="command"><pre>${jobs.map(reproduceCommand).join('\n')}</pre><button class="copy" type="button" hidden>copy</button></dd></div></dl>`;
}

function jobRow(job: ReportJob, { before, after, best, change, outcome }: Verdict, index: number): Html {
  const line = html`<svg viewBox="0 0 26 8" class="key" aria-hidden="true"><path class="line j${index % 8}" d="M1,4H25"/></svg>`;
  return html`<tr><th scope="row">${line} <span class="name j${index % 8}">${job.meta.id}</span></th><td class="n">${job.meta.seed}</td><td class="n">${stepsOf(job).replace(/ steps?$/, '')}</td><td class="n">${durationOf(job) ?? '–'}</td><td class="n">${formatScore(before?.value)}</td><td class="n">${formatScore(after?.value)}</td><td class="n ${outcome}">${change ? formatChange(change) : '–'}</td><td class="n">${formatScore(best?.value)}</td><td>${job.meta.status}</td></tr>`;
}

/** One sentence for all: a mean over seeds, the highest of several settings, or why neither can be said. */
export function together(jobs: readonly ReportJob[], verdicts: readonly Verdict[]): string {
  if (incomparable(jobs) !== null) return `${jobs.length} jobs that do not measure the same thing.`;
  const scores = verdicts.flatMap(({ after }) => after?.value ?? []);
  if (scores.length < jobs.length) return `${jobs.length} jobs, ${scores.length} of them measured on held-out tasks.`;
  if (areSeedsOfOne(jobs)) {
    const starts = verdicts.flatMap(({ before }) => before?.value ?? []);
    const from = starts.length === jobs.length ? ` from ${formatScore(mean(starts))}` : '';
    return `Held-out reward${from} to ${formatScore(mean(scores))} ± ${formatScore(standardDeviation(scores, 1))} over ${jobs.length} seeds.`;
  }
  const best = verdicts.reduce((top, { after }, index) => (after!.value > verdicts[top]!.after!.value ? index : top), 0);
  return `${jobs[best]!.meta.id} ends highest, at a held-out reward of ${formatScore(scores[best])}.`;
}
