import { count } from '../../util/words.ts';
import { beside, clean, fit, fitBlock, heading, span, type Line, type Size } from '../line.ts';
import type { Model } from '../model.ts';
import type { LogLevel, LogLine } from '../state.ts';
import type { Theme, Tone } from '../theme.ts';

const signs: { readonly [L in LogLevel]: [glyph: 'dot' | 'ok' | 'warn' | 'bad', tone: Tone] } = {
  info: ['dot', 'plain'],
  good: ['ok', 'ok'],
  warn: ['warn', 'warn'],
  bad: ['bad', 'bad'],
  muted: ['dot', 'muted'],
};

export function logLine({ time, level, text }: LogLine, theme: Theme, { withTime }: { withTime: boolean }): Line {
  const [sign, tone] = signs[level];
  const clock = withTime ? [span(` ${new Date(time).toTimeString().slice(0, 8)}`, 'muted', { dim: true })] : [];
  return [...clock, span(` ${theme.glyph[sign]} `, tone), span(clean(text, theme), level === 'muted' ? 'muted' : 'plain')];
}

/** What happened, in words, beside the pipeline as it was resolved; one of them at a time on a narrow screen. */
export function log(model: Model, { width, height }: Size): Line[] {
  if (width < 110) return model.ui.logPane === 'log' ? logPane(model, { width, height }) : pipelinePane(model, { width, height });
  const left = Math.floor(width * 0.55);
  return beside(logPane(model, { width: left, height }), pipelinePane(model, { width: width - left - 3, height }), [span('   ')]);
}

/** The log alone. */
export function logPane({ state, ui, theme }: Model, { width, height }: Size): Line[] {
  const end = state.log.length - ui.logScroll;
  const lines = state.log.slice(Math.max(0, end - height + 1), end).map((line) => logLine(line, theme, { withTime: true }));
  const title: Line = [span('log', 'plain', { bold: true }), span(ui.logScroll > 0 ? ` ${count(ui.logScroll, 'line')} back, end returns` : '', 'warn')];
  return [heading(title, width, theme), ...fitBlock(lines, { width, height: height - 1 }, theme.glyph.ellipsis)];
}

function pipelinePane({ state, ui, theme, pipeline }: Model, { width, height }: Size): Line[] {
  const { job } = state;
  const facts: [string, string][] = job
    ? [
        ['file', job.file],
        ['job', job.jobId],
        ['from', job.base],
        ['seed', String(job.seed)],
        ['device', `${job.device}, ${job.threads === 0 ? 'all threads' : count(job.threads, 'thread')}`],
        ['weights', `${job.trainableParameters.toLocaleString('en')} of ${job.parameters.toLocaleString('en')} trained`],
        ['files', job.directory],
      ]
    : [];
  const about = facts.map(([name, value]): Line => [span(` ${name.padEnd(8)}`, 'muted'), span(clean(value, theme))]);
  const yaml = pipeline.split('\n').map((text): Line => {
    const [, indent, key, rest] = /^([\s-]*)([\w./]+:)?(.*)$/.exec(text) ?? [];
    return [span(` ${clean(indent ?? '', theme)}`), span(key ?? '', 'accent'), span(clean(rest ?? '', theme))];
  });
  const rows = height - 1 - about.length - 1;
  const offset = Math.min(ui.pipelineScroll, Math.max(0, yaml.length - rows));
  return [
    heading([span('pipeline', 'plain', { bold: true }), span(' resolved', 'muted')], width, theme),
    ...fitBlock([...about, fit([], width), ...yaml.slice(offset)], { width, height: height - 1 }, theme.glyph.ellipsis),
  ];
}
