/**
 * @file The graph as plain data: what `readModel` returns, passes rewrite and `writeModel` writes.
 *
 * Values are named by strings, as in ONNX; an absent optional input is the empty name. A model is treated as immutable:
 * a pass returns a new `Model` that shares what it did not change (weights above all).
 */

/** Element types, named as in NumPy. */
export type DataType =
  | 'float32' | 'float16' | 'bfloat16' | 'float64'
  | 'int8' | 'int16' | 'int32' | 'int64'
  | 'uint8' | 'uint16' | 'uint32' | 'uint64'
  | 'int4' | 'uint4' | 'bool' | 'string';

/** A dimension: its size, or a symbolic expression such as `batch_size` or `past_sequence_length + sequence_length`. */
export type Dim = number | string;
/** One dimension per axis; [] is a scalar. */
export type Shape = readonly Dim[];

/** Weights that stay in a file until someone needs them. */
export interface ExternalFile {
  readonly path: string;
  readonly offset: number;
  readonly length: number;
}

/** A constant: little-endian bytes (often a view into the model file, so nothing is copied), or a place in another file. */
export interface Tensor {
  readonly dataType: DataType;
  readonly dims: readonly number[];
  readonly data: Uint8Array | ExternalFile;
}

/** A parameter of a node, told apart by `kind`. */
export type Attribute =
  | { readonly kind: 'int'; readonly value: number }
  | { readonly kind: 'float'; readonly value: number }
  | { readonly kind: 'string'; readonly value: string }
  | { readonly kind: 'ints'; readonly value: readonly number[] }
  | { readonly kind: 'floats'; readonly value: readonly number[] }
  | { readonly kind: 'strings'; readonly value: readonly string[] }
  | { readonly kind: 'tensor'; readonly value: Tensor }
  /** A control-flow body, carried through unread; `captures` are the outer values it uses. */
  | { readonly kind: 'graph'; readonly value: unknown; readonly captures: readonly string[] }
  /** Anything else that is carried through unread. */
  | { readonly kind: 'opaque'; readonly value: unknown };

/** Attributes by name. */
export type Attributes = Readonly<Record<string, Attribute>>;

/** One operation: `outputs` = `op`(`inputs`). */
export interface Node {
  readonly name: string;
  readonly op: string;
  /** '' is the ONNX domain; `com.microsoft` holds ONNX Runtime's contrib operators. */
  readonly domain: string;
  /** Which of several model-local functions of one name. */
  readonly overload?: string;
  readonly inputs: readonly string[];
  readonly outputs: readonly string[];
  readonly attributes: Attributes;
}

/** The type of a value. `shape` null: the rank is not known. */
export interface ValueType {
  readonly dataType: DataType;
  readonly shape: Shape | null;
}

/** The type of a value with its name. */
export interface ValueInfo extends ValueType {
  readonly name: string;
}

/** A graph with its weights, as one file holds them. */
export interface Model {
  readonly irVersion: number;
  /** Domain → opset version. */
  readonly opsets: ReadonlyMap<string, number>;
  readonly name: string;
  readonly producer: string;
  readonly inputs: readonly ValueInfo[];
  readonly outputs: readonly ValueInfo[];
  /** In topological order. */
  readonly nodes: readonly Node[];
  readonly initializers: ReadonlyMap<string, Tensor>;
  /** What the file declared about inner values. */
  readonly valueInfo: ReadonlyMap<string, ValueInfo>;
  readonly metadata: ReadonlyMap<string, string>;
  /** Model-local functions, carried through unread. */
  readonly functions: readonly unknown[];
}

/** Something is wrong with a model or with what was asked of it. The message names the place and the fix. */
export class OnnxError extends Error {
  override readonly name = 'OnnxError';
}

/** The domain of ONNX Runtime's contrib operators. */
export const MICROSOFT = 'com.microsoft';

/** Does a type have gradients? */
export const isFloat = (type: DataType): boolean =>
  type === 'float32' || type === 'float16' || type === 'bfloat16' || type === 'float64';

/** `MatMul "/layers.0/q_proj/MatMul"`: how messages name a node. */
export const describeNode = (node: Node): string =>
  `${node.domain === '' ? '' : `${node.domain}.`}${node.op} "${node.name || node.outputs[0] || '?'}"`;

/** `float32[batch_size, 8]` */
export const describeType = ({ dataType, shape }: ValueType): string =>
  `${dataType}[${shape === null ? '?' : shape.join(', ')}]`;

/** A node's attribute as an integer; `fallback` where it is absent or of another kind. So do the next ones for their kinds. */
export function intAttribute(node: Node, name: string, fallback: number): number {
  const attribute = node.attributes[name];
  return attribute?.kind === 'int' ? attribute.value : fallback;
}

/** A node's attribute as a number. */
export function floatAttribute(node: Node, name: string, fallback: number): number {
  const attribute = node.attributes[name];
  return attribute?.kind === 'float' || attribute?.kind === 'int' ? attribute.value : fallback;
}

/** A node's attribute as text. */
export function stringAttribute(node: Node, name: string, fallback: string): string {
  const attribute = node.attributes[name];
  return attribute?.kind === 'string' ? attribute.value : fallback;
}

/** A node's attribute as a list of integers; undefined where it is absent. */
export function intsAttribute(node: Node, name: string): readonly number[] | undefined {
  const attribute = node.attributes[name];
  return attribute?.kind === 'ints' ? attribute.value : undefined;
}

/** The values a node reads: its inputs, and what its control-flow bodies capture. */
export function usesOf(node: Node): string[] {
  const captured = Object.values(node.attributes).flatMap((attribute) => (attribute.kind === 'graph' ? attribute.captures : []));
  return [...node.inputs.filter((name) => name !== ''), ...captured];
}

/** An integer as an attribute. */
export const int = (value: number): Attribute => ({ kind: 'int', value });
/** A number as an attribute. */
export const float = (value: number): Attribute => ({ kind: 'float', value });
/** A text as an attribute. */
export const string = (value: string): Attribute => ({ kind: 'string', value });
/** A list of integers as an attribute. */
export const ints = (value: readonly number[]): Attribute => ({ kind: 'ints', value });
