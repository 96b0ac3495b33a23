/**
 * @file Snapshots of Hugging Face repositories in a local cache.
 *
 * `@huggingface/hub` speaks to the API; its own cache is not used, since that needs symbolic links, neither resumes nor
 * checks hashes, and prints. Here a file gets its final name only when its hash is right.
 */
import { createHash } from 'node:crypto';
import { createReadStream, createWriteStream } from 'node:fs';
import { mkdir, rename, rm, stat } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { fileDownloadInfo, HubApiError, listFiles, modelInfo, type ListFileEntry } from '@huggingface/hub';
import { supportedModelTypes } from './architectures/index.ts';
import { writeJsonDurably } from './durable.ts';
import { errorCode, fileError, ModelError } from './errors.ts';
import { exists, readJsonObject } from './files.ts';

export interface HubOptions {
  /** Where snapshots are kept. */
  cacheDirectory: string;
  /** `HF_ENDPOINT`; default https://huggingface.co. */
  hubUrl?: string;
  /** `HF_TOKEN`. */
  accessToken?: string;
  onProgress?: (progress: DownloadProgress) => void;
  /** Finds the commit and its files, but writes and downloads nothing. */
  dryRun?: boolean;
  signal?: AbortSignal;
}

export interface DownloadProgress {
  repository: string;
  file: string;
  /** Bytes of all files of the snapshot, so far and in the end. */
  bytes: number;
  totalBytes: number;
}

export interface Snapshot {
  repository: string;
  /** The full commit hash. */
  commit: string;
  directory: string;
}

interface HubFile {
  path: string;
  size: number;
  /** What git or LFS says about the content. */
  hash: { kind: 'sha256' | 'git'; hex: string };
}

const defaultHubUrl = 'https://huggingface.co';
/** In a row, without a byte of progress. */
const maxFailures = 4;

/** Downloads what a model needs of a repository, or finds it in the cache. Without a network the cache answers alone. */
export async function downloadSnapshot(repository: string, revision: string | null, options: HubOptions): Promise<Snapshot> {
  const folder = join(options.cacheDirectory, `models--${repository.replace('/', '--')}`);
  const client = new HubClient(repository, options);
  const wanted = revision ?? 'main';
  const remembered = join(folder, 'refs', `${encodeURIComponent(wanted)}.json`);
  const commit = await client.resolveCommit(wanted, remembered);
  const directory = join(folder, 'snapshots', commit);
  if (options.dryRun === true) {
    await client.files(commit);
    return { repository, commit, directory };
  }
  await mkdir(dirname(remembered), { recursive: true });
  await writeJsonDurably(remembered, { commit });
  const manifest = join(folder, 'snapshots', `${commit}.json`);
  if (await isComplete(directory, manifest)) return { repository, commit, directory };

  const files = selectFiles(await client.files(commit), await client.modelType(commit));
  const totalBytes = files.reduce((sum, { size }) => sum + size, 0);
  let doneBytes = 0;
  for (const file of files) {
    const report = (fileBytes: number): void => options.onProgress?.({ repository, file: file.path, bytes: doneBytes + fileBytes, totalBytes });
    const path = join(directory, ...file.path.split('/'));
    if (!(await exists(path))) await client.download(file, commit, path, report);
    doneBytes += file.size;
    report(0);
  }
  await mkdir(directory, { recursive: true });
  await writeJsonDurably(manifest, { repository, files: Object.fromEntries(files.map(({ path, size }) => [path, size])) });
  return { repository, commit, directory };
}

async function isComplete(directory: string, manifest: string): Promise<boolean> {
  if (!(await exists(manifest))) return false;
  const { files } = await readJsonObject(manifest);
  for (const [path, size] of Object.entries(files ?? {})) {
    if ((await stat(join(directory, path)).catch(() => null))?.size !== size) return false;
  }
  return true;
}

/** The tokenizer, and either the safetensors of an architecture we build ourselves, or the float32 ONNX graph. */
function selectFiles(files: readonly HubFile[], modelType: unknown): HubFile[] {
  const paths = new Set(files.map(({ path }) => path));
  const small = /^(?:config|generation_config|tokenizer|tokenizer_config|special_tokens_map|added_tokens|chat_template)\.json$|^chat_template\.jinja$/;
  const hasSafetensors = paths.has('model.safetensors') || paths.has('model.safetensors.index.json');
  const weights = hasSafetensors && supportedModelTypes.some((type) => type === modelType) ? /^model(?:-\d+-of-\d+)?\.safetensors(?:\.index\.json)?$/ : /^onnx\/model\.onnx(?:_data(?:_\d+)?)?$/;
  return files.filter(({ path }) => small.test(path) || weights.test(path));
}

class HubClient {
  readonly #repository: string;
  readonly #options: HubOptions;
  readonly #api: { hubUrl: string; fetch: typeof fetch; accessToken?: string };

  constructor(repository: string, options: HubOptions) {
    const { accessToken, signal, hubUrl = defaultHubUrl } = options;
    if (accessToken !== undefined && !accessToken.startsWith('hf_')) {
      throw new ModelError('permission', 'the Hugging Face token does not look like one', { fix: 'HF_TOKEN should begin with "hf_": see https://huggingface.co/settings/tokens.' });
    }
    this.#repository = repository;
    this.#options = options;
    this.#api = {
      hubUrl: hubUrl.replace(/\/$/, ''),
      fetch: (input, init) => fetch(input, signal === undefined ? init : { ...init, signal }),
      ...(accessToken === undefined ? {} : { accessToken }),
    };
  }

  /** The commit that a branch or tag points to now; without a network the one it pointed to last time. */
  async resolveCommit(revision: string, remembered: string): Promise<string> {
    try {
      const { sha } = await modelInfo({ ...this.#api, name: this.#repository, revision, additionalFields: ['sha'] });
      if (!/^[0-9a-f]{40}$/.test(sha)) throw new ModelError('invalid', `the Hub names ${JSON.stringify(sha)} as the commit of hub:${this.#repository}@${revision}`, { fix: 'Try again later.' });
      return sha;
    } catch (error) {
      this.#options.signal?.throwIfAborted();
      if (isUnreachable(error) && (await exists(remembered))) return String((await readJsonObject(remembered)).commit);
      throw this.#explain(error, `@${revision}`);
    }
  }

  async files(commit: string): Promise<HubFile[]> {
    const files: HubFile[] = [];
    try {
      for await (const entry of listFiles({ ...this.#api, repo: this.#repository, revision: commit, recursive: true })) {
        if (entry.type === 'file') files.push(hubFile(entry));
      }
    } catch (error) {
      throw this.#explain(error, `@${commit}`);
    }
    if (!files.some(({ path }) => path === 'config.json')) {
      throw new ModelError('invalid', `hub:${this.#repository} has no config.json`, { fix: 'Choose a repository that holds a model.' });
    }
    return files;
  }

  /** `model_type` of the repository's config.json, read before deciding which weights are worth downloading. */
  async modelType(commit: string): Promise<unknown> {
    try {
      const response = await this.#request(`${this.#api.hubUrl}/${this.#repository}/resolve/${commit}/config.json`, {});
      return ((await response.json()) as { model_type?: unknown }).model_type;
    } catch (error) {
      throw this.#explain(error, '/config.json');
    }
  }

  /** Downloads one file, going on where an earlier attempt stopped. */
  async download(file: HubFile, commit: string, path: string, report: (bytes: number) => void): Promise<void> {
    const partial = `${path}.part`;
    await mkdir(dirname(path), { recursive: true });
    const arrived = async (): Promise<number> => (await stat(partial).catch(() => null))?.size ?? 0;
    for (let failures = 0; ; ) {
      const resumedAt = await arrived();
      try {
        await this.#append(file, commit, partial, resumedAt, report);
        if ((await hashOf(partial, file)) === file.hash.hex) break;
        await rm(partial, { force: true });
        // A wrong beginning from an earlier attempt deserves one clean try; a wrong whole file does not.
        if (resumedAt > 0) continue;
        throw new ModelError('invalid', `${file.path} of hub:${this.#repository} arrived with a wrong hash`, { fix: 'Try again; if it stays, the file on the server or a proxy between is broken.' });
      } catch (error) {
        this.#options.signal?.throwIfAborted();
        failures = (await arrived()) > resumedAt ? 0 : failures + 1;
        if (!isUnreachable(error) || failures === maxFailures) throw this.#explain(error, `/${file.path}`);
      }
    }
    await rename(partial, path).catch((error: unknown) => Promise.reject(fileError(error, path)));
  }

  async #append(file: HubFile, commit: string, partial: string, offset: number, report: (bytes: number) => void): Promise<void> {
    if (offset === file.size && offset > 0) return;
    const info = await fileDownloadInfo({ ...this.#api, repo: this.#repository, path: file.path, revision: commit });
    if (info === null) throw new ModelError('not_found', `hub:${this.#repository} has no ${file.path} any more`, { fix: 'Try again.' });
    const response = await this.#request(info.url, offset > 0 && offset < file.size ? { Range: `bytes=${offset}-` } : {});
    const start = response.status === 206 ? offset : 0;
    let bytes = start;
    let failure: unknown;
    // A broken connection ends the text instead of failing, so that what has arrived is still written.
    const arriving = async function* (): AsyncGenerator<Uint8Array> {
      try {
        for await (const chunk of response.body ?? []) {
          bytes += chunk.byteLength;
          report(bytes);
          yield chunk;
        }
      } catch (error) {
        failure = error;
      }
    };
    await pipeline(arriving, createWriteStream(partial, { flags: start > 0 ? 'a' : 'w', flush: true }));
    if (failure !== undefined) throw failure;
    if (bytes < file.size) throw new Interrupted(`${file.path} ended after ${bytes} of ${file.size} bytes`);
  }

  async #request(url: string, headers: Record<string, string>): Promise<Response> {
    // The token is for the Hub alone: content often lies on other hosts.
    const isHub = new URL(url).origin === new URL(this.#api.hubUrl).origin;
    const authorization: Record<string, string> = isHub && this.#api.accessToken !== undefined ? { Authorization: `Bearer ${this.#api.accessToken}` } : {};
    const response = await this.#api.fetch(url, { headers: { ...headers, ...authorization } });
    if (!response.ok) {
      await response.body?.cancel();
      throw new HubApiError(url, response.status, undefined, `status ${response.status}`);
    }
    return response;
  }

  #explain(error: unknown, place: string): Error {
    const what = `hub:${this.#repository}${place}`;
    if (error instanceof ModelError) return error;
    if (error instanceof HubApiError) {
      const { statusCode } = error;
      if (statusCode === 401 || statusCode === 403) {
        const fix = this.#api.accessToken === undefined ? 'Check the spelling. If it is private or gated, accept its terms on the Hub and set HF_TOKEN.' : 'Check the spelling, and that the account of HF_TOKEN may read it.';
        return new ModelError('permission', `${what} may not be read, or does not exist`, { fix, cause: error });
      }
      if (statusCode === 404) return new ModelError('not_found', `${what} does not exist`, { fix: 'Check the spelling of repository and revision.', cause: error });
      return new ModelError('invalid', `the Hub answered ${statusCode} for ${what}`, { fix: 'Try again later.', cause: error });
    }
    if (isUnreachable(error)) {
      return new ModelError('not_found', `${what} could not be downloaded from ${this.#api.hubUrl}: ${reasonOf(error)}`, { fix: 'Check the network and run again: what has arrived is kept.', cause: error });
    }
    return fileError(error, what);
  }
}

/** The server closed the connection early without saying so. */
class Interrupted extends Error {}

/** Worth another attempt: the network or the server failed, not the request. */
function isUnreachable(error: unknown): boolean {
  if (error instanceof HubApiError) return error.statusCode >= 500 || error.statusCode === 429;
  if (error instanceof Interrupted || error instanceof TypeError) return true;
  return ['ECONNRESET', 'ECONNREFUSED', 'EPIPE', 'ETIMEDOUT', 'ENOTFOUND', 'EAI_AGAIN', 'ERR_STREAM_PREMATURE_CLOSE', 'UND_ERR_SOCKET'].includes(errorCode(error) ?? '');
}

function reasonOf(error: unknown): string {
  const cause = error instanceof Error && error.cause instanceof Error ? error.cause : error;
  return cause instanceof Error ? cause.message || (errorCode(cause) ?? cause.name) : String(cause);
}

/** The path becomes a place on this disk: nothing in it may climb out of the snapshot, on any system. */
function hubFile({ path, size, oid, lfs }: ListFileEntry): HubFile {
  const hex = lfs?.oid ?? oid;
  if (path.split(/[/\\]/).includes('..') || /^[/\\]|^[a-zA-Z]:|\\/.test(path) || hex === undefined) {
    throw new ModelError('invalid', `the repository lists an impossible file: ${JSON.stringify(path)}`, { fix: 'Do not use this repository.' });
  }
  return { path, size, hash: { kind: lfs === undefined ? 'git' : 'sha256', hex } };
}

/** LFS files are named by their sha-256, others by git's sha-1 of "blob <size>\0" and the content. */
async function hashOf(path: string, { hash: { kind } }: HubFile): Promise<string> {
  const hash = createHash(kind === 'git' ? 'sha1' : 'sha256');
  if (kind === 'git') hash.update(`blob ${(await stat(path)).size}\0`);
  await pipeline(createReadStream(path, { highWaterMark: 1 << 20 }), hash);
  return hash.digest('hex');
}
