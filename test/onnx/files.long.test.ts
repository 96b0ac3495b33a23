/** @file Models of hundreds of megabytes and of more than protobuf can hold: how much memory it takes to rewrite and to run them. */
import { mkdtempSync, openSync, readSync, closeSync, ftruncateSync, rmSync, statSync, writeFileSync, writeSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { Builder, differentiate, float32Tensor, readModel, saveModel, writeModel, writeModelExternal, writeModelPlaced, type Model } from '../../src/onnx/index.ts';
import { runOnce } from './support.ts';

let directory: string;
beforeAll(() => { directory = mkdtempSync(join(tmpdir(), 'rlrun-large-')); });
afterAll(() => { rmSync(directory, { recursive: true }); });

const buffers = (): number => process.memoryUsage().arrayBuffers;
const MB = 1e6;

describe('a model of 540 MB in one file', () => {
  const layers = 32, width = 2048;
  let path: string;
  beforeAll(() => {
    const b = new Builder(), weight = new Float32Array(width * width);
    let x = b.input('x', 'float32', ['rows', width]);
    for (let layer = 0; layer < layers; layer++) x = b.add(x, b.tanh(b.matmul(x, b.initializer(`w${layer}`, float32Tensor([width, width], weight)))));
    b.output('loss', b.mean(x));
    path = join(directory, 'large.onnx');
    saveModel(path, b.build());
  });

  test('is read and rewritten without a copy of its weights, and written with none but the file', () => {
    const size = statSync(path).size, before = buffers();
    expect(size).toBeGreaterThan(536 * MB);
    const gradients = differentiate(readModel(path), { output: 'loss', wrt: ['w0', 'w31'] });
    const external = writeModelExternal(gradients);
    expect(buffers() - before).toBeLessThan(size + 16 * MB);
    expect(external.buffers).toHaveLength(1);
    const copy = join(directory, 'copy.onnx');
    saveModel(copy, gradients);
    expect(buffers() - before).toBeLessThan(size + 16 * MB);
    const bytes = writeModel(gradients);
    expect(buffers() - before).toBeLessThan(2 * size + 16 * MB);
    expect(statSync(copy).size).toBe(bytes.byteLength);
    expect([...readModel(copy).outputs].map(({ name }) => name)).toEqual(['loss', 'grad.w0', 'grad.w31']);
  });
});

describe('a model of 2.5 GiB, whose weights lie beside it', () => {
  const parts = 5, rows = 2 ** 15, width = 4096, bytes = rows * width * 4;
  const path = (name: string): string => join(directory, `${name}.onnx`);
  /** y = Σ row `at` of every table; the tables are zeros but for one number in their last row. */
  function tables(): Model {
    const b = new Builder(), at = b.input('at', 'int64', [1]);
    const found = Array.from({ length: parts }, (_, part) => b.gather(b.initializer(`table${part}`, { dataType: 'float32', dims: [rows, width], data: new Uint8Array() }), at));
    b.output('y', b.sum(b.op('Sum', found)));
    return b.build();
  }
  beforeAll(() => {
    const file = openSync(`${path('tables')}_data`, 'w');
    ftruncateSync(file, parts * bytes); // a hole: zeros that take no room on the disk
    for (let part = 0; part < parts; part++) writeSync(file, new Uint8Array(Float32Array.of(2 ** part).buffer), 0, 4, (part + 1) * bytes - 4);
    closeSync(file);
    writeFileSync(path('tables'), writeModelPlaced(tables(), (name) => (name.startsWith('table') ? { location: 'tables.onnx_data', offset: Number(name.at(-1)) * bytes, length: bytes } : null)));
  });

  test('is read, rewritten, run and written, and read again', async () => {
    const before = buffers();
    const b = new Builder(readModel(path('tables')));
    b.output('twice', b.mul(b.value('y'), 2));
    const rewritten = b.build();
    expect(buffers() - before).toBeLessThan(1 * MB);
    const feeds = { at: { dataType: 'int64' as const, dims: [1], data: BigInt64Array.of(BigInt(rows - 1)) } };
    expect((await runOnce(rewritten, feeds))['twice']!.data).toEqual(Float32Array.of(2 * (2 ** parts - 1)));

    saveModel(path('copy'), rewritten);
    expect(statSync(path('copy')).size).toBeLessThan(10_000);
    expect(statSync(`${path('copy')}_data`).size).toBe(parts * bytes);
    const copy = readModel(path('copy')), last = new Float32Array(1);
    const { data } = copy.initializers.get('table4')!;
    if (data instanceof Uint8Array) throw new Error('the table is in the graph');
    const file = openSync(data.path, 'r');
    readSync(file, new Uint8Array(last.buffer), 0, 4, data.offset + bytes - 4);
    closeSync(file);
    expect(last[0]).toBe(16);
  });
});
