import type { JobEvent } from '../../src/events.ts';
import { applyEvent } from '../../src/tui/apply.ts';
import { frame } from '../../src/tui/frame.ts';
import { plainText } from '../../src/tui/line.ts';
import type { Model } from '../../src/tui/model.ts';
import { initialState, type DashboardState } from '../../src/tui/state.ts';
import { createTheme } from '../../src/tui/theme.ts';
import { initialUi, type Ui } from '../../src/tui/ui.ts';
import { arithJob, type ArithJobOptions } from './fixtures.ts';

export const theme = createTheme({ depth: 24, ascii: false });

export function stateAfter(events: Iterable<JobEvent>): DashboardState {
  const state = initialState();
  for (const event of events) applyEvent(state, event);
  return state;
}

/** Events up to the moment in which a share of a step's rollouts have their reward; 1 is the end of the step. */
export function* untilStep(step: number, { share = 1, ...options }: ArithJobOptions & { share?: number } = {}): Generator<JobEvent> {
  const total = (options.tasks ?? 64) * (options.group ?? 8);
  let seen = 0;
  for (const event of arithJob(options)) {
    if (event.type === 'step-started' && event.step > step) return;
    yield event;
    if (share < 1 && event.type === 'rollout-finished' && event.step === step && ++seen >= total * share) return;
  }
}

export const modelOf = (state: DashboardState, ui: Partial<Ui> = {}): Model => ({
  state,
  ui: { ...initialUi(), ...ui },
  theme,
  now: Math.max(state.startedAt ?? 0, state.stepFinishedAt ?? 0) + 500,
  memory: 812e6,
  pipeline: 'name: arith\nseed: 7\nmodel:\n  fork: builtin:arith-tiny',
});

export const screenText = (model: Model, width: number, height: number): string =>
  frame(model, { width, height })
    .map((line) => plainText(line).trimEnd())
    .join('\n');
