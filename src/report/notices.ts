/** @file What went wrong, in words: what the loop said while it ran, what is still out of range at the end, what was skipped and undone. */
import { asSentence, findings } from '../health/index.ts';
import { count } from '../util/words.ts';
import { type Html, html, visibleLine } from './html.ts';
import type { ReportJob } from './read-job.ts';
import { values } from './series.ts';

export interface Notice {
  level: 'warn' | 'bad';
  /** The same for the same cause, whatever numbers its message holds. */
  code: string;
  message: string;
  fix: string | null;
  /** When, in words. */
  when: string;
}

/** The worst first. One notice per cause, however often it was said. */
export function noticesOf({ meta, rows, events, parent, damage }: ReportJob): Notice[] {
  const last = rows.findLast(({ kind }) => kind === 'step' || kind === 'skipped');
  const history = (metric: string) => values(rows, metric);
  // How fast the last step was is no news once the job is over.
  const atEnd = last ? findings(last.metrics, { step: last.step, history }).filter(({ metric }) => metric !== 'tokens_per_second') : [];
  const notices: Notice[] = [];
  if (meta.status === 'failed') notices.push({ level: 'bad', code: 'failed', message: `the job failed: ${meta.reason ?? 'no reason was kept'}`, fix: null, when: `after step ${meta.steps}` });
  for (const message of damage) notices.push({ level: 'bad', code: message, message, fix: 'If nobody edited the file, look after the disk.', when: '' });
  if (parent?.hashes && parent.hashes.reward !== meta.hashes.reward) {
    notices.push({ level: 'warn', code: 'reward-changed', message: `the reward is another one than that of ${parent.id}, so their scores and curves cannot be compared`, fix: null, when: 'since the edit' });
  }

  for (const [code, said] of Map.groupBy(events.warning, (warning) => warning.code)) {
    const { message, fix } = said.at(-1)!;
    const finding = atEnd.find(({ metric }) => metric === code);
    const steps = said.flatMap(({ step }) => step ?? []);
    const when = steps.length === 0 ? '' : `step ${steps.join(', ')}`;
    notices.push({ level: finding?.level ?? 'warn', code, message: finding?.message ?? message, fix: finding?.fix ?? fix, when: finding ? `${when}${when && ', '}and still at the end` : when });
  }
  const said = new Set(events.warning.map(({ code }) => code));
  for (const { metric, level, message, fix } of atEnd) if (!said.has(metric)) notices.push({ level, code: metric, message, fix, when: `step ${last!.step}, the last` });

  const rollbacks = rows.filter(({ kind }) => kind === 'rollback');
  for (const [reason, same] of Map.groupBy(rollbacks, ({ reason = '' }) => reason)) {
    const where = same.every(({ checkpoint }) => checkpoint === null) ? 'the start' : 'an earlier checkpoint';
    const steps = same.map(({ step }) => step);
    notices.push({ level: 'warn', code: 'rollback', message: `rolled back to ${where}${steps.length > 1 ? ` ${steps.length} times` : ''}: ${reason}`, fix: null, when: `step ${steps.join(', ')}` });
  }
  const skipped = rows.filter(({ kind }) => kind === 'skipped');
  const steps = rows.filter(({ kind }) => kind === 'step' || kind === 'skipped').length;
  if (skipped.length > 0.2 * steps) {
    notices.push({ level: 'warn', code: 'skipped', message: `${skipped.length} of ${count(steps, 'step')} had nothing to learn from; the last because ${skipped.at(-1)!.reason ?? 'it was refused'}`, fix: 'tasks of medium difficulty, a larger group, or a higher temperature', when: `steps ${skipped[0]!.step} to ${skipped.at(-1)!.step}` });
  }
  return notices.toSorted((a, b) => Number(b.level === 'bad') - Number(a.level === 'bad'));
}

/** The notices of several jobs, one per cause: the worst of them stands for all, and says whose they are. */
export function sharedNotices(jobs: readonly { name: string; notices: readonly Notice[] }[]): Notice[] {
  const all = jobs.flatMap(({ name, notices }) => notices.map((notice) => ({ name, notice })));
  return [...Map.groupBy(all, ({ notice }) => notice.code).values()]
    .map((same): Notice => {
      const names = [...new Set(same.map(({ name }) => name))];
      const worst = (same.find(({ notice }) => notice.level === 'bad') ?? same[0]!).notice;
      return { ...worst, when: names.length === 1 ? `${names[0]}${worst.when && `, ${worst.when}`}` : names.length === jobs.length ? `all ${names.length} jobs` : names.join(', ') };
    })
    .toSorted((a, b) => Number(b.level === 'bad') - Number(a.level === 'bad'));
}

export function renderNotices(notices: readonly Notice[]): Html {
  if (notices.length === 0) return html`<p class="well"><span class="light ok">●</span> No warnings.</p>`;
  return html`<ul class="notices">${notices.map(
    ({ level, message, fix, when }) =>
      html`<li class="${level}"><span class="light ${level}">${level === 'bad' ? '■' : '▲'}</span><div><strong>${asSentence(visibleLine(message))}</strong> ${fix && html`<span>${asSentence(visibleLine(fix))}</span>`} <small>${when}</small></div></li>`,
  )}</ul>`;
}
