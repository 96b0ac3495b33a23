/**
 * @file Sums of products, added up inside the products: `a·b + c·d` is one product that begins at zero and one that begins at
 * the first one's result.
 *
 * Such sums are everywhere in training: adapters beside their weights, gradients of a value with several readers. An Add is a
 * pass over three tensors. Gemm takes what is to be added, but ONNX Runtime's kernel copies it on one thread, which costs
 * more than it saves; the pointwise convolution FusedConv (Z + W·X) is the same product and begins in Z's own memory.
 */
import type { Builder, Value } from '../../builder.ts';
import { multiplyDims } from '../../dims.ts';
import { MICROSOFT, floatAttribute, intAttribute, ints, type Dim, type Model, type Node, type Shape, type ValueInfo } from '../../ir.ts';
import { removeDeadNodes, rewriteNodes } from '../rewrite.ts';

/** rows·W, or rows·Wᵀ: [.., K]·[K, N] → [.., N] */
interface Product {
  readonly left: Value;
  readonly right: Value;
  readonly transposed: boolean;
  readonly inner: number;
  readonly width: number;
}

export function accumulateProducts(model: Model): Model {
  const graph = new Graph(model);
  const declared = new Map<string, ValueInfo>();
  const rewritten = rewriteNodes(model, (original) => (context) => {
    graph.record(original, context.node);
    if (!graph.isSum(context.node) || graph.isInnerSum(original)) return null;
    const sum = accumulated(context.b, graph, context.node, declared);
    if (sum === null) return null;
    graph.rename(original.outputs[0]!, sum);
    return [sum];
  });
  return removeDeadNodes({ ...rewritten, valueInfo: new Map([...rewritten.valueInfo, ...declared]) });
}

/** The sum's products, each begun where the one before it ended; what is no product is added as before. */
function accumulated(b: Builder, graph: Graph, sum: Node, declared: Map<string, ValueInfo>): Value | null {
  if (!sum.inputs.every((name) => b.has(name))) return null;
  const output = b.typesOf(sum, sum.inputs.map((name) => b.value(name)))[0];
  const width = output?.shape?.at(-1);
  if (output?.dataType !== 'float32' || output.shape == null || output.shape.length < 2 || typeof width !== 'number') return null;
  const terms = graph.terms(sum).map((name) => ({ name, product: graph.product(b, name, output.shape!) }));
  const others = terms.filter(({ product }) => product === null);
  // The first one is an ordinary product: a constant weight is packed beforehand only there.
  const [first, ...rest] = terms.filter(({ product }) => product !== null).toSorted((x, y) => cost(b, y.product!) - cost(b, x.product!));
  if (first === undefined || rest.length === 0) return null;
  const shape = graph.shape(b, first.name, first.product!.left, output.shape);
  if (shape === null) return null;
  const rows = output.shape.slice(0, -1).reduce(multiplyDims);
  const declare = (value: Value, dims: Shape): Value => {
    declared.set(value.name, { name: value.name, dataType: 'float32', shape: dims });
    return value;
  };
  // Memory is shared only between values that are known to be of one size.
  const image: Shape = [1, rows, width, 1];
  let total = declare(b.reshape(graph.root(b, first.name), [1, -1, width, 1]), image);
  for (const { product } of rest) total = declare(begunAt(b, graph, total, product!), image);
  const whole = declare(b.reshape(total, shape), output.shape);
  return others.reduce((value, { name }) => b.add(value, b.value(name)), whole);
}

const cost = (b: Builder, { right, inner, width }: Product): number => inner * width * (b.tensor(right) === undefined ? 1 : 1e6);

/** total + left·right. The rows are the filters of the convolution, the weight is its image. */
function begunAt(b: Builder, graph: Graph, total: Value, { left, right, transposed, inner, width }: Product): Value {
  const filters = b.reshape(graph.root(b, left.name), transposed ? [-1, 1, 1, inner] : [-1, inner, 1, 1]);
  const image = b.reshape(right, transposed ? [1, 1, width, inner] : [1, inner, width, 1]);
  return b.op('FusedConv', [image, filters, null, total], { kernel_shape: ints(transposed ? [1, inner] : [1, 1]) }, { domain: MICROSOFT });
}

/** What the pass knows of the graph, by the names that values have by now. */
class Graph {
  readonly #uses = new Map<string, number>();
  readonly #made = new Map<string, Node>();
  readonly #original = new Map<string, string>();
  readonly #shapes = new Map<string, Value>();
  readonly #sums: ReadonlySet<string>;
  readonly #outputs: ReadonlySet<string>;

  constructor(model: Model) {
    for (const { inputs } of model.nodes) for (const name of inputs) this.#uses.set(name, (this.#uses.get(name) ?? 0) + 1);
    this.#outputs = new Set(model.outputs.map(({ name }) => name));
    this.#sums = new Set(model.nodes.flatMap((node) => (this.isSum(node) ? node.inputs : [])));
  }

  record(original: Node, node: Node): void {
    for (const name of original.outputs) if (name !== '') this.#made.set(name, node);
  }

  rename(name: string, value: Value): void { this.#original.set(value.name, name); }

  readonly isSum = ({ op, domain }: Node): boolean => op === 'Add' && domain === '';

  /** Part of a larger sum, and nothing else. */
  isInnerSum({ outputs: [name = ''] }: Node): boolean { return this.#sums.has(name) && this.#isPrivate(name); }

  /** Read once, so that nobody misses it. */
  #isPrivate(name: string): boolean {
    const original = this.#original.get(name) ?? name;
    return this.#uses.get(original) === 1 && !this.#outputs.has(original);
  }

  terms(sum: Node): string[] {
    return sum.inputs.flatMap((name) => {
      const node = this.#made.get(name);
      return node !== undefined && this.isSum(node) && this.#isPrivate(name) ? this.terms(node) : [name];
    });
  }

  /** The product that makes a term of the sum's shape, perhaps under a Reshape. */
  product(b: Builder, name: string, shape: readonly Dim[]): Product | null {
    const made = this.#made.get(name);
    if (![name, ...(made?.inputs ?? [])].every((each) => each === '' || b.has(each))) return null;
    const term = b.value(name).shape;
    if (!this.#isPrivate(name) || term?.length !== shape.length || !term.every((dim, axis) => dim === shape[axis])) return null;
    if (made?.op === 'Reshape') {
      const inner = b.value(made.inputs[0]!).shape;
      return inner !== null && inner.at(-1) === shape.at(-1) ? this.product(b, made.inputs[0]!, inner) : null;
    }
    if (made === undefined || !isPlainProduct(made)) return null;
    const [left, right] = made.inputs.slice(0, 2).map((input) => b.value(input)) as [Value, Value];
    const transposed = intAttribute(made, 'transB', 0) === 1, [rows, columns] = right.shape?.length === 2 ? right.shape : [];
    const [inner, width] = transposed ? [columns, rows] : [rows, columns];
    return typeof inner === 'number' && typeof width === 'number' ? { left, right, transposed, inner, width } : null;
  }

  /** The same elements before they were reshaped. */
  root(b: Builder, name: string): Value {
    const node = this.#made.get(name);
    return node?.op === 'Reshape' ? this.root(b, node.inputs[0]!) : b.value(name);
  }

  /** The shape [..rows, N], as the term or its rows tell it; asked once for the whole graph. Null where neither does. */
  shape(b: Builder, term: string, left: Value, shape: readonly Dim[]): Value | null {
    if (shape.filter((dim) => typeof dim !== 'number').length <= 1) return b.int64(shape.map((dim) => (typeof dim === 'number' ? dim : -1)));
    const key = shape.join();
    const known = this.#shapes.get(key) ?? this.#askedShape(b, term, left, shape);
    if (known !== null) this.#shapes.set(key, known);
    return known;
  }

  #askedShape(b: Builder, term: string, left: Value, shape: readonly Dim[]): Value | null {
    const rows = shape.slice(0, -1), source = this.#ancestor(b, left, rows);
    if (source !== null) return b.concat([b.shape(source, { start: 0, end: rows.length }), b.int64([shape.at(-1) as number])], 0);
    const node = this.#made.get(term), asked = node?.op === 'Reshape' ? b.value(node.inputs[1]!) : null;
    return asked !== null && b.tensor(asked) === undefined ? asked : null;
  }

  /** The value itself, or what it was reshaped from, that still has these axes. */
  #ancestor(b: Builder, value: Value, rows: readonly Dim[]): Value | null {
    if (value.shape?.slice(0, -1).join() === rows.join()) return value;
    const node = this.#made.get(value.name);
    return node?.op === 'Reshape' ? this.#ancestor(b, b.value(node.inputs[0]!), rows) : null;
  }
}

function isPlainProduct(node: Node): boolean {
  const { op, domain, inputs } = node;
  const known = (domain === '' && (op === 'MatMul' || (op === 'Gemm' && (inputs[2] ?? '') === ''))) || (domain === MICROSOFT && op === 'FusedMatMul');
  return known && intAttribute(node, 'transA', 0) === 0 && floatAttribute(node, 'alpha', 1) === 1;
}
