/** @file Broken model files, many and repeatable: bytes changed blindly, and fields changed where it hurts; and what becomes of them. */
import { create, fromBinary, toBinary } from '@bufbuild/protobuf';
import { AttributeProto_AttributeType as AttributeType, ModelProtoSchema, StringStringEntryProtoSchema, type AttributeProto, type GraphProto, type ModelProto, type NodeProto, type TensorProto, type ValueInfoProto } from 'onnx-buf';
import { copyFileSync, mkdtempSync, readFileSync, readdirSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect } from 'vitest';
import { Builder, OnnxError, canonicalize, decompose, differentiate, foldShapes, inferTypes, isFloat, mergeConstants, readModel, stripCache, tensorBytes, writeModel, writeModelPlaced, type Model } from '../../src/onnx/index.ts';

/** Numbers in [0, 1), the same for the same seed. */
function random(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

class Dice {
  readonly #next: () => number;
  constructor(seed: number) { this.#next = random(seed); }
  below(limit: number): number { return Math.floor(this.#next() * limit); }
  of<T>(items: readonly T[]): T { return items[this.below(items.length)]!; }
  bytes(count: number): Uint8Array { return Uint8Array.from({ length: count }, () => this.below(256)); }
}

type Bytes = Uint8Array;
const joined = (...parts: readonly Bytes[]): Bytes => new Uint8Array(Buffer.concat(parts));

/** What happens to files on disks and wires, and what a fuzzer does to them. */
const blind: readonly ((bytes: Bytes, dice: Dice, other: Bytes) => Bytes)[] = [
  function flipBits(bytes, dice) {
    const changed = Uint8Array.from(bytes);
    for (let times = 1 + dice.below(8); times > 0; times--) { const at = dice.below(bytes.length); changed[at] = changed[at]! ^ (1 << dice.below(8)); }
    return changed;
  },
  function replaceBytes(bytes, dice) {
    const changed = Uint8Array.from(bytes);
    changed.set(dice.bytes(Math.min(bytes.length, 1 + dice.below(6))), dice.below(Math.max(1, bytes.length - 6)));
    return changed;
  },
  function truncate(bytes, dice) { return bytes.slice(0, dice.below(bytes.length)); },
  function cutOut(bytes, dice) { const at = dice.below(bytes.length); return joined(bytes.subarray(0, at), bytes.subarray(at + 1 + dice.below(64))); },
  function insert(bytes, dice) { const at = dice.below(bytes.length); return joined(bytes.subarray(0, at), dice.bytes(1 + dice.below(16)), bytes.subarray(at)); },
  function repeat(bytes, dice) { const at = dice.below(bytes.length), end = at + 1 + dice.below(256); return joined(bytes.subarray(0, end), bytes.subarray(at)); },
  function splice(bytes, dice, other) { const at = dice.below(bytes.length), from = dice.below(other.length); return joined(bytes.subarray(0, at), other.subarray(from, from + 1 + dice.below(512)), bytes.subarray(at)); },
  function hugeLength(bytes, dice) {
    const changed = Uint8Array.from(bytes);
    changed.set(dice.of([[0xff, 0xff, 0xff, 0xff, 0x07], [0xff, 0xff, 0xff, 0xff, 0x0f], [0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01]]).slice(0, bytes.length), dice.below(Math.max(1, bytes.length - 10)));
    return changed;
  },
];

const absurd = [0n, 1n, 2n, -1n, 7n, 1n << 20n, (1n << 31n) - 1n, 1n << 31n, 1n << 40n, (1n << 53n) + 1n, (1n << 63n) - 1n, -(1n << 63n)];
const operators = ['MatMul', 'Gemm', 'Einsum', 'Softmax', 'Slice', 'Pad', 'Split', 'Gather', 'GatherND', 'Reshape', 'Expand', 'Transpose', 'Concat', 'Squeeze', 'Unsqueeze', 'TopK', 'Tile', 'Where', 'Cast', 'Range', 'Clip', 'If', 'Loop', 'Constant', 'ConstantOfShape', 'LayerNormalization', 'Attention', 'GroupQueryAttention', 'MultiHeadAttention', 'MatMulNBits', 'GatherBlockQuantized', 'RotaryEmbedding', 'SkipLayerNormalization', 'SkipSimplifiedLayerNormalization', 'SimplifiedLayerNormalization', 'Upsample', 'Scatter', 'Dropout', 'OneHot', 'Pow', 'CumSum', 'ReduceMean', 'Trilu', 'ScatterND', 'ScatterElements', 'GatherElements', 'Nonsense', 'constructor', '__proto__', ''];
const names = ['', 'nothing', '__proto__', 'constructor', 'toString', 'ü\u0000', '../../etc/passwd', 'x'.repeat(300)];

/** Every kind of number list that attributes and tensors have, made wrong. */
function badList<T>(list: T[], dice: Dice, make: () => T): T[] {
  switch (dice.below(4)) {
    case 0: return [];
    case 1: return [...list, make()];
    case 2: return list.slice(0, -1);
    default: return list.with === undefined || list.length === 0 ? [make()] : list.with(dice.below(list.length), make());
  }
}

function breakTensor(tensor: TensorProto, dice: Dice): void {
  const number = (): bigint => dice.of(absurd);
  const breaks: readonly (() => void)[] = [
    () => { tensor.dims = badList(tensor.dims, dice, number); },
    () => { tensor.dims = Array.from({ length: 1 + dice.below(9) }, number); tensor.rawData = new Uint8Array(); },
    () => { tensor.dataType = dice.below(30); },
    () => { tensor.rawData = tensor.rawData.slice(0, dice.below(tensor.rawData.length + 1)); },
    () => { tensor.rawData = new Uint8Array(); tensor.floatData = [1]; },
    () => { tensor.rawData = new Uint8Array(); tensor.int64Data = badList(tensor.int64Data, dice, number); },
    () => { tensor.name = dice.of(names); },
    () => { tensor.dataLocation = dice.below(3) as never; },
    () => { tensor.dataLocation = 1; tensor.externalData = [['location', dice.of(['weights.bin', 'short.bin', 'missing.bin', '../outside.bin', '/etc/passwd', '.', '', 'a\0b', 'weights.bin/x'])], ['offset', dice.of(['0', '4', '-1', '1e99', 'x', String(2 ** 53)])], ['length', dice.of(['0', '16', '-4', 'NaN', String(2 ** 40)])]].slice(0, 1 + dice.below(3)).map(([key = '', value = '']) => create(StringStringEntryProtoSchema, { key, value })); },
    () => { tensor.rawData = Uint8Array.from(tensor.rawData, () => dice.below(256)); },
    // Of weights that lie in a file, one word about their place: another tensor's, or nobody's.
    ...Array<() => void>(tensor.externalData.length > 0 ? 10 : 0).fill(() => {
      const field = dice.of(tensor.externalData);
      field.value = field.key === 'location' ? dice.of(['weights.bin', 'missing.bin', '../outside.bin', 'gpt2-traced.bin', 'llama-genai-untied.bin', 'x'.repeat(5000)]) : String(dice.of([...absurd, BigInt(dice.below(100_000)), `${field.value}.5`, `0x${field.value}`, '']));
      if (dice.below(5) === 0) field.key = dice.of(['location', 'offset', 'length', 'checksum', '']);
    }),
  ];
  dice.of(breaks)();
}

function breakAttribute(attribute: AttributeProto, dice: Dice): void {
  const number = (): bigint => dice.of(absurd);
  const breaks: readonly (() => void)[] = [
    () => { attribute.i = number(); },
    () => { attribute.ints = badList(attribute.ints, dice, number); },
    () => { attribute.type = dice.below(15) as AttributeType; },
    () => { attribute.name = dice.of([...names, 'axis', 'axes', 'perm', 'to', 'equation', 'num_heads', 'value', 'then_branch']); },
    () => { attribute.f = dice.of([0, -1, NaN, Infinity, 1e38]); },
    () => { attribute.s = new TextEncoder().encode(dice.of(['', 'tanh', 'ab,bc->ac', '...i->i', '->', 'NOTSET'])); },
    () => { if (attribute.t !== undefined) breakTensor(attribute.t, dice); },
    () => { if (attribute.g !== undefined) breakGraph(attribute.g, dice); },
  ];
  dice.of(breaks)();
}

function breakNode(node: NodeProto, dice: Dice, known: readonly string[]): void {
  const name = (): string => dice.of([...known, ...names]);
  const breaks: readonly (() => void)[] = [
    () => { node.input = badList(node.input, dice, name); },
    () => { node.input = node.input.toReversed(); },
    () => { node.input = node.input.map((each) => (dice.below(2) === 0 ? '' : each)); },
    () => { node.output = badList(node.output, dice, name); },
    () => { node.opType = dice.of(operators); },
    () => { node.domain = dice.of(['', 'com.microsoft', 'ai.onnx', 'ai.onnx.ml', 'nowhere']); },
    () => { node.attribute = []; },
    () => { if (node.attribute.length > 0) breakAttribute(dice.of(node.attribute), dice); },
    () => { if (node.attribute.length > 0) breakAttribute(dice.of(node.attribute), dice); },
    () => { if (node.attribute.length > 0) node.attribute.push(dice.of(node.attribute)); },
    () => { node.name = dice.of(names); },
  ];
  dice.of(breaks)();
}

function breakInfo(info: ValueInfoProto, dice: Dice): void {
  const type = info.type?.value;
  const breaks: readonly (() => void)[] = [
    () => { info.name = dice.of(names); },
    () => { delete info.type; },
    () => { if (type?.case === 'tensorType') type.value.elemType = dice.below(30); },
    () => { if (type?.case === 'tensorType') delete type.value.shape; },
    () => { if (type?.case === 'tensorType' && type.value.shape !== undefined) type.value.shape.dim.splice(dice.below(3), 1); },
    () => { if (type?.case === 'tensorType') for (const dim of type.value.shape?.dim ?? []) dim.value = { case: 'dimValue', value: dice.of(absurd) }; },
    () => { if (type?.case === 'tensorType') for (const dim of type.value.shape?.dim ?? []) dim.value = { case: 'dimParam', value: dice.of(['', ' + ', '*', 'a*b + a', '2*n', '-1', '1e9', 'n'.repeat(500), 'x + '.repeat(50)]) }; },
  ];
  dice.of(breaks)();
}

function breakGraph(graph: GraphProto, dice: Dice): void {
  const known = [...graph.input.map(({ name }) => name), ...graph.initializer.map(({ name }) => name), ...graph.node.flatMap(({ output }) => output)];
  const breaks: readonly (() => void)[] = [
    ...Array<() => void>(6).fill(() => { if (graph.node.length > 0) breakNode(dice.of(graph.node), dice, known); }),
    ...Array<() => void>(3).fill(() => { if (graph.initializer.length > 0) breakTensor(dice.of(graph.initializer), dice); }),
    ...Array<() => void>(2).fill(() => { if (graph.input.length > 0) breakInfo(dice.of(graph.input), dice); }),
    () => { if (graph.output.length > 0) breakInfo(dice.of(graph.output), dice); },
    () => { if (graph.valueInfo.length > 0) breakInfo(dice.of(graph.valueInfo), dice); },
    () => { graph.node.reverse(); },
    () => { graph.node.splice(dice.below(graph.node.length + 1), 1); },
    () => { if (graph.node.length > 0) graph.node.push(dice.of(graph.node)); },
    () => { graph.initializer.splice(dice.below(graph.initializer.length + 1), 1); },
    () => { if (graph.initializer.length > 0) graph.initializer.push(dice.of(graph.initializer)); },
    () => { graph.input.splice(dice.below(graph.input.length + 1), 1); },
    () => { graph.output = []; },
  ];
  dice.of(breaks)();
}

function breakModel(model: ModelProto, dice: Dice): void {
  const breaks: readonly (() => void)[] = [
    () => { delete model.graph; },
    () => { model.opsetImport = []; },
    () => { for (const opset of model.opsetImport) opset.version = dice.of([...absurd, 5n, 9n, 11n, 13n, 17n, 23n]); },
    () => { for (const opset of model.opsetImport) opset.domain = dice.of(['', 'ai.onnx', 'com.microsoft', 'nowhere']); },
    () => { model.irVersion = dice.of(absurd); },
  ];
  if (model.graph !== undefined && dice.below(8) > 0) breakGraph(model.graph, dice);
  else dice.of(breaks)();
}

/** The `index`-th broken file made of these. A third of them are broken blindly, the others in one to three of their fields. */
function mutant(bases: readonly Bytes[], index: number): Bytes {
  const dice = new Dice(index);
  const bytes = dice.of(bases);
  if (index % 3 === 0) return dice.of(blind)(bytes, dice, dice.of(bases));
  const model = fromBinary(ModelProtoSchema, bytes);
  for (let times = 1 + dice.below(3); times > 0; times--) breakModel(model, dice);
  return toBinary(ModelProtoSchema, model);
}

const fixtures = new URL('./fixtures/', import.meta.url);

/** A directory with the weights that the broken files name, among others that they should not get. */
export function weightsDirectory(): string {
  const directory = mkdtempSync(join(tmpdir(), 'rlrun-hostile-'));
  writeFileSync(join(directory, 'weights.bin'), new Uint8Array(64));
  writeFileSync(join(directory, 'short.bin'), new Uint8Array(3));
  copyFileSync(new URL('decoders/llama-genai.onnx_data', fixtures), join(directory, 'llama-genai.onnx_data'));
  for (const name of apart) writeFileSync(join(directory, `${name}.bin`), withWeightsApart(name).weights);
  return directory;
}

/** Decoders whose every constant lies in another file; of one of them half the file is missing. */
const apart = ['gpt2-traced', 'llama-genai-untied', 'qwen3-genai'] as const;

function withWeightsApart(name: (typeof apart)[number]): { graph: Bytes; weights: Bytes } {
  const parts: Bytes[] = [];
  let position = 0;
  const graph = writeModelPlaced(readModel(fileURLToPath(new URL(`decoders/${name}.onnx`, fixtures))), (_, tensor) => {
    const bytes = tensorBytes(tensor), offset = position;
    parts.push(bytes);
    position += bytes.byteLength;
    return { location: `${name}.bin`, offset, length: bytes.byteLength };
  });
  const weights = joined(...parts);
  return { graph, weights: name === 'qwen3-genai' ? weights.subarray(0, weights.length / 2) : weights };
}

/** Single operators, and half as many decoders, among them some with their weights apart. */
function wholeFiles(): Bytes[] {
  const operators = readdirSync(new URL('contrib/', fixtures)).filter((file) => file.endsWith('.onnx')).map((file) => `contrib/${file}`);
  const decoders = ['llama-genai', 'llama-genai-int4', 'gpt2-traced', 'llama-traced'].map((name) => `decoders/${name}.onnx`);
  const files = [...operators, ...Array.from({ length: operators.length / 2 }, (_, index) => decoders[index % decoders.length]!)];
  const graphs = apart.map((name) => withWeightsApart(name).graph);
  return [...files.map((file) => new Uint8Array(readFileSync(new URL(file, fixtures)))), ...Array.from({ length: operators.length / 6 }, (_, index) => graphs[index % graphs.length]!)];
}

/** All that a user would do with a file that was read. */
function use(model: Model): void {
  inferTypes(model);
  expect(readModel(writeModel(model)).nodes).toHaveLength(model.nodes.length);
  const plain = mergeConstants(foldShapes(decompose(stripCache(canonicalize(model)))));
  const [output] = plain.outputs;
  const floats = [...plain.inputs, ...[...plain.initializers].map(([name, { dataType }]) => ({ name, dataType }))].filter(({ dataType }) => isFloat(dataType));
  if (output === undefined || floats.length === 0) return;
  const b = new Builder(plain);
  b.output('the loss', b.sum(b.value(output.name)));
  differentiate(b.build(), { output: 'the loss', wrt: floats.slice(0, 4).map(({ name }) => name) });
}

/** What became of a file. */
export type Outcome = 'works' | 'not read' | 'read, then refused';

/** Any other exception than OnnxError goes through. */
export function outcomeOf(bytes: Uint8Array, directory: string): Outcome {
  let model: Model | undefined;
  try {
    model = readModel(bytes, { directory });
    use(model);
    return 'works';
  } catch (error) {
    if (error instanceof OnnxError) return model === undefined ? 'not read' : 'read, then refused';
    throw error;
  }
}

/** What becomes of so many broken files; fails at the first that ends otherwise, or takes memory out of all proportion. */
export function outcomesOf({ first, count, directory }: { first: number; count: number; directory: string }): Record<Outcome, number> {
  const bases = wholeFiles();
  const outcomes: Record<Outcome, number> = { works: 0, 'not read': 0, 'read, then refused': 0 };
  for (let index = first; index < first + count; index++) {
    const before = process.memoryUsage();
    try {
      outcomes[outcomeOf(mutant(bases, index), directory)]++;
    } catch (error) {
      throw new Error(`mutant ${index}`, { cause: error });
    }
    // The largest of the files has 170 kB.
    const after = process.memoryUsage();
    expect(after.arrayBuffers - before.arrayBuffers, `array buffers for mutant ${index}`).toBeLessThan(64e6);
    expect(after.rss - before.rss, `memory of the process for mutant ${index}`).toBeLessThan(256e6);
  }
  return outcomes;
}

/** A fuzzer whose files are all refused at the door, or all fine, tests nothing. */
export function expectOutcomes(outcomes: Readonly<Record<Outcome, number>>): void {
  for (const [outcome, count] of Object.entries(outcomes)) expect(count, outcome).toBeGreaterThan(50);
}
