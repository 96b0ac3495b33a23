/** @file The numbers that ONNX files give element types. */
import { TensorProto_DataType as ProtoType } from 'onnx-buf';
import { OnnxError, type DataType } from './ir.ts';

const codes: Readonly<Record<DataType, ProtoType>> = {
  float32: ProtoType.FLOAT, float16: ProtoType.FLOAT16, bfloat16: ProtoType.BFLOAT16, float64: ProtoType.DOUBLE,
  int8: ProtoType.INT8, int16: ProtoType.INT16, int32: ProtoType.INT32, int64: ProtoType.INT64,
  uint8: ProtoType.UINT8, uint16: ProtoType.UINT16, uint32: ProtoType.UINT32, uint64: ProtoType.UINT64,
  int4: ProtoType.INT4, uint4: ProtoType.UINT4, bool: ProtoType.BOOL, string: ProtoType.STRING,
};
const types = new Map<number, DataType>(Object.entries(codes).map(([name, code]) => [code, name as DataType]));

/** The number that ONNX gives a type, as `Cast`'s `to` attribute wants it. */
export const protoTypeOf = (type: DataType): number => codes[type];

/** The type of that number; `where` begins the message when there is none that a graph here can hold. */
export function dataTypeOf(code: number, where: string): DataType {
  const type = types.get(code);
  if (type === undefined) throw new OnnxError(`${where}: element type ${ProtoType[code] ?? code} is not supported`);
  return type;
}
