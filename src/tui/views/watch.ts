import type { Change, EventData, RescoredRollout } from '../../events.ts';
import { formatDuration, formatNumber, formatSigned } from '../../plot/index.ts';
import { withinGroups } from '../../util/statistics.ts';
import { count } from '../../util/words.ts';
import { clean, fitBlock, heading, span, spread, type Line, type Size, type Span } from '../line.ts';
import type { Model } from '../model.ts';
import { rewardTone } from '../panels/strips.ts';
import type { WatchView } from '../state.ts';
import type { Theme, Tone } from '../theme.ts';

const kindWords: { readonly [K in EventData['watch-changed']['kind']]: [text: string, tone: Tone] } = {
  none: ['nothing that matters changed', 'muted'],
  config: ['the pipeline changed', 'accent'],
  taskset: ['the tasks changed', 'accent'],
  reward: ['the reward changed', 'accent'],
  invalid: ['not valid', 'bad'],
};

/** The edit, what it does to rollouts that are there already, and what the loop does about it. */
export function watch(model: Model, { width, height }: Size): Line[] {
  const { state, ui, theme } = model;
  const { last, rescored, decision, on, files } = state.watch;
  const title = [span('watch', 'plain', { bold: true }), on ? span(` ${count(files.length, 'file')}`, 'ok') : span(' off', 'muted'), span(on ? '' : '  w switches it on', 'muted')];
  const lines: Line[] = [heading(title, width, theme)];
  if (!last) {
    for (const file of files.slice(0, height - 4)) lines.push([span(`  ${clean(file, theme)}`)]);
    lines.push([], [span(on ? '  save one of these files: its effect is shown here before any compute is spent' : '  edits of the pipeline, its tasks and rewards take effect only while watching', 'muted')]);
    return fitBlock(lines, { width, height }, theme.glyph.ellipsis);
  }
  const [words, tone] = kindWords[last.kind];
  lines.push([span(` ${clean(last.file, theme)}`, 'plain', { bold: true }), span(`  ${words}${last.kind === 'invalid' ? `: ${state.result ? 'its repair is waited for' : 'the job goes on as it was'}` : ''}`, tone)]);
  if (last.message) lines.push(...last.message.split('\n').slice(0, 6).map((text): Line => [span(`   ${clean(text, theme)}`, last.kind === 'invalid' ? 'bad' : 'muted')]));
  lines.push(...last.changes.slice(0, Math.max(2, Math.floor(height / 4))).map((change) => changeLine(change, theme)));
  if (decision) lines.push([span(` ${theme.glyph.arrow} ${decision.action}`, 'warn', { bold: true }), span(`  ${clean(decision.reason, theme)}`)]);
  if (rescored) lines.push(...rescoredLines(model, rescored, { width, height: height - lines.length, offset: ui.watchScroll }));
  return fitBlock(lines, { width, height }, theme.glyph.ellipsis);
}

function changeLine({ path, before, after }: Change, theme: Theme): Line {
  return [
    span(`   ${clean(path, theme)} `, 'muted'),
    span(before === null ? 'nothing' : clean(before, theme), 'bad'),
    span(` ${theme.glyph.arrow} `, 'muted'),
    span(after === null ? 'nothing' : clean(after, theme), 'ok', { bold: true }),
  ];
}

type Rescored = NonNullable<WatchView['rescored']>;

function rescoredLines({ state, theme }: Model, { rollouts, step, durationMs }: Rescored, { width, height, offset }: Size & { offset: number }): Line[] {
  const { glyph } = theme;
  const moved = rollouts.filter(({ before, after }) => before !== after);
  const mean = (pick: (rollout: RescoredRollout) => number | null): number => {
    const values = rollouts.flatMap((rollout) => pick(rollout) ?? []);
    return values.reduce((sum, value) => sum + value, 0) / values.length;
  };
  const groups = [...Map.groupBy(rollouts, (rollout) => rollout.groupId).values()];
  const spreadOf = (pick: (rollout: RescoredRollout) => number | null): number => withinGroups(groups.map((group) => group.map(pick)));
  const flipped = rollouts.filter(({ advantageBefore: a, advantageAfter: b }) => a !== null && b !== null && a * b < 0).length;
  const title = [
    span('scored again', 'plain', { bold: true }),
    span(` step ${step} ${glyph.dot} ${count(rollouts.length, 'rollout')} ${glyph.dot} ${formatDuration(durationMs)}`, 'muted'),
  ];
  const summary: Line = [
    span(` ${moved.length} changed`, moved.length > 0 ? 'warn' : 'muted', { bold: true }),
    span(`  mean ${formatNumber(mean((rollout) => rollout.before))} ${glyph.arrow} ${formatNumber(mean((rollout) => rollout.after))}`),
    span(`  spread ${formatNumber(spreadOf((rollout) => rollout.before))} ${glyph.arrow} ${formatNumber(spreadOf((rollout) => rollout.after))}`),
    span(`  ${flipped} advantages change sign`, flipped > 0 ? 'warn' : 'muted'),
  ];
  const failed = rollouts.filter(({ error }) => error !== undefined);
  const failure: Line[] = failed.length === 0 ? [] : [[span(` no verdict on ${failed.length}`, 'bad', { bold: true }), span(`  ${clean(failed[0]!.error!, theme)}`)]];
  // The largest change first: that is what the edit is about.
  const size = ({ before, after }: RescoredRollout): number => (before === null || after === null ? Infinity : Math.abs(after - before));
  const sorted = moved.toSorted((a, b) => size(b) - size(a));
  const rows = Math.max(0, height - 2 - failure.length);
  const first = Math.min(offset, Math.max(0, sorted.length - rows));
  const shown = sorted.slice(first, first + rows).map((rollout): Line => {
    const change = rollout.before !== null && rollout.after !== null ? formatSigned(rollout.after - rollout.before) : '';
    const right: Line = [
      ...score(rollout.before, state.rewardRange),
      span(` ${glyph.arrow} `, 'muted'),
      ...score(rollout.after, state.rewardRange),
      span(` ${change.padStart(6)} `, 'plain', { bold: true }),
    ];
    return spread([span(` ${clean(rollout.prompt, theme)} `, 'muted'), span(clean(rollout.completion, theme))], right, width, glyph.ellipsis);
  });
  return [heading(title, width, theme), summary, ...failure, ...shown];
}

function score(reward: number | null, range: readonly [number, number]): Span[] {
  return [span((reward === null ? '–' : formatNumber(reward)).padStart(5), reward === null ? 'bad' : rewardTone(reward, range))];
}
