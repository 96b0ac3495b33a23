import { describe, expect, test } from 'vitest';
import { applyEvent } from '../../src/tui/apply.ts';
import { initialUi, keyBindings, press, shownCheckpoint, shownStep, views, type Ui } from '../../src/tui/ui.ts';
import { stateAfter, untilStep } from './model.ts';

const state = stateAfter(untilStep(6, { tasks: 8, group: 4, steps: 12, collapseAt: null }));
const type = (ui: Ui, ...keys: string[]) => keys.reduce((pressed, key) => press(pressed.ui, key, state), { ui } as ReturnType<typeof press>);

describe('keys', () => {
  test('1 to 5 choose the view', () => {
    expect(['1', '2', '3', '4', '5'].map((key) => type(initialUi(), key).ui.view)).toEqual([...views]);
    expect(type(initialUi(), '6').ui.view).toBe('overview');
  });

  test.each([
    ['p', { control: 'pause', args: [] }],
    ['e', { control: 'evaluateNow', args: [] }],
    ['c', { control: 'checkpointNow', args: [] }],
    ['w', { control: 'setWatch', args: [true] }],
    ['q', { control: 'finish', args: [] }],
  ])('%s asks the job', (key, command) => expect(type(initialUi(), key).command).toEqual(command));

  test('p goes on when the job is paused, or is about to be', () => {
    const paused = { ...state, state: 'paused' as const };
    expect(press(initialUi(), 'p', paused).command).toEqual({ control: 'resume', args: [] });
    const asked = { ...state, requests: { ...state.requests, pause: true } };
    expect(press(initialUi(), 'p', asked).command).toEqual({ control: 'resume', args: [] });
  });

  test('Ctrl-C finishes the step, then stops at once, then leaves', () => {
    const controls = (['running', 'finishing', 'stopping', 'finished'] as const).map((now) => press(initialUi(), 'ctrl-c', { ...state, state: now }).command?.control);
    expect(controls).toEqual(['finish', 'stop', 'leave', 'leave']);
    expect(press({ ...initialUi(), help: true }, 'ctrl-c', state).command?.control).toBe('finish');
  });

  test('q leaves when there is nothing left to finish', () => {
    expect(press(initialUi(), 'q', { ...state, state: 'finished' }).command?.control).toBe('leave');
  });

  test('? shows the keys, any key hides them and does nothing else', () => {
    const help = type(initialUi(), '?').ui;
    expect(help.help).toBe(true);
    expect(type(help, 'q')).toEqual({ ui: { ...help, help: false } });
  });

  test('no key means two things in one view', () => {
    for (const view of views) {
      const keys = keyBindings.filter((binding) => binding.views?.includes(view) ?? true).flatMap((binding) => binding.keys);
      expect(new Set(keys).size).toBe(keys.length);
    }
  });
});

describe('groups', () => {
  test('arrows move within the list', () => {
    const ui = { ...initialUi(), view: 'groups' as const };
    expect(type(ui, 'down', 'down', 'up').ui.group).toBe(1);
    expect(type(ui, 'up').ui.group).toBe(0);
    expect(type(ui, 'pagedown').ui.group).toBe(7);
  });

  test('tab goes round the attempts; another group begins at its first', () => {
    const ui = { ...initialUi(), view: 'groups' as const };
    expect(type(ui, 'tab', 'tab').ui.rollout).toBe(2);
    expect(type(ui, 'tab', 'tab', 'tab', 'tab').ui.rollout).toBe(0);
    expect(type(ui, 'tab', 'down').ui.rollout).toBe(0);
  });

  test('earlier steps are held while the job goes on; past the newest it follows again', () => {
    const ui = { ...initialUi(), view: 'groups' as const };
    const back = type(ui, 'left', 'left').ui;
    expect(shownStep(back, state)!.step).toBe(4);
    const later = stateAfter(untilStep(7, { tasks: 8, group: 4, steps: 12, collapseAt: null }));
    expect(shownStep(back, later)!.step).toBe(4);
    expect(type(back, 'right', 'right').ui.shownStep).toBe(6);
    expect(type(back, 'right', 'right', 'right').ui.shownStep).toBeNull();
    expect(shownStep(type(ui, ...Array(20).fill('left')).ui, state)!.step).toBe(1);
  });
});

describe('rolling back', () => {
  const view = { ...initialUi(), view: 'checkpoints' as const };
  const idOf = (step: number) => state.checkpoints.find((checkpoint) => checkpoint.step === step)!.id;

  test('asks first; y rolls back, any other key does not', () => {
    const asking = type(view, 'down', 'down', 'R').ui;
    expect(asking.confirm).toEqual({ checkpoint: idOf(4), name: 'step-000004' });
    expect(type(asking, 'y')).toEqual({ ui: { ...asking, confirm: null }, command: { control: 'rollbackTo', args: [idOf(4)] } });
    expect(type(asking, 'q')).toEqual({ ui: { ...asking, confirm: null } });
  });

  test('to weights that were pruned is refused with the reason, until the next key', () => {
    const pruned = stateAfter(untilStep(6, { tasks: 8, group: 4, steps: 12, collapseAt: null }));
    applyEvent(pruned, { type: 'checkpoints-pruned', time: 0, checkpoints: [idOf(5)], earlier: [], bytes: 1, maxBytes: 1 });
    const down = press(view, 'down', pruned).ui;
    const refused = press(down, 'R', pruned).ui;
    expect(refused.confirm).toBeNull();
    expect(refused.refusal).toBe('step-000005 has no weights any more: they made room for newer ones');
    expect(press(refused, 'down', pruned).ui.refusal).toBeNull();
    expect(press(press(refused, 'down', pruned).ui, 'R', pruned).ui.confirm?.name).toBe('step-000004');
  });

  test('not to where the head is already, and not from other views', () => {
    expect(type(view, 'R').ui.confirm).toBeNull();
    expect(type(view, 'R').ui.refusal).toBe('step-000006 is the head already');
    expect(type({ ...view, view: 'overview' }, 'R').ui.confirm).toBeNull();
  });

  test('the selection follows the head until it is moved', () => {
    expect(shownCheckpoint(view, state)).toBe(idOf(6));
    const moved = type(view, 'down').ui;
    const later = stateAfter(untilStep(8, { tasks: 8, group: 4, steps: 12, collapseAt: null }));
    expect(shownCheckpoint(view, later)).toBe(later.head);
    expect(shownCheckpoint(moved, later)).toBe(idOf(5));
    expect(shownCheckpoint(type(moved, 'home').ui, later)).toBe(later.head);
  });

  test('b selects the best', () => expect(type(view, 'b').ui.checkpoint).not.toBeNull());
});

test('the log scrolls back and returns to the newest', () => {
  const ui = { ...initialUi(), view: 'log' as const };
  expect(type(ui, 'up', 'up').ui.logScroll).toBe(2);
  expect(type(ui, 'up', 'down', 'down').ui.logScroll).toBe(0);
  expect(type(ui, 'pageup', 'end').ui.logScroll).toBe(0);
});

test('watching is switched off when it is on', () => {
  const watching = stateAfter([]);
  applyEvent(watching, { type: 'watch-started', time: 0, files: ['a.yaml'] });
  expect(press(initialUi(), 'w', watching).command).toEqual({ control: 'setWatch', args: [false] });
});
