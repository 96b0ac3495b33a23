/** @file Constants: from numbers to bytes and back. */
import { Float16Array } from '@petamoriken/float16';
import { closeSync, openSync, readSync } from 'node:fs';
import { OnnxError, describeType, type DataType, type ExternalFile, type Tensor } from './ir.ts';

/** Bits of one element. */
export const BITS: Readonly<Record<Exclude<DataType, 'string'>, number>> = {
  float32: 32, float16: 16, bfloat16: 16, float64: 64,
  int8: 8, int16: 16, int32: 32, int64: 64,
  uint8: 8, uint16: 16, uint32: 32, uint64: 64,
  int4: 4, uint4: 4, bool: 8,
};

export const elementCount = (dims: readonly number[]): number => dims.reduce((count, dim) => count * dim, 1);

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

/** Packs numbers as any of the types that graphs compute with. Values of integer types are truncated. */
export function tensorFrom(dataType: DataType, dims: readonly number[], values: ArrayLike<number>): Tensor {
  const pack = (): ArrayBufferView => {
    switch (dataType) {
      case 'float32': return Float32Array.from(values);
      case 'float16': return Float16Array.from(values);
      case 'float64': return Float64Array.from(values);
      case 'int64': return BigInt64Array.from(Array.from(values, toInt64));
      case 'int32': return Int32Array.from(values);
      case 'int8': return Int8Array.from(values);
      case 'uint8': case 'bool': return Uint8Array.from(values);
      default: throw new OnnxError(`cannot make a ${dataType} constant from numbers`);
    }
  };
  return { dataType, dims, data: bytesOf(pack()) };
}

/** Reads a part of a file. */
export function readExternal({ path, offset, length }: ExternalFile): Uint8Array {
  const bytes = new Uint8Array(length);
  const file = openSync(path, 'r');
  try {
    // One read call is capped near 2 GiB by the system.
    for (let done = 0; done < length; ) {
      const read = readSync(file, bytes, done, Math.min(length - done, 1 << 30), offset + done);
      if (read === 0) throw new OnnxError(`${path}: the file ends before byte ${offset + length}; the weights are truncated`);
      done += read;
    }
  } finally {
    closeSync(file);
  }
  return bytes;
}

/** The bytes of a tensor, read from its file if need be. */
export const tensorBytes = (tensor: Tensor): Uint8Array =>
  tensor.data instanceof Uint8Array ? tensor.data : readExternal(tensor.data);

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
  switch (tensor.dataType) {
    case 'int64': { const at = aligned(bytes, 8); return Array.from(new BigInt64Array(at.buffer as ArrayBuffer, at.byteOffset, count), Number); }
    case 'uint64': { const at = aligned(bytes, 8); return Array.from(new BigUint64Array(at.buffer as ArrayBuffer, at.byteOffset, count), Number); }
    case 'int32': { const at = aligned(bytes, 4); return Array.from(new Int32Array(at.buffer as ArrayBuffer, at.byteOffset, count)); }
    case 'uint8': case 'bool': return Array.from(bytes.subarray(0, count));
    case 'int8': return Array.from(new Int8Array(bytes.buffer as ArrayBuffer, bytes.byteOffset, count));
    case 'float64': { const at = aligned(bytes, 8); return Array.from(new Float64Array(at.buffer as ArrayBuffer, at.byteOffset, count)); }
    default: return Array.from(floatValues(tensor));
  }
}
