/** @file The rollouts explorer. Every text stands in the page itself; the script filters, and shades tokens by their log-probability. */
import type { Subscore } from '../events.ts';
import { formatNumber, formatSigned, rewardColor } from '../plot/index.ts';
import { count } from '../util/words.ts';
import { type Html, clip, html, visible, visibleLine } from './html.ts';
import type { ReportJob } from './read-job.ts';
import { renderDialogue } from './render-dialogue.ts';
import { type Sample, type StepSamples, type Why, spread } from './samples.ts';

/** About the most that the rollouts of all jobs may add to the page. */
const MAX_BYTES = 5_000_000;
const MAX_MATES = 16;

const names: { readonly [W in Why]: string } = { best: 'best', worst: 'worst', failed: 'no verdict', truncated: 'truncated', random: 'by chance' };

/** What the script needs to shade the tokens of a rollout: their texts and log-probabilities, and where turns begin. */
export type TokenData = Record<string, { t: string[]; p: number[]; s: number[] }>;

export interface JobSamples {
  job: ReportJob;
  steps: readonly StepSamples[];
  stepsOnDisk: number;
}

interface Rendered {
  step: StepSamples;
  items: { sample: Sample; markup: Html; tokens: TokenData }[];
}

/** Rendered until the limit is reached; then every second step goes, until what is left fits. */
function fit(job: number, all: readonly StepSamples[], range: Range, budget: number): Rendered[] {
  let rendered = all.map((step): Rendered => ({ step, items: step.samples.map((sample) => renderSample(sample, { job, step: step.step, range })) }));
  const size = () => rendered.reduce((sum, { items }) => sum + items.reduce((bytes, { markup, tokens }) => bytes + markup.markup.length + JSON.stringify(tokens).length, 0), 0);
  while (rendered.length > 1 && size() > budget) rendered = spread(rendered, Math.ceil(rendered.length / 2));
  return rendered;
}

/** The rewards that a full and an empty bar stand for. */
interface Range {
  low: number;
  high: number;
}

export function renderRollouts(jobs: readonly JobSamples[]): { section: Html; tokens: TokenData } | null {
  const rewards = jobs.flatMap(({ steps }) => steps.flatMap(({ samples }) => samples.flatMap(({ group }) => group.flatMap(({ reward }) => reward ?? []))));
  const range = rewards.reduce(({ low, high }, reward) => ({ low: Math.min(low, reward), high: Math.max(high, reward) }), { low: 0, high: 1 });
  const shown = jobs.map(({ steps }, job) => fit(job, steps, range, MAX_BYTES / jobs.length));
  if (shown.every((steps) => steps.length === 0)) return null;
  const tokens = Object.assign({}, ...shown.flat().flatMap(({ items }) => items.map((item) => item.tokens))) as TokenData;
  const section = html`<section id="rollouts"><h2>Rollouts</h2>
<p class="lead">Of each step the best and the worst, one without a verdict and one cut off if there were any, and some by chance. ${shown.map((steps, job) => describeShare(steps, jobs[job]!, jobs.length > 1))}</p>
${renderFilter(shown, jobs)}
<div id="steps">${shown.map((steps, job) => steps.toReversed().map((entry, index) => renderStep(entry, { job, isOpen: index === 0, jobs })))}</div><button class="more" type="button" id="more" hidden></button></section>`;
  return { section, tokens };
}

function describeShare(steps: readonly Rendered[], { stepsOnDisk, job }: JobSamples, isOneOfMany: boolean): Html {
  const [rollouts, total] = steps.reduce(([some, all], { items, step }) => [some + items.length, all + step.total], [0, 0]);
  return html`<span>${isOneOfMany && `${job.meta.id}: `}${rollouts.toLocaleString('en-US')} of ${count(total, 'rollout')}, from ${steps.length} of ${count(stepsOnDisk, 'step')}; the rest is in the job’s <code>rollouts/</code>. </span>`;
}

/** Hidden until the script runs: without it there is nothing to filter with. */
function renderFilter(shown: readonly (readonly Rendered[])[], jobs: readonly JobSamples[]): Html {
  const steps = [...new Set(shown.flat().map(({ step }) => step.step))].sort((a, b) => a - b);
  const present = new Set(shown.flat().flatMap(({ items }) => items.flatMap(({ sample }) => sample.why)));
  const tasks = [...new Set(shown.flat().flatMap(({ items }) => items.map(({ sample }) => visibleLine(sample.taskId))))].sort((a, b) => a.localeCompare(b, 'en', { numeric: true }));
  const option = (value: string | number, text: string) => html`<option value="${value}">${text}</option>`;
  return html`<form id="filter" hidden>
${jobs.length > 1 && html`<label>Job <select name="job"><option value="">all</option>${jobs.map(({ job }, index) => option(index, job.meta.id))}</select></label>`}
<label>Step <select name="step"><option value="">all</option>${steps.map((step) => option(step, String(step)))}</select></label>
<label>Which <select name="why"><option value="">all</option>${(Object.keys(names) as Why[]).filter((why) => present.has(why)).map((why) => option(why, names[why]))}</select></label>
<label>Reward <span class="pair"><input name="low" type="number" step="any" placeholder="from" aria-label="reward from"> – <input name="high" type="number" step="any" placeholder="to" aria-label="reward to"></span></label>
<label>Task <input name="task" type="search" list="tasks" placeholder="any"></label><datalist id="tasks">${tasks.map((task) => html`<option value="${task}"></option>`)}</datalist>
<label class="grow">Text <input name="text" type="search" placeholder="in prompt, completion, error"></label>
<button type="reset">clear</button><output id="count"></output></form>`;
}

function renderStep({ step, items }: Rendered, { job, isOpen, jobs }: { job: number; isOpen: boolean; jobs: readonly JobSamples[] }): Html {
  const { rows, meta } = jobs[job]!.job;
  const reward = rows.find((row) => row.step === step.step && row.metrics['reward'] !== undefined)?.metrics['reward'];
  return html`<details class="step"${isOpen && html` open`} data-job="${job}"><summary><b>Step ${step.step}</b>${jobs.length > 1 && html` <span class="name j${job % 8}">${meta.id}</span>`} <span class="muted">${reward !== undefined && `mean reward ${formatNumber(reward)} · `}${items.length} of ${step.total} rollouts</span></summary>
${items.map(({ markup }) => markup)}</details>`;
}

function renderSample(sample: Sample, { job, step, range }: { job: number; step: number; range: Range }): Rendered['items'][number] {
  const { id, taskId, why, prompt, completion, reward, advantage, stopReason, error, tokenCount, turnCount, dialogue } = sample;
  const key = `${job}/${id}`;
  const share = reward === null ? 0 : (reward - range.low) / (range.high - range.low);
  const markup = html`<details class="rollout" data-job="${job}" data-step="${step}" data-why="${why.join(' ')}" data-reward="${reward ?? ''}" data-task="${visibleLine(taskId)}" data-id="${key}">
<summary><span class="reward">${reward === null ? '–' : formatNumber(reward)}</span>${meter(share, reward === null)}<span class="why">${why.map((reason) => html`<i class="${reason}">${names[reason]}</i>`)}</span><span class="texts"><bdi>${clip(visibleLine(prompt), 120)}</bdi><span class="arrow"> → </span><bdi class="answer">${completion === '' ? '(empty)' : clip(visibleLine(completion), 160)}</bdi></span></summary>
<div class="body"><div class="text${dialogue && ' whole'}"><h4>Prompt</h4><pre dir="auto">${prompt}</pre></div>${dialogue ? renderDialogue(dialogue) : html`<div class="text"><h4>Completion</h4><pre dir="auto" class="completion">${completion}</pre></div>`}
<dl><dt>task</dt><dd>${visibleLine(taskId)}</dd><dt>advantage</dt><dd>${advantage === null ? 'none' : formatSigned(advantage)}</dd><dt>tokens</dt><dd>${tokenCount}${dialogue && ` drawn in ${count(turnCount, 'turn')}`}, ended by ${stopReason.replaceAll('_', ' ')}</dd>${dialogue?.verdict && html`<dt>environment</dt><dd>${dialogue.verdict}</dd>`}${error && html`<dt>error</dt><dd class="bad">${error.phase}, ${error.type.replaceAll('_', ' ')}: ${visible(clip(error.message, 2000))}</dd>`}<dt>trace</dt><dd><code>${id}</code></dd></dl>
${sample.subscores.length > 0 && html`<table class="subscores"><thead><tr><th>part</th><th>score</th><th>weight</th></tr></thead><tbody>${subscoreRows(sample.subscores, 0)}</tbody></table>`}${sample.group.length > 1 && renderGroup(sample, range)}</div></details>
`;
  const tokens: TokenData = sample.tokens ? { [key]: { t: sample.tokens.texts, p: sample.tokens.logprobs.map((logprob) => Number(logprob.toFixed(3))), s: sample.tokens.turns } } : {};
  return { sample, markup, tokens };
}

/** A bar as long as the reward is high: length says what colour says. */
function meter(share: number, isEmpty: boolean): Html {
  const width = Math.max(0, Math.min(1, share)) * 40;
  return html`<svg class="meter" viewBox="0 0 40 8" aria-hidden="true"><rect class="rail" width="40" height="8" rx="1.5"/>${!isEmpty && html`<rect width="${width.toFixed(1)}" height="8" rx="1.5" fill="${rewardColor(share)}"/>`}</svg>`;
}

/** What the model answered to the same task in the same step: this rollout's advantage is its distance to their mean. */
function renderGroup({ group, place }: Sample, { low, high }: Range): Html {
  const shown = group.slice(0, MAX_MATES);
  const rows = shown.map(({ reward, advantage, answer }, index) => {
    const share = reward === null ? 0 : (reward - low) / (high - low);
    return html`<tr${index === place && html` class="own"`}><td class="n">${reward === null ? '–' : formatNumber(reward)}</td><td>${meter(share, reward === null)}</td><td class="n">${advantage === null ? '' : formatSigned(advantage)}</td><td class="texts"><bdi>${answer === '' ? '(empty)' : answer}</bdi></td></tr>`;
  });
  return html`<div><h4>The ${group.length} answers of its group${group.length > shown.length && `, the first ${shown.length} of them`}</h4><table class="mates"><thead><tr><th class="n">reward</th><th></th><th class="n">advantage</th><th>answer</th></tr></thead><tbody>${rows}</tbody></table></div>`;
}

const subscoreRows = (subscores: readonly Subscore[], depth: number): Html[] =>
  subscores.flatMap(({ name, value, weight, children }) => [
    html`<tr><td style="padding-left:${depth}em">${visibleLine(name)}</td><td>${value === null ? '–' : formatNumber(value)}</td><td>${formatNumber(weight)}</td></tr>`,
    ...subscoreRows(children ?? [], depth + 1),
  ]);
