/* oxlint-disable no-control-regex -- escape sequences are what is tested here */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { EventData, JobEvent } from '../../src/events.ts';
import { frame } from '../../src/tui/frame.ts';
import { lineWidth, toAnsi } from '../../src/tui/line.ts';
import { initialState } from '../../src/tui/state.ts';
import { createTheme } from '../../src/tui/theme.ts';
import { views } from '../../src/tui/ui.ts';
import { rewardEdit } from './fixtures.ts';
import { modelOf, screenText, stateAfter, untilStep } from './model.ts';

const small = { tasks: 12, group: 4, steps: 20, collapseAt: 8 };
const sizes = [
  [80, 24],
  [120, 40],
  [60, 15],
] as const;

const states = {
  empty: initialState(),
  'before the first step': stateAfter([...untilStep(1, small)].slice(0, 3)),
  'in the first step': stateAfter(untilStep(1, { ...small, share: 0.5 })),
  collapsed: stateAfter(untilStep(9, small)),
  'rolled back': stateAfter(untilStep(11, { ...small, share: 0.3 })),
  watching: stateAfter([...untilStep(5, small), ...rewardEdit()]),
  finished: stateAfter(untilStep(20, small)),
};

describe('a frame', () => {
  test('before there is a job, shows how far a download is, on every screen', () => {
    const told = 'downloading hub:org/name: 120 MB of 538 MB, 11 MB/s, 38.0s left, model.safetensors';
    const state = stateAfter([{ type: 'log', time: 1000, level: 'info', message: told } as JobEvent]);
    for (const [width, height] of [[120, 40], [80, 24], [60, 15], [39, 10]] as const) {
      expect(screenText(modelOf(state), width, height)).toContain(told.slice(0, Math.min(width, 80) - 24));
    }
  });

  const moments = fc.constantFrom(...Object.values(states));
  test('is exactly as large as asked for, in every view and at every moment', () => {
    const size = fc.record({ width: fc.integer({ min: 1, max: 200 }), height: fc.integer({ min: 1, max: 70 }) });
    fc.assert(
      fc.property(moments, size, fc.constantFrom(...views), fc.boolean(), fc.nat(15), (state, { width, height }, view, help, index) => {
        const lines = frame(modelOf(state, { view, help, group: index, rollout: index % 4, logScroll: index }), { width, height });
        expect(lines.length).toBe(height);
        for (const line of lines) expect(lineWidth(line)).toBe(width);
      }),
      { numRuns: 400 },
    );
  });

  test('shows hostile text without letting it touch the terminal', () => {
    const evil = '\u001b[2J\u001b]0;title\u0007\u009b31m\r\nnext\t\u202eabc\u0000漢字👩‍👩‍👧 ';
    const state = stateAfter(
      (function* () {
        for (const event of untilStep(3, small)) {
          if (event.type === 'rollout-finished') yield { ...event, completion: evil.repeat(3) };
          else if (event.type === 'step-started') yield { ...event, tasks: event.tasks.map((task) => ({ ...task, prompt: evil })) };
          else yield event;
        }
      })(),
    );
    for (const view of views) {
      for (const [width, height] of sizes) {
        const model = modelOf(state, { view });
        const lines = frame(model, { width, height });
        for (const line of lines) expect(lineWidth(line)).toBe(width);
        const text = lines.map((line) => toAnsi(line, model.theme)).join('');
        // Only colours of our own may remain.
        expect(text.replace(/\u001b\[[\d;]*m/g, '')).not.toMatch(/[\u0000-\u001f\u007f-\u009f\u202a-\u202e]/);
      }
    }
  });

  test('in ASCII is ASCII, and without colour has no colour codes', () => {
    const bare = createTheme({ depth: 1, ascii: true });
    for (const view of views) {
      for (const state of Object.values(states)) {
        const text = frame({ ...modelOf(state, { view }), theme: bare }, { width: 100, height: 30 })
          .map((line) => toAnsi(line, bare))
          .join('');
        expect(text.replace(/\u001b\[[0127;]*m/g, '')).toMatch(/^[\x20-\x7e]*$/);
      }
    }
  });
});

describe('conversations', () => {
  const said: NonNullable<EventData['rollout-finished']['messages']> = [
    { role: 'assistant', content: 'm' },
    { role: 'user', content: '<' },
    { role: 'assistant', content: 'search {"text":"c"}' },
    { role: 'tool', content: `none ${'of these '.repeat(30)}` },
    { role: 'assistant', content: 'k' },
  ];
  const talking = (messages: typeof said) => stateAfter([...untilStep(6, small)].map((event) => (event.type === 'rollout-finished' ? { ...event, messages } : event)));

  test.each([[80, 23], [120, 40]])('at %d × %d the selected one is told role by role, the others in a line', (width, height) => {
    const text = screenText(modelOf(talking(said), { view: 'groups' }), width, height);
    expect(text).toMatch(/m → < · search/);
    const roles = [...text.matchAll(/│ (assistant|user|tool) +(\S+)/g)].map(([, role, word]) => [role, word]);
    expect(roles).toEqual([['assistant', 'm'], ['user', '<'], ['assistant', 'search'], ['tool', 'none'], ['assistant', 'k']]);
  });

  test('the overview shows answers with the beginnings of their replies', () => {
    expect(screenText(modelOf(talking(said)), 80, 23)).toContain('m → < · search {"text":"c"} → none of these of these… · k');
  });

  test('where there is no room for all of it, the end stands there, and the frame stays as large as its terminal', () => {
    const long = Array.from({ length: 8 }, () => said).flat();
    const text = screenText(modelOf(talking(long), { view: 'groups' }), 80, 23);
    expect(text).toMatch(/│ …\n/);
    expect(text).toMatch(/│ assistant +k$/m);
    const evil = '\u001b[2J\u009b31m\r\nnext\t\u202eabc\u0000漢字👩‍👩‍👧 '.repeat(4);
    for (const messages of [long, [], said.map(({ role }) => ({ role, content: evil }))]) {
      for (const view of views) {
        for (const [width, height] of [...sizes, [20, 5], [1, 1]] as const) {
          const model = modelOf(talking(messages), { view });
          const lines = frame(model, { width, height });
          expect(lines.length).toBe(height);
          for (const line of lines) expect(lineWidth(line)).toBe(width);
          expect(lines.map((line) => toAnsi(line, model.theme)).join('').replace(/\u001b\[[\d;]*m/g, '')).not.toMatch(/[\u0000-\u001f\u007f-\u009f\u202a-\u202e]/);
        }
      }
    }
  });
});

describe('the overview', () => {
  test.each(sizes)('at %d × %d shows curve, lights, groups, time and keys', (columns, rows) => {
    const state = stateAfter(untilStep(7, { ...small, share: 0.6 }));
    const text = screenText(modelOf(state), columns, rows - 1);
    for (const word of ['reward', 'health', 'entropy', 'groups', 'rollout', 'tok/s', 'pause', 'quit', '7/20']) expect(text).toContain(word);
    expect(text).toMatch(/[■□▪▣]{4}/);
    expect(text).toMatch(/[\u2801-\u28ff]{3}/);
  });

  test.each(sizes)('at %d × %d says in words what is wrong and what to do', (columns, rows) => {
    // Findings take turns where there is no room: look at all of them.
    const model = modelOf(states.collapsed);
    const text = Array.from({ length: 16 }, (_, turn) => turn * 6000).map((later) => screenText({ ...model, now: model.now + later }, columns, rows - 1)).join('\n');
    expect(text).toContain('Entropy fell to');
    expect(text).toContain('Roll back to an earlier checkpoint');
  });

  test('marks promotions and the rollback on the axis', () => {
    const axis = screenText(modelOf(states['rolled back']), 80, 23).split('\n').find((line) => line.includes('└'))!;
    expect(axis).toMatch(/━━+↺/);
  });

  test('groups that agree are dim, groups that differ are not', () => {
    const state = stateAfter(untilStep(6, small));
    const lines = frame(modelOf(state, { view: 'groups' }), { width: 100, height: 40 });
    const cellsOf = (index: number) => lines[3 + index]!.filter(({ text }) => /^[■□▪▣×]$/.test(text)).slice(0, 4);
    state.steps.at(-1)!.groups.forEach((group, index) => {
      if (group.spread === 'all-good' || group.spread === 'all-bad') expect(cellsOf(index).every((cell) => cell.dim)).toBe(true);
      if (group.spread === 'mixed') expect(cellsOf(index).some((cell) => cell.dim)).toBe(false);
    });
    expect(new Set(state.steps.at(-1)!.groups.map((group) => group.spread)).size).toBeGreaterThan(1);
  });
});

describe('the other views', () => {
  test('groups: the selected one with prompt, attempts, advantages and subscores', () => {
    const state = stateAfter(untilStep(6, small));
    const index = state.steps.at(-1)!.groups.findIndex((group) => group.spread === 'mixed');
    const group = state.steps.at(-1)!.groups[index]!;
    const text = screenText(modelOf(state, { view: 'groups', group: index }), 100, 39);
    expect(text).toContain(`▸ ${group.prompt}`);
    expect(text).toContain(group.taskId);
    expect(text).toMatch(/▲ \+0\.\d\d/);
    expect(text).toMatch(/▼ −0\.\d\d/);
    expect(text).toContain('numeric_match');
  });

  test('checkpoints: the abandoned branch stands beside the line of the head', () => {
    const text = screenText(modelOf(states.finished, { view: 'checkpoints' }), 80, 23);
    expect(text).toContain('◉    step-000020 head');
    const tall = screenText(modelOf(states.finished, { view: 'checkpoints' }), 80, 30);
    expect(tall).toMatch(/│ ●\s+step-000009/);
    expect(tall).toMatch(/●─╯\s+step-000006/);
    expect(tall).toContain('(the base)');
  });

  test('checkpoints: those without weights are marked, and a refusal stands in the footer', () => {
    const state = stateAfter(untilStep(6, small));
    state.pruned.add(state.checkpoints[1]!.id);
    const text = screenText(modelOf(state, { view: 'checkpoints', refusal: 'step-000002 has no weights any more' }), 80, 23);
    expect(text).toMatch(/○\s+step-000002 no weights/);
    expect(text).toMatch(/●\s+step-000003 {2}/);
    expect(text).toMatch(/step-000002 has no weights any more $|step-000002 has no weights any more$/);
  });

  test('watch: the change, the rescored rollouts with the largest change first, and the decision', () => {
    const text = screenText(modelOf(states.watching, { view: 'watch' }), 80, 23);
    for (const part of ['rewards/brevity.ts', 'the reward changed', 'a3f19c02 → 5be0d771', 'drain', '37 changed', 'mean 0.44 → 0.35', 'advantages change sign']) expect(text).toContain(part);
    const changes = [...text.matchAll(/−0\.\d\d/g)].map(([value]) => Number(value.replace('−', '-')));
    expect(changes).toEqual([...changes].sort((a, b) => a - b));
  });

  test('watch: why an edited reward gives no verdict', () => {
    const state = structuredClone(states.watching);
    for (const rollout of state.watch.rescored!.rollouts) Object.assign(rollout, { after: null, advantageAfter: null, error: 'reward on task t1: oops (brevity.ts:4:2)' });
    const text = screenText(modelOf(state, { view: 'watch' }), 80, 23);
    for (const part of ['mean 0.44 → –', 'no verdict on 64  reward on task t1: oops (brevity.ts:4:2)']) expect(text).toContain(part);
  });

  test('log and pipeline share a wide screen and take turns on a narrow one', () => {
    const wide = screenText(modelOf(states.finished, { view: 'log' }), 120, 39);
    expect(wide).toContain('rolled back from step-000010 to step-000006');
    expect(wide).toContain('fork: builtin:arith-tiny');
    const narrow = screenText(modelOf(states.finished, { view: 'log', logPane: 'pipeline' }), 80, 23);
    expect(narrow).toContain('fork: builtin:arith-tiny');
    expect(narrow).not.toContain('rolled back from');
  });

  test('help fits into 80 × 24 and names every key', () => {
    const text = screenText(modelOf(states.finished, { help: true }), 80, 23);
    for (const part of ['p space', 'Ctrl-C', 'checkpoint', 'out of range', 'no verdict']) expect(text).toContain(part);
  });
});

/** The screens as text, to be read in reviews. */
test.each(sizes.flatMap(([columns, rows]) => views.map((view) => ({ columns, rows, view }))))('screen $view at $columns × $rows', async ({ columns, rows, view }) => {
  const state = view === 'watch' ? stateAfter([...untilStep(20, { share: 0.6 }), ...rewardEdit()]) : stateAfter(untilStep(36, { share: 0.6 }));
  // Clock times of the log depend on the time zone.
  const text = screenText(modelOf(state, { view, group: 3 }), columns, rows - 1).replace(/\b\d\d:\d\d:\d\d\b/g, 'hh:mm:ss');
  await expect(`${text}\n`).toMatchFileSnapshot(`screens/${view}-${columns}x${rows}.txt`);
});
