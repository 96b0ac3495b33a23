/** @file What went wrong, in words: what the loop said while it ran, what is still out of range at the end, what was skipped and undone. */
import { findings } from '../health/index.ts';
import { formatCount } from './format.ts';
import { type Html, html } from './html.ts';
import type { ReportJob } from './read-job.ts';
import { values } from './series.ts';

export interface Notice {
  level: 'warn' | 'bad';
  message: string;
  fix: string | null;
  /** When, in words. */
  when: string;
}

/** The worst first. One notice per cause, however often it was said. */
export function noticesOf({ meta, rows, events }: ReportJob): Notice[] {
  const last = rows.findLast(({ kind }) => kind === 'step' || kind === 'skipped');
  const history = (metric: string) => values(rows, metric);
  const atEnd = last ? findings(last.metrics, { step: last.step, history }) : [];
  const notices: Notice[] = [];
  if (meta.status === 'failed') notices.push({ level: 'bad', message: `the job failed: ${meta.reason ?? 'no reason was kept'}`, fix: null, when: `after step ${meta.steps}` });

  for (const [code, said] of Map.groupBy(events.warning, (warning) => warning.code)) {
    const { message, fix } = said.at(-1)!;
    const finding = atEnd.find(({ metric }) => metric === code);
    const steps = said.flatMap(({ step }) => step ?? []);
    const when = steps.length === 0 ? '' : `step ${steps.join(', ')}`;
    notices.push({ level: finding?.level ?? 'warn', message: finding?.message ?? message, fix: finding?.fix ?? fix, when: finding ? `${when}${when && ', '}and still at the end` : when });
  }
  const said = new Set(events.warning.map(({ code }) => code));
  for (const { metric, level, message, fix } of atEnd) if (!said.has(metric)) notices.push({ level, message, fix, when: `step ${last!.step}, the last` });

  for (const { reason, step, checkpoint } of rows.filter(({ kind }) => kind === 'rollback')) {
    notices.push({ level: 'warn', message: `rolled back to ${checkpoint === null ? 'the start' : 'an earlier checkpoint'}: ${reason ?? ''}`, fix: null, when: `step ${step}` });
  }
  const skipped = rows.filter(({ kind }) => kind === 'skipped');
  const steps = rows.filter(({ kind }) => kind === 'step' || kind === 'skipped').length;
  if (skipped.length > 0.2 * steps) {
    notices.push({ level: 'warn', message: `${skipped.length} of ${formatCount(steps, 'step')} had nothing to learn from; the last because ${skipped.at(-1)!.reason ?? 'it was refused'}`, fix: 'tasks of medium difficulty, a larger group, or a higher temperature', when: `steps ${skipped[0]!.step} to ${skipped.at(-1)!.step}` });
  }
  return notices.toSorted((a, b) => Number(b.level === 'bad') - Number(a.level === 'bad'));
}

const sentence = (text: string): string => text.replace(/^./u, (first) => first.toUpperCase()).replace(/[.]?$/, '.');

export function renderNotices(notices: readonly Notice[]): Html {
  if (notices.length === 0) return html`<p class="well"><span class="light ok">●</span> No warnings.</p>`;
  return html`<ul class="notices">${notices.map(
    ({ level, message, fix, when }) =>
      html`<li class="${level}"><span class="light ${level}">${level === 'bad' ? '■' : '▲'}</span><div><strong>${sentence(message)}</strong> ${fix && html`<span>${sentence(fix)}</span>`} <small>${when}</small></div></li>`,
  )}</ul>`;
}
