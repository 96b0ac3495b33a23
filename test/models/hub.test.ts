import { createHash } from 'node:crypto';
import { existsSync } from 'node:fs';
import { mkdir, mkdtemp, readdir, readFile, rm, stat, symlink, writeFile } from 'node:fs/promises';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { downloadSnapshot, type DownloadProgress, type HubOptions } from '../../src/models/hub.ts';
import { openStore, writeSafetensors, type StoredTensor } from '../../src/models/index.ts';
import { startHub, type HubRepository, type HubServer } from './support/hub-server.ts';
import { createTinyModel, tinyTokenizer } from './support/tiny.ts';

const commit = 'a'.repeat(40);
const fixture = new URL('../fixtures/decoders/llama-tied/', import.meta.url).pathname;
const json = (value: unknown): Uint8Array => new TextEncoder().encode(JSON.stringify(value));

/** A repository as they are: safetensors, tokenizer, and things that nobody needs. */
async function repository(): Promise<HubRepository & { files: Map<string, Uint8Array> }> {
  return {
    name: 'org/tiny-llama',
    commit,
    revisions: ['v1.0'],
    files: new Map([
      ['.gitattributes', json('')],
      ['README.md', json('hello')],
      ['config.json', new Uint8Array(await readFile(join(fixture, 'config.json')))],
      ['model.safetensors', new Uint8Array(await readFile(join(fixture, 'model.safetensors')))],
      ['tokenizer.json', json(tinyTokenizer.files['tokenizer.json'])],
      ['tokenizer_config.json', json(tinyTokenizer.files['tokenizer_config.json'])],
      ['pytorch_model.bin', new Uint8Array(1000)],
      ['onnx/model_q4.onnx', new Uint8Array(1000)],
    ]),
  };
}

let directory: string;
let hub: HubServer;
beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'rlrun-hub-'));
  hub = await startHub(await repository());
});
afterEach(async () => {
  await hub[Symbol.asyncDispose]();
  await rm(directory, { recursive: true });
});

const download = (options: Partial<HubOptions> & { revision?: string; name?: string } = {}) =>
  downloadSnapshot(options.name ?? 'org/tiny-llama', options.revision ?? null, { cacheDirectory: directory, hubUrl: hub.url, ...options });
const weights = 'model.safetensors';

describe('downloading', () => {
  test('takes what a model needs and nothing else', async () => {
    const progress: DownloadProgress[] = [];
    const snapshot = await download({ onProgress: (report) => progress.push(report) });
    expect(snapshot).toEqual({ repository: 'org/tiny-llama', commit, directory: join(directory, 'models--org--tiny-llama', 'snapshots', commit) });
    expect((await readdir(snapshot.directory)).sort()).toEqual(['config.json', weights, 'tokenizer.json', 'tokenizer_config.json']);
    expect(await readFile(join(snapshot.directory, weights))).toEqual(await readFile(join(fixture, weights)));
    expect(progress.at(-1)!.bytes).toBe(progress.at(-1)!.totalBytes);
    expect(progress.map(({ bytes }) => bytes)).toEqual(progress.map(({ bytes }) => bytes).toSorted((a, b) => a - b));
  });

  test('a second time asks only where the revision points to', async () => {
    await download();
    hub.requests.length = 0;
    await download();
    expect(hub.requests).toEqual(['GET /api/models/org/tiny-llama/revision/main']);
  });

  test('a tag, and a commit by its hash', async () => {
    expect((await download({ revision: 'v1.0' })).commit).toBe(commit);
    expect((await download({ revision: commit })).commit).toBe(commit);
    await expect(download({ revision: 'v2' })).rejects.toMatchObject({ kind: 'not_found', message: 'hub:org/tiny-llama@v2 does not exist' });
  });

  test('without a network the cache answers, and says what it cannot', async () => {
    await download();
    const unreachable = 'http://127.0.0.1:9';
    expect((await download({ hubUrl: unreachable })).commit).toBe(commit);
    await expect(download({ hubUrl: unreachable, revision: 'v1.0' })).rejects.toMatchObject({ kind: 'not_found', message: expect.stringContaining('could not be downloaded') });
  });

  test('a file that was deleted from the cache is downloaded again', async () => {
    const { directory: snapshot } = await download();
    await rm(join(snapshot, weights));
    hub.ranges.clear();
    await download();
    expect([...hub.ranges.keys()]).toEqual([weights]);
    expect(existsSync(join(snapshot, weights))).toBe(true);
  });

  test('ONNX weights are taken when there is no graph of our own for the architecture', async () => {
    const files = (await repository()).files;
    files.set('config.json', json({ model_type: 'gpt2' })).set('onnx/model.onnx', new Uint8Array(2000)).set('onnx/model.onnx_data', new Uint8Array(3000));
    await using other = await startHub({ ...(await repository()), files });
    const { directory: snapshot } = await download({ hubUrl: other.url });
    expect((await readdir(join(snapshot, 'onnx'))).sort()).toEqual(['model.onnx', 'model.onnx_data']);
    expect(existsSync(join(snapshot, weights))).toBe(false);
  });
});

describe('what goes wrong', () => {
  const starts = (): number[] => hub.ranges.get(weights)!.map((range) => Number(/\d+/.exec(range ?? '0')![0]));

  test('an interrupted download goes on where it stopped, as long as anything arrives', async () => {
    hub.faults.cutAfter.set(weights, 4_000);
    const { directory: snapshot } = await download();
    expect(starts().length).toBeGreaterThanOrEqual(9);
    expect(starts()).toEqual(starts().toSorted((a, b) => a - b));
    expect(await readFile(join(snapshot, weights))).toEqual(await readFile(join(fixture, weights)));
  });

  test('so does the next run', async () => {
    hub.faults.cutAfter.set(weights, 4_000);
    const failing = download({ onProgress: ({ file, bytes }) => file === weights && bytes > 10_000 && hub.faults.status.set(weights, 503) });
    await expect(failing).rejects.toThrow('the Hub answered 503');
    hub.faults.cutAfter.clear();
    hub.faults.status.clear();
    hub.ranges.clear();
    await download();
    expect(starts()).toHaveLength(1);
    expect(starts()[0]).toBeGreaterThan(4_000);
  });

  test('a wrong hash is refused and nothing is kept', async () => {
    hub.faults.corrupt.add(weights);
    await expect(download()).rejects.toMatchObject({ kind: 'invalid', message: 'model.safetensors of hub:org/tiny-llama arrived with a wrong hash' });
    const snapshot = join(directory, 'models--org--tiny-llama', 'snapshots', commit);
    expect((await readdir(snapshot)).filter((name) => name.startsWith('model'))).toEqual([]);
    hub.faults.corrupt.clear();
    await download();
  });

  test('a small file is checked by its git hash', async () => {
    hub.faults.corrupt.add('tokenizer.json');
    await expect(download()).rejects.toThrow('tokenizer.json of hub:org/tiny-llama arrived with a wrong hash');
  });

  test('a rotten beginning of an earlier attempt is thrown away, once', async () => {
    const snapshot = join(directory, 'models--org--tiny-llama', 'snapshots', commit);
    hub.faults.status.set(weights, 404);
    await expect(download()).rejects.toMatchObject({ kind: 'not_found' });
    hub.faults.status.clear();
    hub.ranges.clear();
    await writeFile(join(snapshot, `${weights}.part`), new Uint8Array(700));
    await download();
    expect(hub.ranges.get(weights)).toEqual(['bytes=700-', null]);
  });

  test('a server without ranges sends the file from the start', async () => {
    hub.faults.ignoreRange = true;
    hub.faults.status.set(weights, 404);
    await expect(download()).rejects.toMatchObject({ kind: 'not_found' });
    hub.faults.status.clear();
    const snapshot = join(directory, 'models--org--tiny-llama', 'snapshots', commit);
    await writeFile(join(snapshot, `${weights}.part`), (await readFile(join(fixture, weights))).subarray(0, 700));
    await download();
    expect(await readFile(join(snapshot, weights))).toEqual(await readFile(join(fixture, weights)));
  });

  test('a server error is tried again, then reported', async () => {
    hub.faults.status.set(weights, 503);
    await expect(download()).rejects.toThrow('the Hub answered 503 for hub:org/tiny-llama/model.safetensors');
    expect(hub.ranges.get(weights)).toHaveLength(4);
  });

  test('private and missing repositories', async () => {
    await using secret = await startHub({ ...(await repository()), token: 'hf_secret' });
    await expect(download({ hubUrl: secret.url })).rejects.toMatchObject({ kind: 'permission', fix: expect.stringContaining('set HF_TOKEN') });
    await expect(download({ hubUrl: secret.url, accessToken: 'hf_wrong' })).rejects.toMatchObject({ kind: 'permission', fix: expect.stringContaining('the account of HF_TOKEN') });
    await expect(download({ accessToken: 'not-a-token' })).rejects.toMatchObject({ kind: 'permission', message: 'the Hugging Face token does not look like one' });
    expect((await download({ hubUrl: secret.url, accessToken: 'hf_secret' })).commit).toBe(commit);
    await expect(download({ name: 'org/other' })).rejects.toMatchObject({ kind: 'not_found', message: 'hub:org/other@main does not exist' });
  });

  test('a repository whose file names climb out of the cache is refused', async () => {
    for (const path of ['../evil', 'a/../../evil', '/etc/evil', 'C:\\evil', 'a\\..\\evil']) {
      await using evil = await startHub({ ...(await repository()), files: new Map([...(await repository()).files, [path, json('x')]]) });
      await expect(download({ hubUrl: evil.url, cacheDirectory: join(directory, 'evil') })).rejects.toThrow(/impossible file/);
    }
  });

  test('an abort ends it at once and keeps what has arrived', async () => {
    const controller = new AbortController();
    const stopped = download({ signal: controller.signal, onProgress: ({ file }) => file === weights && controller.abort(new Error('enough')) });
    await expect(stopped).rejects.toThrow('enough');
    expect((await download()).commit).toBe(commit);
  });
});

describe('a Hub that is none, or means no good', () => {
  const page = (response: ServerResponse): boolean => {
    response.writeHead(200, { 'content-type': 'text/html' }).end('<html>Welcome to our network! Please log in.</html>');
    return true;
  };
  const isTree = (request: IncomingMessage): boolean => request.url!.includes('/tree/');
  const isWeights = (request: IncomingMessage): boolean => request.url!.endsWith(weights);

  test('a login page is told as what it is; what was downloaded before serves meanwhile', async () => {
    hub.faults.answer = (_, response) => page(response);
    const message = `${hub.url} does not answer as the Hub does: its answer is a web page, or cut off`;
    await expect(download()).rejects.toMatchObject({ kind: 'invalid', message, fix: expect.stringContaining('login') });
    hub.faults.answer = (request, response) => isTree(request) && page(response);
    await expect(download()).rejects.toMatchObject({ kind: 'invalid', message });
    hub.faults.answer = null;
    await download();
    hub.faults.answer = (_, response) => page(response);
    const notices: string[] = [];
    expect((await download({ onNotice: (text) => notices.push(text) })).commit).toBe(commit);
    expect(notices).toEqual([`hub:org/tiny-llama is taken as it is at hand: ${message}`]);
  });

  test.each([weights, 'config.json'])('%s that does not end is cut at the size that is listed', async (endless) => {
    let sent = 0;
    hub.faults.answer = (request, response) => {
      if (!request.url!.endsWith(endless)) return false;
      response.writeHead(200);
      const more = (): void => {
        sent += 2 ** 16;
        if (!response.destroyed) response.write(new Uint8Array(2 ** 16), () => setImmediate(more));
      };
      more();
      return true;
    };
    await expect(download()).rejects.toMatchObject({ kind: 'invalid', message: expect.stringMatching(new RegExp(`^${endless} of hub:org/tiny-llama is longer than the \\d+ bytes that the Hub lists$`)) });
    expect(sent).toBeLessThan(32 * 2 ** 20);
    expect((await readdir(join(directory, 'models--org--tiny-llama', 'snapshots', commit))).filter((name) => name.startsWith(endless))).toEqual([]);
  });

  test('an answer of the API that does not end is not taken into memory', async () => {
    hub.faults.answer = (_, response) => {
      const more = (): void => void (response.destroyed || response.write(Buffer.alloc(2 ** 20, 32), () => setImmediate(more)));
      more();
      return true;
    };
    await expect(download()).rejects.toThrow('its answer has more than 64 MB');
  });

  test('the token goes to no other host, whatever page or redirect leads there', async () => {
    await using other = await startHub({ ...(await repository()) });
    const seen: (string | undefined)[] = [];
    other.faults.answer = (request, response) => {
      seen.push(request.headers.authorization);
      if (!isTree(request)) return false;
      response.writeHead(200, { 'content-type': 'application/json' }).end('[]');
      return true;
    };
    hub.faults.answer = (request, response) => {
      const { url } = request;
      if (isTree(request)) response.setHeader('link', `<${other.url}${url}>; rel="next"`);
      if (!isWeights(request)) return false;
      response.writeHead(302, { location: `${other.url}${url}` }).end();
      return true;
    };
    await download({ accessToken: 'hf_secret' });
    expect(seen).toEqual([undefined, undefined]);
  });

  test('pages that lead to themselves, or ever on, end', async () => {
    let page = 0;
    for (const next of [(url: string) => url, (url: string) => `${url.replace(/&page=.*/, '')}&page=${++page}`]) {
      hub.faults.answer = (request, response) => {
        if (!isTree(request)) return false;
        response.writeHead(200, { 'content-type': 'application/json', link: `<${hub.url}${next(request.url!)}>; rel="next"` }).end('[]');
        return true;
      };
      await expect(download()).rejects.toThrow('its pages follow each other without an end');
    }
  });

  test('a server that says nothing is told of, and left', async () => {
    const notices: string[] = [];
    const host = new URL(hub.url).host;
    const silent = { silenceMs: 300, onNotice: (text: string): unknown => notices.push(text) };
    hub.faults.answer = () => true;
    await expect(download(silent)).rejects.toMatchObject({ kind: 'not_found', message: expect.stringContaining(`${host} said nothing for 0 s`) });
    expect(notices).toEqual([expect.stringContaining(`${host} has said nothing`)]);
    // In the middle of a file, too; what has arrived is kept.
    hub.faults.answer = (request, response) => {
      if (!isWeights(request) || request.headers.range !== undefined) return false;
      response.writeHead(200, { 'content-length': 100_000 }).write(new Uint8Array(10));
      return true;
    };
    await expect(download({ ...silent, onProgress: ({ file, bytes }) => file === weights && bytes > 0 && (hub.faults.answer = (request) => isWeights(request)) })).rejects.toThrow('said nothing');
    const { size } = await stat(join(directory, 'models--org--tiny-llama', 'snapshots', commit, `${weights}.part`));
    expect(size).toBe(10);
  });

  test('answers that are JSON and nothing more are no bug', async () => {
    for (const answer of ['null', '{}', '[]', '[null]', '{"sha":5}', '"text"', '[{"type":"file"}]', '[{"type":"file","path":"config.json","size":1e300}]']) {
      for (const only of [() => true, isTree]) {
        hub.faults.answer = (request, response) => only(request) && !!response.writeHead(200, { 'content-type': 'application/json' }).end(answer);
        await expect(download()).rejects.toHaveProperty('kind');
      }
    }
  });
});

describe('what other tools have downloaded', () => {
  /** As Hugging Face's libraries lay it out: files are links to blobs that are named by their hash. */
  async function userCache(names?: string[]): Promise<string> {
    const cache = join(directory, 'huggingface');
    const folder = join(cache, 'models--org--tiny-llama');
    const snapshot = join(folder, 'snapshots', commit);
    for (const path of ['blobs', 'refs', join('snapshots', commit)]) await mkdir(join(folder, path), { recursive: true });
    await writeFile(join(folder, 'refs', 'main'), commit);
    for (const [name, bytes] of (await repository()).files) {
      if (names !== undefined ? !names.includes(name) : name.includes('/')) continue;
      const blob = name === weights ? createHash('sha256').update(bytes).digest('hex') : createHash('sha1').update(`blob ${bytes.length}\0`).update(bytes).digest('hex');
      await writeFile(join(folder, 'blobs', blob), bytes);
      await symlink(join('..', '..', 'blobs', blob), join(snapshot, name));
    }
    return cache;
  }

  test('is not downloaded again', async () => {
    const { directory: snapshot } = await download({ userCache: await userCache([weights, 'tokenizer.json']) });
    expect([...hub.ranges.keys()]).toEqual(['config.json', 'tokenizer_config.json']);
    expect(await readFile(join(snapshot, weights))).toEqual(await readFile(join(fixture, weights)));
  });

  test('is checked first', async () => {
    const cache = await userCache([weights]);
    const [blob] = await readdir(join(cache, 'models--org--tiny-llama', 'blobs'));
    await writeFile(join(cache, 'models--org--tiny-llama', 'blobs', blob!), new Uint8Array((await stat(join(fixture, weights))).size));
    await download({ userCache: cache });
    expect(hub.ranges.has(weights)).toBe(true);
  });

  test('does without a network, and without asking one when HF_HUB_OFFLINE says so', async () => {
    const cache = await userCache();
    expect((await download({ userCache: cache, hubUrl: 'http://127.0.0.1:9' })).commit).toBe(commit);
    await rm(join(directory, 'models--org--tiny-llama'), { recursive: true });
    hub.requests.length = 0;
    const { directory: snapshot } = await download({ userCache: cache, offline: true });
    expect((await readdir(snapshot)).sort()).toEqual(['config.json', weights, 'tokenizer.json', 'tokenizer_config.json']);
    await expect(download({ name: 'org/other', offline: true })).rejects.toMatchObject({ kind: 'not_found', message: 'hub:org/other@main is not at hand, and HF_HUB_OFFLINE forbids to download it' });
    expect(hub.requests).toEqual([]);
  });
});

describe('forking from the Hub', () => {
  const store = (url: string) => openStore({ root: join(directory, '.rlrun'), builtins: directory, cwd: directory, hub: { hubUrl: url } });

  test('safetensors are converted once and shared by forks', async () => {
    const { record } = await store(hub.url).fork({ source: 'hub:org/tiny-llama', slug: 'one' });
    expect(record.base).toBe('hub:org/tiny-llama');
    expect((await readdir(record.baseDirectory)).sort()).toEqual(['config.json', 'onnx', 'tokenizer.json', 'tokenizer_config.json']);
    const second = await store(hub.url).fork({ source: 'hub:org/tiny-llama@v1.0', slug: 'two' });
    expect(second.record.baseDirectory).toBe(record.baseDirectory);
    const rows = await store(hub.url).list();
    expect(rows.map(({ source, kind, obstacle }) => [source, kind, obstacle])).toEqual([
      ['one', 'model', null], ['two', 'model', null], ['hub:org/tiny-llama@aaaaaaaaaaaa', 'hub', null],
    ]);
  });

  test('a dry run asks the Hub, and downloads and writes nothing', async () => {
    const { created } = await store(hub.url).fork({ source: 'hub:org/tiny-llama', slug: 'one', dryRun: true });
    expect([created, [...hub.ranges.keys()], existsSync(join(directory, '.rlrun'))]).toEqual([false, [], false]);
    await expect(store(hub.url).fork({ source: 'hub:org/none', slug: 'one', dryRun: true })).rejects.toMatchObject({ kind: 'not_found' });
  });

  test('an ONNX repository is used as it is', async () => {
    const made = join(directory, 'made');
    await createTinyModel(made);
    const files = new Map<string, Uint8Array>();
    for (const path of ['config.json', 'tokenizer.json', 'tokenizer_config.json', 'onnx/model.onnx']) files.set(path, new Uint8Array(await readFile(join(made, path))));
    await using onnx = await startHub({ name: 'org/tiny-onnx', commit, files });
    const { record } = await store(onnx.url).fork({ source: 'hub:org/tiny-onnx', slug: 'x' });
    expect(record.baseDirectory).toContain('snapshots');
  });

  test('weights that do not fit are refused and no model is made', async () => {
    const path = join(directory, 'short.safetensors');
    await writeSafetensors(path, new Map<string, StoredTensor>([['model.norm.weight', { dtype: 'F32', shape: [24], data: new Float32Array(24) }]]));
    const files = new Map([...(await repository()).files, [weights, new Uint8Array(await readFile(path))]]);
    await using broken = await startHub({ ...(await repository()), files });
    await expect(store(broken.url).fork({ source: 'hub:org/tiny-llama', slug: 'x' })).rejects.toThrow(/have no tensor "model.embed_tokens.weight"/);
    expect(await readdir(join(directory, '.rlrun', 'bases')).catch(() => [])).toEqual([]);
    expect(existsSync(join(directory, '.rlrun', 'models', 'x'))).toBe(false);
  });
});
