/**
 * @file The page's whole script: a cross-hair over all charts at once, the rollouts' filter, tokens shaded by log-probability, a copy
 * button. The page is complete without it. Texts reach the document only as `textContent`.
 */
export const client = String.raw`'use strict';
const all = (query, within = document) => [...within.querySelectorAll(query)];
const data = JSON.parse(document.getElementById('data').textContent);

// Cross-hair: every caption tells its value at the step under the pointer.
const charts = all('figure.chart').map((figure) => ({
  outputs: all('output', figure).map((output) => ({ output, last: output.textContent })),
  curves: [data.charts[figure.dataset.chart], figure.classList.contains('main') ? data.held : []].flat(),
  plots: all('svg.plot', figure),
}));
const [low, high] = data.domain;
const point = (index) => {
  for (const { outputs, curves, plots } of charts) {
    outputs.forEach(({ output, last }, i) => (output.textContent = index === null ? last : (curves[i] && curves[i][index]) || '–'));
    for (const plot of plots) {
      const left = +plot.dataset.left, right = +plot.dataset.right, cross = plot.querySelector('.cross');
      cross.classList.toggle('on', index !== null);
      if (index === null) continue;
      const x = left + ((data.steps[index] - low) / (high - low || 1)) * (right - left);
      cross.setAttribute('x1', x);
      cross.setAttribute('x2', x);
    }
  }
  const note = document.getElementById('at');
  note.hidden = index === null;
  if (index !== null) note.textContent = 'step ' + data.steps[index];
};
const indexAt = (plot, event) => {
  const box = plot.getBoundingClientRect();
  const at = ((event.clientX - box.left) / box.width) * plot.viewBox.baseVal.width;
  const step = low + ((at - plot.dataset.left) / (plot.dataset.right - plot.dataset.left)) * (high - low);
  return data.steps.reduce((best, value, i) => (Math.abs(value - step) < Math.abs(data.steps[best] - step) ? i : best), 0);
};
for (const { plots } of charts) for (const plot of plots) {
  plot.addEventListener('pointermove', (event) => point(indexAt(plot, event)));
  plot.addEventListener('pointerleave', () => point(null));
  plot.addEventListener('click', (event) => showStep(data.steps[indexAt(plot, event)]));
}

// Filter. Without one the page shows the last steps; more on demand.
const form = document.getElementById('filter');
const more = document.getElementById('more');
const rollouts = all('.rollout');
const FIRST = 12;
let limit = FIRST;
const textOf = (rollout) => (rollout.words ??= all('bdi, pre, dd', rollout).map((e) => e.textContent).join('\n').toLowerCase());
const filter = () => {
  const { job, step, why, low, high, task, text } = form.elements;
  const [wanted, words] = [task.value.trim().toLowerCase(), text.value.trim().toLowerCase()];
  let count = 0;
  for (const rollout of rollouts) {
    const d = rollout.dataset;
    const reward = d.reward === '' ? NaN : +d.reward;
    rollout.hidden = !(
      (!job || !job.value || d.job === job.value) && (!step.value || d.step === step.value) && (!why.value || d.why.split(' ').includes(why.value)) &&
      (low.value === '' || reward >= +low.value) && (high.value === '' || reward <= +high.value) &&
      (!wanted || d.task.toLowerCase().includes(wanted)) && (!words || textOf(rollout).includes(words)));
    if (!rollout.hidden) count++;
  }
  const active = [...form.elements].some((input) => input.value);
  let shown = 0, left = 0;
  for (const group of all('details.step')) {
    const matches = all('.rollout', group).some((rollout) => !rollout.hidden);
    group.hidden = !matches || ++shown > limit;
    if (matches && group.hidden) left++;
    if (active) group.open = !group.hidden;
  }
  more.hidden = left === 0;
  more.textContent = 'Show ' + Math.min(left, 4 * FIRST) + ' more of ' + left + ' steps';
  document.getElementById('count').textContent = count + ' of ' + rollouts.length + ' match';
};
const changed = () => {
  limit = FIRST;
  filter();
};
const showStep = (step) => {
  const options = form ? [...form.elements.step.options].filter((option) => option.value) : [];
  if (options.length === 0) return;
  form.elements.step.value = options.reduce((a, b) => (Math.abs(b.value - step) < Math.abs(a.value - step) ? b : a)).value;
  changed();
  document.getElementById('rollouts').scrollIntoView({ behavior: matchMedia('(prefers-reduced-motion: reduce)').matches ? 'auto' : 'smooth' });
};
if (form) {
  form.hidden = false;
  form.addEventListener('input', changed);
  form.addEventListener('submit', (event) => event.preventDefault());
  form.addEventListener('reset', () => setTimeout(changed));
  more.addEventListener('click', () => {
    limit += 4 * FIRST;
    filter();
  });
  filter();
}

// Tokens: the less likely, the darker. Drawn when a rollout is opened.
for (const rollout of rollouts) rollout.addEventListener('toggle', () => {
  const tokens = data.tokens[rollout.dataset.id];
  if (!rollout.open || !tokens || rollout.querySelector('.tokens')) return;
  const line = document.createElement('pre');
  line.className = 'tokens';
  line.dir = 'auto';
  tokens.t.forEach((text, i) => {
    const token = document.createElement('span');
    const chance = Math.exp(tokens.p[i]);
    token.className = 'p' + (chance > 0.9 ? 0 : chance > 0.5 ? 1 : chance > 0.1 ? 2 : chance > 0.01 ? 3 : 4);
    token.title = (chance * 100).toPrecision(3) + '% (log-probability ' + tokens.p[i] + ')';
    token.textContent = text === '' ? '∅' : text.replaceAll('\n', '⏎\n');
    if (i > 0 && tokens.s.includes(i)) line.append('\n');
    line.append(token);
  });
  const title = document.createElement('h4');
  title.textContent = 'Tokens, the unlikely ones darker';
  const box = document.createElement('div');
  box.className = 'text whole';
  box.append(title, line);
  rollout.querySelector('dl').before(box);
});

for (const button of all('button.copy')) {
  button.hidden = !navigator.clipboard;
  button.addEventListener('click', async () => {
    await navigator.clipboard.writeText(button.previousElementSibling.textContent);
    button.textContent = 'copied';
  });
}
`;
