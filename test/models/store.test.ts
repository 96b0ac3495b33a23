import { existsSync } from 'node:fs';
import { appendFile, lutimes, mkdir, readdir, readFile, rename, rm, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { checkpointTree, readSafetensors, type StoredModel } from '../../src/models/index.ts';
import { goneMark } from '../util/marks.ts';
import { createProject, createTinyModel, draft, tinyConfig, writeState, type Project } from './support/tiny.ts';

let project: Project;
beforeEach(async () => {
  project = await createProject();
});
afterEach(() => project[Symbol.asyncDispose]());

async function forked(slug = 'arith'): Promise<StoredModel> {
  await project.store.fork({ source: 'builtin:tiny', slug });
  return project.store.model(slug);
}

/** A model with `steps` checkpoints in a line, the last of them the head. */
async function trained(steps: number, slug = 'arith'): Promise<StoredModel> {
  const model = await forked(slug);
  for (let step = 1; step <= steps; step++) {
    const parent = (await model.head())?.id ?? null;
    await model.commit(draft(step, parent), { promote: true, write: writeState(step) });
  }
  return model;
}

const weightOf = async (model: StoredModel, id: string): Promise<unknown> =>
  (await readSafetensors(join(model.stateDirectory(id), 'weights.safetensors'))).tensors.get('w')!.data[0];

describe('fork', () => {
  test('a built-in base becomes a model whose head is the base', async () => {
    const { record, created } = await project.store.fork({ source: 'builtin:tiny', slug: 'arith' });
    expect(created).toBe(true);
    expect(record).toEqual({
      slug: 'arith', base: 'builtin:tiny', createdAt: '2026-01-01T00:00:01.000Z', baseDirectory: join(project.directory, 'builtins', 'tiny'), train: { method: 'full' }, source: null,
    });
    const model = await project.store.model('arith');
    expect(model.record).toEqual(record);
    expect(await model.head()).toBeNull();
    expect(await model.checkpoints()).toEqual([]);
  });

  test('a name is taken only once', async () => {
    await forked();
    await expect(project.store.fork({ source: 'builtin:tiny', slug: 'arith' })).rejects.toMatchObject({ kind: 'conflict', message: 'there is a model "arith" already' });
  });

  test('with ifNotExists the model that is there is returned, if it is the same', async () => {
    const model = await trained(1);
    const again = await project.store.fork({ source: 'builtin:tiny', slug: 'arith', ifNotExists: true });
    expect(again).toEqual({ record: model.record, created: false });

    const lora = { method: 'lora', rank: 4, alpha: 8, targets: ['q_proj'], seed: 1 } as const;
    await expect(project.store.fork({ source: 'builtin:tiny', slug: 'arith', ifNotExists: true, train: lora })).rejects.toMatchObject({
      kind: 'conflict', message: 'model "arith" is trained with all weights, not LoRA (rank 4, alpha 8, q_proj)',
    });
    await createTinyModel(join(project.directory, 'other'));
    await expect(project.store.fork({ source: './other', slug: 'arith', ifNotExists: true })).rejects.toMatchObject({
      kind: 'conflict', message: 'model "arith" was forked from builtin:tiny, not from ./other',
    });
  });

  test('a dry run checks everything and writes nothing', async () => {
    const { record, created } = await project.store.fork({ source: 'builtin:tiny', slug: 'arith', dryRun: true });
    expect([record.slug, created]).toEqual(['arith', false]);
    expect(existsSync(project.root)).toBe(false);
    await expect(project.store.fork({ source: 'builtin:none', slug: 'arith', dryRun: true })).rejects.toMatchObject({ kind: 'not_found', fix: 'There are tiny.' });
  });

  test('a fork of a model starts at its head, with weights of its own and fresh moments', async () => {
    const source = await trained(2);
    const { record } = await project.store.fork({ source: 'arith', slug: 'branch' });
    const branch = await project.store.model('branch');
    const head = (await branch.head())!;
    expect(record.source).toEqual({ slug: 'arith', checkpoint: (await source.head())!.id });
    expect(head).toMatchObject({ name: 'step-000000', step: 0, parent: null });
    expect(await weightOf(branch, head.id)).toBe(2);
    expect(existsSync(join(branch.stateDirectory(head.id), 'optimizer.safetensors'))).toBe(false);

    await source.commit(draft(3, (await source.head())!.id), { promote: true, write: writeState(3) });
    await source.prune({ keep: 1 });
    expect(await weightOf(branch, head.id)).toBe(2);
  });

  test('a fork may start at any checkpoint, by name or id', async () => {
    const source = await trained(3);
    const [first] = await source.checkpoints();
    await project.store.fork({ source: 'arith@step-000001', slug: 'by-name' });
    await project.store.fork({ source: `arith@${first!.id}`, slug: 'by-id' });
    for (const slug of ['by-name', 'by-id']) {
      const model = await project.store.model(slug);
      expect(await weightOf(model, (await model.head())!.id)).toBe(1);
    }
    await expect(project.store.fork({ source: 'arith@step-000009', slug: 'x' })).rejects.toMatchObject({
      kind: 'not_found', message: 'model "arith" has no checkpoint "step-000009"', fix: expect.stringContaining('step-000001, step-000002, step-000003'),
    });
  });

  test('a config.json alone stands for random weights of its shape, made once', async () => {
    await writeFile(join(project.directory, 'shape.json'), JSON.stringify(tinyConfig));
    const { record } = await project.store.fork({ source: 'config:shape.json', slug: 'one' });
    expect(record.base).toBe(`config:${join(project.directory, 'shape.json')}`);
    expect((await readdir(record.baseDirectory)).sort()).toEqual(['config.json', 'generation_config.json', 'onnx', 'tokenizer.json', 'tokenizer_config.json']);
    expect((await project.store.fork({ source: 'config:./shape.json', slug: 'two' })).record.baseDirectory).toBe(record.baseDirectory);
    expect((await project.store.fork({ source: 'config:shape.json', slug: 'one', ifNotExists: true })).created).toBe(false);
  });

  test('a directory that cannot be trained is refused with the reason', async () => {
    const directory = join(project.directory, 'mine');
    await createTinyModel(directory);
    const refused = async (message: RegExp): Promise<void> => {
      await expect(project.store.fork({ source: './mine', slug: 'x' })).rejects.toThrow(message);
      expect(await readdir(join(project.root, 'models')).catch(() => [])).toEqual([]);
    };
    await rename(join(directory, 'onnx', 'model.onnx'), join(directory, 'onnx', 'model_q4.onnx'));
    await refused(/it has only onnx\/model_q4.onnx; training needs the float32 onnx\/model.onnx/);
    await rm(join(directory, 'onnx'), { recursive: true });
    await refused(/it has neither onnx\/model.onnx nor model.safetensors/);
    await writeFile(join(directory, 'model.safetensors'), '');
    await writeFile(join(directory, 'config.json'), JSON.stringify({ ...tinyConfig, model_type: 'mamba' }));
    await refused(/model_type "mamba" needs an onnx\/model.onnx; safetensors are read for llama, mistral, qwen2, qwen3/);
    await writeFile(join(directory, 'config.json'), '{ "model_type": ');
    await refused(/config.json is not JSON/);
    await rm(join(directory, 'config.json'));
    await refused(/it has no config.json/);
    await rm(directory, { recursive: true });
    await expect(project.store.fork({ source: './mine', slug: 'x' })).rejects.toMatchObject({ kind: 'not_found' });
  });

  test('a directory without its tokenizer is refused', async () => {
    const directory = join(project.directory, 'mine');
    await createTinyModel(directory);
    await rm(join(directory, 'tokenizer_config.json'));
    await expect(project.store.fork({ source: './mine', slug: 'x' })).rejects.toThrow(/it has no tokenizer_config.json/);
  });

  test.each(['Arith', '', '.hidden', 'a/b', '../up', 'con', 'nul.txt', 'dot.', 'a'.repeat(65), 'sp ace'])('%j cannot name a model', async (slug) => {
    await expect(project.store.fork({ source: 'builtin:tiny', slug })).rejects.toMatchObject({ kind: 'usage' });
  });

  test('the project may move: what lies in it and what the package brings is found again', async () => {
    await trained(1);
    const moved = join(project.directory, 'moved');
    await mkdir(moved);
    await rename(project.root, join(moved, '.rlrun'));
    await rename(join(project.directory, 'builtins'), join(moved, 'builtins'));
    const { openStore } = await import('../../src/models/index.ts');
    const store = openStore({ root: join(moved, '.rlrun'), builtins: join(moved, 'builtins'), cwd: moved });
    expect((await store.model('arith')).record.baseDirectory).toBe(join(moved, 'builtins', 'tiny'));
  });
});

describe('the checkpoint tree', () => {
  test('commit, promote, roll back, branch', async () => {
    const model = await trained(2);
    const [one, two] = await model.checkpoints();
    expect([one!.name, two!.name]).toEqual(['step-000001', 'step-000002']);
    expect(two!.parent).toBe(one!.id);
    expect((await model.head())!.id).toBe(two!.id);

    await model.setHead(one!.id);
    expect((await model.head())!.name).toBe('step-000001');
    const branch = await model.commit(draft(2, one!.id), { promote: true, write: writeState(20) });
    expect(branch.name).toBe('step-000002-2');
    expect(await weightOf(model, branch.id)).toBe(20);
    expect(await weightOf(model, two!.id)).toBe(2);

    const [root] = checkpointTree(await model.checkpoints());
    expect(root!.checkpoint.id).toBe(one!.id);
    expect(root!.children.map(({ checkpoint }) => checkpoint.name)).toEqual(['step-000002', 'step-000002-2']);

    await model.setHead(null);
    expect(await model.head()).toBeNull();
  });

  test('a checkpoint that is not promoted leaves the head where it was', async () => {
    const model = await trained(1);
    const held = await model.commit(draft(2, (await model.head())!.id), { promote: false, write: writeState(2) });
    expect((await model.head())!.name).toBe('step-000001');
    expect((await model.find('step-000002')).id).toBe(held.id);
  });

  test('another store sees everything', async () => {
    const model = await trained(2);
    const other = await project.store.model('arith');
    expect(await other.checkpoints()).toEqual(await model.checkpoints());
    expect(await other.head()).toEqual(await model.head());
  });

  test('a failing write leaves nothing behind', async () => {
    const model = await trained(1);
    const failing = model.commit(draft(2, null), {
      promote: true,
      write: async (directory) => {
        await writeFile(join(directory, 'weights.safetensors'), 'half');
        throw Object.assign(new Error('no space left on device'), { code: 'ENOSPC' });
      },
    });
    await expect(failing).rejects.toMatchObject({ kind: 'invalid', message: expect.stringContaining('the disk is full') });
    expect(await readdir(join(model.directory, 'checkpoints'))).toEqual(['step-000001']);
    expect((await model.head())!.name).toBe('step-000001');
  });

  test('diff tells how far two checkpoints are apart, and what made them', async () => {
    const model = await trained(1);
    const [one] = await model.checkpoints();
    await model.commit(draft(2, one!.id, { hashes: { config: 'c', taskset: 't', reward: 'other' } }), { promote: true, write: writeState(1.5) });
    const diff = await model.diff('step-000001', 'step-000002');
    expect(diff.tensors).toEqual([{ name: 'w', shape: [2, 3], relativeChange: 0.5, largestChange: 0.5 }]);
    expect(diff.relativeChange).toBeCloseTo(0.5, 12);
    expect(diff.changed).toEqual(['reward']);
    expect((await model.diff('step-000002', 'step-000002')).relativeChange).toBe(0);
  });

  test('prune keeps the newest and the head, and the nodes of all', async () => {
    const model = await trained(5);
    const [one, two] = await model.checkpoints();
    await model.setHead(two!.id);
    const plan = await model.prune({ keep: 2, dryRun: true });
    expect(plan.pruned.map(({ name }) => name)).toEqual(['step-000001', 'step-000003']);
    expect((await model.checkpoints()).some(({ pruned }) => pruned)).toBe(false);

    expect((await model.prune({ keep: 2 })).bytes).toBe(plan.bytes);
    expect((await model.checkpoints()).map(({ name, pruned }) => [name, pruned])).toEqual([
      ['step-000001', true], ['step-000002', false], ['step-000003', true], ['step-000004', false], ['step-000005', false],
    ]);
    expect(checkpointTree(await model.checkpoints())).toHaveLength(1);
    expect(() => model.stateDirectory(one!.id)).toThrow('the weights of step-000001 were pruned');
    await expect(model.setHead(one!.id)).rejects.toMatchObject({ kind: 'not_found' });
    expect((await model.prune({ keep: 2 })).pruned).toEqual([]);
  });

  test('pruneTo makes room oldest first, and spares the head, the newest and what it is told to', async () => {
    const model = await trained(6);
    const all = await model.checkpoints();
    await model.setHead(all[1]!.id);
    const bytes = Object.values(all[0]!.files).reduce((sum, file) => sum + file.bytes, 0);
    const { pruned, bytes: freed } = await model.pruneTo({ maxBytes: 4.5 * bytes, spare: () => new Set([all[2]!.id]) });
    expect(freed).toBe(2 * bytes);
    expect(pruned.map(({ name }) => name)).toEqual(['step-000001', 'step-000004']);
    await model.pruneTo({ maxBytes: 0, spare: () => new Set([all[2]!.id]) });
    expect((await model.checkpoints()).filter((checkpoint) => !checkpoint.pruned).map(({ name }) => name)).toEqual(['step-000002', 'step-000003', 'step-000006']);
  });
});

describe('one writer at a time', () => {
  test('a second writer gets a conflict that names the first', async () => {
    const model = await trained(1);
    const other = await project.store.model('arith');
    {
      await using _ = await model.lock('job 42');
      await expect(other.setHead(null)).rejects.toMatchObject({ kind: 'conflict', message: `model "arith" is being written by job 42 (process ${process.pid})` });
      await expect(other.commit(draft(2, null), { promote: true, write: writeState(2) })).rejects.toMatchObject({ kind: 'conflict' });
      await expect(other.prune({ keep: 0 })).rejects.toMatchObject({ kind: 'conflict' });
      await model.commit(draft(2, null), { promote: true, write: writeState(2) });
      expect((await other.head())!.name).toBe('step-000002');
      expect(await model.checkpoints()).toEqual(await other.checkpoints());
      await model.prune({ keep: 1 });
      expect(await model.checkpoints()).toEqual(await other.checkpoints());
    }
    await other.setHead(null);
    expect(await model.head()).toBeNull();
  });

  test('a commit without a lock of its own keeps others out while it writes', async () => {
    const model = await trained(1);
    const other = await project.store.model('arith');
    await model.commit(draft(2, null), {
      promote: true,
      write: async (directory) => {
        await expect(other.setHead(null)).rejects.toThrow(/is being written by a commit of step 2/);
        await writeState(2)(directory);
      },
    });
    expect((await other.head())!.name).toBe('step-000002');
  });

  test('what a killed process held is taken over at once, and its unfinished work removed', async () => {
    const model = await trained(1);
    await symlink(goneMark(), join(model.directory, 'lock'));
    await mkdir(join(model.directory, 'checkpoints', '.tmp-dead'));
    await model.setHead(null);
    expect(await readdir(join(model.directory, 'checkpoints'))).toEqual(['step-000001']);
    expect((await readdir(model.directory)).sort()).toEqual(['checkpoints', 'head', 'model.json']);
  });

  test('on another machine the holder cannot be seen, so it is believed until it was silent for long', async () => {
    const model = await trained(1);
    const lock = join(model.directory, 'lock');
    await symlink('1.5.0.e15e00e5.00000001', lock);
    await writeFile(join(model.directory, 'lock.json'), JSON.stringify({ lock: '1.5.0.e15e00e5.00000001', pid: 1, host: 'elsewhere', purpose: 'job 1' }));
    await expect(model.setHead(null)).rejects.toThrow('model "arith" is being written by job 1 (process 1 on elsewhere)');
    const longAgo = new Date(Date.now() - 60_000);
    await lutimes(lock, longAgo, longAgo);
    await model.setHead(null);
    expect(await model.head()).toBeNull();
  });

  test('a writer whose lock was taken over writes nothing more', async () => {
    const model = await trained(1);
    await using _ = await model.lock('job 1');
    const lock = join(model.directory, 'lock');
    await rm(lock);
    await symlink('1.5.0.e15e00e5.00000001', lock);
    const lost = { kind: 'conflict', message: 'the lock on model "arith" was lost while this process slept: another one may have written to it' };
    await expect(model.commit(draft(2, null), { promote: true, write: writeState(2) })).rejects.toMatchObject(lost);
    await expect(model.setHead(null)).rejects.toMatchObject(lost);
    await expect(model.prune({ keep: 0 })).rejects.toMatchObject(lost);
    expect((await project.store.model('arith').then((other) => other.head()))!.name).toBe('step-000001');
    expect(await readdir(join(model.directory, 'checkpoints'))).toEqual(['step-000001']);
  });
});

describe('damage is named, and nothing is lost', () => {
  test('a head whose directory was deleted by hand', async () => {
    const model = await trained(3);
    await rm(join(model.directory, 'checkpoints', 'step-000003'), { recursive: true });
    await expect(model.head()).rejects.toMatchObject({
      kind: 'not_found',
      message: `model "arith": its head is step-000003, but ${join(model.directory, 'checkpoints', 'step-000003')} is missing`,
      fix: 'Restore it, or move the head: rlrun models head arith --set step-000002',
    });
    await model.setHead((await model.find('step-000002')).id);
    expect((await model.head())!.name).toBe('step-000002');
  });

  test('a node in the middle that was deleted by hand', async () => {
    const model = await trained(3);
    await rm(join(model.directory, 'checkpoints', 'step-000002'), { recursive: true });
    const tree = checkpointTree(await model.checkpoints());
    expect(tree.map(({ checkpoint, parentIsMissing }) => [checkpoint.name, parentIsMissing])).toEqual([['step-000001', false], ['step-000003', true]]);
    expect((await model.head())!.name).toBe('step-000003');
    await model.commit(draft(4, (await model.head())!.id), { promote: true, write: writeState(4) });
  });

  test('weights that are missing, short or changed', async () => {
    const model = await trained(2);
    const [one, two] = await model.checkpoints();
    const weights = join(model.stateDirectory(one!.id), 'weights.safetensors');
    await rm(weights);
    expect(() => model.stateDirectory(one!.id)).toThrow(`checkpoint step-000001 is damaged: ${weights} is missing`);
    await expect(model.setHead(one!.id)).rejects.toMatchObject({ kind: 'invalid' });

    const path = join(model.stateDirectory(two!.id), 'weights.safetensors');
    const good = await readFile(path);
    await appendFile(path, 'x');
    expect(() => model.stateDirectory(two!.id)).toThrow(`${path} has ${good.length + 1} bytes instead of ${good.length}`);
    good[good.length - 1]! ^= 1;
    await writeFile(path, good);
    expect(model.stateDirectory(two!.id)).toBeTruthy();
    await expect(model.verifiedDirectory(two!.id)).rejects.toThrow(`${path} was changed after it was written`);
    await expect(project.store.fork({ source: 'arith', slug: 'x' })).rejects.toThrow('was changed after it was written');
  });

  test('the way out that a damaged checkpoint names is one that is whole', async () => {
    const model = await trained(4);
    const all = await model.checkpoints();
    const weights = (at: number) => join(model.directory, 'checkpoints', all[at]!.name, 'weights.safetensors');
    const flipped = await readFile(weights(3));
    flipped[20]! ^= 4;
    await writeFile(weights(3), flipped);
    await writeFile(weights(2), flipped);
    const fix = 'Restore it from a backup, or move the head: rlrun models head arith --set step-000002';
    await expect(model.verifiedDirectory(all[3]!.id)).rejects.toMatchObject({ kind: 'invalid', fix });
    await rm(join(model.directory, 'checkpoints', 'step-000004'), { recursive: true });
    await expect(model.head()).rejects.toMatchObject({ fix: expect.stringMatching(/^Restore it, or move the head: rlrun models head arith --set step-00000\d$/) });
    await model.setHead((await model.find('step-000002')).id);
    expect((await model.head())!.name).toBe('step-000002');
    await rm(weights(0));
    await rm(weights(1));
    await expect(model.verifiedDirectory(all[2]!.id)).rejects.toMatchObject({ fix: expect.stringContaining('--set base') });
  });

  test.each<[key: string, change: (text: string) => string, problem: string]>([
    ['a changed number', (text) => text.replace('"step": 2', '"step": 3'), 'it was changed after it was written (its checksum differs)'],
    ['no date, and no checksum', (text) => JSON.stringify({ ...JSON.parse(text), createdAt: undefined, crc32: undefined }), '"createdAt" is missing, expected a date'],
    ['another name', (text) => text, 'is the description of step-000001'],
  ])('a description with %s', async (what, change, problem) => {
    const model = await trained(2);
    const path = (name: string) => join(model.directory, 'checkpoints', name, 'checkpoint.json');
    await writeFile(path('step-000002'), change(await readFile(path(what === 'another name' ? 'step-000001' : 'step-000002'), 'utf8')));
    expect((await model.scan()).problems).toEqual([{ name: 'step-000002', problem: expect.stringContaining(problem) }]);
    await expect(model.find('step-000002')).rejects.toMatchObject({ kind: 'invalid', fix: expect.stringContaining('rlrun models head arith --set step-000001') });
  });

  test('a model.json with another number, without train, or from a version without checksums', async () => {
    const path = join((await forked()).directory, 'model.json');
    const text = await readFile(path, 'utf8');
    await writeFile(path, text.replace('"full"', '"fill"'));
    await expect(project.store.model('arith')).rejects.toMatchObject({ kind: 'invalid', message: `${path} is damaged: it was changed after it was written (its checksum differs)` });
    const { crc32: _, ...old } = JSON.parse(text) as Record<string, unknown>;
    await writeFile(path, JSON.stringify({ ...old, train: undefined }));
    await expect(project.store.model('arith')).rejects.toThrow(`${path} is damaged: "train" is missing, expected an object`);
    await writeFile(path, JSON.stringify({ ...old, train: { method: 'lora' } }));
    await expect(project.store.model('arith')).rejects.toThrow(`${path} does not describe model "arith"`);
    await writeFile(path, JSON.stringify(old));
    expect((await project.store.model('arith')).record.train).toEqual({ method: 'full' });
  });

  test('a description that cannot be read hides one checkpoint, not the others', async () => {
    const model = await trained(2);
    await writeFile(join(model.directory, 'checkpoints', 'step-000002', 'checkpoint.json'), '{');
    const { checkpoints, problems } = await model.scan();
    expect(checkpoints.map(({ name }) => name)).toEqual(['step-000001']);
    expect(problems.map(({ name }) => name)).toEqual(['step-000002']);
    await expect(model.head()).rejects.toThrow(/its head is step-000002, which is damaged: .*checkpoint.json cannot be read/);
    await expect(model.find('step-000002')).rejects.toThrow(/is damaged/);
    const next = await model.commit(draft(2, checkpoints[0]!.id), { promote: true, write: writeState(9) });
    expect(next.name).toBe('step-000002-2');
  });

  test('a missing head file, model.json or base', async () => {
    const model = await trained(1);
    await rm(join(model.directory, 'head'));
    await expect(model.head()).rejects.toThrow(/its head file .* is missing/);
    await rename(join(project.directory, 'builtins', 'tiny'), join(project.directory, 'gone'));
    await expect(project.store.model('arith')).rejects.toThrow(/the base of model "arith" \(builtin:tiny\) is missing: .*tiny/);
    await rm(join(model.directory, 'model.json'));
    await expect(project.store.model('arith')).rejects.toThrow(/model "arith" is damaged: .*model.json is missing/);
  });

  test('a wrong name gets a suggestion', async () => {
    await forked('arithmetic');
    await expect(project.store.model('arithmetik')).rejects.toMatchObject({ kind: 'not_found', message: 'there is no model "arithmetik"', fix: 'Did you mean "arithmetic"?' });
    await expect(project.store.model('other')).rejects.toMatchObject({ fix: 'There are arithmetic.' });
  });
});

describe('list', () => {
  test('models with their heads, and bases with why they cannot be trained', async () => {
    await trained(2);
    await mkdir(join(project.directory, 'builtins', 'broken'));
    await mkdir(join(project.root, 'models', 'damaged'));
    const rows = await project.store.list();
    expect(rows.map(({ source, kind, obstacle, base, checkpoints, head }) => ({ source, kind, obstacle, base, checkpoints, head: head?.name ?? null }))).toEqual([
      { source: 'arith', kind: 'model', obstacle: null, base: 'builtin:tiny', checkpoints: 2, head: 'step-000002' },
      { source: 'damaged', kind: 'model', obstacle: expect.stringContaining('model.json is missing'), base: null, checkpoints: 0, head: null },
      { source: 'builtin:broken', kind: 'builtin', obstacle: 'it has no config.json', base: null, checkpoints: 0, head: null },
      { source: 'builtin:tiny', kind: 'builtin', obstacle: null, base: null, checkpoints: 0, head: null },
    ]);
    expect(rows.find(({ source }) => source === 'builtin:tiny')!.bytes).toBeGreaterThan(1000);
  });
});
