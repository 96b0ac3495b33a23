import { create, fromBinary, toBinary } from '@bufbuild/protobuf';
import fc from 'fast-check';
import { AttributeProto_AttributeType as AttributeType, AttributeProtoSchema, FunctionProtoSchema, GraphProtoSchema, ModelProtoSchema, NodeProtoSchema } from 'onnx-buf';
import { describe, expect, it } from 'vitest';
import { float, int, ints, type Attributes, type Model, type Node, type Tensor } from '../../../src/onnx/ir.ts';
import { Builder, type Value } from '../../../src/onnx/builder.ts';
import { canonicalize } from '../../../src/onnx/passes/canonicalize.ts';
import { foldIf } from '../../../src/onnx/passes/fold-if.ts';
import { foldShapes } from '../../../src/onnx/passes/fold-shapes.ts';
import { mergeConstants } from '../../../src/onnx/passes/merge-constants.ts';
import { readModel } from '../../../src/onnx/read-model.ts';
import { writeModel } from '../../../src/onnx/write-model.ts';
import { float32Tensor, tensorFrom } from '../../../src/onnx/tensor.ts';
import type { HostTensor } from '../../../src/onnx/session.ts';
import { difference, floats, ints64, operators, randomFloats, run, tinyLlama, type Feeds } from './graphs.ts';

const node = (op: string, inputs: readonly string[], attributes: Attributes = {}, outputs: readonly string[] = ['y']): Node => ({ name: `${op}/${outputs[0]}`, op, domain: '', inputs, outputs, attributes });

/** A graph as an exporter of that opset would write it. */
const old = (opset: number, nodes: readonly Node[], { x = [2, 3, 4], outputs = ['y'], initializers = {} }: { x?: readonly number[]; outputs?: readonly string[]; initializers?: Readonly<Record<string, Tensor>> } = {}): Model => ({
  irVersion: 8, opsets: new Map([['', opset]]), name: 'old', producer: 'test',
  inputs: [{ name: 'x', dataType: 'float32', shape: x }], outputs: outputs.map((name) => ({ name, dataType: 'float32', shape: null })),
  nodes, initializers: new Map(Object.entries(initializers)), valueInfo: new Map(), metadata: new Map(), functions: [],
});

async function expectSame(before: Model, feeds: Feeds, after = canonicalize(before)): Promise<Model> {
  expect(after.opsets.get('')).toBeGreaterThanOrEqual(21);
  const [expected, actual] = [await run(before, feeds), await run(after, feeds)];
  for (const [name, value] of Object.entries(expected)) expect(difference(actual[name]!, value)).toBeLessThan(1e-6);
  return after;
}

const x = (dims: readonly number[]): Feeds => ({ x: floats(dims, 3) });

describe('canonicalize', () => {
  it.each<[string, number, Node[], number[], string[]]>([
    ['Squeeze', 11, [node('Squeeze', ['x'], { axes: ints([1]) })], [2, 1, 4], ['y']],
    ['Unsqueeze', 12, [node('Unsqueeze', ['x'], { axes: ints([0, 2]) })], [2, 3], ['y']],
    ['ReduceSum', 12, [node('ReduceSum', ['x'], { axes: ints([-1]), keepdims: int(0) })], [2, 3], ['y']],
    ['ReduceMean over everything', 14, [node('ReduceMean', ['x'], { keepdims: int(1) })], [2, 3], ['y']],
    ['ReduceMax', 13, [node('ReduceMax', ['x'], { axes: ints([0, 2]) })], [2, 3, 4], ['y']],
    ['ReduceL2', 17, [node('ReduceL2', ['x'], { axes: ints([1]) })], [2, 3, 4], ['y']],
    ['Split by sizes', 11, [node('Split', ['x'], { axis: int(1), split: ints([1, 2]) }, ['y', 'z'])], [2, 3], ['y', 'z']],
    ['Split in equal parts', 13, [node('Split', ['x'], { axis: int(1) }, ['y', 'z'])], [2, 4], ['y', 'z']],
    ['Slice', 9, [node('Slice', ['x'], { starts: ints([1, 0]), ends: ints([9, -1]), axes: ints([0, 2]) })], [3, 2, 4], ['y']],
    ['Slice without axes', 9, [node('Slice', ['x'], { starts: ints([1]), ends: ints([2]) })], [3, 2], ['y']],
    ['Clip on both sides', 10, [node('Clip', ['x'], { min: float(-0.25), max: float(0.5) })], [4, 5], ['y']],
    ['Clip on one side', 10, [node('Clip', ['x'], { max: float(0.5) })], [4, 5], ['y']],
    ['Pad', 10, [node('Pad', ['x'], { pads: ints([0, 1, 2, 0]), value: float(7) })], [2, 3], ['y']],
    ['TopK', 9, [node('TopK', ['x'], { k: int(2), axis: int(1) }, ['y', 'at'])], [3, 5], ['y']],
    ['Dropout', 10, [node('Dropout', ['x'], { ratio: float(0.5) }, ['d']), node('Neg', ['d'])], [3, 5], ['y']],
    ['Softmax over flattened axes', 11, [node('Softmax', ['x'], { axis: int(1) })], [2, 3, 4], ['y']],
    ['Softmax with its old default axis', 12, [node('Softmax', ['x'])], [2, 3, 4], ['y']],
    ['LogSoftmax over the last axis', 11, [node('LogSoftmax', ['x'], { axis: int(2) })], [2, 3, 4], ['y']],
    ['BatchNormalization', 7, [node('BatchNormalization', ['x', 'three', 'three', 'three', 'three'], { spatial: int(1) })], [2, 3, 2], ['y']],
    ['GroupNormalization', 18, [node('GroupNormalization', ['x', 'three', 'three'], { num_groups: int(3) })], [2, 6, 2], ['y']],
    ['Resize', 10, [node('Resize', ['x', 'scales'])], [1, 2, 2, 4], ['y']],
    ['DFT', 17, [node('DFT', ['x'], { axis: int(1) })], [2, 4, 3, 1], ['y']],
    ['DFT along its old default axis', 19, [node('DFT', ['x'])], [2, 4, 3, 1], ['y']],
    ['Upsample', 8, [node('Upsample', ['x'], { scales: { kind: 'floats', value: [1, 1, 2, 3] } })], [1, 2, 2, 2], ['y']],
  ])('%s of opset %i computes what it did', async (_, opset, nodes, dims, outputs) => {
    await expectSame(old(opset, nodes, { x: dims, outputs, initializers: { scales: float32Tensor([4], Float32Array.of(1, 1, 1.5, 0.5)), three: float32Tensor([3], Float32Array.of(1, 2, 3)) } }), x(dims));
  });

  it('gives any Softmax of an old opset its meaning', () => fc.assert(fc.asyncProperty(fc.array(fc.integer({ min: 1, max: 4 }), { minLength: 1, maxLength: 4 }), fc.integer({ min: 0, max: 3 }), fc.constantFrom('Softmax', 'LogSoftmax'), async (dims, axis, op) => {
    await expectSame(old(12, [node(op, ['x'], { axis: int(axis % dims.length) })], { x: dims }), x(dims));
  }), { numRuns: 20 }));

  it('makes Constant nodes initializers, folds Identity, and copies no weight', async () => {
    const weight = float32Tensor([4, 2], randomFloats([4, 2], 8));
    const before = old(14, [
      node('Constant', [], { value: { kind: 'tensor', value: weight } }, ['w']), node('Constant', [], { value_float: float(2) }, ['two']),
      node('Identity', ['x'], {}, ['i']), node('Identity', ['i'], {}, ['j']), node('MatMul', ['j', 'w'], {}, ['m']), node('Mul', ['m', 'two'], {}, ['n']), node('Identity', ['n']),
    ]);
    const after = await expectSame(before, x([2, 3, 4]));
    expect(after.initializers.get('w')).toBe(weight);
    expect(operators(after)).toEqual({ MatMul: 1, Mul: 1 });
  });

  it('leaves a graph that is canonical alone', () => {
    const model = canonicalize(tinyLlama());
    expect(canonicalize(model)).toEqual(model);
  });

  it('refuses functions of the model that would have to change opset', () => {
    const model = { ...old(17, [{ ...node('Twice', ['x']), domain: 'local' }]), functions: [create(FunctionProtoSchema, { domain: 'local', name: 'Twice' })] };
    expect(() => canonicalize(model)).toThrow('local.Twice "Twice/y" is a function of the model, whose body cannot be brought from opset 17 to 21: inline the functions (onnx.inliner) or export in opset 21');
    expect(() => canonicalize({ ...model, opsets: new Map([['', 21]]) })).not.toThrow();
  });

  it('refuses opsets before 7', () => {
    expect(() => canonicalize(old(6, [node('Neg', ['x'])]))).toThrow('the graph is written in opset 6; 7 is the oldest that can be read');
    expect(() => new Builder(old(13, [node('Neg', ['x'])]))).toThrow('bring it there with canonicalize(model)');
    expect(() => foldShapes(old(13, [node('Neg', ['x'])]))).toThrow('the graph is written in opset 13, but 21 or newer is wanted: bring it there with canonicalize(model)');
  });
});

describe('control flow', () => {
  /** y = If(condition, x·w, −x), the branches in protobuf as they come from a file. */
  const withIf = (condition: Node[], opset = 21): Model => {
    const branch = (op: string, inputs: string[], name: string): AttributeProto => create(AttributeProtoSchema, {
      name, type: AttributeType.GRAPH,
      g: create(GraphProtoSchema, { name, node: [create(NodeProtoSchema, { opType: op, name: 'inner', input: inputs, output: ['inner_out'] })], output: [{ name: 'inner_out' }] }),
    });
    type AttributeProto = ReturnType<typeof create<typeof AttributeProtoSchema>>;
    const proto = fromBinary(ModelProtoSchema, writeModel(old(opset, [...condition, node('If', ['condition'])], { initializers: { w: float32Tensor([1], Float32Array.of(3)) } })));
    proto.graph!.node.at(-1)!.attribute.push(branch('Mul', ['x', 'w'], 'then_branch'), branch('Neg', ['x'], 'else_branch'));
    return readModel(toBinary(ModelProtoSchema, proto));
  };
  const isOf = (dim: number, opset?: number): Model => withIf([
    node('Shape', ['x'], {}, ['s']), node('Constant', [], { value: { kind: 'tensor', value: tensorFrom('int64', [], [1]) } }, ['one']),
    node('Gather', ['s', 'one'], {}, ['d']), node('Constant', [], { value: { kind: 'tensor', value: tensorFrom('int64', [], [dim]) } }, ['n']), node('Equal', ['d', 'n'], {}, ['condition']),
  ], opset);

  it.each([[3, { Mul: 1 }], [5, { Neg: 1 }]])('is replaced by the branch that a known shape chooses (%i)', async (dim, expected) => {
    const before = isOf(dim, 14), after = await expectSame(before, x([2, 3, 4]));
    expect(operators(foldShapes(after))).toMatchObject(expected);
    expect(operators(after)['If']).toBeUndefined();
  });

  it('is replaced where nothing has a name', async () => {
    const before = isOf(3, 14), unnamed = { ...before, nodes: before.nodes.map((each) => ({ ...each, name: '' })) };
    const two = { ...unnamed, nodes: [...unnamed.nodes, { ...unnamed.nodes.at(-1)!, outputs: ['z'] }], outputs: ['y', 'z'].map((name) => ({ name, dataType: 'float32' as const, shape: null })) };
    await expectSame(two, x([2, 3, 4]), foldIf({ ...two, opsets: new Map([['', 21]]) }));
  });

  it('stays when its condition depends on data, and its captured values keep their names', async () => {
    const condition = [node('Identity', ['x'], {}, ['copy']), node('ReduceSum', ['copy'], { keepdims: int(0) }, ['sum']), node('Constant', [], { value: { kind: 'tensor', value: float32Tensor([], Float32Array.of(0)) } }, ['zero']), node('Greater', ['sum', 'zero'], {}, ['condition'])];
    await expectSame(withIf(condition), x([2, 3, 4]), canonicalize(withIf(condition)));
    expect(() => canonicalize(withIf(condition, 14))).toThrow('If "If/y": control flow whose condition is not known cannot be brought from opset 14 to 21');
  });
});

describe('foldShapes', () => {
  it('computes sizes once for all layers, and only from inputs', async () => {
    const before = canonicalize(readModel('test/onnx/fixtures/decoders/qwen3-traced.onnx')), after = foldShapes(before);
    const sizes = after.nodes.filter(({ op }) => op === 'Shape');
    expect(sizes.every(({ inputs }) => after.inputs.some(({ name }) => name === inputs[0]))).toBe(true);
    expect(sizes.length).toBeLessThanOrEqual(4);
    expect(after.nodes.length).toBeLessThan(before.nodes.length * 0.6);
    expect(foldShapes(after).nodes.length).toBe(after.nodes.length);
  });

  it('keeps the sizes that inputs have when they run', async () => {
    const b = new Builder(), v = b.input('x', 'float32', ['n', 'm', 4]);
    const size = b.mul(b.shape(v, { start: 0, end: 1 }), b.int64([2]));
    b.output('y', b.reshape(b.concat([v, v], 0), b.concat([size, b.int64([-1])], 0)));
    b.output('z', b.expand(b.mean(v, [0], { keepDims: true }), b.shape(v)));
    for (const dims of [[2, 3, 4], [1, 5, 4]]) await expectSame(b.build(), x(dims), foldShapes(b.build()));
  });
});

describe('integers that are known', () => {
  /** From y = x + made: a graph in which everything but x is known. */
  const added = (dims: readonly number[], make: (b: Builder) => Value): Model => {
    const b = new Builder();
    b.output('y', b.add(b.input('x', 'float32', dims), b.cast(make(b), 'float32')));
    return b.build();
  };
  const row = (b: Builder): Value => b.unsqueeze(b.int64([0, 1, 2]), [0]), column = (b: Builder): Value => b.unsqueeze(b.int64([0, 1, 2]), [1]);
  it.each<[string, readonly number[], (b: Builder) => Value]>([
    ['a column and a row meet in a matrix', [9], (b) => b.reshape(b.sub(column(b), row(b)), [-1])],
    ['and are equal on its diagonal only', [3, 3], (b) => b.where(b.equal(column(b), row(b)), b.expand(b.int64([5]), [3, 3]), 0)],
    ['a row and a list meet in a row', [1, 3], (b) => b.add(row(b), b.int64([4, 5, 6]))],
    ['a list and nothing make nothing', [0], (b) => b.add(b.int64([]), b.int64([5]))],
    ['the largest of three', [2], (b) => b.op('Max', [b.int64([1, 7]), b.int64([2, 0]), b.int64([3])])],
    ['one condition chooses among lists', [3], (b) => b.where(b.constant('bool', [1], [0]), b.scalar(7, 'int64'), b.int64([1, 2, 3]))],
    ['a boolean is 0 or 1', [3], (b) => b.cast(b.cast(b.int64([0, 5, -1]), 'bool'), 'int64')],
    ['what is too large for a type is left to the kernel', [2], (b) => b.cast(b.cast(b.int64([300, -1]), 'uint8'), 'int64')],
    ['products of rows', [2], (b) => b.op('ReduceProd', [b.reshape(b.int64([1, 2, 3, 4]), [2, 2]), b.int64([1])], { keepdims: int(0) })],
    ['a remainder with the sign of the dividend', [2], (b) => b.op('Mod', [b.int64([-5, 5]), b.int64([3, -3])], { fmod: int(1) })],
    ['and with that of the divisor', [2], (b) => b.op('Mod', [b.int64([-5, 5]), b.int64([3, -3])])],
  ])('%s', async (_, dims, make) => {
    const before = added(dims, make);
    await expectSame(before, x(dims), foldShapes(before));
  });
});

describe('mergeConstants', () => {
  it('merges equal small constants, but never two weights', async () => {
    const ones = (): Tensor => float32Tensor([4], Float32Array.of(1, 1, 1, 1));
    const before = old(21, [node('Mul', ['x', 'w0'], {}, ['a']), node('Mul', ['a', 'w1'], {}, ['b']), node('ReduceSum', ['b', 'k0'], {}, ['c']), node('ReduceMax', ['c', 'k1'])], {
      initializers: { w0: ones(), w1: ones(), k0: tensorFrom('int64', [1], [1]), k1: tensorFrom('int64', [1], [1]), unused: tensorFrom('int64', [1], [2]) },
    });
    const after = mergeConstants(before);
    expect([...after.initializers.keys()]).toEqual(['w0', 'w1', 'k0', 'unused']);
    const feeds: Record<string, HostTensor> = { ...x([2, 3, 4]), ids: ints64([1], [0]) };
    await expectSame(before, feeds, after);
  });
});
