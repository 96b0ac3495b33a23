import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { ModelError } from '../../src/models/errors.ts';
import { openSafetensors, parseSafetensors, readSafetensors, writeSafetensors, type StoredTensor } from '../../src/models/safetensors.ts';

const fixtures = new URL('../fixtures/safetensors/', import.meta.url).pathname;
let directory: string;
beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'rlrun-safetensors-'));
});
afterAll(() => rm(directory, { recursive: true }));

/** A file with this header and as many data bytes. */
function file(header: unknown, dataBytes: number): Uint8Array {
  const json = new TextEncoder().encode(typeof header === 'string' ? header : JSON.stringify(header));
  const bytes = new Uint8Array(8 + json.length + dataBytes);
  new DataView(bytes.buffer).setBigUint64(0, BigInt(json.length), true);
  bytes.set(json, 8);
  return bytes;
}

describe('reading what the reference implementation wrote', () => {
  test('every dtype, shape and the metadata', async () => {
    const { tensors, metadata } = await readSafetensors(join(fixtures, 'mixed.safetensors'));
    expect({ ...metadata }).toEqual({ format: 'pt', note: 'héllo' });
    expect(tensors.get('weight')).toEqual({ dtype: 'F32', shape: [2, 3], data: Float32Array.of(0, 0.25, 0.5, 0.75, 1, 1.25) });
    expect(tensors.get('ids')).toEqual({ dtype: 'I64', shape: [3], data: BigInt64Array.of(2n ** 40n, -1n, 7n) });
    expect(tensors.get('count')).toEqual({ dtype: 'I32', shape: [2], data: Int32Array.of(3, -4) });
    expect(tensors.get('step')).toEqual({ dtype: 'I32', shape: [], data: Int32Array.of(11) });
    expect(tensors.get('half')).toEqual({ dtype: 'F16', shape: [5], data: Uint16Array.of(0x3c00, 0xc100, 0x7bff, 0x0001, 0x7c00) });
    expect(tensors.get('brain')?.data.slice(0, 2)).toEqual(Uint16Array.of(0x3f80, 0xc049));
    expect(tensors.get('mask')).toEqual({ dtype: 'BOOL', shape: [3], data: Uint8Array.of(1, 0, 1) });
    expect(tensors.get('empty')).toEqual({ dtype: 'F32', shape: [0, 4], data: new Float32Array(0) });
    expect(tensors.get('ünïcode/name')?.data).toEqual(Float32Array.of(1));
    expect(tensors.size).toBe(9);
  });

  test('tensors are views into the bytes that were given', async () => {
    const bytes = await readFile(join(fixtures, 'mixed.safetensors'));
    const { tensors } = parseSafetensors(bytes, 'mixed');
    expect([...tensors.values()].every(({ data }) => data.buffer === bytes.buffer)).toBe(true);
  });

  test('unaligned tensors are read too', async () => {
    const { tensors } = await readSafetensors(join(fixtures, 'unaligned.safetensors'));
    expect(tensors.get('x')?.data).toEqual(Float32Array.of(1.5, -2));
  });

  test('one tensor at a time', async () => {
    await using opened = await openSafetensors(join(fixtures, 'mixed.safetensors'));
    expect((await opened.read('ids')).data).toEqual(BigInt64Array.of(2n ** 40n, -1n, 7n));
    expect((await opened.read('weight')).shape).toEqual([2, 3]);
    await expect(opened.read('nothing')).rejects.toThrow(/has no tensor "nothing"/);
  });
});

describe('writing', () => {
  test('gives the bytes of the reference writer', async () => {
    const reference = join(fixtures, 'mixed.safetensors');
    const { tensors, metadata } = await readSafetensors(reference);
    const copy = join(directory, 'copy.safetensors');
    await writeSafetensors(copy, new Map([...tensors].reverse()), { metadata });
    expect(await readFile(copy)).toEqual(await readFile(reference));
  });

  test('what is written is read back, also from shared memory and from views', async () => {
    const path = join(directory, 'round.safetensors');
    const shared = new Float32Array(new SharedArrayBuffer(40), 8, 6);
    shared.set([1, 2, 3, 4, 5, 6]);
    const numbers = fc.array(fc.float({ noNaN: true }), { maxLength: 40 });
    await fc.assert(
      fc.asyncProperty(fc.dictionary(fc.string(), numbers, { maxKeys: 5 }), async (arrays) => {
        const tensors = new Map<string, StoredTensor>(
          Object.entries(arrays).map(([name, values]) => [`p.${name}`, { dtype: 'F32', shape: [values.length], data: Float32Array.from(values) }]),
        );
        tensors.set('__proto__', { dtype: 'F32', shape: [3, 2], data: shared });
        await writeSafetensors(path, tensors);
        const back = await readSafetensors(path);
        expect([...back.tensors.keys()].sort()).toEqual([...tensors.keys()].sort());
        for (const [name, tensor] of tensors) expect([...back.tensors.get(name)!.data]).toEqual([...tensor.data]);
      }),
      { numRuns: 30 },
    );
  });

  test('a shape that does not fit its data is a bug of the caller', async () => {
    const tensors = new Map<string, StoredTensor>([['x', { dtype: 'F32', shape: [3], data: new Float32Array(2) }]]);
    await expect(writeSafetensors(join(directory, 'bad.safetensors'), tensors)).rejects.toThrow('"x" of shape [3] has 2 elements');
  });

  test('a directory that does not exist is named', async () => {
    await expect(writeSafetensors(join(directory, 'no/such.safetensors'), new Map())).rejects.toMatchObject({ kind: 'not_found' });
  });
});

describe('hostile files are refused with one clear error', () => {
  const x = { dtype: 'F32', shape: [2], data_offsets: [0, 8] };
  const cases: [string, Uint8Array, RegExp][] = [
    ['an empty file', new Uint8Array(0), /only 0 bytes long/],
    ['a file shorter than its prefix', new Uint8Array(7), /only 7 bytes long/],
    ['a header of 2^63 bytes', new Uint8Array([0, 0, 0, 0, 0, 0, 0, 128]), /claims 9223372036854775808 bytes/],
    ['a header longer than the file', new Uint8Array([200, 0, 0, 0, 0, 0, 0, 0, 1]), /claims 200 bytes, but the file has only 9/],
    ['no JSON', file('{"x":', 0), /not JSON/],
    ['no UTF-8', new Uint8Array([2, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xfe]), /not JSON/],
    ['a JSON array', file([], 0), /not a JSON object/],
    ['null', file('null', 0), /not a JSON object/],
    ['an entry that is a number', file({ x: 3 }, 0), /"x" has dtype undefined/],
    ['an unknown dtype', file({ x: { ...x, dtype: 'F12' } }, 8), /"x" has dtype "F12"; known are U64/],
    ['a dtype from the prototype', file({ x: { ...x, dtype: 'toString' } }, 8), /"x" has dtype "toString"/],
    ['a negative size', file({ x: { ...x, shape: [-2] } }, 8), /"x" has the shape \[-2\]/],
    ['a fractional size', file({ x: { ...x, shape: [0.5] } }, 8), /has the shape/],
    ['a shape that is a string', file({ x: { ...x, shape: '2' } }, 8), /has the shape "2"/],
    ['a shape whose product overflows', file({ x: { ...x, shape: [2 ** 52, 2 ** 52, 4] } }, 8), /takes .* bytes, its data_offsets give it 8/],
    ['offsets that are too short', file({ x: { ...x, data_offsets: [0] } }, 8), /has the data_offsets \[0\]/],
    ['offsets that run backwards', file({ x: { ...x, data_offsets: [8, 0] } }, 8), /has the data_offsets \[8,0\]/],
    ['offsets below zero', file({ x: { ...x, data_offsets: [-8, 0] } }, 8), /has the data_offsets/],
    ['offsets beyond the file', file({ x: { ...x, shape: [4], data_offsets: [0, 16] } }, 8), /has 8 bytes of data, its header describes 16/],
    ['bytes that nobody owns', file({ x }, 12), /has 12 bytes of data, its header describes 8/],
    ['overlapping tensors', file({ x, y: { ...x, data_offsets: [4, 12] } }, 12), /"y" begins at byte 4 of the data, expected 8/],
    ['a hole', file({ x, y: { ...x, data_offsets: [12, 20] } }, 20), /"y" begins at byte 12 of the data, expected 8/],
    ['offsets that do not fit the shape', file({ x: { ...x, shape: [3] } }, 8), /takes 12 bytes, its data_offsets give it 8/],
    ['metadata that is no object', file({ __metadata__: 'pt' }, 0), /__metadata__ is not an object/],
    ['metadata with a number', file({ __metadata__: { a: 1 } }, 0), /__metadata__.a is not a string/],
  ];
  test.each(cases)('%s', (_name, bytes, message) => {
    expect(() => parseSafetensors(bytes, 'evil.safetensors')).toThrow(message);
    expect(() => parseSafetensors(bytes, 'evil.safetensors')).toThrow(ModelError);
    expect(() => parseSafetensors(bytes, 'evil.safetensors')).toThrow(/^evil\.safetensors is not a valid/);
  });

  test('any damage to a good file either leaves its shapes alone or is refused', async () => {
    const good = new Uint8Array(await readFile(join(fixtures, 'mixed.safetensors')));
    fc.assert(
      fc.property(fc.nat(good.length - 1), fc.nat(255), fc.nat(good.length), (at, byte, length) => {
        const bad = good.slice(0, length);
        if (at < bad.length) bad[at] = byte;
        try {
          for (const { shape, data } of parseSafetensors(bad, 'bad').tensors.values()) {
            expect(data.length).toBe(shape.reduce((a, b) => a * b, 1));
          }
        } catch (error) {
          expect(error).toBeInstanceOf(ModelError);
        }
      }),
      { numRuns: 2000 },
    );
  });

  test('a truncated file is refused before any tensor is read', async () => {
    const path = join(directory, 'cut.safetensors');
    const good = await readFile(join(fixtures, 'mixed.safetensors'));
    await writeFile(path, good.subarray(0, good.length - 1));
    await expect(openSafetensors(path)).rejects.toThrow(/has 84 bytes of data, its header describes 85/);
    await expect(readSafetensors(path)).rejects.toThrow(/describes 85/);
  });

  test('a file that is not there', async () => {
    await expect(readSafetensors(join(directory, 'none'))).rejects.toMatchObject({ kind: 'not_found' });
  });
});
