/** @file What the person at the keyboard sees and asks for: one table of keys makes behaviour, footer and help. */
import type { JobControls } from '../events.ts';
import { bestCheckpoint, currentStep, type DashboardState, type StepView } from './state.ts';
import { treeRows } from './tree.ts';

export const views = ['overview', 'groups', 'checkpoints', 'log', 'watch'] as const;
export type View = (typeof views)[number];

export interface Ui {
  view: View;
  help: boolean;
  /** A question that wants a yes. */
  confirm: { checkpoint: string; name: string } | null;
  /** Why the last key did nothing, until the next one. */
  refusal: string | null;
  /** Selected row of the step's groups, and attempt inside it. */
  group: number;
  rollout: number;
  /** The step whose groups are shown; null follows the newest. */
  shownStep: number | null;
  /** Selected checkpoint; null follows the head. */
  checkpoint: string | null;
  /** Lines back from the newest log line. */
  logScroll: number;
  /** What view 4 shows on a narrow screen. */
  logPane: 'log' | 'pipeline';
  pipelineScroll: number;
  watchScroll: number;
}

export const initialUi = (): Ui => ({
  view: 'overview',
  help: false,
  confirm: null,
  refusal: null,
  group: 0,
  rollout: 0,
  shownStep: null,
  checkpoint: null,
  logScroll: 0,
  logPane: 'log',
  pipelineScroll: 0,
  watchScroll: 0,
});

/** A control to call, as data; `leave` closes the dashboard. */
export type Command = { [K in keyof JobControls]: { control: K; args: Parameters<JobControls[K]> } }[keyof JobControls] | { control: 'leave'; args: [] };

export interface Pressed {
  ui: Ui;
  command?: Command;
}

/** A character as typed, or the name of a key. */
export type Key = string;

export interface KeyBinding {
  keys: readonly Key[];
  /** For the footer; empty keeps it out of there. */
  label: string;
  /** For the list of keys; empty keeps it out of there. */
  help: string;
  /** Where it means something; everywhere when left out. */
  views?: readonly View[];
  press(ui: Ui, state: DashboardState, key: Key): Pressed;
}

/** The step whose groups are on the screen. */
export function shownStep(ui: Ui, state: DashboardState): StepView | undefined {
  return state.steps.find((view) => view.step === ui.shownStep) ?? currentStep(state);
}

export function shownCheckpoint(ui: Ui, state: DashboardState): string | null {
  return ui.checkpoint ?? state.head ?? state.checkpoints.at(-1)?.id ?? null;
}

const clamp = (value: number, low: number, high: number): number => Math.max(low, Math.min(high, value));
const PAGE = 10;
const distance: Readonly<Record<string, number>> = { up: -1, down: 1, pageup: -PAGE, pagedown: PAGE, k: -1, j: 1 };

function moveGroup(ui: Ui, state: DashboardState, by: number): Ui {
  const groups = shownStep(ui, state)?.groups.length ?? 0;
  return { ...ui, group: clamp(ui.group + by, 0, Math.max(0, groups - 1)), rollout: 0 };
}

function moveCheckpoint(ui: Ui, state: DashboardState, by: number): Ui {
  const rows = treeRows(state.checkpoints);
  const index = rows.findIndex((row) => row.checkpoint.id === shownCheckpoint(ui, state));
  return { ...ui, checkpoint: rows[clamp(index + by, 0, rows.length - 1)]?.checkpoint.id ?? null };
}

/** ← and → walk through the kept steps; moving past the newest follows it again. */
function moveStep(ui: Ui, state: DashboardState, by: number): Ui {
  const index = state.steps.findIndex((view) => view.step === (shownStep(ui, state)?.step ?? -1));
  const target = state.steps[Math.max(0, index + by)];
  return { ...ui, shownStep: index + by >= state.steps.length ? null : (target?.step ?? null), rollout: 0 };
}

const scrollers: { readonly [V in View]: (ui: Ui, state: DashboardState, by: number) => Ui } = {
  overview: (ui) => ui,
  groups: moveGroup,
  checkpoints: moveCheckpoint,
  log: (ui, state, by) =>
    ui.logPane === 'log'
      ? { ...ui, logScroll: clamp(ui.logScroll - by, 0, Math.max(0, state.log.length - 1)) }
      : { ...ui, pipelineScroll: Math.max(0, ui.pipelineScroll + by) },
  watch: (ui, _, by) => ({ ...ui, watchScroll: Math.max(0, ui.watchScroll + by) }),
};

/** How keys are written for people. */
const keyNames: Readonly<Record<Key, string>> = { ' ': 'space', up: '↑', down: '↓', left: '←', right: '→', pageup: 'PgUp', pagedown: 'PgDn', escape: 'Esc', return: 'Enter', tab: 'Tab', 'ctrl-c': 'Ctrl-C' };

export const keyName = (key: Key, { ascii }: { ascii: boolean }): string => (ascii && /[^\x20-\x7e]/.test(keyNames[key] ?? '') ? key : (keyNames[key] ?? key));

export const keyBindings: readonly KeyBinding[] = [
  {
    keys: ['p', ' '],
    label: 'pause',
    help: 'pause after this step, or go on',
    press: (ui, { state, requests }) => ({ ui, command: state === 'paused' || requests.pause ? { control: 'resume', args: [] } : { control: 'pause', args: [] } }),
  },
  { keys: ['e'], label: 'eval', help: 'evaluate on the held-out tasks after this step', press: (ui) => ({ ui, command: { control: 'evaluateNow', args: [] } }) },
  { keys: ['c'], label: 'checkpoint', help: 'save a checkpoint after this step', press: (ui) => ({ ui, command: { control: 'checkpointNow', args: [] } }) },
  { keys: ['w'], label: 'watch', help: 'watch the files of the pipeline, or stop watching', press: (ui, { watch }) => ({ ui, command: { control: 'setWatch', args: [!watch.on] } }) },
  {
    keys: ['R'],
    label: 'roll back',
    help: 'move the head to the selected checkpoint',
    views: ['checkpoints'],
    press: (ui, state) => {
      const id = shownCheckpoint(ui, state);
      const checkpoint = state.checkpoints.find((entry) => entry.id === id);
      if (!checkpoint) return { ui };
      if (id === state.head) return { ui: { ...ui, refusal: `${checkpoint.name} is the head already` } };
      if (state.pruned.has(checkpoint.id)) return { ui: { ...ui, refusal: `${checkpoint.name} has no weights any more: they made room for newer ones` } };
      return { ui: { ...ui, confirm: { checkpoint: checkpoint.id, name: checkpoint.name } } };
    },
  },
  {
    keys: ['b'],
    label: 'best',
    help: 'select the checkpoint with the best score',
    views: ['checkpoints'],
    press: (ui, state) => ({ ui: { ...ui, checkpoint: bestCheckpoint(state)?.id ?? null } }),
  },
  {
    keys: ['left', 'right'],
    label: 'steps',
    help: 'earlier steps, held on the screen; past the newest: follow the job',
    views: ['groups'],
    press: (ui, state, key) => ({ ui: moveStep(ui, state, key === 'left' ? -1 : 1) }),
  },
  {
    keys: ['tab', 'return'],
    label: 'attempt',
    help: 'the next attempt of the selected group',
    views: ['groups'],
    press: (ui, state) => {
      const count = shownStep(ui, state)?.groups[ui.group]?.rollouts.length ?? 0;
      return { ui: { ...ui, rollout: count === 0 ? 0 : (ui.rollout + 1) % count } };
    },
  },
  {
    keys: ['tab'],
    label: 'pipeline',
    help: 'log, or the resolved pipeline',
    views: ['log'],
    press: (ui) => ({ ui: { ...ui, logPane: ui.logPane === 'log' ? 'pipeline' : 'log' } }),
  },
  { keys: Object.keys(distance), label: '', help: 'select or scroll', press: (ui, state, key) => ({ ui: scrollers[ui.view](ui, state, distance[key]!) }) },
  {
    keys: ['home', 'end', 'escape'],
    label: '',
    help: 'back to the newest',
    press: (ui) => ({ ui: { ...ui, group: 0, rollout: 0, shownStep: null, checkpoint: null, logScroll: 0, pipelineScroll: 0, watchScroll: 0 } }),
  },
  {
    keys: ['q'],
    label: 'quit',
    help: 'finish this step and leave; the job can be resumed',
    press: (ui, { state }) => ({ ui, command: state === 'finished' ? { control: 'leave', args: [] } : { control: 'finish', args: [] } }),
  },
  {
    keys: ['ctrl-c'],
    label: '',
    help: 'finish this step and leave; again: stop at once',
    press: (ui, { state }) => {
      const control = state === 'finished' || state === 'stopping' ? 'leave' : state === 'finishing' ? 'stop' : 'finish';
      return { ui, command: { control, args: [] } };
    },
  },
  { keys: ['?', 'h'], label: 'help', help: '', press: (ui) => ({ ui: { ...ui, help: true } }) },
];

/** What a key does now. An open question or the list of keys takes it first. */
export function press(before: Ui, key: Key, state: DashboardState): Pressed {
  const ui = before.refusal === null ? before : { ...before, refusal: null };
  if (key !== 'ctrl-c') {
    if (ui.confirm) {
      const { checkpoint } = ui.confirm;
      const closed = { ...ui, confirm: null };
      return key === 'y' || key === 'return' ? { ui: closed, command: { control: 'rollbackTo', args: [checkpoint] } } : { ui: closed };
    }
    if (ui.help) return { ui: { ...ui, help: false } };
  }
  const view = views[Number(key) - 1];
  if (view) return { ui: { ...ui, view } };
  const binding = keyBindings.find((entry) => entry.keys.includes(key) && (entry.views?.includes(ui.view) ?? true));
  return binding ? binding.press(ui, state, key) : { ui };
}
