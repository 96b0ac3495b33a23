/** @file Reading and writing: nothing is lost, weights are not copied, and they may be larger than a file that fits in memory. */
import { closeSync, ftruncateSync, mkdtempSync, openSync, readFileSync, readdirSync, rmSync, statSync, writeFileSync, writeSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { isDeepStrictEqual } from 'node:util';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { Builder, floatValues, readModel, removeDeadNodes, tensorBytes, writeModel, writeModelExternal, writeModelPlaced, type Model } from '../../src/onnx/index.ts';
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
    expect(model.initializers.get('middle')!.dims).toEqual([(3 * GiB - 4096) / 4]);
    expect(floatValues(model.initializers.get('first')!)).toEqual(ends);
    expect(floatValues(model.initializers.get('last')!)).toEqual(ends);
    const { y } = await runOnce(removeDeadNodes(model), {});
    expect(y!.data).toEqual(ends.map((value) => 2 * value));
    expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(64e6);
    expect(statSync(join(directory, 'large.onnx_data')).size).toBe(3 * GiB);
  });
});
