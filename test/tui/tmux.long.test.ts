/** @file The dashboard in a real terminal: a job is played inside tmux, keys are pressed, screens are captured. */
import { execFileSync, spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { setTimeout } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';

const hasTmux = spawnSync('tmux', ['-V']).status === 0;
const root = path.resolve(import.meta.dirname, '../..');

describe.skipIf(!hasTmux)('in tmux', { timeout: 120_000 }, () => {
  // A server of its own; one session stays open, or the server would die with the last one and refuse the next.
  const socket = `rlrun-test-${process.pid}`;
  const tmux = (...args: string[]): string => execFileSync('tmux', ['-L', socket, '-f', '/dev/null', ...args], { encoding: 'utf8' });
  const folder = mkdtempSync(path.join(tmpdir(), 'rlrun-tmux-'));
  let sessions = 0;

  beforeAll(() => void tmux('new-session', '-d', '-s', 'keeper', '-x', '80', '-y', '24', 'cat'));
  afterAll(() => {
    spawnSync('tmux', ['-L', socket, 'kill-server']);
    rmSync(folder, { recursive: true, force: true });
  });

  /** A shell in which the job is played: what the shell shows before and after must survive. */
  function start({ columns, rows, speed = 6 }: { columns: number; rows: number; speed?: number }) {
    const name = `job${++sessions}`;
    const raw = path.join(folder, `${name}.raw`);
    writeFileSync(raw, '');
    tmux('new-session', '-d', '-s', name, '-c', root, '-x', String(columns), '-y', String(rows), 'env -u CI -u NO_COLOR LANG=C.UTF-8 LC_ALL=C.UTF-8 PS1="ready> " sh');
    tmux('pipe-pane', '-t', name, `cat >> ${raw}`);
    const screen = (): string => tmux('capture-pane', '-p', '-t', name);
    const shows = (text: string | RegExp): Promise<void> => expect.poll(screen, { timeout: 60_000, interval: 100 }).toMatch(text);
    const key = (...keys: string[]): void => void tmux('send-keys', '-t', name, ...keys);
    const run = async (command: string): Promise<void> => {
      await shows('ready>');
      key(`echo before; ${command}; echo "status $?"`, 'Enter');
    };
    const play = (): Promise<void> => run(`${process.execPath} bench/tui-replay.ts --speed ${speed}`);
    /** The real thing: rlrun trains in a folder of its own. */
    const train = (steps: number, batch = 64): Promise<void> =>
      run(`cd ${folder} && ${process.execPath} ${root}/bin/rlrun.js ${root}/pipelines/arith.yaml --set steps=${steps} --set batch=${batch} --set model.name=${name}`);
    const size = (width: number, height: number): void => void tmux('resize-window', '-t', name, '-x', String(width), '-y', String(height));
    const terminal = (): string => tmux('display-message', '-p', '-t', name, '#{cursor_flag} #{alternate_on}').trim();
    return { name, screen, shows, key, play, train, size, terminal, raw: () => readFileSync(raw, 'utf8') };
  }

  const count = (text: string, part: string): number => text.split(part).length - 1;

  test.each([
    [80, 24],
    [120, 40],
    [60, 15],
  ])('%d × %d: a whole job, every view, and a terminal as it was', async (columns, rows) => {
    const { shows, screen, key, play, raw } = start({ columns, rows });
    await play();
    await shows(/ ([3-9]|\d\d)\/60/);
    expect(screen()).toContain('reward');
    expect(screen().split('\n').filter((line) => line.length > columns)).toEqual([]);
    key('2');
    await shows('live');
    key('3');
    await shows('◉ head');
    key('4');
    await shows('baseline 0.');
    key('5');
    await shows('watch off');
    key('?');
    await shows('any key closes this');
    key('x');
    key('1');
    await shows('groups step');
    key('q');
    await shows('status 0');
    expect(screen()).toContain('before');
    expect(screen()).toContain('resume    rlrun pipelines/arith.yaml --resume');
    const bytes = raw();
    expect(bytes).not.toContain('\u001b[3J');
    expect(count(bytes, '\u001b[?2026h')).toBeGreaterThan(3);
    expect([count(bytes, '\u001b[?1049h'), count(bytes, '\u001b[?1049l')]).toEqual([1, 1]);
  });

  test('resized in mid-run, up and down, with a pause in between', async () => {
    const { name, shows, screen, key, play, raw } = start({ columns: 120, rows: 40 });
    await play();
    await shows('samples');
    key('p');
    await shows('paused');
    for (const [columns, rows, sign] of [
      [60, 15, '1 overview  2  3'],
      [100, 30, '5 watch'],
      [30, 8, 'a larger window'],
      [80, 24, '5 watch'],
    ] as const) {
      tmux('resize-window', '-t', name, '-x', String(columns), '-y', String(rows));
      await shows(sign);
      expect(screen().trimEnd().split('\n').length).toBeLessThanOrEqual(rows - 1);
    }
    key('p');
    await shows(/scoring|rolling out|learning/);
    key('C-c');
    await shows('status 0');
    expect(raw()).not.toContain('\u001b[3J');
  });

  test('kill -TERM gives screen and cursor back', async () => {
    const { name, shows, screen, play, raw } = start({ columns: 80, rows: 24 });
    await play();
    await shows('groups step');
    const shell = tmux('display-message', '-p', '-t', name, '#{pane_pid}').trim();
    const child = execFileSync('ps', ['-o', 'pid=', '--ppid', shell], { encoding: 'utf8' }).trim();
    process.kill(Number(child), 'SIGTERM');
    await shows('status 143');
    expect(screen()).toContain('before');
    expect(screen()).not.toContain('groups step');
    expect(tmux('display-message', '-p', '-t', name, '#{cursor_flag} #{alternate_on}').trim()).toBe('1 0');
    const bytes = raw();
    expect([count(bytes, '\u001b[?1049h'), count(bytes, '\u001b[?1049l')]).toEqual([1, 1]);
    expect(bytes.lastIndexOf('\u001b[?25h')).toBeGreaterThan(bytes.lastIndexOf('\u001b[?25l'));
  });

  /** The values of a finished step as the job's file has them. */
  const metricsOf = (model: string): { kind: string; step: number; metrics: Record<string, number> }[] => {
    const jobs = path.join(folder, '.rlrun/jobs');
    const job = readdirSync(jobs).find((id) => existsSync(path.join(jobs, id, 'metrics.jsonl')) && readFileSync(path.join(jobs, id, 'resolved.json'), 'utf8').includes(`"${model}"`))!;
    return readFileSync(path.join(jobs, job, 'metrics.jsonl'), 'utf8').trim().split('\n').map((line) => JSON.parse(line));
  };

  const restored = (bytes: string): void => {
    expect(bytes).not.toContain('\u001b[3J');
    expect([count(bytes, '\u001b[?1049h'), count(bytes, '\u001b[?1049l')]).toEqual([1, 1]);
    expect(bytes.lastIndexOf('\u001b[?25h')).toBeGreaterThan(bytes.lastIndexOf('\u001b[?25l'));
  };

  test.each([
    [80, 24],
    [120, 40],
    [60, 15],
  ])('%d × %d: a model learns, the screen says the numbers of its files, a rollback branches the tree', async (columns, rows) => {
    const { name, shows, screen, key, train, size, terminal, raw } = start({ columns, rows });
    await train(400);
    await shows(/ ([5-9]|\d\d+)\/400/);
    key('3');
    await shows('◉');
    for (const press of ['Down', 'Down', 'R']) {
      key(press);
      // Keys that come in one piece are one paste for the terminal's reader.
      await setTimeout(300);
    }
    await shows(/Roll back to step-0000\d\d before the next step\?/);
    key('y');
    await shows(/●─╯|─╯/);
    key('2');
    await shows('numeric_match');
    size(columns + 20, rows + 6);
    await shows('numeric_match');
    size(columns, rows);
    key('1');
    await shows('↺');
    expect(screen().trimEnd().split('\n').length).toBeLessThanOrEqual(rows - 1);
    key('q');
    await shows('status 0');
    const rewards = metricsOf(name).filter((row) => row.kind === 'step').map((row) => row.metrics['reward']!.toFixed(2));
    expect(screen()).toContain(`reward    ${rewards[0]} → ${rewards.at(-1)}`);
    expect(metricsOf(name).filter((row) => row.kind === 'rollback')).toHaveLength(1);
    expect(terminal()).toBe('1 0');
    restored(raw());
  });

  test('Ctrl-C once finishes the step and says how to go on; twice stops at once', async () => {
    const once = start({ columns: 80, rows: 24 });
    await once.train(500);
    await once.shows('groups step');
    once.key('C-c');
    await once.shows(/status \d+/);
    await once.shows(/resume {4}rlrun [^]*--resume/);
    expect(once.terminal()).toBe('1 0');
    restored(once.raw());

    const twice = start({ columns: 80, rows: 24 });
    // Steps of seconds: the second key must come before the first one's step is over.
    await twice.train(500, 2048);
    await twice.shows('groups step');
    twice.key('C-c');
    await twice.shows('finishing this step');
    twice.key('C-c');
    await twice.shows('status 130');
    expect(twice.terminal()).toBe('1 0');
    restored(twice.raw());
  });
});
