/** A session: runs a pipeline and, while watching is on, runs it again when what it was made of changes. */
import type { FSWatcher } from 'chokidar';
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
  /** Runs a job to its end; false if it failed. `before`: the version of the job before it, if there was one. */
  run: (version: Version<T>, before: Version<T> | null) => Promise<boolean>;
  /** Ask the running job to end after its step, because a person wants it, or because a new version is there; take that back; end it now. */
  finish: () => void;
  drain: () => void;
  keepGoing: () => void;
  abort: () => void;
  compare: (before: Version<T>, after: Version<T>) => { kind: EventData['watch-changed']['kind']; changes: Change[] };
  /** The rewards have changed: show what the new ones would have said, before any compute is spent. False if they have nothing to say on any rollout. */
  rescore: (version: Version<T>) => Promise<boolean>;
  emit: Emit;
}

/** A quick succession of writes is one edit. Longer than the 50 ms for which chokidar keeps a second change to itself. */
const DEBOUNCE_MS = 100;

export interface WatchSession {
  /** Ends after the step; the second time at once. */
  stop(): void;
  /** Off: edits are not seen, and the session ends with its job. */
  setWatching(on: boolean): void;
  readonly state: WatchState;
  /** Settles when the session is over. */
  readonly done: Promise<void>;
}

/** Begins to load and run; with `watching`, stays when the job is done and while the files are broken. */
export function startSession<T>(host: WatchHost<T>, options: { watching: boolean }): WatchSession {
  let state: WatchState = { at: 'loading', ran: null };
  let watching = options.watching;
  let running: Version<T> | null = null;
  let loaded: Version<T> | null = null;
  let edited: string | null = null;
  let reading = 0;
  /** Rewards that are being compared; no job may begin meanwhile, for it sends the others away. */
  let rescoring: Promise<void> = Promise.resolve();
  /** The version whose rewards failed on every rollout: a job with them would learn nothing. */
  let broken: string | null = null;
  const rescore = (version: Version<T>): Promise<void> => (rescoring = host.rescore(version).then((works) => void (broken = works ? null : version.hash)));
  const { promise: done, resolve, reject } = Promise.withResolvers<void>();
  const files = watchedFiles((file) => {
    if (!watching) return;
    edited = file;
    send({ type: 'file-changed' });
  }, reject);

  const send = (input: WatchInput) => {
    const next = advance(state, input);
    state = next.state;
    for (const effect of next.effects) effects[effect]().catch(reject);
    if (state.at === 'waiting' && !watching) send({ type: 'stop' });
  };

  const watchWhatWasRead = async (read: readonly string[]) => {
    if (watching && (await files.set(read))) host.emit('watch-started', { files: [...read] });
  };

  /** Reads everything; an edit that comes meanwhile makes the reading worthless. */
  const read = async (): Promise<Load<T> | null> => {
    const turn = ++reading;
    const load = await host.load();
    if (turn !== reading) return null;
    await watchWhatWasRead(load.ok ? load.version.files : load.files);
    return load;
  };

  /** Says what an edit means for the job that runs, or that ran last. */
  const tellOfEdit = (load: Load<T>): EventData['watch-changed']['kind'] | null => {
    const file = edited;
    edited = null;
    if (file === null) return null;
    const difference = !load.ok
      ? { kind: 'invalid' as const, changes: [] }
      : running === null || running.hash === load.version.hash
        ? { kind: 'none' as const, changes: [] }
        : host.compare(running, load.version);
    if (running || !load.ok) host.emit('watch-changed', { file, ...difference, message: load.ok ? '' : load.message });
    return difference.kind;
  };

  const sayItIsTheSame = () => host.emit('watch-decision', { action: 'nothing', from: null, reason: 'the run would be the same' });

  const effects: { [E in WatchEffect]: () => Promise<void> } = {
    async load() {
      const load = await read();
      if (!load || state.at !== 'loading') return;
      const kind = tellOfEdit(load);
      if (!load.ok) return send({ type: 'load-failed' });
      loaded = load.version;
      if (kind === 'reward') await rescore(load.version);
      await rescoring;
      if (state.at !== 'loading') return;
      if (load.version.hash === broken) {
        host.emit('watch-decision', { action: 'nothing', from: null, reason: 'the edited reward gives no rollout a verdict; its repair is waited for' });
        return send({ type: 'load-failed' });
      }
      if (load.version.hash === state.ran) sayItIsTheSame();
      send({ type: 'loaded', hash: load.version.hash });
    },
    async check() {
      const load = await read();
      if (!load) return;
      const kind = tellOfEdit(load);
      const isRunning = state.at === 'running';
      if (load.ok) send({ type: 'checked', hash: load.version.hash });
      else send({ type: 'check-failed' });
      if (isRunning && !load.ok) host.emit('watch-decision', { action: 'nothing', from: null, reason: 'the files are not valid; the job goes on as it was' });
      if (isRunning && kind === 'none') sayItIsTheSame();
      if (load.ok && kind === 'reward' && (state.at === 'draining' || state.at === 'loading')) await rescore(load.version);
    },
    async start() {
      const [before, version] = [running, loaded!];
      running = version;
      send({ type: 'ended', failed: !(await host.run(version, before)) });
    },
    async drain() {
      host.emit('watch-decision', { action: 'drain', from: null, reason: 'the step under way ends first, then the new version runs' });
      host.drain();
    },
    async 'keep-going'() {
      host.emit('watch-decision', { action: 'continue', from: null, reason: 'the files are again what the job runs with' });
      host.keepGoing();
    },
    finish: async () => host.finish(),
    abort: async () => host.abort(),
    async leave() {
      await files.close();
      resolve();
    },
  };

  effects.load().catch(reject);
  return {
    stop: () => send({ type: 'stop' }),
    setWatching(on) {
      watching = on;
      const version = running ?? loaded;
      if (on && version) watchWhatWasRead(version.files).catch(reject);
      if (!on && state.at === 'waiting') send({ type: 'stop' });
    },
    get state() {
      return state;
    },
    done: done.finally(() => files.close()),
  };
}

/** Exactly these files and no others; chokidar is loaded when there are some. */
function watchedFiles(onEdit: (file: string) => void, onError: (error: unknown) => void) {
  let watcher: FSWatcher | null = null;
  let watched: ReadonlySet<string> = new Set();
  let timer: NodeJS.Timeout | undefined;
  return {
    /** Resolves when edits are seen; true if the set is another one than before. */
    async set(files: readonly string[]): Promise<boolean> {
      const wanted = new Set(files);
      const fresh = [...wanted].filter((file) => !watched.has(file));
      const gone = [...watched].filter((file) => !wanted.has(file));
      if (fresh.length === 0 && gone.length === 0) return false;
      watched = wanted;
      if (watcher) {
        watcher.add(fresh);
        watcher.unwatch(gone);
        return true;
      }
      const { watch } = await import('chokidar');
      watcher = watch(fresh, { ignoreInitial: true });
      watcher.on('error', onError);
      watcher.on('all', (_, file) => {
        clearTimeout(timer);
        timer = setTimeout(() => onEdit(file), DEBOUNCE_MS);
      });
      await new Promise<void>((settle) => watcher!.once('ready', settle));
      return true;
    },
    async close() {
      clearTimeout(timer);
      await watcher?.close();
    },
  };
}
