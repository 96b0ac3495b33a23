/** Any number of processes, one store. */
import { readdir, writeFile, mkdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { beforeAll, expect, test } from 'vitest';
import { startHub } from '../models/support/hub-server.ts';
import { createTinyModel } from '../models/support/tiny.ts';
import { build, workspace } from './binary.ts';

beforeAll(() => build(), 180_000);

const shape = { model_type: 'llama', hidden_size: 8, intermediate_size: 8, num_hidden_layers: 1, num_attention_heads: 1, num_key_value_heads: 1, max_position_embeddings: 32, rms_norm_eps: 1e-5, vocab_size: 16, tie_word_embeddings: true };

/** A repository of a tiny model. */
async function hubOf(directory: string) {
  const names = ['config.json', 'tokenizer.json', 'tokenizer_config.json', 'onnx/model.onnx'];
  await createTinyModel(directory);
  const files = new Map(await Promise.all(names.map(async (name) => [name, new Uint8Array(await readFile(join(directory, name)))] as const)));
  const hub = await startHub({ name: 'org/tiny', commit: 'c'.repeat(40), files });
  return Object.assign(hub, { files });
}

const quiet = { NO_COLOR: '1', CI: '1', HF_TOKEN: '', HF_HUB_OFFLINE: '' };

test('six processes fork models from one base that has to be made first', async () => {
  await using folder = await workspace();
  await writeFile(join(folder.cwd, 'shape.json'), JSON.stringify(shape));
  const results = await Promise.all(Array.from({ length: 6 }, (_, index) => folder.run('models', 'fork', 'config:./shape.json', '--name', `m${index}`)));
  expect(results.map(({ exitCode, stderr }) => [exitCode, exitCode === 0 ? '' : stderr])).toEqual(Array.from({ length: 6 }, () => [0, '']));
  expect(await readdir(join(folder.cwd, '.rlrun', 'bases'))).toHaveLength(1);
  expect((await readdir(join(folder.cwd, '.rlrun', 'models'))).sort()).toEqual(['m0', 'm1', 'm2', 'm3', 'm4', 'm5']);
});

test('of six processes that want the same name one gets it, the others hear why; those that take what is there all go on', async () => {
  await using folder = await workspace();
  const fork = (...more: string[]) => Promise.all(Array.from({ length: 6 }, () => folder.run('models', 'fork', 'builtin:arith-tiny', '--name', 'same', ...more)));
  const results = await fork();
  expect(results.map(({ exitCode }) => exitCode).sort()).toEqual([0, 5, 5, 5, 5, 5]);
  for (const { exitCode, stderr } of results) {
    if (exitCode === 5) expect(stderr).toMatch(/^error: (there is a model "same" already|another process has just made model "same")\n {2}Choose another name, or add --if-not-exists to go on with it\.\n$/);
  }
  expect((await fork('--if-not-exists')).map(({ exitCode }) => exitCode)).toEqual([0, 0, 0, 0, 0, 0]);
});

test('four processes that want the same repository download it once', async () => {
  await using folder = await workspace();
  await using hub = await hubOf(join(folder.cwd, 'made'));
  hub.faults.answer = (_, response) => {
    // Slowly enough that they meet.
    const end = response.end.bind(response) as (...args: unknown[]) => typeof response;
    response.end = ((...args: unknown[]) => (setTimeout(() => end(...args), 150), response)) as typeof response.end;
    return false;
  };
  const env = { ...quiet, HF_ENDPOINT: hub.url, HF_HOME: join(folder.cwd, 'hf') };
  const results = await Promise.all(Array.from({ length: 4 }, (_, index) => folder.start(['models', 'fork', 'hub:org/tiny', '--name', `m${index}`], { env })));
  for (const { exitCode, stderr } of results) expect([exitCode, exitCode === 0 ? '' : stderr]).toEqual([0, '']);
  expect(results.some(({ stderr }) => /hub:org\/tiny is being downloaded by another process \(\d+\); waiting for it/.test(String(stderr)))).toBe(true);
  expect([...hub.ranges.values()]).toEqual([[null], [null], [null], [null]]);
  const snapshot = join(folder.cwd, '.rlrun', 'hub', 'models--org--tiny', 'snapshots');
  expect((await readdir(snapshot, { recursive: true })).filter((name) => name.endsWith('.part'))).toEqual([]);
});

test('Ctrl-C during a download ends at once with 130; the next run goes on where it was', async () => {
  await using folder = await workspace();
  await using hub = await hubOf(join(folder.cwd, 'made'));
  const graph = hub.files.get('onnx/model.onnx')!;
  const half = Math.floor(graph.length / 2);
  hub.faults.answer = (request, response) => {
    if (!request.url!.endsWith('/onnx/model.onnx')) return false;
    response.writeHead(200, { 'content-length': graph.length }).write(graph.subarray(0, half));
    return true;
  };
  await writeFile(join(folder.cwd, 'p.yaml'), `name: p
model: { fork: hub:org/tiny, name: p }
taskset: { source: ./tasks.jsonl, split: { train: 4, eval: 2 } }
agent: { kind: completion, max_tokens: 2 }
reward: [ { kind: exact_match } ]
group: 2
batch: 2
steps: 1
eval: { every: 0, baseline: false }
`);
  await writeFile(join(folder.cwd, 'tasks.jsonl'), Array.from({ length: 8 }, (_, index) => JSON.stringify({ prompt: `${index}+1=`, answer: String(index + 1) })).join('\n'));
  const env = { ...quiet, HF_ENDPOINT: hub.url, HF_HOME: join(folder.cwd, 'hf') };
  const partial = join(folder.cwd, '.rlrun', 'hub', 'models--org--tiny', 'snapshots', 'c'.repeat(40), 'onnx', 'model.onnx.part');
  const first = folder.start(['p.yaml', '--no-tui'], { env });
  while ((await readFile(partial).catch(() => '')).length < half) await sleep(20);
  first.kill('SIGINT');
  const { exitCode, stderr } = await first;
  expect([exitCode, String(stderr)]).toEqual([130, expect.not.stringMatching(/bug in rlrun|Finishing this step/)]);
  hub.faults.answer = null;
  hub.ranges.clear();
  expect((await folder.start(['p.yaml', '--no-tui'], { env })).exitCode).toBe(0);
  expect(hub.ranges.get('onnx/model.onnx')).toEqual([`bytes=${half}-`]);
});

test('the token and the downloads of the Hugging Face tools are used, and HF_HUB_OFFLINE is heeded', async () => {
  await using folder = await workspace();
  await createTinyModel(join(folder.cwd, 'made'));
  const files = new Map(await Promise.all(['config.json', 'tokenizer.json', 'tokenizer_config.json', 'onnx/model.onnx'].map(async (name) => [name, new Uint8Array(await readFile(join(folder.cwd, 'made', name)))] as const)));
  await using hub = await startHub({ name: 'org/tiny', commit: 'c'.repeat(40), files, token: 'hf_kept' });
  const home = join(folder.cwd, 'hf');
  await mkdir(home);
  await writeFile(join(home, 'token'), 'hf_kept\n');
  const run = async (name: string, more: Record<string, string>) => {
    const { exitCode, stderr } = await folder.start(['models', 'fork', 'hub:org/tiny', '--name', name], { env: { ...quiet, HF_ENDPOINT: hub.url, HF_HOME: home, ...more } });
    return { exitCode, stderr: String(stderr) };
  };
  expect(await run('a', { HF_HUB_OFFLINE: '1' })).toEqual({ exitCode: 3, stderr: expect.stringContaining('hub:org/tiny@main is not at hand, and HF_HUB_OFFLINE forbids to download it') });
  expect(await run('a', { HF_HUB_DISABLE_IMPLICIT_TOKEN: '1' })).toMatchObject({ exitCode: 4 });
  expect(await run('a', {})).toMatchObject({ exitCode: 0 });
  hub.requests.length = 0;
  expect(await run('b', { HF_HUB_OFFLINE: '1' })).toMatchObject({ exitCode: 0 });
  expect(hub.requests).toEqual([]);
});
