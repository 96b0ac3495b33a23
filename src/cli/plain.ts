/** A job as lines of plain text, for people without a full screen: one line per step, warnings in words with the fix. */
import type { EventData, EventType, JobEvent, Metrics, RescoredRollout } from '../events.ts';
import { formatBytes, formatDuration } from '../plot/index.ts';
import { withinGroups } from '../util/statistics.ts';
import { count, formatScore, listed } from '../util/words.ts';
import type { Style } from './io.ts';
import { linesOf, oneLine } from './text.ts';

export interface PlainOptions {
  /** Tell what is only for the search for a fault too, such as what a reward prints. */
  verbose?: boolean;
  write: (line: string) => void;
  paint: (style: Style, text: string) => string;
  /** Checkpoints have ids for programs and names for people. */
  nameOf: (checkpoint: string) => string;
  /** A path as this person would type it. */
  shorten: (path: string) => string;
}

interface State {
  totalSteps: number;
  /** When the first step of this process began, and how many were done then. */
  began: { time: number; steps: number } | null;
  evaluation: string | null;
  /** The last step that learnt nothing: it has been told. */
  skipped: number | null;
  stages: number;
  /** Has it been said that old weights are deleted? */
  madeRoom: boolean;
  /** Does the session stay when the job is over? `next`: another job follows at once, or none ever. */
  watching: boolean;
  next: boolean;
}

type Line<K extends EventType> = (event: JobEvent<K> & EventData[K], state: State, options: PlainOptions) => string | readonly string[] | null;

const percent = (share: number): string => `${(share * 100).toFixed(share > 0 && share < 0.01 ? 1 : 0)} %`;
const interval = (low: number, high: number): string => `[${formatScore(low)}, ${formatScore(high)}]`;

/** Silent: these are for screens. */
const nothing = () => null;

const lines: { readonly [K in EventType]: Line<K> } = {
  'job-started': (event, state, { paint, shorten, nameOf }) => {
    // While watching, one job follows another: its time and scores are its own.
    Object.assign(state, { totalSteps: event.totalSteps, stages: event.stages.length, began: null, evaluation: null, skipped: null, madeRoom: false, next: false });
    const trained = event.trainableParameters === event.parameters ? 'all trained' : `${event.trainableParameters.toLocaleString('en-US')} trained`;
    const where = event.threads > 0 ? `${event.device}, ${count(event.threads, 'thread')}` : event.device;
    const from = event.resumedFrom === null ? (event.head === null ? null : `goes on from ${nameOf(event.head)}, its head`) : `resumed after step ${event.resumedFrom}`;
    return [
      `${paint('bold', event.pipeline)}  ${event.model} from ${event.base}, ${event.parameters.toLocaleString('en-US')} parameters, ${trained}  ${where}  ${event.loss}  seed ${event.seed}`,
      `job ${event.jobId} in ${shorten(event.directory)}${event.parentJob ? `, after ${event.parentJob}` : ''}`,
      ...(from ? [`${event.model} ${from}`] : []),
    ];
  },
  'stage-started': ({ name, kind, steps }, state) => {
    // The stage before may have been measured on other tasks.
    state.evaluation = null;
    return state.stages > 1 ? `stage ${name} (${kind}${steps > 0 ? `, ${count(steps, 'step')}` : ''})` : null;
  },
  'stage-finished': nothing,
  'step-started': (event, state) => {
    state.began ??= { time: event.time, steps: event.step - 1 };
    return null;
  },
  'phase-started': nothing,
  'rollout-progress': nothing,
  'rollout-finished': nothing,
  'group-finished': nothing,
  'step-finished': (event, state) => stepLine(event, state),
  'step-skipped': ({ step, reason, message }, state, { paint }) => {
    state.skipped = step;
    return `step ${step}  ${paint('yellow', 'skipped')}: ${reason.replaceAll('_', ' ')}: ${oneLine(message)}`;
  },
  'eval-started': nothing,
  'eval-finished': ({ step, metrics, tasks, interval: [low, high], baseline }, state) => {
    const score = metrics['eval/reward'];
    const passes = Object.entries(metrics).filter(([name]) => /^eval\/pass@\d+$/.test(name)).map(([name, value]) => `${name.slice(5)} ${formatScore(value)}`);
    const where = baseline ? 'before the first step' : `after step ${step}`;
    if (score === undefined) {
      state.evaluation = null;
      return `eval ${where}  no verdict on any of ${count(tasks, 'held-out task')}`;
    }
    state.evaluation = formatScore(score);
    return [`eval ${where}  reward ${formatScore(score)} ${interval(low, high)}`, `accuracy ${formatScore(metrics['eval/accuracy'])}`, ...passes, count(tasks, 'held-out task')].join('  ');
  },
  'checkpoint-saved': nothing,
  'checkpoints-pruned': ({ earlier, maxBytes }, state) => {
    const isNew = !state.madeRoom;
    state.madeRoom = true;
    return [
      ...(isNew ? [`made room: a model keeps ${formatBytes(maxBytes)} of weights, so the oldest are deleted from here on; the head, the newest, the best and what the job began with stay`] : []),
      ...(earlier.length > 0 ? [`deleted the weights of ${listed(earlier)}, which earlier jobs made`] : []),
    ];
  },
  promoted: nothing,
  'promotion-held': ({ checkpoint, head, reason }, _, { nameOf }) => `held: ${nameOf(checkpoint)} is saved, the head stays at ${head ? nameOf(head) : 'the base'} (${reason})`,
  'rolled-back': ({ from, to, reason }, state, { paint, nameOf }) => {
    // The last held-out score is not that of the weights that are back.
    state.evaluation = null;
    return `${paint('yellow', 'rolled back')} from ${nameOf(from)} to ${to ? nameOf(to) : 'the base'}: ${reason}; the learning rate is halved`;
  },
  exported: ({ directory, format }, _, { shorten }) => `exported as ${format} to ${shorten(directory)}`,
  warning: ({ step, message, fix }, _, { paint }) => [`${paint('yellow', 'warning')}${step === null ? '' : ` at step ${step}`}: ${oneLine(message)}`, `  ${oneLine(fix)}`],
  log: ({ level, message }, _, { paint, verbose }) => (level === 'info' ? oneLine(message) : verbose ? linesOf(message).map((line) => paint('dim', `  ${line}`)) : null),
  'job-paused': ({ step }) => `paused after step ${step}`,
  'job-continued': () => 'goes on',
  'stop-requested': ({ mode }, state) => {
    state.next = true;
    return mode === 'finish' ? 'Finishing this step; press Ctrl-C again to stop now.' : 'Stopping now.';
  },
  'job-finished': (event, { watching, next }, { paint, nameOf }) => [
    `${paint(event.status === 'completed' ? 'green' : event.status === 'failed' ? 'red' : 'yellow', event.status)}: ${oneLine(event.reason)}  ${count(event.steps, 'step')} in ${formatDuration(event.durationMs)}`,
    ...beforeAndAfter(event.before, event.after),
    ...(event.head ? [`head ${nameOf(event.head)}`] : []),
    ...(event.resumeCommand ? [`resume with: ${event.resumeCommand}`] : []),
    ...(watching && !next ? ['waiting for an edit; Ctrl-C ends'] : []),
  ],
  'watch-started': ({ files }, state) => {
    state.watching = true;
    return `watching ${count(files.length, 'file')}`;
  },
  'watch-changed': ({ file, kind, changes, message }, _, { paint, shorten }) => [
    // What is wrong has just been told, with its places.
    `${paint('cyan', 'changed')} ${shorten(file)}${kind === 'none' ? ': nothing that matters' : message ? ': not valid' : ''}`,
    ...changes.map(({ path, before, after }) => `  ${path}  ${before ?? '–'} → ${after ?? '–'}`),
  ],
  rescored: (event, _, { paint }) => rescoredLines(event, paint),
  'watch-decision': ({ action, reason }, state) => {
    if (action !== 'nothing') state.next = action === 'drain';
    return `── ${action}: ${reason} ──`;
  },
};

/** `step 12/60  reward 0.410 ±0.220  mixed 34/64  eval 0.520  entropy 0.41  cut 0 %  412 tok/s  eta 3m` */
function stepLine({ step, metrics, accounting, time }: JobEvent<'step-finished'> & EventData['step-finished'], state: State): string | null {
  if (state.skipped === step) return null;
  const value = (name: string) => metrics[name];
  const done = step - (state.began?.steps ?? 0);
  const left = done > 0 && state.began ? ((time - state.began.time) / done) * (state.totalSteps - step) : 0;
  const has = (name: string, text: (found: number) => string) => (value(name) === undefined ? [] : [text(value(name)!)]);
  return [
    `step ${String(step).padStart(String(state.totalSteps).length)}/${state.totalSteps}`,
    ...has('reward', (reward) => `reward ${formatScore(reward)} ±${formatScore(value('within_group_reward_std'))}`),
    ...(value('reward') === undefined ? has('policy_loss', (loss) => `loss ${formatScore(loss)}`) : []),
    ...has('groups/mixed', (mixed) => `mixed ${percent(mixed)}`),
    ...(state.evaluation === null ? [] : [`eval ${state.evaluation}`]),
    ...has('entropy', (entropy) => `entropy ${entropy.toPrecision(3)}`),
    ...has('completions/clipped_ratio', (cut) => `truncated ${percent(cut)}`),
    ...(accounting.errored > 0 ? [`errors ${accounting.errored}`] : []),
    ...(accounting.abstained > 0 ? [`abstained ${accounting.abstained}`] : []),
    ...has('tokens_per_second', (speed) => `${Math.round(speed).toLocaleString('en-US')} tok/s`),
    ...(step < state.totalSteps ? [`eta ${formatDuration(left)}`] : []),
  ].join('  ');
}

function beforeAndAfter(before: Metrics | null, after: Metrics | null): string[] {
  if (!after) return [];
  const names = ['eval/reward', 'eval/accuracy', ...Object.keys(after).filter((name) => /^eval\/pass@\d+$/.test(name))].filter((name) => after[name] !== undefined);
  return names.map((name) => {
    const earlier = before?.[name];
    const range = after[`${name}_low`] === undefined ? '' : ` ${interval(after[`${name}_low`]!, after[`${name}_high`]!)}`;
    return `held-out ${name.slice(5)}  ${earlier === undefined ? '' : `${formatScore(earlier)} → `}${formatScore(after[name])}${range}`;
  });
}

/** At most so many tasks are shown by the plain log; the rest is in the events. */
const RESCORED_SHOWN = 8;

function rescoredLines({ step, rollouts, durationMs }: EventData['rescored'], paint: PlainOptions['paint']): string[] {
  const groups = [...Map.groupBy(rollouts, (rollout) => rollout.groupId).values()];
  const average = (values: readonly (number | null)[]) => {
    const known = values.filter((value) => value !== null);
    return formatScore(known.reduce((sum, value) => sum + value, 0) / known.length);
  };
  const changed = groups.filter((group) => group.some(({ before, after }) => before !== after));
  const mean = `${average(rollouts.map(({ before }) => before))} → ${average(rollouts.map(({ after }) => after))}`;
  const spread = (pick: (rollout: RescoredRollout) => number | null) => `±${formatScore(withinGroups(groups.map((group) => group.map(pick))))}`.replace('±–', '–');
  const failed = rollouts.filter(({ error }) => error !== undefined);
  const spreads = `${spread(({ before }) => before)} → ${spread(({ after }) => after)}`;
  return [
    `${paint('cyan', 'scored again')} ${count(rollouts.length, 'rollout')} of step ${step} in ${formatDuration(durationMs)}: mean reward ${mean}, spread within groups ${spreads}, ${changed.length} of ${count(groups.length, 'group')} changed`,
    ...(failed.length > 0 ? [`  ${paint('red', 'no verdict')} on ${failed.length} of them, for example: ${oneLine(failed[0]!.error!)}`] : []),
    ...changed.slice(0, RESCORED_SHOWN).map((group) => {
      const signs = (values: readonly (number | null)[]) => values.map((value) => (value === null ? '?' : value > 0 ? '+' : value < 0 ? '−' : '0')).join('');
      const rewards = `${average(group.map(({ before }) => before))} → ${average(group.map(({ after }) => after))}`;
      return `  ${oneLine(group[0]!.prompt)}  reward ${rewards}  advantages ${signs(group.map((r) => r.advantageBefore))} → ${signs(group.map((r) => r.advantageAfter))}`;
    }),
    ...(changed.length > RESCORED_SHOWN ? [`  … ${changed.length - RESCORED_SHOWN} more`] : []),
  ];
}

/** A consumer of events that writes lines. */
export function createPlainLog(options: PlainOptions): (event: JobEvent) => void {
  const state: State = { totalSteps: 0, began: null, evaluation: null, skipped: null, stages: 1, madeRoom: false, watching: false, next: false };
  const render = <K extends EventType>(event: JobEvent<K> & EventData[K]) => (lines[event.type] as Line<K>)(event, state, options);
  return (event) => {
    for (const line of [render(event as never) ?? []].flat()) options.write(line);
  };
}
