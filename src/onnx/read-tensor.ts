/** @file Constants of `.onnx` files: in the file as bytes or numbers, or in another file beside it. */
import { TensorProto_DataLocation as DataLocation, type TensorProto } from 'onnx-buf';
import { statSync, type Stats } from 'node:fs';
import { isAbsolute, relative, resolve, sep } from 'node:path';
import { OnnxError, type DataType, type ExternalFile, type Tensor } from './ir.ts';
import { dataTypeOf } from './proto.ts';
import { byteLength, elementCount, tensorFrom } from './tensor.ts';

/** A version or a dimension: what a double cannot count is damage. */
export function sizeFrom(value: bigint, what: string): number {
  const size = Number(value);
  if (!Number.isSafeInteger(size) || size < 0) throw new OnnxError(`${what} cannot be ${value}`);
  return size;
}

/** `directory` is where external data lies. */
export function tensorFromProto(tensor: TensorProto, directory: string): Tensor {
  const where = `tensor "${tensor.name}"`;
  const dataType = dataTypeOf(tensor.dataType, where);
  const dims = tensor.dims.map((dim) => sizeFrom(dim, `${where}: a dimension`));
  if (!Number.isSafeInteger(elementCount(dims))) throw new OnnxError(`${where}: impossible shape [${dims.join(', ')}]`);
  if (dataType === 'string') throw new OnnxError(`${where}: constants of strings are not supported`);
  const expected = byteLength(dataType, dims);
  if (tensor.dataLocation === DataLocation.EXTERNAL) return { dataType, dims, data: externalFrom(tensor, expected, directory) };
  if (tensor.rawData.length > 0 || expected === 0) {
    if (tensor.rawData.length !== expected) throw new OnnxError(`${where}: ${dataType}[${dims.join(', ')}] needs ${expected} bytes, but the file holds ${tensor.rawData.length}`);
    return { dataType, dims, data: tensor.rawData };
  }
  return unpacked(tensor, dataType, dims, where);
}

/** The spelled-out fields (`float_data` …) that hand-made and small constants use instead of `raw_data`. */
function unpacked(tensor: TensorProto, dataType: DataType, dims: number[], where: string): Tensor {
  const values: readonly (number | bigint)[] =
    dataType === 'float32' ? tensor.floatData
    : dataType === 'float64' ? tensor.doubleData
    : dataType === 'int64' ? tensor.int64Data
    : dataType === 'uint32' || dataType === 'uint64' ? tensor.uint64Data
    : tensor.int32Data;
  const packed = dataType === 'int4' || dataType === 'uint4';
  if (values.length !== (packed ? Math.ceil(elementCount(dims) / 2) : elementCount(dims))) {
    throw new OnnxError(`${where}: ${dataType}[${dims.join(', ')}] holds ${values.length} values`);
  }
  const numbers = values.map(Number);
  if (packed) return { dataType, dims, data: Uint8Array.from(numbers) };
  // Half floats are stored as their bit patterns.
  if (dataType === 'float16' || dataType === 'bfloat16' || dataType === 'uint16' || dataType === 'int16') return { dataType, dims, data: new Uint8Array(Uint16Array.from(numbers).buffer) };
  if (dataType === 'uint64') return { dataType, dims, data: new Uint8Array(BigUint64Array.from(values.map(BigInt)).buffer) };
  if (dataType === 'uint32') return { dataType, dims, data: new Uint8Array(Uint32Array.from(numbers).buffer) };
  return tensorFrom(dataType, dims, numbers);
}

function externalFrom(tensor: TensorProto, expected: number, directory: string): ExternalFile {
  const where = `tensor "${tensor.name}"`;
  const fields = new Map(tensor.externalData.map(({ key, value }) => [key, value]));
  const location = fields.get('location');
  if (location === undefined || location === '') throw new OnnxError(`${where}: external data without a location`);
  if (location.includes('\0')) throw new OnnxError(`${where}: external data at a place that is no file name`);
  const path = resolve(directory, location);
  // Links may lead elsewhere: the caches of model hubs are made of them.
  if (isAbsolute(location) || relative(directory, path).split(sep)[0] === '..') throw new OnnxError(`${where}: external data "${location}" lies outside the model's directory`);
  const offset = Number(fields.get('offset') ?? 0);
  const length = Number(fields.get('length') ?? expected);
  if (length !== expected || !Number.isSafeInteger(offset) || offset < 0) throw new OnnxError(`${where}: needs ${expected} bytes, but its external data has offset ${offset} and length ${length}`);
  const file = statOf(path), size = file?.size ?? 0;
  if (file?.isFile() !== true) throw new OnnxError(`${where}: the file ${path} with its weights is missing; copy it beside the .onnx file`);
  if (size < offset + length) throw new OnnxError(`${where}: ${path} has ${size} bytes, ${offset + length} are needed; the file is truncated`);
  return { path, offset, length };
}

/** Also where a part of the path is a file, or too long a name. */
function statOf(path: string): Stats | undefined {
  try { return statSync(path, { throwIfNoEntry: false }); } catch { return undefined; }
}
