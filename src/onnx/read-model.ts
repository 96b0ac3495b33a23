/**
 * @file `.onnx` files: protobuf bytes → `Model`.
 *
 * Weights stay where they are: `rawData` is a view into the file's bytes, external data a place in its file.
 */
import { fromBinary } from '@bufbuild/protobuf';
import {
  AttributeProto_AttributeType as AttributeType, ModelProtoSchema,
  type AttributeProto, type GraphProto, type ModelProto, type NodeProto, type ValueInfoProto,
} from 'onnx-buf';
import { readFileSync } from 'node:fs';
import { dirname, resolve } from 'node:path';
import { checkRegularFile } from '../util/regular-file.ts';
import { isLfsPointer } from '../util/lfs-pointer.ts';
import { dimFromName } from './dims.ts';
import { OnnxError, usesOf, type Attribute, type Dim, type Model, type Node, type Tensor, type ValueInfo } from './ir.ts';
import { dataTypeOf } from './proto.ts';
import { sizeFrom, tensorFromProto } from './read-tensor.ts';

const text = new TextDecoder();

const fileTroubles: Readonly<Record<string, string>> = {
  ENOENT: 'there is no such file',
  ENOTDIR: 'there is no such file',
  EISDIR: 'it is a directory; name the .onnx file in it',
  ENOTFILE: 'it is a pipe or a device',
  EACCES: 'no permission to read it',
  ERR_FS_FILE_TOO_LARGE: 'a file of more than 2 GiB is no ONNX model; large weights belong into external data beside it',
};

function readFile(path: string): Uint8Array {
  try {
    checkRegularFile(path);
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
  if (isLfsPointer(bytes)) throw new OnnxError(`${where} is a Git LFS pointer, and the model itself was never fetched: run git lfs pull`);
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
  ...(node.overload === '' ? {} : { overload: node.overload }),
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
