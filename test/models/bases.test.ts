import { appendFile, cp, readFile, rm, utimes, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { float32Tensor, readModel, writeModel } from '../../src/onnx/index.ts';
import { writeOnnxFile } from '../../src/models/onnx-file.ts';
import { forkDecoder } from './support/decoders.ts';
import { createProject, createTinyModel, tinyConfig, type Project } from './support/tiny.ts';

let project: Project;
beforeEach(async () => {
  project = await createProject();
});
afterEach(() => project[Symbol.asyncDispose]());

test.each([
  ['a Git LFS pointer', { 'onnx/model.onnx': 'version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 538090408\n' }, /onnx\/model.onnx is a Git LFS pointer/, /git lfs pull/],
  ['the pointer of a tokenizer', { 'tokenizer.json': 'version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 17\n' }, /tokenizer.json is a Git LFS pointer/, /git lfs pull/],
  ['files of PyTorch', { 'onnx/model.onnx': null, 'pytorch_model.bin': 'PK' }, /its weights are not safetensors but files of PyTorch/, /save_pretrained/],
  ['GGUF', { 'onnx/model.onnx': null, 'config.json': null, 'tiny.Q4_K_M.gguf': 'GGUF' }, /its weights are GGUF/, /safetensors weights/],
  ['an adapter', { 'onnx/model.onnx': null, 'config.json': null, 'adapter_config.json': '{}', 'adapter_model.safetensors': '' }, /it is an adapter \(PEFT\)/, /Merge it into its base/],
  ['shards without their index', { 'onnx/model.onnx': null, 'model-00001-of-00002.safetensors': '' }, /no model.safetensors.index.json/, /Download model.safetensors.index.json/],
  ['weights with a NaN in an ONNX graph', { 'onnx/model.onnx': 'NaN' }, /tensor "model.norm.weight" in .*model.onnx has 1 of 8 values that are no finite numbers/, /Use others/],
])('%s is told with what to do', async (_, files: Record<string, string | null>, message, fix) => {
  const directory = join(project.directory, 'strange');
  await createTinyModel(directory);
  for (const [name, content] of Object.entries(files)) {
    const path = join(directory, name);
    if (content === null) await rm(path);
    else if (content !== 'NaN') await writeFile(path, content);
    else {
      const model = readModel(path);
      const spoiled = float32Tensor([8], new Float32Array(8).fill(Number.NaN, 0, 1));
      await writeFile(path, writeModel({ ...model, initializers: new Map([...model.initializers, ['model.norm.weight', spoiled]]) }));
    }
  }
  const error = await project.store.fork({ source: './strange', slug: 'x' }).then(() => null, (reason: unknown) => reason);
  expect(error).toMatchObject({ message: expect.stringMatching(message), fix: expect.stringMatching(fix) });
});

test('`quantization_config: null` is no quantization', async () => {
  await forkDecoder(project, 'llama-tied');
  const directory = join(project.directory, 'nulled');
  await cp(join(project.directory, 'llama-tied'), directory, { recursive: true });
  const path = join(directory, 'config.json');
  await writeFile(path, JSON.stringify({ ...JSON.parse(await readFile(path, 'utf8')), quantization_config: null }));
  expect((await project.store.fork({ source: './nulled', slug: 'nulled' })).created).toBe(true);
});

test.each(['config.json', 'tokenizer_config.json', 'onnx/model.onnx', 'onnx/model.onnx_data'])('a base whose %s changed after the fork is noticed', async (file) => {
  const directory = join(project.directory, 'mine');
  await createTinyModel(directory, { config: { ...tinyConfig, hidden_size: 32 } });
  const path = join(directory, 'onnx', 'model.onnx');
  await writeOnnxFile(path, readModel(path), { external: true });
  await project.store.fork({ source: './mine', slug: 'mine' });
  await project.store.model('mine');

  // Touched is not changed.
  await utimes(join(directory, file), 1, 1);
  await project.store.model('mine');
  const bytes = await readFile(join(directory, file));
  bytes[bytes.length - 2]! ^= 1;
  await writeFile(join(directory, file), bytes);
  await expect(project.store.model('mine')).rejects.toThrow(new RegExp(`the base of model "mine" is not what it was forked from: .*${file.replace('/', '.')} has changed`));
  bytes[bytes.length - 2]! ^= 1;
  await writeFile(join(directory, file), bytes);
  await project.store.model('mine');
});

test('a file that was not there at the fork is a change where it matters', async () => {
  const directory = join(project.directory, 'mine');
  await createTinyModel(directory);
  await project.store.fork({ source: './mine', slug: 'mine' });
  await appendFile(join(directory, 'README.md'), 'mine');
  await project.store.model('mine');
  await writeFile(join(directory, 'chat_template.jinja'), '{{ messages }}');
  await expect(project.store.model('mine')).rejects.toThrow(/chat_template.jinja has changed/);
});
