/** @file Reading and writing: nothing is lost, weights are not copied, and they may be larger than a file that fits in memory. */
import { create } from '@bufbuild/protobuf';
import { FunctionProtoSchema, NodeProtoSchema, OperatorSetIdProtoSchema } from 'onnx-buf';
import { closeSync, ftruncateSync, mkdtempSync, openSync, readFileSync, readdirSync, rmSync, statSync, truncateSync, writeFileSync, writeSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { isDeepStrictEqual } from 'node:util';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import {
  Builder, OnnxError, float32Tensor, floatValues, numberValues, readModel, removeDeadNodes, saveModel, tensorBytes, tensorFrom, writeModel, writeModelExternal, writeModelPlaced,
  type DataType, type Model,
} from '../../src/onnx/index.ts';
import { runOnce } from './support.ts';

const fixtures = fileURLToPath(new URL('./fixtures/', import.meta.url));
const files = ['contrib', 'decoders'].flatMap((folder) => readdirSync(join(fixtures, folder)).filter((file) => file.endsWith('.onnx')).map((file) => `${folder}/${file}`));

/** With all weights in memory, so that two models can be compared. */
const embedded = (model: Model): Model => ({ ...model, initializers: new Map([...model.initializers].map(([name, tensor]) => [name, { ...tensor, data: new Uint8Array(tensorBytes(tensor)) }])) });

describe('what is read is written again', () => {
  test.each(files.filter((file) => file.startsWith('contrib')))('%s byte for byte', (file) => {
    expect(Buffer.from(writeModel(readModel(join(fixtures, file)))).equals(readFileSync(join(fixtures, file)))).toBe(true);
  });

  test.each(files.filter((file) => file.startsWith('decoders')))('%s with the same meaning', (file) => {
    const model = readModel(join(fixtures, file));
    expect(isDeepStrictEqual(embedded(readModel(writeModel(model))), embedded(model))).toBe(true);
  });
});

test('which of two functions of one name is called stays known', async () => {
  const called = (name: string) => create(FunctionProtoSchema, { domain: 'local', name: 'f', overload: name, input: ['a'], output: ['b'], node: [create(NodeProtoSchema, { opType: name, input: ['a'], output: ['b'] })], opsetImport: [create(OperatorSetIdProtoSchema, { version: 21n })] });
  const b = new Builder();
  b.output('y', b.op('f', [b.op('f', [b.input('x', 'float32', [2])], {}, { domain: 'local' })], {}, { domain: 'local' }));
  const model = { ...b.build(), functions: [called('Abs'), called('Neg')], outputs: [{ name: 'y', dataType: 'float32' as const, shape: [2] }] };
  const calls = model.nodes.map((node, at) => (node.op === 'f' ? { ...node, overload: at === 0 ? 'Abs' : 'Neg' } : node));
  const { y } = await runOnce(readModel(writeModel({ ...model, nodes: calls })), { x: { dataType: 'float32', dims: [2], data: Float32Array.of(3, -4) } });
  expect(y!.data).toEqual(Float32Array.of(-3, -4));
});

describe('weights', () => {
  const path = join(fixtures, 'decoders/llama-genai-untied.onnx');

  test('are views of the file', () => {
    const bytes = new Uint8Array(readFileSync(path));
    for (const { data } of readModel(bytes).initializers.values()) if ((data as Uint8Array).byteLength > 64) expect((data as Uint8Array).buffer).toBe(bytes.buffer);
  });

  test('stay where they are when the graph is written for ONNX Runtime', () => {
    const source = new Uint8Array(readFileSync(path));
    const { bytes, buffers } = writeModelExternal(readModel(source));
    expect(buffers.map(({ data }) => data.buffer)).toEqual([source.buffer]);
    expect(buffers[0]!.data.buffer).toBe(source.buffer);
    expect(bytes.length).toBeLessThan(source.length / 3);
  });

  test('that lie in a file are read only where the graph uses them', () => {
    const model = readModel(join(fixtures, 'decoders/llama-genai.onnx'));
    const [name, tensor] = [...model.initializers].find(([, { data }]) => !(data instanceof Uint8Array) && data.length >= 1024)!;
    const alone = removeDeadNodes({ ...model, nodes: [], outputs: [{ name, dataType: tensor.dataType, shape: tensor.dims }] });
    const { buffers } = writeModelExternal(alone);
    expect(buffers.map(({ data }) => data.byteLength)).toEqual([tensorBytes(tensor).byteLength]);
  });
});

describe('constants', () => {
  const exact: readonly (readonly [DataType, readonly number[]])[] = [
    ['float32', [0, -1.5, 3.25, 2 ** 100, -Infinity]], ['float16', [0, -1.5, 3.25, 65504]], ['bfloat16', [0, -1.5, 3.25, 2 ** 100]], ['float64', [Math.PI, -1e300]],
    ['int8', [-128, 127]], ['int16', [-32768, 32767]], ['int32', [-(2 ** 31), 2 ** 31 - 1]], ['int64', [-(2 ** 53), 2 ** 53]],
    ['uint8', [0, 255]], ['uint16', [0, 65535]], ['uint32', [0, 2 ** 32 - 1]], ['uint64', [0, 2 ** 53]], ['int4', [-8, 7, -1]], ['uint4', [0, 15, 9]], ['bool', [1, 0]],
  ];
  test.each(exact)('of %s come back as they were, also through a file', (dataType, values) => {
    const b = new Builder();
    b.output('y', b.initializer('constant', tensorFrom(dataType, [values.length], values)));
    const { initializers } = readModel(writeModel(b.build()));
    expect(initializers.get('constant')!.dataType).toBe(dataType);
    expect(numberValues(initializers.get('constant')!)).toEqual(values);
  });

  test('are rounded to the nearest bfloat16, ties to even', () => {
    expect(numberValues(tensorFrom('bfloat16', [5], [1 + 2 ** -8, 1 + 3 * 2 ** -8, 1 + 2 ** -8 + 2 ** -16, -1 - 2 ** -9, NaN]))).toEqual([1, 1 + 2 ** -6, 1 + 2 ** -7, -1, NaN]);
  });

  test('without elements are read, written and run', async () => {
    const b = new Builder();
    b.output('y', b.concat([b.initializer('none', { dataType: 'float32', dims: [0, 2], data: new Uint8Array() }), b.input('x', 'float32', [1, 2])], 0));
    const { y } = await runOnce(readModel(writeModel(b.build())), { x: { dataType: 'float32', dims: [1, 2], data: Float32Array.of(1, 2) } });
    expect(y).toMatchObject({ dims: [1, 2], data: Float32Array.of(1, 2) });
  });

  test('of strings are refused by name', () => {
    expect(() => tensorFrom('string', [1], [0])).toThrow(OnnxError);
  });
});

describe('saveModel', () => {
  let directory: string;
  beforeAll(() => { directory = mkdtempSync(join(tmpdir(), 'rlrun-save-')); });
  afterAll(() => { rmSync(directory, { recursive: true }); });

  /** y = (x·w0)·w1 + bias */
  function twoLayers(): Model {
    const b = new Builder(), weight = (seed: number): Float32Array => Float32Array.from({ length: 1024 }, (_, at) => Math.sin(seed + at));
    const [w0, w1] = [b.initializer('w0', float32Tensor([32, 32], weight(1))), b.initializer('w1', float32Tensor([32, 32], weight(2)))];
    b.output('y', b.add(b.matmul(b.matmul(b.input('x', 'float32', [1, 32]), w0), w1), b.initializer('bias', float32Tensor([32], weight(3).subarray(0, 32)))));
    return b.build();
  }
  const feeds = { x: { dataType: 'float32' as const, dims: [1, 32], data: Float32Array.from({ length: 32 }, (_, at) => at / 32) } };

  test('writes one file, the bytes of writeModel', () => {
    const path = join(directory, 'one.onnx');
    saveModel(path, twoLayers());
    expect(readFileSync(path).equals(writeModel(twoLayers()))).toBe(true);
    expect(readdirSync(directory)).toEqual(['one.onnx']);
  });

  test('puts weights beside the graph, at pages, and small constants into it; the model works as before', async () => {
    const path = join(directory, 'apart.onnx'), model = twoLayers();
    saveModel(path, model, { external: true });
    const read = readModel(path);
    expect([...read.initializers].map(([name, { data }]) => [name, data instanceof Uint8Array ? 'in the graph' : data.offset])).toEqual([['w0', 0], ['w1', 4096], ['bias', 'in the graph']]);
    expect(isDeepStrictEqual(embedded(read), embedded(model))).toBe(true);
    expect((await runOnce(read, feeds))['y']).toEqual((await runOnce(model, feeds))['y']);
  });

  test('a model may replace the files that it was read from', () => {
    const path = join(directory, 'again.onnx'), model = twoLayers();
    saveModel(path, model, { external: true });
    const { initializers, ...rest } = readModel(path);
    // In another order: what was first in the file is last now.
    saveModel(path, { ...rest, initializers: new Map([...initializers].toReversed()) }, { external: true });
    for (const [name, tensor] of readModel(path).initializers) expect(tensorBytes(tensor), name).toEqual(new Uint8Array(tensorBytes(model.initializers.get(name)!)));
    saveModel(path, readModel(path));
    expect(isDeepStrictEqual([...embedded(readModel(path)).initializers].toReversed(), [...embedded(model).initializers])).toBe(true);
  });

  test('leaves nothing behind where it fails, and says what failed', () => {
    expect(() => { saveModel(join(directory, 'nowhere/model.onnx'), twoLayers()); }).toThrow(/^cannot write .*nowhere\/model\.onnx: ENOENT/);
    const path = join(directory, 'gone.onnx');
    saveModel(path, twoLayers(), { external: true });
    const model = readModel(path);
    rmSync(`${path}_data`);
    expect(() => { saveModel(join(directory, 'copy.onnx'), model); }).toThrow(/^cannot read weights from .*gone\.onnx_data: ENOENT/);
    truncateSync(path, 0);
    writeFileSync(`${path}_data`, new Uint8Array(100));
    expect(() => { saveModel(join(directory, 'copy.onnx'), model); }).toThrow(/gone\.onnx_data: the file ends before byte 4096; the weights are truncated/);
    expect(() => writeModelExternal(model)).toThrow(OnnxError);
    expect(readdirSync(directory).filter((file) => file.endsWith('.tmp') || file.startsWith('copy'))).toEqual([]);
  });

  test('tensors may share their bytes', () => {
    const b = new Builder();
    for (const name of ['first', 'second']) b.output(`${name}/y`, b.add(b.initializer(name, { dataType: 'float32', dims: [512], data: new Uint8Array(2048) }), 1));
    writeFileSync(join(directory, 'shared.bin'), new Uint8Array(Float32Array.from({ length: 1024 }, (_, at) => at).buffer));
    writeFileSync(join(directory, 'shared.onnx'), writeModelPlaced(b.build(), (name) => (name === 'first' || name === 'second' ? { location: 'shared.bin', offset: name === 'first' ? 0 : 1024, length: 2048 } : null)));
    const { initializers } = readModel(join(directory, 'shared.onnx'));
    expect([floatValues(initializers.get('first')!)[256], floatValues(initializers.get('second')!)[0]]).toEqual([256, 256]);
  });
});

describe('weights of 3 GiB beside the graph', () => {
  const GiB = 2 ** 30;
  let directory: string;
  beforeAll(() => { directory = mkdtempSync(join(tmpdir(), 'rlrun-large-')); });
  afterAll(() => { rmSync(directory, { recursive: true }); });

  test('are placed by their offsets and read from both ends without the middle', async () => {
    const ends = Float32Array.from({ length: 512 }, (_, at) => at - 256);
    const file = openSync(join(directory, 'large.onnx_data'), 'w');
    ftruncateSync(file, 3 * GiB); // a hole: it takes no room on the disk
    writeSync(file, ends, 0, 2048, 0);
    writeSync(file, ends, 0, 2048, 3 * GiB - 2048);
    closeSync(file);

    const b = new Builder();
    const none = new Uint8Array(), places: Record<string, [offset: number, length: number]> = { first: [0, 2048], middle: [2048, 3 * GiB - 4096], last: [3 * GiB - 2048, 2048] };
    const [first, , last] = Object.entries(places).map(([name, [, length]]) => b.initializer(name, { dataType: 'float32', dims: [length / 4], data: none }));
    b.output('y', b.add(first!, last!));
    const bytes = writeModelPlaced(b.build(), (name) => (places[name] === undefined ? null : { location: 'large.onnx_data', offset: places[name][0], length: places[name][1] }));
    writeFileSync(join(directory, 'large.onnx'), bytes);

    const before = process.memoryUsage().arrayBuffers;
    const model = readModel(join(directory, 'large.onnx'));
    expect(() => writeModel(model)).toThrow(/^the model takes 3\.00 GiB, but an \.onnx file ends at 2 GiB: put its weights beside it \(saveModel/);
    expect(model.initializers.get('middle')!.dims).toEqual([(3 * GiB - 4096) / 4]);
    expect(floatValues(model.initializers.get('first')!)).toEqual(ends);
    expect(floatValues(model.initializers.get('last')!)).toEqual(ends);
    const { y } = await runOnce(removeDeadNodes(model), {});
    expect(y!.data).toEqual(ends.map((value) => 2 * value));
    expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(64e6);
    expect(statSync(join(directory, 'large.onnx_data')).size).toBe(3 * GiB);
  });
});
