import { beside, fitBlock, heading, span, wholeParts, type Line, type Size } from '../line.ts';
import type { Model } from '../model.ts';
import { healthPanel } from '../panels/health.ts';
import { rewardChart, rewardTitle } from '../panels/reward-chart.ts';
import { spreadCounts, stripGrid, stripLines } from '../panels/strips.ts';
import { timeBar } from '../panels/time-bar.ts';
import { warningLines } from '../panels/warnings.ts';
import { currentStep } from '../state.ts';
import { logLine, logPane } from './log.ts';
import { samplePanel } from './sample.ts';

/** The whole run at a glance: curve and lights above, the step's groups below, then samples and log as far as there is room. */
export function overview(model: Model, { width, height }: Size): Line[] {
  const { state, theme } = model;
  // Before there is a job, what is told (how far a download is, say) is all there is.
  if (state.job === null && state.log.length > 0) return logPane(model, { width, height });
  const step = currentStep(state);
  const warnings = warningLines(model, { width, height: height < 26 ? 2 : 5 });
  // Two headings and the time bar.
  const room = height - 3 - warnings.length;
  const gridWanted = Math.max(1, stripLines(step, width - 2));
  const spare = room - gridWanted;
  const top = Math.max(Math.min(4, room - 1), Math.min(18, Math.max(Math.round(room * 0.5), Math.min(spare, 10))));
  const grid = Math.min(gridWanted, room - top);
  const below = room - top - grid - 1;

  const right = width >= 110 ? Math.min(56, Math.floor(width * 0.4)) : width >= 76 ? 33 : 27;
  const left = width - right - 3;
  const head: Line = [...heading(rewardTitle(model, left - 3), left + 1, theme), span('  '), ...heading([span('health', 'plain', { bold: true })], right, theme)];
  const panels = beside(rewardChart(model, { width: left, height: top }), healthPanel(model, { width: right, height: top }), [span('   ')]);

  const lines: Line[] = [head, ...panels, heading(groupsTitle(model, grid, width), width, theme)];
  if (step) lines.push(...fitBlock(stripGrid(model, step, { width: width - 2, height: grid }).map((line) => [span(' '), ...line]), { width, height: grid }));
  else lines.push(...fitBlock([], { width, height: grid }));
  if (below >= 4) lines.push(...samplesAndLog(model, { width, height: below + 1 }));
  else lines.push(...fitBlock([], { width, height: Math.max(0, below + 1) }));
  return fitBlock([...lines, timeBar(model, width), ...warnings], { width, height }, theme.glyph.ellipsis);
}

function groupsTitle({ state, theme }: Model, lines: number, width: number): Line {
  const step = currentStep(state);
  if (!step) return [span('groups', 'plain', { bold: true })];
  const perGroup = step.groups[0]?.rollouts.length ?? 0;
  const columns = Math.max(1, Math.floor((width - 1) / (perGroup + 1)));
  const hidden = step.groups.length - columns * lines;
  return wholeParts(
    [
      [span('groups', 'plain', { bold: true }), span(` step ${step.step} ${theme.glyph.dot} ${step.groups.length} ${theme.glyph.times} ${perGroup}`, 'muted')],
      ...(hidden > 0 ? [[span(` ${theme.glyph.dot} ${hidden} more in 2`, 'muted')]] : []),
      spreadCounts(step, theme),
    ],
    width - 5,
  );
}

function samplesAndLog(model: Model, { width, height }: Size): Line[] {
  const { state, theme } = model;
  if (width < 100) return samplePanel(model, { width, height });
  const left = Math.floor(width * 0.55);
  const right = width - left - 3;
  const log = state.log.slice(-(height - 1)).map((line) => logLine(line, theme, { withTime: false }));
  return beside(
    samplePanel(model, { width: left, height }),
    [heading([span('log', 'plain', { bold: true })], right, theme), ...fitBlock(log, { width: right, height: height - 1 }, theme.glyph.ellipsis)],
    [span('   ')],
  );
}
