/** @file A graph as it is written, whatever the operators: names, constants, types as the shape rules infer them. */
import { MICROSOFT, OnnxError, describeNode, type Attributes, type DataType, type Model, type Node, type Shape, type Tensor, type ValueInfo } from './ir.ts';
import type { Inferred } from './shapes/context.ts';
import { inferNode, inferTypes } from './shapes/infer.ts';
import { inferredTensor } from './shapes/rules.ts';
import { tensorFrom } from './tensor.ts';

/** A value of the graph: its name and what is known of its type. */
export interface Value extends Inferred {
  readonly name: string;
}

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

/** What Builder has beneath its operators. Methods throw an OnnxError where shapes or types do not fit. */
export class GraphWriter {
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

  /** Any `com.microsoft` operator. */
  contrib(op: string, inputs: readonly (Value | null)[], attributes: Attributes = {}, options: Omit<OpOptions, 'domain'> = {}): Value[] {
    return this.ops(op, inputs, attributes, { ...options, domain: MICROSOFT });
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
}
