import { formatNumber, formatSigned } from '../../plot/index.ts';
import { clean, fitBlock, heading, span, type Line, type Size, type Span } from '../line.ts';
import type { Model } from '../model.ts';
import { rewardCell } from '../panels/strips.ts';
import type { DashboardState, GroupView, RolloutView } from '../state.ts';
import type { Theme } from '../theme.ts';
import { dialogueLine } from './dialogue.ts';

/** Groups whose attempts differ, the newest first: they say what the job learns from. Without any, the newest finished one. */
export function tellingGroups({ steps }: DashboardState): GroupView[] {
  const finished = steps.toReversed().flatMap((step) => step.groups.filter((group) => group.spread !== 'pending').toReversed());
  const telling = finished.filter((group) => group.spread === 'mixed');
  return telling.length > 0 ? telling : finished.slice(0, 1);
}

/** Prompts with their attempts, the best and the worst of each; as many as fit. */
export function samplePanel({ state, theme }: Model, { width, height }: Size): Line[] {
  const lines: Line[] = [heading([span('samples', 'plain', { bold: true })], width, theme)];
  for (const group of tellingGroups(state)) {
    const attempts = distinct(group).toSorted((a, b) => (b.rollout.reward ?? -Infinity) - (a.rollout.reward ?? -Infinity));
    const rows = Math.min(4, height - lines.length - 1, attempts.length);
    if (rows < 1) break;
    const chosen = [...attempts.slice(0, Math.ceil(rows / 2)), ...attempts.slice(attempts.length - Math.floor(rows / 2))];
    lines.push([span(' '), span(clean(group.prompt, theme), 'accent')]);
    for (const { rollout, count } of chosen) {
      lines.push([span(count === 1 ? '     ' : `${count}${theme.glyph.times} `.padStart(5), 'muted'), ...rolloutLine(rollout, state.rewardRange, theme)]);
    }
  }
  return fitBlock(lines, { width, height }, theme.glyph.ellipsis);
}

/** Attempts that came out the same are one line with their number. */
function distinct(group: GroupView): { rollout: RolloutView; count: number }[] {
  const same = Map.groupBy(group.rollouts.filter((rollout) => rollout !== null), ({ completion, messages, reward }) => JSON.stringify([reward, messages ?? completion]));
  return [...same.values()].map((rollouts) => ({ rollout: rollouts[0]!, count: rollouts.length }));
}

/** Reward, sign and size of the advantage, the text or what was said. */
export function rolloutLine(rollout: RolloutView, range: readonly [number, number], theme: Theme): Span[] {
  const { reward, advantage, error, completion, messages } = rollout;
  const cell = rewardCell(rollout, range, theme, false);
  const value = reward === null ? (error ? 'error' : '–') : formatNumber(reward);
  return [
    cell,
    span(` ${value.padStart(5)} `, cell.tone ?? 'plain', { bold: true }),
    ...advantageMark(advantage, theme),
    ...(error ? [span(clean(`${error.phase} ${error.type}: ${error.message}`, theme), 'bad')] : messages ? dialogueLine(messages, theme) : [span(clean(completion, theme))]),
  ];
}

/** ▲ pushes the policy towards the attempt, ▼ away from it. */
function advantageMark(advantage: number | null, { glyph }: Theme): Span[] {
  if (advantage === null) return [span(`  ${' '.repeat(6)} `)];
  const sign = advantage > 0 ? glyph.rise : advantage < 0 ? glyph.fall : glyph.even;
  const tone = advantage > 0 ? 'ok' : advantage < 0 ? 'bad' : 'muted';
  return [span(`${sign} `, tone), span(formatSigned(advantage).padEnd(6), 'muted'), span(' ')];
}
