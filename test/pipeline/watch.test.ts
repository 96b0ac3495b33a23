import { existsSync, readFileSync } from 'node:fs';
import { mkdtemp, rename, rm, unlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterEach, describe, expect, test, vi } from 'vitest';
import { type WatchInput, type WatchState, advance } from '../../src/pipeline/watch-machine.ts';
import { type Load, type WatchHost, startSession } from '../../src/pipeline/watch.ts';
import { recorder } from './fakes.ts';

const follow = (inputs: readonly WatchInput[]) => {
  let state: WatchState = { at: 'loading', ran: null };
  const effects: string[] = [];
  for (const input of inputs) {
    const next = advance(state, input);
    state = next.state;
    effects.push(...next.effects);
  }
  return { at: state.at, effects };
};

describe('the watch machine', () => {
  const loaded = { type: 'loaded', hash: 'a' } as const;
  const changed = { type: 'file-changed' } as const;
  const checked = (hash: string) => ({ type: 'checked', hash }) as const;

  test.each<[string, WatchInput[], string, string[]]>([
    ['runs what it has loaded', [loaded], 'running', ['start']],
    ['waits for a repair of what it cannot load', [{ type: 'load-failed' }, changed], 'loading', ['load']],
    ['loads again when an edit comes while it loads', [changed], 'loading', ['load']],
    ['goes on after an edit that changes nothing', [loaded, changed, checked('a')], 'running', ['start', 'check']],
    ['goes on after an edit that is not valid', [loaded, changed, { type: 'check-failed' }], 'running', ['start', 'check']],
    ['drains, then loads, after an edit that matters', [loaded, changed, checked('b'), { type: 'ended', failed: false }, { type: 'loaded', hash: 'b' }], 'running', ['start', 'check', 'drain', 'load', 'start']],
    ['keeps going when the edit is taken back in time', [loaded, changed, checked('b'), changed, checked('a')], 'running', ['start', 'check', 'drain', 'check', 'keep-going']],
    ['lets the newest of several edits count', [loaded, changed, checked('b'), changed, checked('c')], 'draining', ['start', 'check', 'drain', 'check']],
    ['waits when the job is done, and runs again after an edit', [loaded, { type: 'ended', failed: false }, changed, { type: 'loaded', hash: 'b' }], 'running', ['start', 'load', 'start']],
    ['does not run the same again', [loaded, { type: 'ended', failed: false }, changed, loaded], 'waiting', ['start', 'load']],
    ['runs the same again if it had failed', [loaded, { type: 'ended', failed: true }, changed, loaded], 'running', ['start', 'load', 'start']],
    ['sees an edit that was checked while the job ended', [loaded, changed, { type: 'ended', failed: false }, checked('b')], 'loading', ['start', 'check', 'load']],
    ['finishes the step on the first stop, aborts on the second', [loaded, { type: 'stop' }, changed, { type: 'stop' }, { type: 'ended', failed: false }], 'stopped', ['start', 'finish', 'abort', 'leave']],
    ['leaves at once when nothing runs', [{ type: 'load-failed' }, { type: 'stop' }], 'stopped', ['leave']],
  ])('%s', (_, inputs, at, effects) => expect(follow(inputs)).toEqual({ at, effects }));

  test('throws on an input that cannot come', () => {
    expect(() => advance({ at: 'waiting', ran: null }, { type: 'ended', failed: false })).toThrow('Internal error: the watcher got "ended" while waiting.');
    expect(() => advance({ at: 'running', hash: 'a' }, loaded)).toThrow('while running');
  });

  test('takes edits and stops in every state, and never leaves "stopped"', () => {
    const states: WatchState[] = [{ at: 'loading', ran: null }, { at: 'running', hash: 'a' }, { at: 'draining', hash: 'a', pending: 'b' }, { at: 'waiting', ran: 'a' }, { at: 'stopping' }, { at: 'stopped' }];
    fc.assert(
      fc.property(fc.constantFrom(...states), fc.array(fc.constantFrom<WatchInput>(changed, { type: 'stop' }, { type: 'check-failed' }), { maxLength: 8 }), (start, inputs) => {
        let state = start;
        for (const input of inputs) {
          if (input.type === 'check-failed' && state.at === 'loading') continue;
          const before = state.at;
          state = advance(state, input).state;
          if (before === 'stopped') expect(state.at).toBe('stopped');
        }
      }),
    );
  });
});

describe('watching real files', () => {
  const folders: string[] = [];
  afterEach(() => Promise.all(folders.splice(0).map((folder) => rm(folder, { recursive: true, force: true }))));

  /** A pipeline that is one line of text; `bad` cannot be loaded, what follows a # does not count. */
  async function session(text: string) {
    const folder = await mkdtemp(join(tmpdir(), 'rlrun-watch-'));
    folders.push(folder);
    const file = join(folder, 'pipeline.yaml');
    await writeFile(file, text);
    const record = recorder();
    const waiting: { type: string; resolve: () => void }[] = [];
    const runs: string[] = [];
    let end = Promise.withResolvers<boolean>();
    const host: WatchHost<string> = {
      async load(): Promise<Load<string>> {
        if (!existsSync(file)) return { ok: false, files: [file], message: 'it is not there' };
        const value = readFileSync(file, 'utf8').replace(/#.*/s, '').trim();
        return value === 'bad' ? { ok: false, files: [file], message: 'it is bad' } : { ok: true, version: { hash: value, files: [file], value } };
      },
      run(version) {
        runs.push(version.value);
        end = Promise.withResolvers<boolean>();
        notify('run');
        return end.promise;
      },
      finish: () => end.resolve(true),
      drain: () => end.resolve(true),
      keepGoing: () => {},
      abort: () => end.resolve(true),
      compare: (before, after) => ({ kind: after.value.includes('reward') ? 'reward' : 'config', changes: [{ path: 'text', before: before.value, after: after.value }] }),
      rescore: async ({ value }) => !value.startsWith('broken'),
      emit(type, data) {
        record.emit(type, data);
        notify(type);
      },
    };
    const notify = (type: string) => {
      for (const each of waiting.filter((one) => one.type === type)) {
        waiting.splice(waiting.indexOf(each), 1);
        each.resolve();
      }
    };
    const next = (type: string) => new Promise<void>((resolve) => waiting.push({ type, resolve }));
    const first = next(text === 'bad' ? 'watch-started' : 'run');
    const watching = startSession(host, { watching: true });
    await first;
    return { ...record, file, runs, next, watching, endJob: () => end.resolve(true) };
  }

  test('an edit that matters ends the job after its step and runs the new version', async () => {
    const { file, runs, next, watching, of } = await session('a');
    const again = next('run');
    await writeFile(file, 'b');
    await again;
    expect(runs).toEqual(['a', 'b']);
    expect(of('watch-changed')[0]).toMatchObject({ file, kind: 'config', changes: [{ path: 'text', before: 'a', after: 'b' }] });
    expect(of('watch-decision').map(({ action }) => action)).toEqual(['drain']);
    watching.stop();
    await watching.done;
  });

  test('a comment changes nothing; a broken file is told and the job goes on; its repair by renaming is seen', async () => {
    const { file, runs, next, watching, of } = await session('a');
    const comment = next('watch-decision');
    await writeFile(file, 'a # why');
    await comment;
    const broken = next('watch-decision');
    await writeFile(file, 'bad');
    await broken;
    expect(of('watch-changed').map(({ kind, message }) => [kind, message])).toEqual([['none', ''], ['invalid', 'it is bad']]);
    expect(runs).toEqual(['a']);
    const again = next('run');
    await writeFile(`${file}.new`, 'c');
    await rename(`${file}.new`, file);
    await again;
    expect(runs).toEqual(['a', 'c']);
    watching.stop();
    await watching.done;
  });

  test('a reward that gives no verdict any more is not run with; its repair is', async () => {
    const { file, runs, next, watching, of, endJob } = await session('a');
    await writeFile(file, 'broken reward');
    await vi.waitFor(() => expect(of('watch-decision')).toHaveLength(2), 10_000);
    expect(of('watch-decision').map(({ action, reason }) => [action, reason])).toEqual([
      ['drain', 'the step under way ends first, then the new version runs'],
      ['nothing', 'the edited reward gives no rollout a verdict; its repair is waited for'],
    ]);
    expect(watching.state).toEqual({ at: 'waiting', ran: null });
    const again = next('run');
    await writeFile(file, 'a');
    await again;
    endJob();
    const refused = next('watch-decision');
    await writeFile(file, 'broken reward');
    await refused;
    const mended = next('run');
    await writeFile(file, 'better reward');
    await mended;
    expect(runs).toEqual(['a', 'a', 'better reward']);
    watching.stop();
    await watching.done;
  });

  test('without watching the session ends with its job, or with a file that cannot be loaded', async () => {
    const host = (load: Load<string>): WatchHost<string> => ({
      ...{ load: async () => load, run: async () => true, compare: () => ({ kind: 'config', changes: [] }), rescore: async () => true, emit: () => {} },
      ...{ finish: () => {}, drain: () => {}, keepGoing: () => {}, abort: () => {} },
    });
    await startSession(host({ ok: true, version: { hash: 'a', files: [], value: 'a' } }), { watching: false }).done;
    await startSession(host({ ok: false, files: [], message: 'bad' }), { watching: false }).done;
    const session = startSession({ ...host({ ok: true, version: { hash: 'a', files: [], value: 'a' } }), run: () => Promise.reject(new Error('boom')) }, { watching: true });
    await expect(session.done).rejects.toThrow('boom');
  });

  test('a file that is broken from the start, or deleted and written again, is still watched', async () => {
    const { file, runs, next, watching, endJob } = await session('bad');
    const first = next('run');
    await writeFile(file, 'a');
    await first;
    endJob();
    const second = next('run');
    await unlink(file);
    await writeFile(file, 'b');
    await second;
    expect(runs).toEqual(['a', 'b']);
    watching.stop();
    await watching.done;
  });
});
