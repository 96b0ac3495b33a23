/** @file Events → state: one entry per event, so that a new event does not compile until the dashboard knows it. */
import type { EventType, JobEvent } from '../events.ts';
import { formatDuration, formatNumber, formatPercent } from '../plot/index.ts';
import { count, listed } from '../util/words.ts';
import { initialState, keepMetrics, type DashboardState, type GroupView, type LogLevel, type StepView } from './state.ts';

const KEPT_STEPS = 8;
const KEPT_LOG_LINES = 500;
const KEPT_WARNINGS = 20;
const KEPT_BAND_POINTS = 1024;
/** Characters of a completion that the screen keeps; the rollouts file has the rest. */
const KEPT_TEXT = 4000;

type Apply<K extends EventType> = (state: DashboardState, event: JobEvent<K>) => void;

const note = (state: DashboardState, { time }: { time: number }, level: LogLevel, text: string): void => {
  state.log.push({ time, level, text });
  if (state.log.length > KEPT_LOG_LINES) state.log.splice(0, state.log.length - KEPT_LOG_LINES);
};

const nameOf = (state: DashboardState, id: string | null): string =>
  id === null ? 'the base' : (state.checkpoints.findLast((checkpoint) => checkpoint.id === id)?.name ?? id);

const cut = (text: string): string => (text.length > KEPT_TEXT ? `${text.slice(0, KEPT_TEXT)}…` : text);

function findGroup(state: DashboardState, step: number, groupId: string): GroupView | undefined {
  return state.steps.findLast((view) => view.step === step)?.byId.get(groupId);
}

const appliers: { readonly [K in EventType]: Apply<K> } = {
  'job-started': (state, event) => {
    // A watch session goes on with a new job: what belongs to the screen and not to the job stays.
    const previousReward = state.histories.get('reward') ?? null;
    const { watch, log, requests } = state;
    const again = state.job !== null;
    Object.assign(state, initialState(), { watch, log, requests: again ? initialState().requests : requests });
    if (again && event.resumedFrom === null) state.previousReward = previousReward;
    state.job = event;
    state.startedAt = event.time;
    state.state = 'running';
    state.finishedSteps = state.step = event.resumedFrom ?? 0;
    state.stepFinishedAt = event.time;
    state.head = event.head;
    note(state, event, 'good', `job ${event.jobId}: ${event.base} → ${event.model}${event.resumedFrom ? `, resumed after step ${event.resumedFrom}` : ''}`);
  },
  'stage-started': (state, { index, name, kind, steps, time }) => {
    state.stage = { index, name, kind };
    if ((state.job?.stages.length ?? 0) > 1) note(state, { time }, 'info', `stage ${name} (${kind}${steps > 0 ? `, ${count(steps, 'step')}` : ''})`);
  },
  'stage-finished': () => {},
  'step-started': (state, { step, stage, tasks, group }) => {
    state.step = step;
    state.progress = null;
    state.requests.checkpoint = false;
    if (tasks.length === 0) return;
    const groups = tasks.map(({ id, groupId, prompt }): GroupView => ({
      ...{ id: groupId, taskId: id, prompt: cut(prompt), spread: 'pending', mean: null, std: null },
      rollouts: Array.from({ length: group }, () => null),
    }));
    const view: StepView = { step, stage, groups, byId: new Map(groups.map((entry) => [entry.id, entry])) };
    state.steps.push(view);
    if (state.steps.length > KEPT_STEPS) state.steps.shift();
  },
  'phase-started': (state, { phase, time }) => {
    state.phase = phase;
    state.phaseSince = time;
  },
  'rollout-progress': (state, { finished, total, tokensPerSecond }) => {
    state.progress = { finished, total, tokensPerSecond };
  },
  'rollout-finished': (state, event) => {
    const group = findGroup(state, event.step, event.groupId);
    if (!group) return;
    const { id, index, completion, messages = null, stopReason, reward, subscores, tokens, error } = event;
    group.rollouts[index] = { id, completion: cut(completion), messages, stopReason, reward, subscores, tokens, error, advantage: null };
    if (reward !== null) {
      state.rewardRange[0] = Math.min(state.rewardRange[0], reward);
      state.rewardRange[1] = Math.max(state.rewardRange[1], reward);
    }
  },
  'group-finished': (state, { step, groupId, spread, mean, std, advantages }) => {
    const group = findGroup(state, step, groupId);
    if (!group) return;
    Object.assign(group, { spread, mean, std });
    advantages?.forEach((advantage, index) => {
      const rollout = group.rollouts[index];
      if (rollout) rollout.advantage = advantage;
    });
  },
  'step-finished': (state, event) => {
    const { step, metrics, times, accounting, time } = event;
    if (state.stepFinishedAt !== null && step > state.finishedSteps) {
      const elapsed = (time - state.stepFinishedAt) / (step - state.finishedSteps);
      // The first step pays for warming up and for the baseline: the second one's time replaces it.
      state.stepDurationMs = state.stepDurationMs === null || state.finishedSteps <= 1 ? elapsed : 0.85 * state.stepDurationMs + 0.15 * elapsed;
    }
    state.finishedSteps = Math.max(state.finishedSteps, step);
    state.stepFinishedAt = time;
    state.phase = null;
    state.times = times;
    keepMetrics(state, step, metrics);
    const { reward, within_group_reward_std: spread, reward_min: low = -Infinity, reward_max: high = Infinity } = metrics;
    if (reward !== undefined && spread !== undefined) {
      state.band.push({ x: step, low: Math.max(low, reward - spread), high: Math.min(high, reward + spread) });
      if (state.band.length > KEPT_BAND_POINTS) state.band = state.band.filter((_, index) => index % 2 === 0);
    }
    const parts = [`step ${step}`];
    if (reward !== undefined) parts.push(`reward ${formatNumber(reward)}${spread === undefined ? '' : ` ±${formatNumber(spread)}`}`);
    else if (metrics['policy_loss'] !== undefined) parts.push(`loss ${formatNumber(metrics['policy_loss'])}`);
    if (accounting.trained < accounting.generated) parts.push(`${accounting.trained}/${accounting.generated} trained`);
    note(state, event, 'muted', parts.join(' · '));
  },
  'step-skipped': (state, event) => {
    state.marks.set(event.step, 'skipped');
    note(state, event, 'warn', `step ${event.step} taught nothing: ${event.message}`);
  },
  'eval-started': (state) => {
    state.requests.evaluate = false;
    state.phase = 'eval';
  },
  'eval-finished': (state, event) => {
    const { step, metrics, interval, baseline, tasks, time } = event;
    const reward = metrics['eval/reward'];
    if (reward !== undefined) {
      state.evaluations = state.evaluations.filter((evaluation) => evaluation.step !== step);
      state.evaluations.push({ step, reward, interval, baseline });
      note(state, event, 'good', `${baseline ? 'baseline' : 'held-out'} ${formatNumber(reward)} [${formatNumber(interval[0])}, ${formatNumber(interval[1])}] on ${count(tasks, 'task')}`);
    }
    keepMetrics(state, step, metrics);
    state.phase = null;
    // The baseline is not part of any step's time.
    if (baseline) state.stepFinishedAt = time;
  },
  'checkpoint-saved': (state, { checkpoint }) => {
    state.checkpoints.push(checkpoint);
  },
  'checkpoints-pruned': (state, event) => {
    for (const id of event.checkpoints) state.pruned.add(id);
    if (event.earlier.length > 0) note(state, event, 'warn', `deleted the weights of ${listed(event.earlier)}, which earlier jobs made`);
  },
  promoted: (state, { step, checkpoint }) => {
    state.head = checkpoint;
    state.marks.set(step, 'promoted');
  },
  'promotion-held': (state, event) => {
    state.marks.set(event.step, 'held');
    note(state, event, 'warn', `the head stays at ${nameOf(state, event.head)}: ${event.reason}`);
  },
  'rolled-back': (state, event) => {
    state.head = event.head;
    state.requests.rollback = null;
    state.marks.set(event.step, 'rolled-back');
    // What was wrong was wrong with the weights that are gone.
    state.findings = [];
    note(state, event, 'bad', `rolled back from ${nameOf(state, event.from)} to ${nameOf(state, event.to)}: ${event.reason}`);
  },
  exported: (state, event) => note(state, event, 'good', `exported as ${event.format} to ${event.directory}`),
  warning: (state, event) => {
    const { step, code, message, fix } = event;
    state.warnings.push({ step, code, message, fix });
    if (state.warnings.length > KEPT_WARNINGS) state.warnings.shift();
    note(state, event, 'warn', `${message} ${fix}`);
  },
  log: (state, event) => {
    // What is only for the search for a fault, such as every checkpoint that made room, stands in the log's file.
    if (event.level !== 'debug') note(state, event, 'info', event.message);
  },
  'job-paused': (state, event) => {
    state.state = 'paused';
    state.requests.pause = false;
    note(state, event, 'info', `paused after step ${event.step}`);
  },
  'job-continued': (state, event) => {
    state.state = 'running';
    state.stepFinishedAt = event.time;
    note(state, event, 'info', 'goes on');
  },
  'stop-requested': (state, { mode }) => {
    state.state = mode === 'stop' ? 'stopping' : 'finishing';
  },
  'job-finished': (state, event) => {
    state.state = 'finished';
    state.phase = null;
    state.head = event.head;
    state.result = event;
    note(state, event, event.status === 'failed' ? 'bad' : 'good', `${event.status}: ${event.reason}`);
  },
  'watch-started': (state, { files }) => {
    state.watch.on = true;
    state.watch.files = files;
  },
  'watch-changed': (state, event) => {
    const { time, file, kind, changes, message } = event;
    state.watch.last = { time, file, kind, changes, message };
    state.watch.decision = null;
    if (kind !== 'none') state.watch.rescored = null;
    note(state, event, kind === 'invalid' ? 'bad' : kind === 'none' ? 'muted' : 'info', `${file} changed${message ? `: ${message}` : ''}`);
  },
  rescored: (state, event) => {
    const { file, step, rollouts, durationMs } = event;
    state.watch.rescored = { file, step, rollouts: rollouts.map((rollout) => ({ ...rollout, prompt: cut(rollout.prompt), completion: cut(rollout.completion) })), durationMs };
    const changed = rollouts.filter((rollout) => rollout.before !== rollout.after).length;
    note(state, event, 'info', `${count(rollouts.length, 'rollout')} scored again in ${formatDuration(durationMs)}: ${formatPercent(changed / Math.max(1, rollouts.length))} changed`);
  },
  'watch-decision': (state, event) => {
    state.watch.decision = event;
    note(state, event, 'info', `${event.action}: ${event.reason}`);
  },
};

/** Takes one event in. The state is changed in place: snapshots are taken by time, not by event. */
export function applyEvent<K extends EventType>(state: DashboardState, event: JobEvent<K>): void {
  (appliers[event.type] as Apply<K>)(state, event);
}

