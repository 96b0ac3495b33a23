/** @file The screen as a pure function: state and size in, lines out, never more and never wider than the terminal. */
import { clean, fitBlock, span, type Line, type Size } from './line.ts';
import type { Model } from './model.ts';
import { footer } from './panels/footer.ts';
import { header, tabs } from './panels/header.ts';
import { mainMetric } from './panels/reward-chart.ts';
import type { View } from './ui.ts';
import { checkpoints } from './views/checkpoints.ts';
import { groups } from './views/groups.ts';
import { help } from './views/help.ts';
import { log } from './views/log.ts';
import { overview } from './views/overview.ts';
import { watch } from './views/watch.ts';
import { formatNumber, sparkline } from '../plot/index.ts';

const renderers: { readonly [V in View]: (model: Model, size: Size) => Line[] } = { overview, groups, checkpoints, log, watch };

/** Below this there is no room for panels: one line for the job, one for its curve. */
const MIN = { width: 40, height: 12 };

/** A frame of exactly `height` lines of `width` columns. */
export function frame(model: Model, { width, height }: Size): Line[] {
  const { ui, theme } = model;
  if (width < MIN.width || height < MIN.height) return tiny(model, { width, height });
  const body = { width, height: height - 3 };
  const view = ui.help ? help(model, body) : renderers[ui.view](model, body);
  return fitBlock([header(model, width), tabs(model, width), ...fitBlock(view, body, theme.glyph.ellipsis), footer(model, width)], { width, height }, theme.glyph.ellipsis);
}

function tiny(model: Model, { width, height }: Size): Line[] {
  const { state, theme } = model;
  const { name, label } = mainMetric(state);
  const values = state.histories.get(name)?.values ?? [];
  const lines: Line[] = [
    [span(`${state.job?.pipeline ?? 'rlrun'} ${state.step}/${state.job?.totalSteps ?? 0}`, 'plain', { bold: true })],
    [span(`${label} ${values.length > 0 ? formatNumber(values.at(-1)!) : ''}`), span(` ${sparkline(values.slice(-200), { width: Math.max(0, Math.min(width - 14, values.length)), ascii: theme.ascii })}`, 'accent')],
    [span(state.job === null && state.log.length > 0 ? clean(state.log.at(-1)!.text, theme) : 'a larger window shows more', 'muted')],
  ];
  return fitBlock(lines, { width, height }, theme.glyph.ellipsis);
}
