/**
 * The safetensors format: an 8-byte little-endian header length, a JSON header, then the tensors' bytes without holes.
 * https://github.com/huggingface/safetensors#format. The reader trusts nothing of the header; what it returns are views.
 */
import { open, type FileHandle } from 'node:fs/promises';
import { floatValues, type DataType } from '../onnx/index.ts';
import { checkRegularFile } from '../util/regular-file.ts';
import { maxTransferBytes, writeAll } from './durable.ts';
import { isLfsPointer, maxPointerBytes } from '../util/lfs-pointer.ts';
import { fileError, lfsPointerError, ModelError } from './errors.ts';

/**
 * Half-precision values stay in their 16 bits (`Uint16Array`): typed arrays for them are not in every supported Node.
 * The order is the reference writer's: larger elements first, so that every tensor is aligned for its readers.
 */
interface DtypeArrays {
  U64: BigUint64Array;
  I64: BigInt64Array;
  F64: Float64Array;
  F32: Float32Array;
  U32: Uint32Array;
  I32: Int32Array;
  BF16: Uint16Array;
  F16: Uint16Array;
  U16: Uint16Array;
  I16: Int16Array;
  I8: Int8Array;
  U8: Uint8Array;
  BOOL: Uint8Array;
}
export type SafetensorsDtype = keyof DtypeArrays;

type ArrayConstructor<A> = { new (buffer: ArrayBufferLike, byteOffset: number, length: number): A; readonly BYTES_PER_ELEMENT: number };
const arrayTypes: { [D in SafetensorsDtype]: ArrayConstructor<DtypeArrays[D]> } = {
  U64: BigUint64Array,
  I64: BigInt64Array,
  F64: Float64Array,
  F32: Float32Array,
  U32: Uint32Array,
  I32: Int32Array,
  BF16: Uint16Array,
  F16: Uint16Array,
  U16: Uint16Array,
  I16: Int16Array,
  I8: Int8Array,
  U8: Uint8Array,
  BOOL: Uint8Array,
};
/** Dtypes of the format that no weights of ours have. */
const unreadDtypes: Readonly<Record<string, string>> = {
  F8_E4M3: '8-bit floats', F8_E5M2: '8-bit floats', F8_E8M0: '8-bit scales', F8_E4M3FNUZ: '8-bit floats', F8_E5M2FNUZ: '8-bit floats',
  F6_E2M3: '6-bit floats', F6_E3M2: '6-bit floats', F4: '4-bit floats', C64: 'complex numbers',
};

const dtypeOrder = Object.keys(arrayTypes);

/** One tensor, row-major; `data` is as long as the product of `shape`. */
export type StoredTensor = { [D in SafetensorsDtype]: { dtype: D; shape: readonly number[]; data: DtypeArrays[D] } }[SafetensorsDtype];

export interface TensorEntry {
  dtype: SafetensorsDtype;
  shape: readonly number[];
  /** Byte range inside the file's data part. */
  begin: number;
  end: number;
}

export interface SafetensorsHeader {
  tensors: ReadonlyMap<string, TensorEntry>;
  metadata: Readonly<Record<string, string>>;
  /** Where the data part begins, in bytes from the start of the file. */
  dataOffset: number;
}

export interface Safetensors {
  tensors: ReadonlyMap<string, StoredTensor>;
  metadata: Readonly<Record<string, string>>;
}

/** The reference implementation's own limit; a longer header is an attack or a mistake. */
const maxHeaderBytes = 100_000_000;
const prefixBytes = 8;

function invalid(where: string, what: string): ModelError {
  return new ModelError('invalid', `${where} is not a valid safetensors file: ${what}`, { fix: 'The file is damaged or incomplete: restore or download it again.' });
}

const isSize = (value: unknown): value is number => typeof value === 'number' && Number.isSafeInteger(value) && value >= 0;
const isDtype = (value: unknown): value is SafetensorsDtype => typeof value === 'string' && Object.hasOwn(arrayTypes, value);

/**
 * Reads the header of a file that is `fileBytes` long, from its first bytes. Every offset is checked: tensors lie inside
 * the file, one after the other, without holes or overlaps, and each is as long as its shape and dtype say.
 */
export function parseHeader(bytes: Uint8Array, fileBytes: number, where: string): SafetensorsHeader {
  const headerBytes = declaredHeaderBytes(bytes, fileBytes, where);
  let header: unknown;
  try {
    header = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes.subarray(prefixBytes, prefixBytes + headerBytes)));
  } catch (error) {
    throw invalid(where, `its header is not JSON (${error instanceof Error ? error.message : String(error)})`);
  }
  if (typeof header !== 'object' || header === null || Array.isArray(header)) throw invalid(where, 'its header is not a JSON object');

  const dataOffset = prefixBytes + headerBytes;
  const tensors = new Map<string, TensorEntry>();
  let metadata: Record<string, string> = {};
  for (const [name, entry] of Object.entries(header)) {
    if (name === '__metadata__') metadata = parseMetadata(entry, where);
    else tensors.set(name, parseEntry(name, entry, where));
  }

  let position = 0;
  for (const [name, { begin, end }] of [...tensors].sort(([, a], [, b]) => a.begin - b.begin || a.end - b.end)) {
    if (begin !== position) throw invalid(where, `tensor "${name}" begins at byte ${begin} of the data, expected ${position} (a hole or an overlap)`);
    position = end;
  }
  if (dataOffset + position !== fileBytes) {
    throw invalid(where, `it has ${fileBytes - dataOffset} bytes of data, its header describes ${position}`);
  }
  return { tensors, metadata, dataOffset };
}

function declaredHeaderBytes(prefix: Uint8Array, fileBytes: number, where: string): number {
  if (fileBytes < prefixBytes || prefix.byteLength < prefixBytes) throw invalid(where, `it is only ${fileBytes} bytes long`);
  if (isLfsPointer(prefix)) throw lfsPointerError(where);
  const length = new DataView(prefix.buffer, prefix.byteOffset, prefixBytes).getBigUint64(0, true);
  if (length > BigInt(maxHeaderBytes)) throw invalid(where, `its header claims ${length} bytes (at most ${maxHeaderBytes} are allowed)`);
  if (prefixBytes + Number(length) > fileBytes) throw invalid(where, `its header claims ${length} bytes, but the file has only ${fileBytes}`);
  return Number(length);
}

function parseMetadata(value: unknown, where: string): Record<string, string> {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) throw invalid(where, '__metadata__ is not an object');
  const metadata: Record<string, string> = Object.create(null);
  for (const [key, text] of Object.entries(value)) {
    if (typeof text !== 'string') throw invalid(where, `__metadata__.${key} is not a string`);
    metadata[key] = text;
  }
  return metadata;
}

function parseEntry(name: string, value: unknown, where: string): TensorEntry {
  const { dtype, shape, data_offsets: offsets } = (typeof value === 'object' && value !== null ? value : {}) as Record<string, unknown>;
  if (typeof dtype === 'string' && Object.hasOwn(unreadDtypes, dtype)) {
    throw new ModelError('invalid', `${where} holds ${unreadDtypes[dtype]}, which rlrun does not read (tensor "${name}" is ${dtype})`, { fix: 'Use bf16, fp16 or fp32 weights: publishers keep them in the repository that is not quantized.' });
  }
  if (!isDtype(dtype)) throw invalid(where, `tensor "${name}" has dtype ${JSON.stringify(dtype)}; known are ${Object.keys(arrayTypes).join(', ')}`);
  if (!Array.isArray(shape) || !shape.every(isSize)) throw invalid(where, `tensor "${name}" has the shape ${JSON.stringify(shape)}`);
  const [begin, end] = Array.isArray(offsets) && offsets.length === 2 ? offsets : [];
  if (!isSize(begin) || !isSize(end) || end < begin) throw invalid(where, `tensor "${name}" has the data_offsets ${JSON.stringify(offsets)}`);
  const bytes = elementCount(shape) * arrayTypes[dtype].BYTES_PER_ELEMENT;
  if (end - begin !== bytes) throw invalid(where, `tensor "${name}" (${dtype} [${shape.join(', ')}]) takes ${bytes} bytes, its data_offsets give it ${end - begin}`);
  return { dtype, shape, begin, end };
}

/** Beyond 2^53 the product is inexact but still larger than any file, so the length check refuses it. */
function elementCount(shape: readonly number[]): number {
  return shape.reduce((product, size) => product * size, 1);
}

/** Tensors of a file in memory. Views into `bytes`, except where a tensor is not aligned to its element size. */
export function parseSafetensors(bytes: Uint8Array, where: string): Safetensors {
  const header = parseHeader(bytes, bytes.byteLength, where);
  const tensors = new Map<string, StoredTensor>();
  for (const [name, entry] of header.tensors) {
    tensors.set(name, viewTensor(entry, bytes.subarray(header.dataOffset + entry.begin, header.dataOffset + entry.end)));
  }
  return { tensors, metadata: header.metadata };
}

function viewTensor({ dtype, shape }: TensorEntry, bytes: Uint8Array): StoredTensor {
  const arrayType = arrayTypes[dtype];
  const aligned = bytes.byteOffset % arrayType.BYTES_PER_ELEMENT === 0 ? bytes : bytes.slice();
  const data = new arrayType(aligned.buffer, aligned.byteOffset, aligned.byteLength / arrayType.BYTES_PER_ELEMENT);
  return { dtype, shape, data } as StoredTensor;
}

/** Reads a whole file into one buffer and returns views into it. */
export async function readSafetensors(path: string): Promise<Safetensors> {
  await using file = await openForReading(path);
  const { size } = await file.stat();
  return parseSafetensors(await readRange(file, 0, size, path), path);
}

/** A file whose tensors are read one by one: for checkpoints that are converted and never needed whole. */
export interface SafetensorsFile extends AsyncDisposable, SafetensorsHeader {
  read(name: string): Promise<StoredTensor>;
}

export async function openSafetensors(path: string): Promise<SafetensorsFile> {
  const file = await openForReading(path);
  try {
    const { size } = await file.stat();
    const prefix = await readRange(file, 0, Math.min(size, maxPointerBytes), path);
    const header = parseHeader(await readRange(file, 0, Math.min(size, prefixBytes + declaredHeaderBytes(prefix, size, path)), path), size, path);
    return {
      ...header,
      async read(name) {
        const entry = header.tensors.get(name);
        if (entry === undefined) throw new ModelError('invalid', `${path} has no tensor "${name}"`, { fix: 'Check that the weights belong to this config.json.' });
        return viewTensor(entry, await readRange(file, header.dataOffset + entry.begin, entry.end - entry.begin, path));
      },
      [Symbol.asyncDispose]: () => file.close(),
    };
  } catch (error) {
    await file.close();
    throw error;
  }
}

async function openForReading(path: string): Promise<FileHandle> {
  try {
    checkRegularFile(path);
    return await open(path, 'r');
  } catch (error) {
    throw fileError(error, path);
  }
}

async function readRange(file: FileHandle, position: number, length: number, where: string): Promise<Uint8Array> {
  const bytes = new Uint8Array(length);
  for (let done = 0; done < length; ) {
    const { bytesRead } = await file.read(bytes, done, Math.min(maxTransferBytes, length - done), position + done);
    if (bytesRead === 0) throw invalid(where, 'it became shorter while it was read');
    done += bytesRead;
  }
  return bytes;
}

interface WriteOptions {
  metadata?: Readonly<Record<string, string>>;
}

/**
 * Writes tensors to `path`; whoever needs the file to survive a power cut syncs it. The bytes go out straight from the tensors' own
 * buffers, ordered by dtype and name as the reference writer orders them.
 */
export async function writeSafetensors(path: string, tensors: ReadonlyMap<string, StoredTensor>, options: WriteOptions = {}): Promise<void> {
  try {
    await using file = await open(path, 'w');
    await writeAll(file, encode(tensors, options));
  } catch (error) {
    throw fileError(error, path);
  }
}

/** The parts of the file, in order: a header, then views of the tensors' own bytes. */
function encode(tensors: ReadonlyMap<string, StoredTensor>, { metadata }: WriteOptions): Uint8Array[] {
  const ordered = [...tensors].sort(([a, x], [b, y]) => dtypeOrder.indexOf(x.dtype) - dtypeOrder.indexOf(y.dtype) || (a < b ? -1 : 1));
  return [encodeHeader(ordered, metadata), ...ordered.map(([, { data }]) => new Uint8Array(data.buffer, data.byteOffset, data.byteLength))];
}

function encodeHeader(tensors: readonly [string, StoredTensor][], metadata: Readonly<Record<string, string>> | undefined): Uint8Array {
  const header: Record<string, unknown> = Object.create(null);
  if (metadata !== undefined) header.__metadata__ = metadata;
  let position = 0;
  for (const [name, { dtype, shape, data }] of tensors) {
    if (elementCount(shape) !== data.length) throw new RangeError(`tensor "${name}" of shape [${shape.join(', ')}] has ${data.length} elements`);
    header[name] = { dtype, shape, data_offsets: [position, position + data.byteLength] };
    position += data.byteLength;
  }
  const json = new TextEncoder().encode(JSON.stringify(header));
  const padded = Math.ceil(json.byteLength / 8) * 8;
  const bytes = new Uint8Array(prefixBytes + padded).fill(0x20);
  new DataView(bytes.buffer).setBigUint64(0, BigInt(padded), true);
  bytes.set(json, prefixBytes);
  return bytes;
}

const floatTypes: Partial<Record<SafetensorsDtype, DataType>> = { F64: 'float64', F32: 'float32', BF16: 'bfloat16', F16: 'float16' };
export const isFloatDtype = (dtype: SafetensorsDtype): boolean => floatTypes[dtype] !== undefined;

/** A float tensor as float32: a view where it is that already. */
export function floatsOf({ dtype, shape, data }: StoredTensor, name: string): Float32Array {
  if (dtype === 'F32') return data;
  const dataType = floatTypes[dtype];
  if (dataType === undefined) throw new ModelError('invalid', `tensor "${name}" is ${dtype}, expected floats`, { fix: 'Use weights in float32, float16 or bfloat16.' });
  return floatValues({ dataType, dims: shape, data: new Uint8Array(data.buffer, data.byteOffset, data.byteLength) });
}
