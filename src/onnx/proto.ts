/**
 * @file `.onnx` files: protobuf bytes ↔ `Model`.
 *
 * Weights stay where they are: `rawData` is a view into the file's bytes, external data a place in its file.
 */
import { create, fromBinary, toBinary } from '@bufbuild/protobuf';
import {
  AttributeProtoSchema, AttributeProto_AttributeType as AttributeType, GraphProtoSchema, ModelProtoSchema, NodeProtoSchema,
  OperatorSetIdProtoSchema, StringStringEntryProtoSchema, TensorProtoSchema, TensorProto_DataLocation as DataLocation,
  TensorProto_DataType as ProtoType, TensorShapeProtoSchema, TensorShapeProto_DimensionSchema, TypeProtoSchema,
  TypeProto_TensorSchema, ValueInfoProtoSchema,
  type AttributeProto, type FunctionProto, type GraphProto, type ModelProto, type NodeProto, type TensorProto, type ValueInfoProto,
} from 'onnx-buf';
import { readFileSync, statSync, type Stats } from 'node:fs';
import { dirname, isAbsolute, relative, resolve } from 'node:path';
import { dimFromName } from './dims.ts';
import { OnnxError, usesOf, type Attribute, type DataType, type Dim, type ExternalFile, type Model, type Node, type Tensor, type ValueInfo } from './ir.ts';
import { byteLength, elementCount, readExternal, tensorBytes, tensorFrom, toInt64 } from './tensor.ts';

const dataTypes: Readonly<Record<DataType, ProtoType>> = {
  float32: ProtoType.FLOAT, float16: ProtoType.FLOAT16, bfloat16: ProtoType.BFLOAT16, float64: ProtoType.DOUBLE,
  int8: ProtoType.INT8, int16: ProtoType.INT16, int32: ProtoType.INT32, int64: ProtoType.INT64,
  uint8: ProtoType.UINT8, uint16: ProtoType.UINT16, uint32: ProtoType.UINT32, uint64: ProtoType.UINT64,
  int4: ProtoType.INT4, uint4: ProtoType.UINT4, bool: ProtoType.BOOL, string: ProtoType.STRING,
};
const fromProtoType = new Map<number, DataType>(Object.entries(dataTypes).map(([name, code]) => [code, name as DataType]));

/** The number that ONNX gives a type, as `Cast`'s `to` attribute wants it. */
export const protoTypeOf = (type: DataType): number => dataTypes[type];
export function dataTypeOf(code: number, where: string): DataType {
  const type = fromProtoType.get(code);
  if (type === undefined) throw new OnnxError(`${where}: element type ${ProtoType[code] ?? code} is not supported`);
  return type;
}

const text = new TextDecoder();
const utf8 = (value: string): Uint8Array<ArrayBuffer> => new TextEncoder().encode(value);
const entry = (key: string, value: string) => create(StringStringEntryProtoSchema, { key, value });

// ---- reading -------------------------------------------------------------------------------------------------------

const fileTroubles: Readonly<Record<string, string>> = {
  ENOENT: 'there is no such file',
  ENOTDIR: 'there is no such file',
  EISDIR: 'it is a directory; name the .onnx file in it',
  EACCES: 'no permission to read it',
  ERR_FS_FILE_TOO_LARGE: 'a file of more than 2 GiB is no ONNX model; large weights belong into external data beside it',
};

function readFile(path: string): Uint8Array {
  try {
    const { buffer, byteOffset, byteLength } = readFileSync(path);
    return new Uint8Array(buffer, byteOffset, byteLength); // Buffer's slice() is another than a Uint8Array's
  } catch (error) {
    const { code = '', message } = error as NodeJS.ErrnoException;
    throw new OnnxError(`cannot read ${path}: ${fileTroubles[code] ?? message}`, { cause: error });
  }
}

/**
 * Reads an `.onnx` file (by path or from its bytes).
 *
 * @param directory where external data lies, when bytes are given; by path it is the file's own directory.
 * @throws OnnxError when the file cannot be read, when the bytes are no ONNX model, are cut off or contradict themselves.
 */
export function readModel(source: string | Uint8Array, { directory = '.' }: { directory?: string } = {}): Model {
  const where = typeof source === 'string' ? source : 'model';
  const bytes = typeof source === 'string' ? readFile(source) : source;
  let proto: ModelProto;
  try {
    proto = fromBinary(ModelProtoSchema, bytes);
  } catch (error) {
    throw new OnnxError(`${where}: not a readable ONNX file (${error instanceof Error ? error.message : String(error)})`, { cause: error });
  }
  if (proto.graph === undefined || proto.opsetImport.length === 0) {
    throw new OnnxError(`${where}: not an ONNX model: it has no ${proto.graph === undefined ? 'graph' : 'opset'}`);
  }
  try {
    return modelFrom(proto, proto.graph, typeof source === 'string' ? dirname(resolve(source)) : directory);
  } catch (error) {
    if (error instanceof OnnxError) throw new OnnxError(`${where}: ${error.message}`, { cause: error });
    throw error;
  }
}

function modelFrom(proto: ModelProto, graph: GraphProto, directory: string): Model {
  if (graph.sparseInitializer.length > 0) throw new OnnxError(`sparse initializers are not supported ("${graph.sparseInitializer[0]!.values?.name ?? ''}")`);
  const initializers = new Map(graph.initializer.map((tensor) => [tensor.name, tensorFromProto(tensor, directory)]));
  const model: Model = {
    irVersion: sizeFrom(proto.irVersion, 'the IR version'),
    opsets: new Map(proto.opsetImport.map(({ domain, version }) => [onnxDomain(domain), sizeFrom(version, `the opset of domain "${domain}"`)])),
    name: graph.name,
    producer: proto.producerName,
    // Old exporters list initializers among the inputs as well.
    inputs: graph.input.filter(({ name }) => !initializers.has(name)).map(valueInfoFrom),
    outputs: graph.output.map(valueInfoFrom),
    nodes: graph.node.map((node) => nodeFrom(node, directory)),
    initializers,
    valueInfo: new Map(graph.valueInfo.filter(({ type }) => type?.value.case === 'tensorType').map((info) => [info.name, valueInfoFrom(info)])),
    metadata: new Map(proto.metadataProps.map(({ key, value }) => [key, value])),
    functions: proto.functions,
  };
  checkNames(model);
  return model;
}

/** The ONNX domain has two spellings. */
const onnxDomain = (domain: string): string => (domain === 'ai.onnx' ? '' : domain);

/** A version or a dimension: what a double cannot count is damage. */
function sizeFrom(value: bigint, what: string): number {
  const size = Number(value);
  if (!Number.isSafeInteger(size) || size < 0) throw new OnnxError(`${what} cannot be ${value}`);
  return size;
}

/** Every name is made once and before it is used: the one thing that every pass relies on. */
function checkNames({ inputs, nodes, initializers, outputs }: Model): void {
  const known = new Set(['', ...initializers.keys()]);
  const define = (name: string, by: string): void => {
    if (known.has(name)) throw new OnnxError(`the name "${name}" is made twice, the second time by ${by}`);
    known.add(name);
  };
  for (const { name } of inputs) define(name, 'an input');
  for (const node of nodes) {
    for (const name of usesOf(node)) {
      if (!known.has(name)) throw new OnnxError(`${node.op} "${node.name}" uses "${name}", which nothing before it makes`);
    }
    for (const name of node.outputs) if (name !== '') define(name, `${node.op} "${node.name}"`);
  }
  for (const { name } of outputs) if (!known.has(name)) throw new OnnxError(`the output "${name}" is made by nothing`);
}

function valueInfoFrom(info: ValueInfoProto): ValueInfo {
  const type = info.type?.value;
  if (type?.case !== 'tensorType') throw new OnnxError(`"${info.name}" is no tensor (${type?.case ?? 'no type'})`);
  const shape = type.value.shape;
  return {
    name: info.name,
    dataType: dataTypeOf(type.value.elemType, `"${info.name}"`),
    shape: shape === undefined ? null : shape.dim.map((dim, axis): Dim => {
      // Some exporters write −1 for a size that is not known.
      if (dim.value.case === 'dimValue' && dim.value.value >= 0n) return sizeFrom(dim.value.value, `a dimension of "${info.name}"`);
      return dim.value.case === 'dimParam' && dim.value.value !== '' ? dimFromName(dim.value.value) : `${info.name.replaceAll(/[+*\s]/g, '_')}.${axis}`;
    }),
  };
}

const nodeFrom = (node: NodeProto, directory: string): Node => ({
  name: node.name,
  op: node.opType,
  domain: onnxDomain(node.domain),
  inputs: node.input,
  outputs: node.output,
  attributes: Object.fromEntries(node.attribute.map((attribute) => [attribute.name, attributeFrom(attribute, directory)])),
});

function attributeFrom(attribute: AttributeProto, directory: string): Attribute {
  switch (attribute.type) {
    case AttributeType.INT: return { kind: 'int', value: Number(attribute.i) };
    case AttributeType.FLOAT: return { kind: 'float', value: attribute.f };
    case AttributeType.STRING: return { kind: 'string', value: text.decode(attribute.s) };
    case AttributeType.INTS: return { kind: 'ints', value: attribute.ints.map(Number) };
    case AttributeType.FLOATS: return { kind: 'floats', value: attribute.floats };
    case AttributeType.STRINGS: return { kind: 'strings', value: attribute.strings.map((bytes) => text.decode(bytes)) };
    case AttributeType.TENSOR:
      if (attribute.t !== undefined) return { kind: 'tensor', value: tensorFromProto(attribute.t, directory) };
      throw new OnnxError(`attribute "${attribute.name}" says it is a tensor, but holds none`);
    case AttributeType.GRAPH:
    case AttributeType.GRAPHS: {
      const bodies = attribute.g === undefined ? attribute.graphs : [attribute.g];
      return { kind: 'graph', value: attribute, captures: [...new Set(bodies.flatMap(capturedNames))] };
    }
    default: return { kind: 'opaque', value: attribute };
  }
}

/** A control-flow body, for the pass that puts it in the place of its node. */
export interface Body {
  readonly nodes: readonly Node[];
  readonly initializers: ReadonlyMap<string, Tensor>;
  readonly outputs: readonly string[];
}

export function readBody(attribute: Attribute | undefined): Body {
  const graph = attribute?.kind === 'graph' ? (attribute.value as AttributeProto).g : undefined;
  if (graph === undefined) throw new OnnxError('a control-flow node has no body');
  return {
    nodes: graph.node.map((node) => nodeFrom(node, '.')),
    initializers: new Map(graph.initializer.map((tensor) => [tensor.name, tensorFromProto(tensor, '.')])),
    outputs: graph.output.map(({ name }) => name),
  };
}

/** Names that a control-flow body uses without making them. */
function capturedNames(graph: GraphProto): string[] {
  const known = new Set(['', ...graph.input.map(({ name }) => name), ...graph.initializer.map(({ name }) => name)]);
  const captured: string[] = [];
  for (const node of graph.node) {
    const inner = node.attribute.flatMap(({ g, graphs }) => [...(g === undefined ? [] : [g]), ...graphs].flatMap(capturedNames));
    for (const name of [...node.input, ...inner]) if (!known.has(name)) captured.push(name);
    for (const name of node.output) known.add(name);
  }
  return [...captured, ...graph.output.map(({ name }) => name).filter((name) => !known.has(name))];
}

function tensorFromProto(tensor: TensorProto, directory: string): Tensor {
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
  const inside = relative(directory, path);
  if (isAbsolute(location) || inside.startsWith('..')) throw new OnnxError(`${where}: external data "${location}" lies outside the model's directory`);
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

// ---- writing -------------------------------------------------------------------------------------------------------

/** Turns a tensor's bytes into a place in another file, or leaves them embedded (null). */
type Placement = (name: string, tensor: Tensor) => { location: string; offset: number; length: number } | null;

/** The model as protobuf bytes with every weight embedded (at most 2 GiB: see `writeModelExternal`). */
export function writeModel(model: Model): Uint8Array {
  return toBinary(ModelProtoSchema, modelProto(model, () => null));
}

/** A buffer that ONNX Runtime reads weights from: `path` is the location the graph names. */
export interface ExternalBuffer {
  path: string;
  data: Uint8Array;
}

/**
 * The graph alone, with weights above `threshold` bytes left in the buffers they already are in.
 *
 * Nothing of them is copied: tensors that are views of one model file share that file's buffer, each at its own offset. Of
 * weights that lie in a file just their own bytes are read. Hand `buffers` to ONNX Runtime as `externalData`.
 */
export function writeModelExternal(model: Model, { threshold = 1024 }: { threshold?: number } = {}): { bytes: Uint8Array; buffers: ExternalBuffer[] } {
  const buffers: ExternalBuffer[] = [];
  const paths = new Map<ArrayBufferLike | string, ExternalBuffer>();
  const place = (key: ArrayBufferLike | string, load: () => Uint8Array): ExternalBuffer => {
    let buffer = paths.get(key);
    if (buffer === undefined) {
      buffer = { path: `weights-${buffers.length}`, data: load() };
      paths.set(key, buffer);
      buffers.push(buffer);
    }
    return buffer;
  };
  const bytes = toBinary(ModelProtoSchema, modelProto(model, (_, { data }) => {
    const length = data instanceof Uint8Array ? data.byteLength : data.length;
    if (length < threshold) return null;
    if (data instanceof Uint8Array) return { location: place(data.buffer, () => new Uint8Array(data.buffer)).path, offset: data.byteOffset, length };
    return { location: place(`${data.path}:${data.offset}:${length}`, () => readExternal(data)).path, offset: 0, length };
  }));
  return { bytes, buffers };
}

/** As `writeModel`, with the placement of weights in the caller's hands: for export with an `.onnx_data` file. */
export const writeModelPlaced = (model: Model, place: Placement): Uint8Array => toBinary(ModelProtoSchema, modelProto(model, place));

function modelProto(model: Model, place: Placement): ModelProto {
  return create(ModelProtoSchema, {
    irVersion: BigInt(model.irVersion),
    producerName: model.producer,
    opsetImport: [...model.opsets].map(([domain, version]) => create(OperatorSetIdProtoSchema, { domain, version: BigInt(version) })),
    metadataProps: [...model.metadata].map(([key, value]) => entry(key, value)),
    functions: model.functions as FunctionProto[],
    graph: create(GraphProtoSchema, {
      name: model.name,
      input: model.inputs.map(valueInfoProto),
      output: model.outputs.map(valueInfoProto),
      valueInfo: [...model.valueInfo.values()].map(valueInfoProto),
      initializer: [...model.initializers].map(([name, tensor]) => tensorProto(name, tensor, place)),
      node: model.nodes.map((node) => create(NodeProtoSchema, {
        name: node.name, opType: node.op, domain: node.domain, input: [...node.inputs], output: [...node.outputs],
        attribute: Object.entries(node.attributes).map(([name, attribute]) => attributeProto(name, attribute)),
      })),
    }),
  });
}

const valueInfoProto = ({ name, dataType, shape }: ValueInfo): ValueInfoProto =>
  create(ValueInfoProtoSchema, {
    name,
    type: create(TypeProtoSchema, {
      value: {
        case: 'tensorType',
        value: create(TypeProto_TensorSchema, {
          elemType: dataTypes[dataType],
          ...(shape === null ? {} : { shape: create(TensorShapeProtoSchema, {
            dim: shape.map((dim) => create(TensorShapeProto_DimensionSchema, {
              value: typeof dim === 'number' ? { case: 'dimValue', value: BigInt(dim) } : { case: 'dimParam', value: dim },
            })),
          }) }),
        }),
      },
    }),
  });

function tensorProto(name: string, tensor: Tensor, place: Placement): TensorProto {
  const common = { name, dataType: dataTypes[tensor.dataType], dims: tensor.dims.map(BigInt) };
  const placed = place(name, tensor);
  if (placed === null) return create(TensorProtoSchema, { ...common, rawData: tensorBytes(tensor) as Uint8Array<ArrayBuffer> });
  return create(TensorProtoSchema, {
    ...common,
    dataLocation: DataLocation.EXTERNAL,
    externalData: [entry('location', placed.location), entry('offset', String(placed.offset)), entry('length', String(placed.length))],
  });
}

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
    case 'tensor': return make(AttributeType.TENSOR, { t: tensorProto('', attribute.value, () => null) });
    case 'graph': case 'opaque': return attribute.value as AttributeProto;
  }
}
