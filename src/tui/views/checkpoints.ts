import { formatNumber } from '../../plot/index.ts';
import { clean, fitBlock, heading, span, spread, type Line, type Size, type Span } from '../line.ts';
import type { Model } from '../model.ts';
import { rewardTone } from '../panels/strips.ts';
import { bestCheckpoint } from '../state.ts';
import { treeRows, type TreeRow } from '../tree.ts';
import { shownCheckpoint } from '../ui.ts';

/** The checkpoint tree, newest first: lanes, rewards, the head, the best, and the one that `R` would go back to. */
export function checkpoints(model: Model, { width, height }: Size): Line[] {
  const { state, ui, theme } = model;
  const rows = treeRows(state.checkpoints);
  const title: Line = [
    span('checkpoints', 'plain', { bold: true }),
    span(` ${rows.length}`, 'muted'),
    span(`  ${theme.glyph.head} head`, 'ok'),
    span(`  ${theme.glyph.best} best`, 'eval'),
    span(`  ${theme.glyph.evaluation} held-out`, 'eval'),
  ];
  if (rows.length === 0) return fitBlock([heading(title, width, theme), [], [span('  no checkpoint yet', 'muted')]], { width, height }, theme.glyph.ellipsis);
  const selected = shownCheckpoint(ui, state);
  const index = Math.max(0, rows.findIndex((row) => row.checkpoint.id === selected));
  const visible = height - 2;
  const first = Math.max(0, Math.min(index - Math.floor(visible / 2), rows.length - visible));
  const best = bestCheckpoint(state)?.id;
  const shown = rows.slice(first, first + visible);
  const lanes = Math.max(...shown.map((row) => Math.max(row.lane, ...row.passing, ...row.joining))) + 1;
  const lines = shown.map((row) => checkpointLine(row, model, { width, lanes, selected: row.checkpoint.id === selected, best: row.checkpoint.id === best }));
  const rest = rows.length - first - shown.length;
  const end: Line = [span(rest > 0 ? `  ${theme.glyph.ellipsis} ${rest} older` : `  ${clean(state.job?.base ?? '', theme)} (the base)`, 'muted')];
  return fitBlock([heading(title, width, theme), ...lines, end], { width, height }, theme.glyph.ellipsis);
}

interface RowStyle {
  width: number;
  lanes: number;
  selected: boolean;
  best: boolean;
}

function checkpointLine(row: TreeRow, { state, theme }: Model, { width, lanes, selected, best }: RowStyle): Line {
  const { checkpoint } = row;
  const { glyph } = theme;
  const isHead = checkpoint.id === state.head;
  const reward = checkpoint.meanReward;
  const pruned = state.pruned.has(checkpoint.id);
  const left: Line = [
    selected ? span(` ${glyph.select} `, 'accent', { bold: true }) : span('   '),
    ...laneCells(row, lanes, theme, { isHead, pruned }),
    span(` ${clean(checkpoint.name, theme)}`, isHead ? 'ok' : selected ? 'accent' : pruned ? 'muted' : 'plain', { bold: isHead || selected }),
    ...(isHead ? [span(' head', 'ok')] : []),
    ...(pruned ? [span(' no weights', 'muted')] : []),
    ...(best ? [span(` ${glyph.best}`, 'eval', { bold: true })] : []),
  ];
  const barWidth = Math.max(6, Math.min(30, width - 50));
  const [low, high] = state.rewardRange;
  const share = reward === null || high <= low ? 0 : (reward - low) / (high - low);
  const filled = Math.max(0, Math.min(barWidth, Math.round(share * barWidth)));
  const right: Line = [
    span(checkpoint.evalReward === null ? ' '.repeat(9) : `${glyph.evaluation} ${formatNumber(checkpoint.evalReward).padEnd(5)}  `, 'eval'),
    span(reward === null ? ' '.repeat(6) : `${formatNumber(reward).padStart(5)} `, 'plain'),
    span(glyph.progress.repeat(filled), reward === null ? 'muted' : rewardTone(reward, state.rewardRange)),
    span(' '.repeat(barWidth - filled)),
    span(' '),
  ];
  return spread(left, right, width, glyph.ellipsis);
}

function laneCells({ lane, passing, joining }: TreeRow, lanes: number, { glyph }: Model['theme'], { isHead, pruned }: { isHead: boolean; pruned: boolean }): Span[] {
  const lastJoin = Math.max(-1, ...joining);
  return Array.from({ length: lanes }, (_, column): Span => {
    const connected = lastJoin > column && column >= lane ? glyph.branch : ' ';
    if (column === lane) return span((isHead ? glyph.head : pruned ? glyph.pruned : glyph.node) + connected, isHead ? 'ok' : pruned ? 'muted' : 'accent', { bold: isHead });
    if (joining.includes(column)) return span(glyph.join + connected, 'muted');
    if (passing.includes(column)) return span(glyph.lane + connected, 'muted');
    return span((connected === ' ' ? ' ' : glyph.branch) + connected, 'muted');
  });
}
