/**
 * @file Snapshots of Hugging Face repositories in a local cache.
 *
 * The cache of Hugging Face's own libraries is read but not written, since that needs symbolic links and checks no hashes: here a file gets
 * its final name only when its hash is right. Any number of processes may ask for the same snapshot: one downloads it, the others wait.
 */
import { stat } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { takeLock } from '../util/file-lock.ts';
import { makeFolder } from '../util/make-folder.ts';
import { writeJsonDurably } from './durable.ts';
import { fileError, ModelError } from './errors.ts';
import { exists, readJsonObject } from './files.ts';
import { HubClient, isUnreachable } from './hub-client.ts';
import { NotTheHub } from './hub-door.ts';
import { type HubFile, selectFiles } from './hub-files.ts';
import { type HuggingFaceCache, huggingFaceCache } from './hugging-face-cache.ts';

export interface HubOptions {
  /** Where snapshots are kept. */
  cacheDirectory: string;
  /** Where Hugging Face's own tools keep theirs; what is there is not downloaded again. */
  userCache?: string;
  /** `HF_ENDPOINT`; default https://huggingface.co. */
  hubUrl?: string;
  /** `HF_TOKEN`, or the one that Hugging Face's tools keep. */
  accessToken?: string;
  /** `HF_HUB_OFFLINE`: what is not at hand is not asked for. */
  offline?: boolean;
  onProgress?: (progress: DownloadProgress) => void;
  /** Hears, in words, why it takes long. */
  onNotice?: (text: string) => void;
  /** Finds the commit and its files, but writes and downloads nothing. */
  dryRun?: boolean;
  signal?: AbortSignal;
  /** A server that says nothing for so long has gone; default: half a minute. */
  silenceMs?: number;
}

export interface DownloadProgress {
  repository: string;
  file: string;
  /** Bytes of all files of the snapshot, so far and in the end. */
  bytes: number;
  totalBytes: number;
  /** Bytes that came over the network so far: what was at hand says nothing about its speed. */
  receivedBytes: number;
}

export interface Snapshot {
  repository: string;
  /** The full commit hash. */
  commit: string;
  directory: string;
}

const defaultHubUrl = 'https://huggingface.co';
const defaultSilenceMs = 30_000;
/** How often somebody who waits for another's download looks whether it is there. */
const lookEveryMs = 250;

/** Downloads what a model needs of a repository, or finds it at hand. Without a network that has to do. */
export async function downloadSnapshot(repository: string, revision: string | null, options: HubOptions): Promise<Snapshot> {
  const { cacheDirectory, userCache, hubUrl = defaultHubUrl, accessToken, signal, silenceMs = defaultSilenceMs, onNotice = () => {}, dryRun = false } = options;
  const folder = join(cacheDirectory, `models--${repository.replace('/', '--')}`);
  const wanted = revision ?? 'main';
  const search: Search = {
    ...{ repository, wanted, onNotice, signal, offline: options.offline === true },
    remembered: join(folder, 'refs', `${encodeURIComponent(wanted)}.json`),
    client: new HubClient(repository, { hubUrl: hubUrl.replace(/\/$/, ''), accessToken, signal, silenceMs, onNotice }),
    others: userCache === undefined ? null : huggingFaceCache(userCache, repository),
  };
  const commit = await findCommit(search);
  const snapshot = { repository, commit, directory: join(folder, 'snapshots', commit) };
  const manifest = join(folder, 'snapshots', `${commit}.json`);
  // Where it is all there, a cache that cannot be written is as good as another.
  if (dryRun || (await isComplete(snapshot.directory, manifest))) {
    if (dryRun) await findFiles(search, commit);
    else await remember(search, commit).catch(() => {});
    return snapshot;
  }
  await makeFolder(snapshot.directory).catch((error: unknown) => Promise.reject(fileError(error, snapshot.directory)));
  await using _ = await lockWhenFree(join(folder, 'lock'), search);
  await remember(search, commit);
  if (!(await isComplete(snapshot.directory, manifest))) await fill(snapshot, { search, manifest, onProgress: options.onProgress });
  return snapshot;
}

interface Search {
  repository: string;
  /** A branch, a tag, a commit. */
  wanted: string;
  client: HubClient;
  others: HuggingFaceCache | null;
  offline: boolean;
  /** Where it is written down what `wanted` pointed to last time. */
  remembered: string;
  onNotice: (text: string) => void;
  signal: AbortSignal | undefined;
}

/** The commit as the Hub has it now; without the Hub the one that was known last. */
async function findCommit({ client, others, offline, remembered, repository, wanted, onNotice, signal }: Search): Promise<string> {
  const known = async (): Promise<string | null> => {
    if (await exists(remembered)) return String((await readJsonObject(remembered)).commit);
    return (await others?.commitOf(wanted)) ?? null;
  };
  if (offline) {
    const commit = await known();
    if (commit !== null) return commit;
    throw notAtHand(`hub:${repository}@${wanted}`);
  }
  try {
    return await client.commitOf(wanted);
  } catch (error) {
    signal?.throwIfAborted();
    const commit = isUnreachable(error) || error instanceof NotTheHub ? await known() : null;
    if (commit === null) throw client.explain(error, `@${wanted}`);
    onNotice(`hub:${repository} is taken as it is at hand: ${client.explain(error, `@${wanted}`).message}`);
    return commit;
  }
}

const notAtHand = (what: string): ModelError => new ModelError('not_found', `${what} is not at hand, and HF_HUB_OFFLINE forbids to download it`, { fix: 'Unset HF_HUB_OFFLINE, or use a model that was downloaded before.' });

const remember = async ({ remembered }: Search, commit: string): Promise<void> => {
  await makeFolder(join(remembered, '..'));
  await writeJsonDurably(remembered, { commit });
};

async function lockWhenFree(path: string, { repository, onNotice, signal }: Search): Promise<AsyncDisposable> {
  for (let isTold = false; ; isTold = true) {
    const taken = await takeLock(path).catch((error: unknown) => Promise.reject(fileError(error, path)));
    if ('lock' in taken) return taken.lock;
    if (!isTold) onNotice(`hub:${repository} is being downloaded by another process (${/^\d*/.exec(taken.holder.name)![0]}); waiting for it`);
    await sleep(lookEveryMs, undefined, signal ? { signal } : {});
  }
}

async function isComplete(directory: string, manifest: string): Promise<boolean> {
  if (!(await exists(manifest))) return false;
  const { files } = await readJsonObject(manifest);
  for (const [path, size] of Object.entries(files ?? {})) {
    if ((await stat(join(directory, path)).catch(() => null))?.size !== size) return false;
  }
  return true;
}

/** The files of a commit. `isWhole`: the Hub says so, and not only what others have downloaded of it. */
async function findFiles({ client, others, offline, repository, signal }: Search, commit: string): Promise<{ files: HubFile[]; isWhole: boolean }> {
  const isModel = (files: readonly HubFile[]): boolean => files.some(({ path }) => path === 'config.json');
  try {
    if (offline) throw notAtHand(`hub:${repository}@${commit}`);
    const files = await client.files(commit);
    if (!isModel(files)) throw new ModelError('invalid', `hub:${repository} has no config.json`, { fix: 'Choose a repository that holds a model.' });
    return { files, isWhole: true };
  } catch (error) {
    signal?.throwIfAborted();
    const files = offline || isUnreachable(error) || error instanceof NotTheHub ? ((await others?.filesOf(commit)) ?? []) : [];
    if (isModel(files)) return { files, isWhole: false };
    throw client.explain(error, `@${commit}`);
  }
}

/** Brings every file that is needed to its place. */
async function fill({ repository, commit, directory }: Snapshot, { search, manifest, onProgress }: { search: Search; manifest: string; onProgress: HubOptions['onProgress'] }): Promise<void> {
  const { client, others, offline } = search;
  const { files: all, isWhole } = await findFiles(search, commit);
  let receivedBytes = 0;
  const bring = async (file: HubFile, report: (fileBytes: number) => void): Promise<void> => {
    const path = join(directory, ...file.path.split('/'));
    if ((await exists(path)) || (await others?.take(file, commit, path))) return;
    if (offline) throw notAtHand(`hub:${repository}/${file.path}`);
    await client.download(file, commit, path, (bytes, received) => {
      receivedBytes += received;
      report(bytes);
    });
  };
  // What kind of model it is decides which weights are worth downloading.
  await bring(all.find(({ path }) => path === 'config.json')!, () => {});
  const { model_type: modelType } = await readJsonObject(join(directory, 'config.json'));

  const files = selectFiles(all, modelType);
  const totalBytes = files.reduce((sum, { size }) => sum + size, 0);
  let doneBytes = 0;
  for (const file of files) {
    const report = (fileBytes: number): void => onProgress?.({ repository, file: file.path, bytes: doneBytes + fileBytes, totalBytes, receivedBytes });
    await bring(file, report);
    doneBytes += file.size;
    report(0);
  }
  if (isWhole) await writeJsonDurably(manifest, { repository, files: Object.fromEntries(files.map(({ path, size }) => [path, size])) });
}
