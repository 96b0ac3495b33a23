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
import { GraphWriter, type Value } from './graph-writer.ts';
import { OnnxError, float, int, ints, string, type DataType, type Dim } from './ir.ts';
import { protoTypeOf } from './proto.ts';

export { OPSET, requireCurrentOpset, type OpOptions, type Value } from './graph-writer.ts';

/** A tensor, or a number to be made one. */
export type Operand = Value | number;

/** A graph as it is written: see the top of this file. Methods throw an OnnxError where shapes or types do not fit. */
export class Builder extends GraphWriter {
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
  zerosLike(a: Value, dataType: DataType = a.dataType): Value {
    return a.shape !== null && a.shape.every((dim) => typeof dim === 'number') ? this.expand(this.scalar(0, dataType), a.shape as number[]) : this.full(this.shape(a), 0, dataType);
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
