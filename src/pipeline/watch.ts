/** A watch session: runs a pipeline, and runs it again when what it was made of changes. */
import { watch as watchFiles } from 'chokidar';
import type { Change, Emit, EventData } from '../events.ts';
import { type WatchEffect, type WatchInput, type WatchState, advance } from './watch-machine.ts';

/** A pipeline as it was read at one moment. */
export interface Version<T> {
  /** Equal hashes mean the same run: comments and spaces are not in it. */
  hash: string;
  /** Every file that was read for it. */
  files: readonly string[];
  value: T;
}

export type Load<T> = { ok: true; version: Version<T> } | { ok: false; files: readonly string[]; message: string };

/** What the session is about: how to read it, run it and compare it. */
export interface WatchHost<T> {
  load: () => Promise<Load<T>>;
  /** Runs a job to its end. `before`: the version of the job before it, if there was one. */
  run: (version: Version<T>, before: Version<T> | null) => Promise<void>;
  /** Ask the running job to end after its step; take that back; end it now. */
  finish: () => void;
  keepGoing: () => void;
  abort: () => void;
  compare: (before: Version<T>, after: Version<T>) => { kind: EventData['watch-changed']['kind']; changes: Change[] };
  /** The rewards have changed: show what the new ones would have said, before any compute is spent. */
  rescore: (version: Version<T>) => Promise<void>;
  emit: Emit;
}

/** A quick succession of writes is one edit. Longer than the 50 ms for which chokidar keeps a second change to itself. */
const DEBOUNCE_MS = 100;

export interface WatchSession {
  /** Ends after the step, the second time at once. */
  stop(): void;
  readonly state: WatchState;
  /** Settles when edits are seen from now on. */
  readonly ready: Promise<void>;
  /** Settles when the session is over. */
  readonly done: Promise<void>;
}

/** Begins to load, run and watch. Goes on watching while the files are broken. */
export function startWatching<T>(host: WatchHost<T>): WatchSession {
  let state: WatchState = { at: 'loading' };
  let running: Version<T> | null = null;
  let loaded: Version<T> | null = null;
  let edited: string | null = null;
  let reading = 0;
  let timer: NodeJS.Timeout | null = null;
  const { promise: done, resolve, reject } = Promise.withResolvers<void>();
  const watcher = watchFiles([], { ignoreInitial: true });
  const ready = new Promise<void>((settle) => watcher.once('ready', settle));

  const send = (input: WatchInput) => {
    const next = advance(state, input);
    state = next.state;
    for (const effect of next.effects) void effects[effect]().catch(reject);
  };

  let watched: ReadonlySet<string> = new Set();
  /** The watch set is what was really read, renewed after every reading, also one that failed. */
  const renewWatch = (files: readonly string[]) => {
    const wanted = new Set(files);
    const fresh = [...wanted].filter((file) => !watched.has(file));
    const gone = [...watched].filter((file) => !wanted.has(file));
    if (fresh.length === 0 && gone.length === 0) return;
    watcher.add(fresh);
    watcher.unwatch(gone);
    watched = wanted;
    host.emit('watch-started', { files: [...files] });
  };

  /** Reads everything; an edit that comes meanwhile makes the reading worthless. */
  const read = async (): Promise<Load<T> | null> => {
    const turn = ++reading;
    const load = await host.load();
    if (turn !== reading) return null;
    renewWatch(load.ok ? load.version.files : load.files);
    return load;
  };

  const tellOfEdit = (load: Load<T>, against: Version<T> | null) => {
    if (edited === null) return;
    if (!load.ok) host.emit('watch-changed', { file: edited, kind: 'invalid', changes: [], message: load.message });
    else if (against) {
      const difference = against.hash === load.version.hash ? { kind: 'none' as const, changes: [] } : host.compare(against, load.version);
      host.emit('watch-changed', { file: edited, ...difference, message: '' });
      return difference.kind;
    }
    return null;
  };

  const effects: { [E in WatchEffect]: () => Promise<void> } = {
    async load() {
      const load = await read();
      if (!load || state.at !== 'loading') return;
      const kind = tellOfEdit(load, running);
      edited = null;
      if (!load.ok) return send({ type: 'load-failed' });
      loaded = load.version;
      if (kind === 'reward') await host.rescore(load.version);
      send({ type: 'loaded', hash: load.version.hash });
    },
    async check() {
      const load = await read();
      if (!load) return;
      const kind = tellOfEdit(load, running);
      const wasRunning = state.at;
      if (!load.ok) {
        host.emit('watch-decision', { action: 'nothing', from: null, reason: 'the files are not valid; the job goes on as it was' });
        return send({ type: 'check-failed' });
      }
      send({ type: 'checked', hash: load.version.hash });
      if (kind === 'none' && wasRunning === 'running') host.emit('watch-decision', { action: 'nothing', from: null, reason: 'the run would be the same' });
      if (kind === 'reward' && state.at === 'draining') await host.rescore(load.version);
    },
    async start() {
      const [before, version] = [running, loaded!];
      running = version;
      await host.run(version, before);
      send({ type: 'ended' });
    },
    async drain() {
      host.emit('watch-decision', { action: 'drain', from: null, reason: 'the step under way ends first, then the new version runs' });
      host.finish();
    },
    async 'keep-going'() {
      host.emit('watch-decision', { action: 'continue', from: null, reason: 'the files are again what the job runs with' });
      host.keepGoing();
    },
    finish: async () => host.finish(),
    abort: async () => host.abort(),
    async leave() {
      if (timer) clearTimeout(timer);
      await watcher.close();
      resolve();
    },
  };

  watcher.on('all', (_, file) => {
    edited = file;
    if (timer) clearTimeout(timer);
    timer = setTimeout(() => send({ type: 'file-changed' }), DEBOUNCE_MS);
  });
  watcher.on('error', reject);
  void effects.load().catch(reject);
  return {
    stop: () => send({ type: 'stop' }),
    get state() {
      return state;
    },
    ready,
    done,
  };
}
