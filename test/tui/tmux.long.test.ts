/** @file The dashboard in a real terminal: jobs are played and trained inside tmux, keys are pressed, screens are captured. */
import { existsSync, mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import stringWidth from 'string-width';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { arithJob } from './fixtures.ts';
import { hasTmux, startTmux, type Pane, type Tmux } from './tmux.ts';

const root = path.resolve(import.meta.dirname, '../..');

/** A test has more time than all of its waits together, so that it ends with a screen in its message. */
const LIMIT_MS = 80_000;
const sizes = [
  [80, 24],
  [120, 40],
  [60, 15],
] as const;

describe.skipIf(!hasTmux)('in tmux', { timeout: LIMIT_MS + 20_000 }, () => {
  const folder = mkdtempSync(path.join(tmpdir(), 'rlrun-tmux-'));
  let tmux: Tmux;
  beforeAll(() => void (tmux = startTmux(folder)));
  afterAll(() => {
    tmux?.close();
    rmSync(folder, { recursive: true, force: true });
  });

  const open = (columns: number, rows: number, cwd = folder): Pane => tmux.open({ columns, rows, cwd, limitMs: LIMIT_MS });

  /** An invented job, six times as fast as its own clock. */
  async function play(columns: number, rows: number): Promise<Pane> {
    const pane = open(columns, rows, root);
    await pane.run(`${process.execPath} bench/tui-replay.ts --speed 6`);
    return pane;
  }

  /** The real thing: rlrun trains a model named after the pane. */
  async function train(columns: number, rows: number, { steps, batch = 64, entry = 'bin/rlrun.js', flags = '' }: { steps: number; batch?: number; entry?: string; flags?: string }): Promise<Pane> {
    const pane = open(columns, rows);
    await pane.run(`${process.execPath} ${root}/${entry} ${root}/pipelines/arith.yaml --set steps=${steps} --set batch=${batch} --set model.name=${pane.name} ${flags}`);
    return pane;
  }

  const count = (text: string, part: string): number => text.split(part).length - 1;
  const rowsUsed = ({ screen }: Pane): number => screen().trimEnd().split('\n').length;

  /** Screen and cursor are as they were, and the scrollback was never wiped. */
  function expectRestored(pane: Pane): void {
    const bytes = pane.raw();
    expect(bytes).not.toContain('\u001b[3J');
    expect([count(bytes, '\u001b[?1049h'), count(bytes, '\u001b[?1049l')]).toEqual([1, 1]);
    expect(bytes.lastIndexOf('\u001b[?25h')).toBeGreaterThan(bytes.lastIndexOf('\u001b[?25l'));
    expect(pane.modes()).toBe('1 0');
    expect(pane.screen()).not.toContain('groups step');
  }

  test.each(sizes)('%d × %d: a whole job, every view, and a terminal as it was', async (columns, rows) => {
    const pane = await play(columns, rows);
    const { shows, screen, key } = pane;
    await shows(/ ([3-9]|\d\d)\/60/);
    expect(screen()).toContain('reward');
    expect(screen().split('\n').filter((line) => line.length > columns)).toEqual([]);
    for (const [press, sign] of [
      ['2', 'live'],
      ['3', '◉ head'],
      ['4', 'baseline 0.'],
      ['5', 'watch off'],
      ['?', 'any key closes this'],
      ['x', 'watch off'],
      ['1', 'groups step'],
    ] as const) {
      key(press);
      await shows(sign);
    }
    key('q');
    await shows('status 0');
    expect(screen()).toContain('before');
    expect(screen()).toContain('resume    rlrun pipelines/arith.yaml --resume');
    expect(count(pane.raw(), '\u001b[?2026h')).toBeGreaterThan(3);
    expectRestored(pane);
  });

  test('resized in mid-run, up and down, with a pause in between', async () => {
    const pane = await play(120, 40);
    const { shows, key } = pane;
    await shows('samples');
    key('p');
    await shows('paused');
    for (const [columns, rows, sign] of [
      [60, 15, '1 overview  2  3'],
      [100, 30, '5 watch'],
      [30, 8, 'a larger window'],
      [80, 24, '5 watch'],
    ] as const) {
      pane.resize(columns, rows);
      await shows(sign);
      expect(rowsUsed(pane)).toBeLessThanOrEqual(rows - 1);
    }
    key('p');
    await shows(/scoring|rolling out|learning/);
    key('C-c');
    await shows('status 0');
    expectRestored(pane);
  });

  test('keys that arrive in one piece are single keys', async () => {
    const { shows, key } = await play(80, 24);
    await shows(/ ([5-9]|\d\d)\/60/);
    key('3', 'Down', 'Down', 'R');
    await shows(/Roll back to step-0000\d\d before the next step\?/);
    key('n', '4', 'Tab');
    await shows('resolved');
    key('q');
    await shows('status 0');
  });

  test('texts of any script and length do not tear the frame', async () => {
    const texts = ['漢字かな交じり文'.repeat(9), '👩‍👩‍👧‍👦🇩🇪👍🏽 ❤️ 1️⃣ ☎ ✅ '.repeat(9), '\u001b[2J\u001b[31mred\u001b[0m\u001b]0;title\u0007\b\b', 'a\tb\nc\r\nd\u2028e', 'x'.repeat(10_000), 'e\u0301'.repeat(99), 'ภาษาไทย น้ำ नमस्ते हिन्दी العربية', '\ud800 조합 \u1112\u1161\u11ab ｶﾞ ½ ① ★'];
    let next = 0;
    const text = (): string => texts[next++ % texts.length]!;
    const events = [...arithJob({ steps: 12, start: Date.now(), collapseAt: null })].map((event) =>
      event.type === 'rollout-finished' ? { ...event, completion: text() } : event.type === 'step-started' ? { ...event, tasks: event.tasks.map((task) => ({ ...task, prompt: text() })) } : event,
    );
    const file = path.join(folder, 'texts.jsonl');
    writeFileSync(file, events.map((event) => JSON.stringify(event)).join('\n'));
    const { shows, screen, key, run } = open(80, 24, root);
    await run(`${process.execPath} bench/tui-replay.ts --file ${file} --speed 30`);
    await shows('✔ completed');
    key('2');
    for (let index = 1; index <= texts.length; index++) {
      await shows(`live ${index}/64`);
      const lines = screen().trimEnd().split('\n');
      expect(lines[0]).toMatch(/^ rlrun {2}arith/);
      expect(lines.at(-1)).toContain('? help');
      expect(lines.slice(2, -1).filter((line) => stringWidth(line.split('│')[0]!) !== 37)).toEqual([]);
      key('Down');
    }
    key('q');
    await shows('status 0');
  });

  test('kill -TERM gives screen and cursor back', async () => {
    const pane = await play(80, 24);
    await pane.shows('groups step');
    process.kill(pane.child(), 'SIGTERM');
    await pane.shows('status 143');
    expect(pane.screen()).toContain('before');
    expectRestored(pane);
  });

  /** The values of a finished step as the job's file has them. */
  const metricsOf = (model: string): { kind: string; step: number; metrics: Record<string, number> }[] => {
    const jobs = path.join(folder, '.rlrun/jobs');
    const job = readdirSync(jobs).find((id) => existsSync(path.join(jobs, id, 'metrics.jsonl')) && readFileSync(path.join(jobs, id, 'resolved.json'), 'utf8').includes(`"${model}"`))!;
    return readFileSync(path.join(jobs, job, 'metrics.jsonl'), 'utf8').trim().split('\n').map((line) => JSON.parse(line));
  };

  test.each(sizes)('%d × %d: a model learns, the screen says the numbers of its files, a rollback branches the tree', async (columns, rows) => {
    const pane = await train(columns, rows, { steps: 400 });
    const { shows, screen, key } = pane;
    await shows(/ ([5-9]|\d\d+)\/400/);
    key('3');
    await shows('◉');
    key('Down', 'Down', 'R');
    await shows(/Roll back to step-0000\d\d before the next step\?/);
    key('y');
    await shows('─╯');
    key('2');
    await shows('numeric_match');
    pane.resize(columns + 20, rows + 6);
    await shows('numeric_match');
    pane.resize(columns, rows);
    key('1');
    await shows('↺');
    expect(rowsUsed(pane)).toBeLessThanOrEqual(rows - 1);
    key('q');
    await shows('status 0');
    const rewards = metricsOf(pane.name).filter((row) => row.kind === 'step').map((row) => row.metrics['reward']!.toFixed(2));
    expect(screen()).toContain(`reward    ${rewards[0]} → ${rewards.at(-1)}`);
    expect(metricsOf(pane.name).filter((row) => row.kind === 'rollback')).toHaveLength(1);
    expectRestored(pane);
  });

  test('kill -TERM while a model learns', async () => {
    const pane = await train(80, 24, { steps: 400 });
    await pane.shows('groups step');
    process.kill(pane.child(), 'SIGTERM');
    await pane.shows('status 143');
    expectRestored(pane);
  });

  test('Ctrl-C finishes the step and says how to go on', async () => {
    const pane = await train(80, 24, { steps: 400 });
    await pane.shows('groups step');
    pane.key('C-c');
    await pane.shows(/resume {4}rlrun [^]*--resume[^]*status 0/);
    expectRestored(pane);
  });

  test('Ctrl-C twice stops at once', async () => {
    // Steps of seconds: the second key must come before the step of the first one is over.
    const pane = await train(80, 24, { steps: 400, batch: 2048 });
    await pane.shows('groups step');
    pane.key('C-c');
    await pane.shows('finishing this step');
    pane.key('C-c');
    await pane.shows('status 130');
    expectRestored(pane);
  });

  test('q on a job that is over ends the watching as well', async () => {
    const pane = await train(80, 24, { steps: 2, flags: '--watch' });
    await pane.shows('✔ completed');
    pane.key('q');
    await pane.shows(/completed, all steps done[^]*status 0/);
    expectRestored(pane);
  });

  test('a screen that breaks gives the terminal back and says why; the job goes on without it', async () => {
    const pane = await train(80, 24, { steps: 30, entry: 'test/tui/broken-screen.ts' });
    await pane.shows('the memory gauge fell off');
    await pane.shows(/step 30\/30[^]*status 0/);
    expectRestored(pane);
  });
});
