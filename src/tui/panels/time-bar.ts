import type { Phase } from '../../events.ts';
import { formatBytes, formatDuration, formatNumber, formatPercent, partition } from '../../plot/index.ts';
import { lineWidth, span, spread, wholeParts, type Line } from '../line.ts';
import type { Model } from '../model.ts';
import type { DashboardState } from '../state.ts';
import type { Tone } from '../theme.ts';

const phaseTones: { readonly [P in Phase]: Tone } = { rollout: 'rollout', reward: 'grading', step: 'step', promote: 'promote', eval: 'eval' };

/** Sampling that goes on for longer than this shows the speed of this moment; short steps show the last one's. */
const LIVE_AFTER_MS = 2000;

function samplingSpeed({ phase, phaseSince, progress, metrics }: DashboardState, now: number): number | undefined {
  const live = phase === 'rollout' && now - phaseSince > LIVE_AFTER_MS ? progress?.tokensPerSecond : undefined;
  return live ?? metrics['tokens_per_second'] ?? progress?.tokensPerSecond;
}

/** Where the time of the last step went, how fast it sampled, and what the process holds in memory. */
export function timeBar({ state, theme, memory, now }: Model, width: number): Line {
  const { times } = state;
  const { glyph } = theme;
  const speed = samplingSpeed(state, now);
  const facts = [speed === undefined ? [] : [`${formatNumber(speed)} tok/s`], memory === null ? [] : [formatBytes(memory)]].flat().join(` ${glyph.dot} `);
  const right: Line = [span(` ${facts} `, 'plain')];
  if (!times) return spread([span(' time', 'muted'), span('  no step is over yet', 'muted', { dim: true })], right, width, glyph.ellipsis);

  const phases = (Object.keys(times) as Phase[]).filter((phase) => times[phase] > 0);
  const total = phases.reduce((sum, phase) => sum + times[phase], 0);
  const columns = partition(phases.map((phase) => times[phase]), width >= 100 ? 40 : width >= 76 ? 18 : 12);
  const bar = phases.map((phase, index) => span(glyph.phases[phase].repeat(columns[index]!), phaseTones[phase]));
  const duration = width >= 100 ? [span(` ${formatDuration(total)}/step`, 'plain')] : [];
  const start: Line = [span(' '), ...bar, ...duration];
  const legend = phases
    .toSorted((a, b) => times[b] - times[a])
    .map((phase): Line => [span(`  ${glyph.phases[phase]}`, phaseTones[phase]), span(` ${phase} ${formatPercent(times[phase] / total)}`, 'muted')]);
  return spread(wholeParts([start, ...legend], width - lineWidth(right)), right, width, glyph.ellipsis);
}
