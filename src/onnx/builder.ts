/**
 * @file Writing graphs: one method per operator, shapes checked as you write.
 *
 * ```ts
 * const b = new Builder();
 * const x = b.input('x', 'float32', ['batch', 2]);
 * const w = b.input('w', 'float32', [2, 8]);
 * b.output('y', b.tanh(b.matmul(x, w)));
 * const model = b.build();
 * ```
 *
 * Numbers may stand where a tensor is expected: they become scalar constants of the other operand's type.
 */
import {
  MICROSOFT, OnnxError, describeNode, float, int, ints, string,
  type Attributes, type DataType, type Dim, type Model, type Node, type Shape, type Tensor, type ValueInfo,
} from './ir.ts';
import { protoTypeOf } from './proto.ts';
import type { Inferred } from './shapes/context.ts';
import { inferNode, inferTypes } from './shapes/infer.ts';
import { inferredTensor } from './shapes/rules.ts';
import { tensorFrom } from './tensor.ts';

/** A value of the graph: its name and what is known of its type. */
export interface Value extends Inferred {
  readonly name: string;
}

/** A tensor, or a number to be made one. */
export type Operand = Value | number;

export interface OpOptions {
  readonly domain?: string;
  /** How many outputs; default 1. */
  readonly outputs?: number;
  /** Names for the outputs, where they are fixed from outside. */
  readonly outputNames?: readonly string[];
}

/** The opset that new graphs are written in: the newest whose operators have kernels on every device. */
export const OPSET = 21;

/** Builder and passes write the forms of that opset, which an older graph must not hold. */
export function requireCurrentOpset({ opsets }: Model): void {
  const opset = opsets.get('') ?? OPSET;
  if (opset < OPSET) throw new OnnxError(`the graph is written in opset ${opset}, but ${OPSET} or newer is wanted: bring it there with canonicalize(model)`);
}

/** A graph as it is written: see the top of this file. Methods throw an OnnxError where shapes or types do not fit. */
export class Builder {
  readonly #inputs: ValueInfo[];
  readonly #outputs: ValueInfo[] = [];
  readonly #nodes: Node[];
  readonly #initializers = new Map<string, Tensor>();
  readonly #types = new Map<string, Inferred>();
  readonly #opsets = new Map<string, number>([['', OPSET]]);
  readonly #constants = new Map<string, Value>();
  readonly #names = new Set<string>();
  readonly #counters = new Map<string, number>();
  #scope = '';
  readonly #base: Model | undefined;

  /** Starts empty, or goes on where a model ends (its nodes first, the new ones after). */
  constructor(base?: Model) {
    if (base !== undefined) requireCurrentOpset(base);
    this.#base = base;
    this.#inputs = [...(base?.inputs ?? [])];
    this.#nodes = [...(base?.nodes ?? [])];
    if (base === undefined) return;
    for (const [name, tensor] of base.initializers) this.#initializers.set(name, tensor);
    for (const [domain, version] of base.opsets) this.#opsets.set(domain, version);
    for (const [name, type] of inferTypes(base)) this.#types.set(name, type);
    for (const name of [...base.inputs.map((info) => info.name), ...base.initializers.keys()]) this.#names.add(name);
    for (const node of base.nodes) { this.#names.add(node.name); for (const name of node.outputs) this.#names.add(name); }
  }

  // ---- the graph ---------------------------------------------------------------------------------------------------

  /** Names of the nodes made inside `body` begin with `scope/`. */
  within<T>(scope: string, body: () => T): T {
    const outer = this.#scope;
    this.#scope = `${outer}${scope}/`;
    try { return body(); } finally { this.#scope = outer; }
  }

  input(name: string, dataType: DataType, shape: Shape): Value {
    this.#claim(name);
    this.#inputs.push({ name, dataType, shape });
    this.#types.set(name, { dataType, shape });
    return { name, dataType, shape };
  }

  /** Makes `value` an output of the graph under `name`. */
  output(name: string, value: Value): Value {
    if (this.#outputs.some((output) => output.name === name)) throw new OnnxError(`the graph has an output "${name}" already`);
    if (value.name !== name && this.#types.has(name)) throw new OnnxError(`the name "${name}" is taken by another value`);
    const named = value.name === name ? value : this.op('Identity', [value], {}, { outputNames: [name] });
    this.#outputs.push({ name, dataType: named.dataType, shape: named.shape });
    return named;
  }

  /** A weight or another constant under its own name. */
  initializer(name: string, tensor: Tensor): Value {
    this.#claim(name);
    return this.#hold(name, tensor);
  }

  #hold(name: string, tensor: Tensor): Value {
    this.#initializers.set(name, tensor);
    const type = inferredTensor(tensor);
    this.#types.set(name, type);
    return { name, ...type };
  }

  /** A small constant; equal ones are made once. */
  constant(dataType: DataType, dims: readonly number[], values: readonly number[]): Value {
    const key = `${dataType}[${dims.join()}]${values.join()}`;
    const known = this.#constants.get(key);
    if (known !== undefined) return known;
    const value = this.#hold(this.#fresh(`constant_${dataType}`, ''), tensorFrom(dataType, dims, values));
    this.#constants.set(key, value);
    return value;
  }

  int64(values: readonly number[]): Value { return this.constant('int64', [values.length], values); }
  scalar(value: number, dataType: DataType = 'float32'): Value { return this.constant(dataType, [], [value]); }

  /** The value of that name, as far as the graph knows it. */
  value(name: string): Value {
    const type = this.#types.get(name);
    if (type === undefined) throw new OnnxError(this.#whyUnknown(name));
    return { name, ...type };
  }
  has(name: string): boolean { return this.#types.has(name); }

  /** Walks back to the operator where types were lost. */
  #whyUnknown(name: string): string {
    const producers = new Map(this.#nodes.flatMap((node) => node.outputs.map((output) => [output, node] as const)));
    let node = producers.get(name);
    if (node === undefined) return `there is no value "${name}"`;
    for (const seen = new Set<Node>(); !seen.has(node); ) {
      seen.add(node);
      const lost: string | undefined = node.inputs.find((input) => input !== '' && !this.#types.has(input));
      node = (lost === undefined ? undefined : producers.get(lost)) ?? node;
    }
    return `the type of "${name}" is not known: ${describeNode(node)} has no shape rule`;
  }

  /** Content of a constant, if the value is one. */
  tensor(value: Value): Tensor | undefined { return this.#initializers.get(value.name); }

  /** The finished model. `outputs` of a base model are kept only if they are named again with `output`. */
  build({ name = this.#base?.name ?? 'graph' }: { name?: string } = {}): Model {
    return {
      irVersion: Math.max(this.#base?.irVersion ?? 0, 10),
      opsets: new Map(this.#opsets),
      name,
      producer: this.#base?.producer ?? 'rlrun',
      inputs: [...this.#inputs],
      outputs: [...this.#outputs],
      nodes: [...this.#nodes],
      initializers: new Map(this.#initializers),
      valueInfo: this.#base?.valueInfo ?? new Map(),
      metadata: this.#base?.metadata ?? new Map(),
      functions: this.#base?.functions ?? [],
    };
  }

  /** Keeps names free that nodes still to come will use. */
  reserve(names: Iterable<string>): void {
    for (const name of names) this.#names.add(name);
  }

  /** Appends a finished node, as passes do with the nodes they keep. Types follow the shape rules. */
  append(node: Node): Value[] {
    this.#nodes.push(node);
    if (!this.#opsets.has(node.domain)) this.#opsets.set(node.domain, 1);
    const types = inferNode(node, this.#types, this.#opsets);
    return node.outputs.map((name, index) => {
      const type = types[index] ?? this.#declared(name);
      if (type !== undefined && name !== '') this.#types.set(name, type);
      this.#names.add(name);
      return { name, ...(type ?? { dataType: 'float32' as const, shape: null }) };
    });
  }

  /** What a node would make of these inputs, without appending it. */
  typesOf(node: Node, inputs: readonly Value[]): readonly (Inferred | undefined)[] {
    return inferNode({ ...node, inputs: inputs.map(({ name }) => name) }, this.#types, this.#opsets);
  }

  #declared(name: string): Inferred | undefined { return this.#base?.valueInfo.get(name); }

  /** Any operator, by name. Absent optional inputs are null. */
  op(op: string, inputs: readonly (Value | null)[], attributes: Attributes = {}, options: OpOptions & { outputs?: 1 } = {}): Value {
    return this.ops(op, inputs, attributes, options)[0]!;
  }

  /** Any operator with several outputs. */
  ops(op: string, inputs: readonly (Value | null)[], attributes: Attributes = {}, { domain = '', outputs = 1, outputNames }: OpOptions = {}): Value[] {
    const name = this.#fresh(op, this.#scope);
    const names = outputNames ?? Array.from({ length: outputs }, (_, index) => (outputs === 1 ? `${name}:out` : `${name}:${index}`));
    return this.append({ name, op, domain, inputs: inputs.map((value) => value?.name ?? ''), outputs: names, attributes });
  }

  #claim(name: string): void {
    if (this.#names.has(name)) throw new OnnxError(`the name "${name}" is taken`);
    this.#names.add(name);
  }

  #fresh(base: string, scope: string): string {
    const stem = `${scope}${base}`;
    for (;;) {
      const count = this.#counters.get(stem) ?? 0;
      this.#counters.set(stem, count + 1);
      const name = count === 0 ? stem : `${stem}_${count}`;
      if (!this.#names.has(name) && !this.#names.has(`${name}:out`)) { this.#names.add(name); return name; }
    }
  }

  /** Numbers become scalars of the other operand's type. */
  #pair(a: Operand, b: Operand): [Value, Value] {
    const type = typeof a === 'number' ? (typeof b === 'number' ? 'float32' : b.dataType) : a.dataType;
    return [typeof a === 'number' ? this.scalar(a, type) : a, typeof b === 'number' ? this.scalar(b, type) : b];
  }

  // ---- elementwise -------------------------------------------------------------------------------------------------

  add(a: Operand, b: Operand): Value { return this.op('Add', this.#pair(a, b)); }
  sub(a: Operand, b: Operand): Value { return this.op('Sub', this.#pair(a, b)); }
  mul(a: Operand, b: Operand): Value { return this.op('Mul', this.#pair(a, b)); }
  div(a: Operand, b: Operand): Value { return this.op('Div', this.#pair(a, b)); }
  pow(a: Value, b: Operand): Value { return this.op('Pow', this.#pair(a, b)); }
  min(a: Operand, b: Operand): Value { return this.op('Min', this.#pair(a, b)); }
  max(a: Operand, b: Operand): Value { return this.op('Max', this.#pair(a, b)); }
  neg(a: Value): Value { return this.op('Neg', [a]); }
  abs(a: Value): Value { return this.op('Abs', [a]); }
  sqrt(a: Value): Value { return this.op('Sqrt', [a]); }
  reciprocal(a: Value): Value { return this.op('Reciprocal', [a]); }
  exp(a: Value): Value { return this.op('Exp', [a]); }
  log(a: Value): Value { return this.op('Log', [a]); }
  tanh(a: Value): Value { return this.op('Tanh', [a]); }
  sigmoid(a: Value): Value { return this.op('Sigmoid', [a]); }
  erf(a: Value): Value { return this.op('Erf', [a]); }
  sin(a: Value): Value { return this.op('Sin', [a]); }
  cos(a: Value): Value { return this.op('Cos', [a]); }
  relu(a: Value): Value { return this.op('Relu', [a]); }
  floor(a: Value): Value { return this.op('Floor', [a]); }
  not(a: Value): Value { return this.op('Not', [a]); }
  and(a: Value, b: Value): Value { return this.op('And', [a, b]); }
  equal(a: Operand, b: Operand): Value { return this.op('Equal', this.#pair(a, b)); }
  less(a: Operand, b: Operand): Value { return this.op('Less', this.#pair(a, b)); }
  lessOrEqual(a: Operand, b: Operand): Value { return this.op('LessOrEqual', this.#pair(a, b)); }
  greater(a: Operand, b: Operand): Value { return this.op('Greater', this.#pair(a, b)); }
  greaterOrEqual(a: Operand, b: Operand): Value { return this.op('GreaterOrEqual', this.#pair(a, b)); }
  where(condition: Value, yes: Operand, no: Operand): Value { return this.op('Where', [condition, ...this.#pair(yes, no)]); }
  clip(a: Value, low: number | null, high: number | null): Value {
    return this.op('Clip', [a, low === null ? null : this.scalar(low, a.dataType), high === null ? null : this.scalar(high, a.dataType)]);
  }
  cast(a: Value, to: DataType): Value { return a.dataType === to ? a : this.op('Cast', [a], { to: int(protoTypeOf(to)) }); }
  square(a: Value): Value { return this.mul(a, a); }
  /** 1 where the condition holds, else 0, as `like`'s element type. */
  indicator(condition: Value, like: Value): Value { return this.cast(condition, like.dataType); }
  identity(a: Value): Value { return this.op('Identity', [a]); }

  // ---- contraction -------------------------------------------------------------------------------------------------

  matmul(a: Value, b: Value): Value { return this.op('MatMul', [a, b]); }
  gemm(a: Value, b: Value, c: Value | null = null, { transA = false, transB = false, alpha = 1, beta = 1 }: { transA?: boolean; transB?: boolean; alpha?: number; beta?: number } = {}): Value {
    const attributes = {
      ...(transA ? { transA: int(1) } : {}), ...(transB ? { transB: int(1) } : {}),
      ...(alpha === 1 ? {} : { alpha: float(alpha) }), ...(beta === 1 ? {} : { beta: float(beta) }),
    };
    return this.op('Gemm', c === null ? [a, b] : [a, b, c], attributes);
  }
  einsum(equation: string, ...inputs: readonly Value[]): Value { return this.op('Einsum', inputs, { equation: string(equation) }); }

  // ---- reduction ---------------------------------------------------------------------------------------------------

  #reduce(op: string, a: Value, axes: readonly number[] | undefined, keepDims: boolean): Value {
    return this.op(op, axes === undefined ? [a] : [a, this.int64(axes)], keepDims ? {} : { keepdims: int(0) });
  }
  /** Without axes: over everything. */
  sum(a: Value, axes?: readonly number[], { keepDims = false }: { keepDims?: boolean } = {}): Value { return this.#reduce('ReduceSum', a, axes, keepDims); }
  mean(a: Value, axes?: readonly number[], { keepDims = false }: { keepDims?: boolean } = {}): Value { return this.#reduce('ReduceMean', a, axes, keepDims); }
  reduceMax(a: Value, axes?: readonly number[], { keepDims = false }: { keepDims?: boolean } = {}): Value { return this.#reduce('ReduceMax', a, axes, keepDims); }
  argmax(a: Value, axis: number, { keepDims = false }: { keepDims?: boolean } = {}): Value { return this.op('ArgMax', [a], { axis: int(axis), keepdims: int(keepDims ? 1 : 0) }); }
  cumsum(a: Value, axis: number): Value { return this.op('CumSum', [a, this.scalar(axis, 'int64')]); }
  softmax(a: Value, axis = -1): Value { return this.op('Softmax', [a], { axis: int(axis) }); }

  // ---- layout ------------------------------------------------------------------------------------------------------

  /** Target as numbers (0 copies, −1 infers) or as an int64 value. */
  reshape(a: Value, shape: readonly number[] | Value): Value { return this.op('Reshape', [a, isValue(shape) ? shape : this.int64(shape)]); }
  transpose(a: Value, perm: readonly number[]): Value { return perm.every((axis, index) => axis === index) ? a : this.op('Transpose', [a], { perm: ints(perm) }); }
  squeeze(a: Value, axes: readonly number[]): Value { return axes.length === 0 ? a : this.op('Squeeze', [a, this.int64(axes)]); }
  unsqueeze(a: Value, axes: readonly number[]): Value { return axes.length === 0 ? a : this.op('Unsqueeze', [a, this.int64(axes)]); }
  expand(a: Value, shape: readonly number[] | Value): Value { return this.op('Expand', [a, isValue(shape) ? shape : this.int64(shape)]); }
  concat(values: readonly Value[], axis: number): Value { return values.length === 1 ? values[0]! : this.op('Concat', values, { axis: int(axis) }); }
  split(a: Value, sizes: readonly number[], axis: number): Value[] { return this.ops('Split', [a, this.int64(sizes)], { axis: int(axis) }, { outputs: sizes.length }); }
  /** Python's a[start:end:step] along one axis; `end` defaults to the last. */
  slice(a: Value, { axis, start, end = Number.MAX_SAFE_INTEGER, step = 1 }: { axis: number; start: number | Value; end?: number | Value; step?: number }): Value {
    const bound = (at: number | Value): Value => (typeof at === 'number' ? this.int64([at]) : at);
    return this.op('Slice', [a, bound(start), bound(end), this.int64([axis]), ...(step === 1 ? [] : [this.int64([step])])]);
  }
  shape(a: Value, { start, end }: { start?: number; end?: number } = {}): Value {
    return this.op('Shape', [a], { ...(start === undefined ? {} : { start: int(start) }), ...(end === undefined ? {} : { end: int(end) }) });
  }
  range(start: Value, limit: Value, delta: Value): Value { return this.op('Range', [start, limit, delta]); }
  gather(a: Value, indices: Value, axis = 0): Value { return this.op('Gather', [a, indices], axis === 0 ? {} : { axis: int(axis) }); }
  gatherElements(a: Value, indices: Value, axis: number): Value { return this.op('GatherElements', [a, indices], { axis: int(axis) }); }
  scatterElements(a: Value, indices: Value, updates: Value, { axis, reduction = 'none' }: { axis: number; reduction?: 'none' | 'add' }): Value {
    return this.op('ScatterElements', [a, indices, updates], { axis: int(axis), ...(reduction === 'none' ? {} : { reduction: string(reduction) }) });
  }
  scatterND(a: Value, indices: Value, updates: Value, { reduction = 'none' }: { reduction?: 'none' | 'add' } = {}): Value {
    return this.op('ScatterND', [a, indices, updates], reduction === 'none' ? {} : { reduction: string(reduction) });
  }
  /** A tensor of that shape, filled with one number. Expand, since ConstantOfShape has no GPU kernel. */
  full(shape: Value, value: number, dataType: DataType): Value { return this.op('Expand', [this.scalar(value, dataType), shape]); }
  zerosLike(a: Value): Value {
    return a.shape !== null && a.shape.every((dim) => typeof dim === 'number') ? this.expand(this.scalar(0, a.dataType), a.shape as number[]) : this.full(this.shape(a), 0, a.dataType);
  }

  // ---- normalisation -----------------------------------------------------------------------------------------------

  /** RMS norm over the last axis (ONNX Runtime's form; `x · rsqrt(mean(x²) + ε) · w`). */
  rmsNorm(a: Value, weight: Value, epsilon: number): Value {
    return this.op('SimplifiedLayerNormalization', [a, weight], { axis: int(-1), epsilon: float(epsilon), stash_type: int(1) });
  }
  /** log softmax over the last axis, from parts that every device has. */
  logSoftmax(a: Value): Value {
    const shifted = this.sub(a, this.op('ReduceMax', [a, this.int64([-1])], {}));
    return this.sub(shifted, this.log(this.sum(this.exp(shifted), [-1], { keepDims: true })));
  }

  /** Any `com.microsoft` operator. */
  contrib(op: string, inputs: readonly (Value | null)[], attributes: Attributes = {}, options: Omit<OpOptions, 'domain'> = {}): Value[] {
    return this.ops(op, inputs, attributes, { ...options, domain: MICROSOFT });
  }
}

const isValue = (shape: readonly number[] | Value): shape is Value => 'name' in shape;

/** Rank of a value whose rank must be known. */
export function rankOf(value: Value): number {
  if (value.shape === null) throw new OnnxError(`the rank of "${value.name}" is not known`);
  return value.shape.length;
}

/** Shape of a value whose rank must be known; single dimensions may still be symbols. */
export function dimsOf(value: Value): readonly Dim[] {
  if (value.shape === null) throw new OnnxError(`the shape of "${value.name}" is not known`);
  return value.shape;
}
