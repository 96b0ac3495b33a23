import type { Subscore } from '../../events.ts';
import { formatNumber } from '../../plot/index.ts';
import { count } from '../../util/words.ts';
import { beside, clean, fitBlock, heading, span, spread, wholeParts, wrap, type Line, type Size } from '../line.ts';
import type { Model } from '../model.ts';
import { spreadCounts, strip } from '../panels/strips.ts';
import { currentStep, type GroupView, type RolloutView } from '../state.ts';
import type { Theme, Tone } from '../theme.ts';
import { shownStep } from '../ui.ts';
import { dialogueLines } from './dialogue.ts';
import { rolloutLine } from './sample.ts';

const spreadWords: { readonly [S in GroupView['spread']]: string } = { pending: '', mixed: '', 'all-good': 'all good', 'all-bad': 'all bad', dropped: 'dropped' };

/** One row per task of a step; the selected one in full: prompt, attempts, rewards, subscores, advantages. */
export function groups(model: Model, { width, height }: Size): Line[] {
  const { state, ui, theme } = model;
  const step = shownStep(ui, state);
  if (!step) return fitBlock([heading([span('groups', 'plain', { bold: true })], width, theme), [], [span('  no rollouts yet', 'muted')]], { width, height });
  const selected = Math.min(ui.group, step.groups.length - 1);
  const perGroup = step.groups[0]?.rollouts.length ?? 0;
  const listWidth = Math.max(20, Math.min(Math.floor(width * 0.45), 38 + perGroup));
  const detailWidth = width - listWidth - 3;

  const live = step === currentStep(state);
  const title = wholeParts(
    [
      [span(`step ${step.step}`, 'plain', { bold: true }), live ? span(' live', 'ok') : span(' held', 'warn', { bold: true })],
      [span(` ${selected + 1}/${step.groups.length}`, 'muted')],
      spreadCounts(step, theme),
    ],
    listWidth - 5,
  );
  const rows = height - 1;
  const first = Math.max(0, Math.min(selected - Math.floor(rows / 2), step.groups.length - rows));
  const list = step.groups.slice(first, first + rows).map((group, index) => groupRow(group, model, { width: listWidth, selected: first + index === selected }));
  const group = step.groups[selected]!;
  return beside(
    [heading(title, listWidth, theme), ...fitBlock(list, { width: listWidth, height: rows }, theme.glyph.ellipsis)],
    groupDetail(group, model, { width: detailWidth, height }),
    [span(` ${theme.glyph.column} `, 'muted', { dim: true })],
  );
}

function groupRow(group: GroupView, { state, theme }: Model, { width, selected }: { width: number; selected: boolean }): Line {
  const dim = group.spread === 'all-good' || group.spread === 'all-bad';
  const right: Line = [span(' '), ...strip(group, state.rewardRange, theme), span(group.mean === null ? '     ' : ` ${group.mean.toFixed(2)}`, dim ? 'muted' : 'plain', { dim })];
  const mark = selected ? span(`${theme.glyph.select} `, 'accent', { bold: true }) : span('  ');
  return spread([mark, span(clean(group.prompt, theme), selected ? 'accent' : dim ? 'muted' : 'plain', { bold: selected, dim: dim && !selected })], right, width, theme.glyph.ellipsis);
}

function groupDetail(group: GroupView, { state, ui, theme }: Model, { width, height }: Size): Line[] {
  const facts = [
    spreadWords[group.spread],
    ...(group.mean === null ? [] : [`mean ${formatNumber(group.mean)}`]),
    ...(group.std === null ? [] : [`std ${formatNumber(group.std)}`]),
  ].filter((text) => text !== '');
  const title: Line = [span(clean(group.taskId, theme), 'plain', { bold: true }), span(facts.length > 0 ? ` ${theme.glyph.dot} ${facts.join(` ${theme.glyph.dot} `)}` : '', 'muted')];
  const prompt = wrap(clean(group.prompt, theme), width, Math.max(1, Math.floor(height / 5))).map((text): Line => [span(text, 'accent')]);
  const finished = group.rollouts.flatMap((rollout, index) => (rollout === null ? [] : [{ rollout, index }]));
  const chosen = group.rollouts[Math.min(ui.rollout, group.rollouts.length - 1)] ?? finished[0]?.rollout ?? null;

  const room = height - 1 - prompt.length;
  const listRows = Math.min(group.rollouts.length, Math.max(1, chosen?.messages ? Math.floor(room / 2) : room - 4));
  const first = Math.max(0, Math.min(ui.rollout - Math.floor(listRows / 2), group.rollouts.length - listRows));
  const list = group.rollouts.slice(first, first + listRows).map((rollout, index): Line => {
    const mark = rollout !== null && rollout === chosen ? span(`${theme.glyph.select} `, 'accent', { bold: true }) : span('  ');
    return rollout === null ? [mark, span(theme.glyph.pending, 'muted')] : [mark, ...rolloutLine(rollout, state.rewardRange, theme)].map((part, at) => (at === 0 && first + index === ui.rollout ? { ...part, bold: true } : part));
  });
  return fitBlock([heading(title, width, theme), ...prompt, ...list, ...(chosen ? rolloutDetail(chosen, theme, { width, height: room - list.length }) : [])], { width, height }, theme.glyph.ellipsis);
}

const stopWords: { readonly [S in RolloutView['stopReason']]: string } = {
  done: 'ended by itself',
  length: 'cut at the token limit',
  max_steps: 'out of turns',
  timeout: 'out of time',
  malformed_tool_call: 'malformed tool call',
};

function rolloutDetail(rollout: RolloutView, theme: Theme, { width, height }: Size): Line[] {
  const { completion, messages, tokens, stopReason, subscores, error } = rollout;
  const title: Line = [span(count(tokens, 'token'), 'plain', { bold: true }), span(` ${theme.glyph.dot} ${stopWords[stopReason]}`, stopReason === 'done' ? 'muted' : 'warn')];
  const wrapped = (text: string, tone: Tone): Line[] => wrap(clean(text, theme), width).map((part) => [span(part, tone)]);
  const head = [heading(title, width, theme), ...subscoreLines(subscores, theme, ''), ...(error ? wrapped(`${error.phase} ${error.type}: ${error.message}`, 'bad') : [])];
  // What was said before something failed tells why it did.
  if (messages) return [...head, ...dialogueLines(messages, theme, { width, height: height - head.length })];
  return error ? head : [...head, ...wrapped(completion, 'plain')];
}

function subscoreLines(subscores: readonly Subscore[], theme: Theme, indent: string): Line[] {
  return subscores.flatMap(({ name, value, weight, children }) => [
    [span(`${indent}${clean(name, theme)} `, 'muted'), span(value === null ? '–' : formatNumber(value), 'plain', { bold: true }), span(weight === 1 ? '' : ` ${theme.glyph.times} ${formatNumber(weight)}`, 'muted')],
    ...subscoreLines(children ?? [], theme, `${indent}  `),
  ]);
}
