/** @file One repository of the Hub, over the network. `@huggingface/hub` speaks to the API; files come through requests of our own. */
import { createWriteStream } from 'node:fs';
import { rename, rm, stat } from 'node:fs/promises';
import { dirname } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { HubApiError, listFiles, modelInfo } from '@huggingface/hub';
import { makeFolder } from '../util/make-folder.ts';
import { errorCode, fileError, ModelError } from './errors.ts';
import { apiFetch, ask, type Answer, type DoorOptions, Interrupted, NotTheHub, Silent } from './hub-door.ts';
import { checkFile, type HubFile, isIntact } from './hub-files.ts';

export interface ClientOptions extends DoorOptions {
  accessToken: string | undefined;
}

/** In a row, without a byte of progress. */
const maxFailures = 4;
/** Nobody waits longer than that for a server that has been silent. */
const maxSilences = 2;

export class HubClient {
  readonly #repository: string;
  readonly #options: ClientOptions;

  constructor(repository: string, options: ClientOptions) {
    if (options.accessToken !== undefined && !options.accessToken.startsWith('hf_')) {
      throw new ModelError('permission', 'the Hugging Face token does not look like one', {
        fix: 'HF_TOKEN should begin with "hf_", and so should the token that the Hugging Face tools keep: see https://huggingface.co/settings/tokens.',
      });
    }
    this.#repository = repository;
    this.#options = options;
  }

  #api(): { hubUrl: string; fetch: typeof fetch; accessToken?: string } {
    const { hubUrl, accessToken } = this.#options;
    return { hubUrl, fetch: apiFetch(this.#options), ...(accessToken === undefined ? {} : { accessToken }) };
  }

  /** The commit that a branch or tag points to now. */
  async commitOf(revision: string): Promise<string> {
    const { sha } = await modelInfo({ ...this.#api(), name: this.#repository, revision, additionalFields: ['sha'] });
    if (!/^[0-9a-f]{40}$/.test(sha)) throw new NotTheHub(`it names ${JSON.stringify(sha)} as the commit of hub:${this.#repository}@${revision}`);
    return sha;
  }

  async files(commit: string): Promise<HubFile[]> {
    const files: HubFile[] = [];
    for await (const entry of listFiles({ ...this.#api(), repo: this.#repository, revision: commit, recursive: true })) {
      if (entry?.type !== 'file') continue;
      const { path, size, oid, lfs } = entry;
      files.push(checkFile({ path, size, hash: lfs === undefined ? { kind: 'git', hex: oid ?? '' } : { kind: 'sha256', hex: lfs.oid } }));
    }
    return files;
  }

  /** Downloads one file, going on where an earlier attempt stopped. */
  async download(file: HubFile, commit: string, path: string, onBytes: (bytes: number, received: number) => void): Promise<void> {
    const partial = `${path}.part`;
    await makeFolder(dirname(path));
    const arrived = async (): Promise<number> => (await stat(partial).catch(() => null))?.size ?? 0;
    for (let failures = 0; ; ) {
      const resumedAt = await arrived();
      try {
        const excess = await this.#append(file, commit, { partial, offset: resumedAt, onBytes });
        if (excess === 0 && (await isIntact(partial, file))) break;
        await rm(partial, { force: true });
        // A wrong beginning from an earlier attempt deserves one clean try; a wrong whole file does not.
        if (resumedAt > 0) continue;
        const what = excess > 0 ? `is longer than the ${file.size} bytes that the Hub lists` : 'arrived with a wrong hash';
        throw new ModelError('invalid', `${file.path} of hub:${this.#repository} ${what}`, { fix: 'Try again; if it stays, the file on the server or a proxy between is broken.' });
      } catch (error) {
        this.#options.signal?.throwIfAborted();
        failures = (await arrived()) > resumedAt ? 0 : failures + 1;
        if (!isUnreachable(error) || failures >= (error instanceof Silent ? maxSilences : maxFailures)) throw this.explain(error, `/${file.path}`);
      }
    }
    await rename(partial, path).catch((error: unknown) => Promise.reject(fileError(error, path)));
  }

  /** Returns how many bytes came beyond the size that is listed: nothing behind that is read. */
  async #append(file: HubFile, commit: string, { partial, offset, onBytes }: { partial: string; offset: number; onBytes: (bytes: number, received: number) => void }): Promise<number> {
    if (offset === file.size && offset > 0) return 0;
    const url = `${this.#options.hubUrl}/${this.#repository}/resolve/${commit}/${file.path.split('/').map(encodeURIComponent).join('/')}`;
    const answer = await this.#request(url, offset > 0 && offset < file.size ? { Range: `bytes=${offset}-` } : {});
    const isRest = answer.status === 206 && answer.headers.get('content-range')?.startsWith(`bytes ${offset}-`) === true;
    let bytes = isRest ? offset : 0;
    let excess = 0;
    let failure: unknown;
    // A broken connection ends the text instead of failing, so that what has arrived is still written.
    const arriving = async function* (): AsyncGenerator<Uint8Array> {
      try {
        for await (const chunk of answer.body) {
          const wanted = chunk.subarray(0, file.size - bytes);
          bytes += wanted.byteLength;
          onBytes(bytes, wanted.byteLength);
          yield wanted;
          excess = chunk.byteLength - wanted.byteLength;
          if (excess > 0) return;
        }
      } catch (error) {
        failure = error;
      }
    };
    await pipeline(arriving, createWriteStream(partial, { flags: isRest ? 'a' : 'w', flush: true }));
    if (failure !== undefined) throw failure;
    if (bytes < file.size) throw new Interrupted(`${file.path} ended after ${bytes} of ${file.size} bytes`);
    return excess;
  }

  async #request(url: string, headers: Record<string, string>): Promise<Answer> {
    const { accessToken } = this.#options;
    const authorization: Record<string, string> = accessToken === undefined ? {} : { Authorization: `Bearer ${accessToken}` };
    const answer = await ask(url, { headers: { ...headers, ...authorization } }, this.#options);
    if (answer.status < 400) return answer;
    for await (const _ of answer.body) break;
    throw new HubApiError(url, answer.status, undefined, `status ${answer.status}`);
  }

  /** What went wrong at a place of the repository, in words. */
  explain(error: unknown, place: string): Error {
    const { accessToken, hubUrl } = this.#options;
    const what = `hub:${this.#repository}${place}`;
    if (error instanceof ModelError) return error;
    if (error instanceof NotTheHub) {
      return new ModelError('invalid', `${hubUrl} does not answer as the Hub does: ${error.message}`, { fix: 'Does this network want a login in a browser first? Else check HF_ENDPOINT, or try again later.', cause: error });
    }
    if (error instanceof HubApiError) {
      const { statusCode } = error;
      if (statusCode === 401 || statusCode === 403) {
        const fix = accessToken === undefined ? 'Check the spelling. If it is private or gated, accept its terms on the Hub and set HF_TOKEN.' : 'Check the spelling, and that the account of HF_TOKEN may read it.';
        return new ModelError('permission', `${what} may not be read, or does not exist`, { fix, cause: error });
      }
      if (statusCode === 404) return new ModelError('not_found', `${what} does not exist`, { fix: 'Check the spelling of repository and revision.', cause: error });
      return new ModelError('invalid', `the Hub answered ${statusCode} for ${what}`, { fix: 'Try again later.', cause: error });
    }
    if (isUnreachable(error)) {
      return new ModelError('not_found', `${what} could not be downloaded from ${hubUrl}: ${reasonOf(error)}`, { fix: 'Check the network and run again: what has arrived is kept.', cause: error });
    }
    return fileError(error, what);
  }
}

/** Worth another attempt: the network or the server failed, not the request. */
export function isUnreachable(error: unknown): boolean {
  if (error instanceof HubApiError) return error.statusCode >= 500 || error.statusCode === 429;
  if (error instanceof Interrupted || error instanceof TypeError) return true;
  return ['ECONNRESET', 'ECONNREFUSED', 'EPIPE', 'ETIMEDOUT', 'ENOTFOUND', 'EAI_AGAIN', 'ERR_STREAM_PREMATURE_CLOSE', 'UND_ERR_SOCKET'].includes(errorCode(error) ?? '');
}

function reasonOf(error: unknown): string {
  const cause = error instanceof Error && error.cause instanceof Error ? error.cause : error;
  return cause instanceof Error ? cause.message || (errorCode(cause) ?? cause.name) : String(cause);
}
