import { formatClock, formatNumber } from '../../plot/index.ts';
import { clean, lineWidth, span, spread, wholeParts, type Line } from '../line.ts';
import type { Model } from '../model.ts';
import { remainingMs, type DashboardState, type RunState } from '../state.ts';
import type { Theme, Tone } from '../theme.ts';
import { views, type View } from '../ui.ts';

const viewNames: { readonly [V in View]: string } = { overview: 'overview', groups: 'groups', checkpoints: 'checkpoints', log: 'log', watch: 'watch' };

/** Who learns what, and what is going on right now. */
export function header({ state, theme }: Model, width: number): Line {
  const { job, stage } = state;
  const { glyph } = theme;
  const brand = span(' rlrun ', 'accent', { bold: true, inverse: true });
  const right: Line = [span(' '), ...activity(state, theme), span(' ')];
  if (!job) return spread([brand, span(' loading the model', 'muted')], right, width, glyph.ellipsis);
  const fact = (text: string): Line => [span(` ${glyph.dot} ${clean(text, theme)}`, 'muted')];
  const left = wholeParts(
    [
      [brand, span(` ${clean(job.pipeline, theme)}`, 'plain', { bold: true }), span(` ${glyph.arrow} `, 'muted'), span(clean(job.model, theme), 'plain', { bold: true })],
      job.stages.length > 1 && stage ? [span(` ${glyph.dot} ${clean(stage.name, theme)} (${stage.index + 1}/${job.stages.length})`, 'accent')] : [],
      fact(job.loss),
      fact(job.device),
      fact(`${formatNumber(job.trainableParameters)} weights`),
    ],
    width - lineWidth(right),
  );
  return spread(left.length > 0 ? left : [brand], right, width, glyph.ellipsis);
}

const phaseWords = { rollout: 'rolling out', reward: 'scoring', step: 'learning', promote: 'promoting', eval: 'evaluating' } as const;

function activity(state: DashboardState, { glyph: { running, paused, done } }: Theme): Line {
  const doing = state.phase === null ? 'between steps' : phaseWords[state.phase];
  const count = state.phase === 'rollout' && state.progress ? ` ${state.progress.finished}/${state.progress.total}` : '';
  const words: { readonly [R in RunState]: [sign: string, text: string, tone: Tone] } = {
    starting: [running, 'starting', 'muted'],
    running: [running, `${doing}${count}`, 'ok'],
    paused: [paused, 'paused', 'warn'],
    finishing: [running, 'finishing this step', 'warn'],
    stopping: [running, 'stopping', 'bad'],
    finished: state.result?.status === 'failed' ? [paused, 'failed', 'bad'] : [done, state.result?.status ?? 'finished', 'ok'],
  };
  const [sign, text, tone] = words[state.state];
  return [span(`${sign} `, tone), span(text, tone, { bold: true })];
}

/** The views with their keys, and how far the job is. */
export function tabs({ state, ui, theme, now }: Model, width: number): Line {
  const roomy = width >= 76;
  const names = views.flatMap((view, index) => {
    const text = ` ${index + 1}${roomy ? ` ${viewNames[view]}` : ''} `;
    return view === ui.view ? [span(roomy ? text : ` ${index + 1} ${viewNames[view]} `, 'plain', { bold: true, inverse: true })] : [span(text, 'muted')];
  });
  const room = width - lineWidth(names) - 2;
  return spread(names, [...progress(state, theme.glyph, now, room), span(' ')], width, theme.glyph.ellipsis);
}

function progress(state: DashboardState, glyph: Model['theme']['glyph'], now: number, room: number): Line {
  const total = state.job?.totalSteps ?? 0;
  const remaining = remainingMs(state);
  const since = state.startedAt === null ? 0 : (state.result?.durationMs ?? now - state.startedAt);
  const left = remaining === null || state.state === 'finished' ? null : `${formatClock(remaining)} left`;
  const wordy = room >= 50;
  const clock = [wordy || left === null ? formatClock(since) : null, left].filter((text) => text !== null).join(` ${glyph.dot} `);
  const steps = `${wordy ? 'step ' : ''}${state.step}/${total} `;
  const width = Math.max(4, Math.min(30, room - steps.length - clock.length - 1));
  const share = total === 0 ? 0 : Math.min(1, state.finishedSteps / total);
  const full = Math.round(share * width);
  return [
    span(steps, 'plain', { bold: true }),
    span(glyph.progress.repeat(Math.max(0, full - 1)) + (full === 0 ? '' : full === width ? glyph.progress : glyph.progressHead), 'accent'),
    span(glyph.progressRest.repeat(width - full), 'muted', { dim: true }),
    span(` ${clock}`, 'muted'),
  ];
}
