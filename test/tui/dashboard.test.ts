/* oxlint-disable no-control-regex -- escape sequences are what is tested here */
import { afterEach, describe, expect, test } from 'vitest';
import type { JobControls, JobEvent } from '../../src/events.ts';
import { createTheme, startDashboard, type Dashboard } from '../../src/tui/index.ts';
import { untilStep } from './model.ts';
import { fakeTerminal } from './terminal.ts';

const small = { tasks: 16, group: 4, steps: 12, collapseAt: null };
let open: Dashboard | null = null;
afterEach(() => open?.unmount());

async function renderTui({ columns = 80, rows = 24, events = untilStep(6, { ...small, share: 0.5 }) as Iterable<JobEvent> } = {}) {
  const fake = fakeTerminal({ columns, rows });
  const asked: string[] = [];
  const controls = new Proxy({} as JobControls, { get: (_, name) => (...args: unknown[]) => void asked.push([name, ...args].map(String).join(' ')) });
  const told = [...events];
  let listener: (event: JobEvent) => void = () => {};
  const dashboard = await startDashboard({
    events: (listen) => {
      listener = listen;
      told.forEach(listen);
      return () => void (listener = () => {});
    },
    controls,
    stdout: fake.stdout,
    stdin: fake.stdin,
    theme: createTheme({ depth: 24, ascii: false }),
    now: () => told.at(-1)!.time,
    intervalMs: 0,
  });
  open = dashboard;
  await dashboard.flushed();
  /** Waits for the screen to say something: frames are paced, so it may take one or two. */
  const shows = (text: string | RegExp): Promise<void> => expect.poll(() => fake.screen().join('\n'), { timeout: 5000 }).toMatch(text);
  return { ...fake, dashboard, asked, shows, tell: (event: JobEvent) => listener(event) };
}

describe('the dashboard on a terminal', () => {
  test('draws on the alternate screen and gives the terminal back', async () => {
    const { terminal, output, screen, shows, dashboard } = await renderTui();
    await shows('reward');
    expect(terminal.buffer.active.type).toBe('alternate');
    expect(screen()[0]).toContain('arith → arith-rl');
    dashboard.unmount();
    await dashboard.waitUntilExit();
    await expect.poll(() => terminal.buffer.active.type).toBe('normal');
    expect(screen().join('').trim()).toBe('');
    expect(output.raw.match(/\u001b\[\?1049h/g)!.length).toBe(1);
    expect(output.raw.match(/\u001b\[\?1049l/g)!.length).toBe(1);
    expect(output.raw).not.toContain('\u001b[3J');
    expect(output.raw.lastIndexOf('\u001b[?25h')).toBeGreaterThan(output.raw.lastIndexOf('\u001b[?25l'));
    expect(dashboard.summary()).toContain('left while it runs');
  });

  test('new events appear without a key', async () => {
    const { shows, tell } = await renderTui();
    await shows('6/12');
    for (const event of untilStep(9, small)) tell(event);
    await shows('9/12');
  });

  test('keys change the view, select, and ask the job', async () => {
    const { press, shows, asked } = await renderTui();
    press('2');
    await shows('numeric_match');
    press('\u001b[B');
    await shows(/▸ .*\n/);
    press('3');
    await shows('◉ head');
    press('e');
    await shows('evaluate after this step');
    press('p');
    await shows(/pause, evaluate after this step/);
    press('?');
    await shows('any key closes this');
    press('x');
    await shows('◉ head');
    expect(asked).toEqual(['evaluateNow', 'pause']);
  });

  test('a rollback is confirmed before it is asked for', async () => {
    const { press, shows, asked, dashboard } = await renderTui();
    press('3');
    await shows('◉ head');
    press('\u001b[B');
    await shows(/▸ ●\s+step-000004/);
    press('R');
    await shows('Roll back to step-000004 before the next step?');
    expect(asked).toEqual([]);
    press('y');
    await shows('roll back after this step');
    expect(asked).toEqual([`rollbackTo ${dashboard.state.checkpoints[3]!.id}`]);
  });

  test('the first Ctrl-C finishes the step, the second stops, the screen stays', async () => {
    const { press, shows, asked, tell } = await renderTui();
    press('\u0003');
    tell({ type: 'stop-requested', time: 0, mode: 'finish' });
    await shows('finishing this step');
    press('\u0003');
    tell({ type: 'stop-requested', time: 0, mode: 'stop' });
    await shows('stopping');
    expect(asked).toEqual(['finish', 'stop']);
  });

  test('keys that come in one chunk act one after the other', async () => {
    const { press, shows, asked, dashboard } = await renderTui();
    press('3jj\u001b[BR');
    await shows('Roll back to step-000002 before the next step?');
    press('y1e');
    await shows('evaluate, roll back after this step');
    await shows('groups step');
    expect(asked).toEqual([`rollbackTo ${dashboard.state.checkpoints[1]!.id}`, 'evaluateNow']);
  });

  test('q on a finished job leaves', async () => {
    const { press, terminal, dashboard } = await renderTui({ events: untilStep(99, small) });
    press('q');
    await dashboard.waitUntilExit();
    await expect.poll(() => terminal.buffer.active.type).toBe('normal');
  });

  test('follows the size of its window without a line too many', async () => {
    const { resize, shows, screen, terminal, output } = await renderTui({ columns: 120, rows: 40 });
    await shows('samples');
    resize(60, 15);
    await shows('1 overview  2  3');
    await expect.poll(() => screen().length).toBe(15);
    resize(80, 24);
    await shows('5 watch');
    expect(screen()[0]).toContain('arith → arith-rl');
    expect(screen().at(-2)).toContain('pause');
    expect(screen().at(-1)).toBe('');
    expect(terminal.buffer.active.baseY).toBe(0);
    expect(output.raw).not.toContain('\u001b[3J');
  });

  test('a window too small for panels still says where the job is', async () => {
    const { shows } = await renderTui({ columns: 30, rows: 8 });
    await shows('arith 6/12');
  });
});
