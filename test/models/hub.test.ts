import { existsSync } from 'node:fs';
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
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
    expect([...hub.ranges.keys()]).toEqual(['config.json', weights]);
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
