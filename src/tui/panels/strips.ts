import { rewardRamp } from '../../plot/index.ts';
import { span, type Line, type Size, type Span } from '../line.ts';
import type { Model } from '../model.ts';
import type { GroupView, RolloutView, StepView } from '../state.ts';
import type { Theme, Tone } from '../theme.ts';

const rewardTones = ['reward0', 'reward1', 'reward2', 'reward3', 'reward4', 'reward5'] as const satisfies readonly Tone[];

export function rewardTone(reward: number, [low, high]: readonly [number, number]): Tone {
  const share = high > low ? (reward - low) / (high - low) : 1;
  return rewardTones[Math.max(0, Math.min(rewardRamp.length - 1, Math.floor(share * rewardRamp.length)))]!;
}

/** One attempt as one cell: its shape and its colour both say the reward. */
export function rewardCell(rollout: RolloutView | null, range: readonly [number, number], theme: Theme, dim: boolean): Span {
  if (rollout === null) return span(theme.glyph.pending, 'muted', { dim: true });
  if (rollout.reward === null) return span(theme.glyph.failed, 'bad', { bold: true });
  const [low, high] = range;
  const share = high > low ? (rollout.reward - low) / (high - low) : 1;
  const { none, little, much, full } = theme.glyph;
  return span(share < 0.05 ? none : share < 0.5 ? little : share < 0.95 ? much : full, dim ? 'muted' : rewardTone(rollout.reward, range), dim ? { dim } : {});
}

/** The attempts of a group side by side; groups without spread teach nothing and are dim. */
export function strip({ rollouts, spread }: GroupView, range: readonly [number, number], theme: Theme): Span[] {
  const dim = spread === 'all-good' || spread === 'all-bad' || spread === 'dropped';
  return rollouts.map((rollout) => rewardCell(rollout, range, theme, dim));
}

const perLine = (step: StepView, width: number): number => Math.max(1, Math.floor((width + 1) / ((step.groups[0]?.rollouts.length ?? 1) + 1)));

/** Lines that all groups of a step take. */
export const stripLines = (step: StepView | undefined, width: number): number => (step ? Math.ceil(step.groups.length / perLine(step, width)) : 0);

/** All groups of a step in reading order, one strip per task, as many as fit. */
export function stripGrid({ state, theme }: Model, step: StepView, { width, height }: Size): Line[] {
  const columns = perLine(step, width);
  return Array.from({ length: Math.min(height, stripLines(step, width)) }, (_, row) =>
    step.groups.slice(row * columns, (row + 1) * columns).flatMap((group) => [...strip(group, state.rewardRange, theme), span(' ')]),
  );
}

/** What became of the groups so far: `41 mixed · 12 all good · 11 all bad`. */
export function spreadCounts(step: StepView, { glyph }: Theme): Line {
  const count = (spread: GroupView['spread']): number => step.groups.filter((group) => group.spread === spread).length;
  const parts: [string, number, Tone][] = [
    ['mixed', count('mixed'), 'ok'],
    ['all good', count('all-good'), 'muted'],
    ['all bad', count('all-bad'), 'muted'],
    ['dropped', count('dropped'), 'bad'],
    ['open', count('pending'), 'muted'],
  ];
  return parts.filter(([, number]) => number > 0).flatMap(([name, number, tone]) => [span(` ${glyph.dot} `, 'muted'), span(`${number} ${name}`, tone)]);
}
