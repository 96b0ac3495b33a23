/** @file Constants: from numbers to bytes and back. */
import { Float16Array } from '@petamoriken/float16';
import { closeSync, openSync, readSync } from 'node:fs';
import { checkRegularFile } from '../util/regular-file.ts';
import { OnnxError, describeType, type DataType, type ExternalFile, type Tensor } from './ir.ts';

/** Bits of one element. */
export const BITS: Readonly<Record<Exclude<DataType, 'string'>, number>> = {
  float32: 32, float16: 16, bfloat16: 16, float64: 64,
  int8: 8, int16: 16, int32: 32, int64: 64,
  uint8: 8, uint16: 16, uint32: 32, uint64: 64,
  int4: 4, uint4: 4, bool: 8,
};

/** How many elements a shape has; 1 for a scalar. */
export const elementCount = (dims: readonly number[]): number => dims.reduce((count, dim) => count * dim, 1);

/**
 * How many bytes a constant of that type and shape takes.
 *
 * @throws OnnxError for strings.
 */
export function byteLength(dataType: DataType, dims: readonly number[]): number {
  if (dataType === 'string') throw new OnnxError('string tensors have no fixed length');
  return Math.ceil((elementCount(dims) * BITS[dataType]) / 8);
}

const bytesOf = (array: ArrayBufferView): Uint8Array => new Uint8Array(array.buffer, array.byteOffset, array.byteLength);

/** A tensor over an existing array: nothing is copied. */
export const float32Tensor = (dims: readonly number[], data: Float32Array): Tensor => ({ dataType: 'float32', dims, data: bytesOf(data) });

/** "To the end" is written as the largest int64, which a double cannot hold: saturate instead of overflowing. */
export const toInt64 = (value: number): bigint => {
  const exact = BigInt(Math.trunc(value));
  return exact > 0x7fff_ffff_ffff_ffffn ? 0x7fff_ffff_ffff_ffffn : exact < -0x8000_0000_0000_0000n ? -0x8000_0000_0000_0000n : exact;
};

/**
 * Packs numbers as a constant of any numeric type. Values of integer types are truncated, halves rounded to the nearest (ties to
 * even); numbers of four bits share bytes, the first in the low half.
 */
export function tensorFrom(dataType: DataType, dims: readonly number[], values: ArrayLike<number>): Tensor {
  const pack = (): ArrayBufferView => {
    switch (dataType) {
      case 'float32': return Float32Array.from(values);
      case 'float16': return Float16Array.from(values);
      case 'bfloat16': return bfloat16(Float32Array.from(values));
      case 'float64': return Float64Array.from(values);
      case 'int64': return BigInt64Array.from(Array.from(values, toInt64));
      case 'uint64': return BigUint64Array.from(Array.from(values, (value) => BigInt(Math.trunc(value))));
      case 'int32': return Int32Array.from(values);
      case 'uint32': return Uint32Array.from(values);
      case 'int16': return Int16Array.from(values);
      case 'uint16': return Uint16Array.from(values);
      case 'int8': return Int8Array.from(values);
      case 'uint8': case 'bool': return Uint8Array.from(values);
      case 'int4': case 'uint4': return Uint8Array.from({ length: Math.ceil(values.length / 2) }, (_, at) => (values[2 * at]! & 15) | (((values[2 * at + 1] ?? 0) & 15) << 4));
      case 'string': throw new OnnxError('cannot make a constant of strings');
    }
  };
  return { dataType, dims, data: bytesOf(pack()) };
}

/** The upper halves of float32 numbers, rounded; NaN stays NaN. */
function bfloat16(values: Float32Array): Uint16Array {
  const bits = new Uint32Array(values.buffer);
  return Uint16Array.from(bits, (each, at) => (Number.isNaN(values[at]) ? 0x7fc0 : (each + 0x7fff + ((each >>> 16) & 1)) >>> 16));
}

/** How many bytes a tensor's content takes. */
export const storedBytes = ({ data }: Tensor): number => (data instanceof Uint8Array ? data.byteLength : data.length);

/** Reads a part of a file into `bytes`, which are as many. */
function readInto(bytes: Uint8Array, { path, offset, length }: ExternalFile): void {
  let file: number | undefined;
  try {
    checkRegularFile(path);
    file = openSync(path, 'r');
    // One read call is capped near 2 GiB by the system.
    for (let done = 0; done < length; ) {
      const read = readSync(file, bytes, done, Math.min(length - done, 1 << 30), offset + done);
      if (read === 0) throw new OnnxError(`${path}: the file ends before byte ${offset + length}; the weights are truncated`);
      done += read;
    }
  } catch (error) {
    throw error instanceof OnnxError ? error : new OnnxError(`cannot read weights from ${path}: ${(error as Error).message}`, { cause: error });
  } finally {
    if (file !== undefined) closeSync(file);
  }
}

/** The bytes of a tensor, read from its file if need be. */
export function tensorBytes({ data }: Tensor): Uint8Array {
  if (data instanceof Uint8Array) return data;
  let bytes: Uint8Array;
  try { bytes = new Uint8Array(data.length); } catch (error) { throw new OnnxError(`${data.path}: there is no memory for ${data.length} bytes of weights`, { cause: error }); }
  readInto(bytes, data);
  return bytes;
}

/** Puts the bytes of a tensor into `target`, which has room for just them. */
export function copyTensor({ data }: Tensor, target: Uint8Array): void {
  if (data instanceof Uint8Array) target.set(data);
  else readInto(target, data);
}

/** Protobuf gives no alignment, typed arrays want it: copy only where the view would be unaligned. */
function aligned(bytes: Uint8Array, size: number): { buffer: ArrayBufferLike; byteOffset: number } {
  if (bytes.byteOffset % size === 0) return bytes;
  return new Uint8Array(bytes); // not slice(): a Buffer's is a view
}

/** float32 values: a view where alignment allows, widened from float16 / bfloat16 where needed. */
export function floatValues(tensor: Tensor): Float32Array {
  const bytes = tensorBytes(tensor);
  const count = elementCount(tensor.dims);
  switch (tensor.dataType) {
    case 'float32': { const at = aligned(bytes, 4); return new Float32Array(at.buffer as ArrayBuffer, at.byteOffset, count); }
    case 'float16': { const at = aligned(bytes, 2); return Float32Array.from(new Float16Array(at.buffer as ArrayBuffer, at.byteOffset, count)); }
    case 'float64': { const at = aligned(bytes, 8); return Float32Array.from(new Float64Array(at.buffer as ArrayBuffer, at.byteOffset, count)); }
    case 'bfloat16': {
      const at = aligned(bytes, 2);
      const wide = new Uint32Array(count);
      new Uint16Array(at.buffer as ArrayBuffer, at.byteOffset, count).forEach((half, index) => { wide[index] = half << 16; });
      return new Float32Array(wide.buffer);
    }
    default: throw new OnnxError(`expected a float tensor, got ${describeType({ dataType: tensor.dataType, shape: tensor.dims })}`);
  }
}

/** Any numeric tensor as plain numbers: for constants that steer the graph (axes, shapes), not for weights. */
export function numberValues(tensor: Tensor): number[] {
  const bytes = tensorBytes(tensor);
  const count = elementCount(tensor.dims);
  const view = <T extends ArrayLike<number | bigint>>(array: new (buffer: ArrayBuffer, byteOffset: number, length: number) => T, size: number): number[] => {
    const at = aligned(bytes, size);
    return Array.from(new array(at.buffer as ArrayBuffer, at.byteOffset, count), Number);
  };
  switch (tensor.dataType) {
    case 'int64': return view(BigInt64Array, 8);
    case 'uint64': return view(BigUint64Array, 8);
    case 'int32': return view(Int32Array, 4);
    case 'uint32': return view(Uint32Array, 4);
    case 'int16': return view(Int16Array, 2);
    case 'uint16': return view(Uint16Array, 2);
    case 'int8': return view(Int8Array, 1);
    case 'uint8': case 'bool': return view(Uint8Array, 1);
    case 'float64': return view(Float64Array, 8);
    case 'uint4': return nibbles(bytes, count);
    case 'int4': return nibbles(bytes, count).map((value) => (value > 7 ? value - 16 : value));
    default: return Array.from(floatValues(tensor));
  }
}

const nibbles = (bytes: Uint8Array, count: number): number[] => Array.from({ length: count }, (_, at) => (bytes[at >> 1]! >> (4 * (at & 1))) & 15);
