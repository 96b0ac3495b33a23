/** @file The dashboard in a real terminal: a job is played inside tmux, keys are pressed, screens are captured. */
import { execFileSync, spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
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
    const play = async (): Promise<void> => {
      await shows('ready>');
      key(`echo before; ${process.execPath} bench/tui-replay.ts --speed ${speed}; echo "status $?"`, 'Enter');
    };
    return { name, screen, shows, key, play, raw: () => readFileSync(raw, 'utf8') };
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
});
