/**
 * @file `Model` → `.onnx` bytes.
 *
 * A file is put together from pieces: encoded bytes, and between them weights that are named, not encoded, so that each goes from
 * where it is to where it should be once, whatever its size.
 */
import { create, toBinary } from '@bufbuild/protobuf';
import { BinaryWriter, WireType } from '@bufbuild/protobuf/wire';
import {
  AttributeProtoSchema, AttributeProto_AttributeType as AttributeType, GraphProtoSchema, ModelProtoSchema, NodeProtoSchema,
  OperatorSetIdProtoSchema, StringStringEntryProtoSchema, TensorProtoSchema, TensorProto_DataLocation as DataLocation,
  TensorShapeProtoSchema, TensorShapeProto_DimensionSchema, TypeProtoSchema, TypeProto_TensorSchema, ValueInfoProtoSchema,
  type AttributeProto, type FunctionProto, type NodeProto, type ValueInfoProto,
} from 'onnx-buf';
import { OnnxError, type Attribute, type Model, type Node, type Tensor, type ValueInfo } from './ir.ts';
import { protoTypeOf } from './proto.ts';
import { copyTensor, storedBytes, tensorBytes, toInt64 } from './tensor.ts';

/** Turns a tensor's bytes into a place in another file (`location`, as the graph names it), or leaves them embedded (null). */
export type Placement = (name: string, tensor: Tensor) => { location: string; offset: number; length: number } | null;

/** A part of a model file: bytes, or a tensor that stands there as its bytes. */
export type Piece = Uint8Array | Tensor;

export const pieceLength = (piece: Piece): number => (piece instanceof Uint8Array ? piece.byteLength : storedBytes(piece));

/** Protobuf counts lengths in 31 bits. */
const LARGEST = 2 ** 31 - 1;

/**
 * The model as protobuf bytes with every weight embedded.
 *
 * @throws OnnxError beyond 2 GiB, which protobuf cannot hold: `saveModel` and `writeModelPlaced` put weights beside the graph.
 */
export const writeModel = (model: Model): Uint8Array => joined(modelPieces(model, () => null));

/** As `writeModel`, with the placement of weights in the caller's hands, who writes them there. */
export const writeModelPlaced = (model: Model, place: Placement): Uint8Array => joined(modelPieces(model, place));

/** A buffer that ONNX Runtime reads weights from: `path` is the location the graph names. */
export interface ExternalBuffer {
  path: string;
  data: Uint8Array;
}

/**
 * The graph alone, with weights of `threshold` bytes or more left in the buffers they already are in.
 *
 * Nothing of them is copied: tensors that are views of one model file share that file's buffer, each at its own offset. Of
 * weights that lie in a file just their own bytes are read. Hand `buffers` to ONNX Runtime as `externalData`.
 */
export function writeModelExternal(model: Model, { threshold = 1024 }: { threshold?: number } = {}): { bytes: Uint8Array; buffers: ExternalBuffer[] } {
  const buffers: ExternalBuffer[] = [];
  const paths = new Map<ArrayBufferLike | string, ExternalBuffer>();
  const place = (key: ArrayBufferLike | string, load: () => Uint8Array): string => {
    let buffer = paths.get(key);
    if (buffer === undefined) {
      buffer = { path: `weights-${buffers.length}`, data: load() };
      paths.set(key, buffer);
      buffers.push(buffer);
    }
    return buffer.path;
  };
  const bytes = writeModelPlaced(model, (_, tensor) => {
    const { data } = tensor, length = storedBytes(tensor);
    if (length < threshold) return null;
    if (data instanceof Uint8Array) return { location: place(data.buffer, () => new Uint8Array(data.buffer)), offset: data.byteOffset, length };
    return { location: place(`${data.path}:${data.offset}:${length}`, () => tensorBytes(tensor)), offset: 0, length };
  });
  return { bytes, buffers };
}

function joined(pieces: readonly Piece[]): Uint8Array {
  const file = new Uint8Array(pieces.reduce((sum, piece) => sum + pieceLength(piece), 0));
  let at = 0;
  for (const piece of pieces) {
    const target = file.subarray(at, at += pieceLength(piece));
    if (piece instanceof Uint8Array) target.set(piece);
    else copyTensor(piece, target);
  }
  return file;
}

/** Numbers of the fields that hold what is not encoded here, as onnx.proto gives them. */
const FIELD = { modelGraph: 7, graphInitializer: 5, tensorRawData: 9 } as const;

/** A field whose content follows it in pieces. */
function field(number: number, content: readonly Piece[]): Piece[] {
  const length = content.reduce((sum, piece) => sum + pieceLength(piece), 0);
  if (length > LARGEST) throw new OnnxError(`the model takes ${(length / 2 ** 30).toFixed(2)} GiB, but an .onnx file ends at 2 GiB: put its weights beside it (saveModel, or writeModelPlaced)`);
  return [new BinaryWriter().tag(number, WireType.LengthDelimited).uint32(length).finish(), ...content];
}

/** The file in pieces, its fields in the order of their numbers, as every protobuf writer has them. */
export function modelPieces(model: Model, place: Placement): Piece[] {
  const graph: Piece[] = [
    toBinary(GraphProtoSchema, create(GraphProtoSchema, { node: model.nodes.map(nodeProto), name: model.name })),
    ...[...model.initializers].flatMap(([name, tensor]) => field(FIELD.graphInitializer, tensorPieces(name, tensor, place))),
    toBinary(GraphProtoSchema, create(GraphProtoSchema, {
      input: model.inputs.map(valueInfoProto), output: model.outputs.map(valueInfoProto), valueInfo: [...model.valueInfo.values()].map(valueInfoProto),
    })),
  ];
  return [
    toBinary(ModelProtoSchema, create(ModelProtoSchema, { irVersion: BigInt(model.irVersion), producerName: model.producer })),
    ...field(FIELD.modelGraph, graph),
    toBinary(ModelProtoSchema, create(ModelProtoSchema, {
      opsetImport: [...model.opsets].map(([domain, version]) => create(OperatorSetIdProtoSchema, { domain, version: BigInt(version) })),
      metadataProps: [...model.metadata].map(([key, value]) => entry(key, value)),
      functions: model.functions as FunctionProto[],
    })),
  ];
}

const utf8 = (value: string): Uint8Array<ArrayBuffer> => new TextEncoder().encode(value);
const entry = (key: string, value: string) => create(StringStringEntryProtoSchema, { key, value });

const tensorHead = (name: string, { dataType, dims }: Tensor) => ({ name, dataType: protoTypeOf(dataType), dims: dims.map(BigInt) });

function tensorPieces(name: string, tensor: Tensor, place: Placement): Piece[] {
  const head = tensorHead(name, tensor), placed = place(name, tensor);
  if (placed === null) return [toBinary(TensorProtoSchema, create(TensorProtoSchema, head)), ...(storedBytes(tensor) === 0 ? [] : field(FIELD.tensorRawData, [tensor]))];
  return [toBinary(TensorProtoSchema, create(TensorProtoSchema, {
    ...head,
    dataLocation: DataLocation.EXTERNAL,
    externalData: [entry('location', placed.location), entry('offset', String(placed.offset)), entry('length', String(placed.length))],
  }))];
}

const nodeProto = ({ name, op, domain, overload, inputs, outputs, attributes }: Node): NodeProto => create(NodeProtoSchema, {
  name, opType: op, domain, ...(overload === undefined ? {} : { overload }), input: [...inputs], output: [...outputs],
  attribute: Object.entries(attributes).map(([key, attribute]) => attributeProto(key, attribute)),
});

const valueInfoProto = ({ name, dataType, shape }: ValueInfo): ValueInfoProto =>
  create(ValueInfoProtoSchema, {
    name,
    type: create(TypeProtoSchema, {
      value: {
        case: 'tensorType',
        value: create(TypeProto_TensorSchema, {
          elemType: protoTypeOf(dataType),
          ...(shape === null ? {} : { shape: create(TensorShapeProtoSchema, {
            dim: shape.map((dim) => create(TensorShapeProto_DimensionSchema, {
              value: typeof dim === 'number' ? { case: 'dimValue', value: BigInt(dim) } : { case: 'dimParam', value: dim },
            })),
          }) }),
        }),
      },
    }),
  });

function attributeProto(name: string, attribute: Attribute): AttributeProto {
  const make = (type: AttributeType, fields: Partial<Pick<AttributeProto, 'i' | 'f' | 's' | 'ints' | 'floats' | 'strings' | 't'>>): AttributeProto =>
    create(AttributeProtoSchema, { name, type, ...fields });
  switch (attribute.kind) {
    case 'int': return make(AttributeType.INT, { i: toInt64(attribute.value) });
    case 'float': return make(AttributeType.FLOAT, { f: attribute.value });
    case 'string': return make(AttributeType.STRING, { s: utf8(attribute.value) });
    case 'ints': return make(AttributeType.INTS, { ints: attribute.value.map(toInt64) });
    case 'floats': return make(AttributeType.FLOATS, { floats: [...attribute.value] });
    case 'strings': return make(AttributeType.STRINGS, { strings: attribute.value.map(utf8) });
    case 'tensor': return make(AttributeType.TENSOR, { t: create(TensorProtoSchema, { ...tensorHead('', attribute.value), rawData: tensorBytes(attribute.value) as Uint8Array<ArrayBuffer> }) });
    case 'graph': case 'opaque': return attribute.value as AttributeProto;
  }
}
