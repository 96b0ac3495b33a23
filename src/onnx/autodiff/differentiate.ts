/**
 * @file Reverse-mode automatic differentiation of an ONNX graph, as a graph.
 *
 * Three walks: forward from `wrt` to find what depends on it, backward from `output` to find what it depends on, and backward
 * again over the nodes on both walks, asking each operator's rule for the gradients of just those inputs that lie on a path.
 */
import { Builder, OPSET, type Value } from '../builder.ts';
import { OnnxError, describeNode, describeType, isFloat, type Model, type Node } from '../ir.ts';
import { canonicalize } from '../passes/canonicalize.ts';
import { foldScatters } from '../passes/fold-scatters.ts';
import { removeDeadNodes } from '../passes/rewrite.ts';
import { floatValues } from '../tensor.ts';
import { expandLike, sumAll, sumToShape } from './context.ts';
import { activePaths, ruleFor } from './paths.ts';
import { keepAll, recompute } from './recompute.ts';
import { isElementwise } from './rules/index.ts';

/** What to differentiate, and with respect to what. */
export interface DifferentiateOptions {
  /** The value to differentiate: a scalar, unless `cotangent` is given. */
  readonly output: string;
  /** Float values whose gradients are wanted: graph inputs, or any value of the graph. */
  readonly wrt: readonly string[];
  /** Values through which no gradient flows: constants as far as this derivative is concerned. */
  readonly stop?: readonly string[];
  /** Name of a new graph input with the output's shape: the gradients are then those of Σ cotangent · output. */
  readonly cotangent?: string;
  /** The output's index in the model's outputs stays; gradients follow as `grad.<name>`, in the order of `wrt`. */
  readonly prefix?: string;
  /**
   * Saves memory for time: activations of nodes whose names match are computed again when the backward comes to them. Nodes with
   * the same matched text are one segment, of which only what enters it is kept; `DECODER_LAYERS` takes each layer as one.
   * Gradients are the same.
   */
  readonly recompute?: RegExp;
}

/**
 * Adds the outputs `grad.<name>` to a model: ∂output/∂name, with the shape and type of `name`.
 *
 * Only what lies on a path from `wrt` to `output` is differentiated, and nothing is computed that no gradient needs.
 *
 * A graph of an older opset is brought to the current one first, by `canonicalize`.
 *
 * @throws OnnxError when an operator on the path has no rule (naming the operator, the node and the path), when a `wrt` name is
 * no float value, or when the output does not depend on it. Never returns a silent zero.
 */
export function differentiate(model: Model, options: DifferentiateOptions): Model {
  const { output, wrt, stop = [], cotangent, prefix = 'grad.', recompute: pattern } = options;
  if ((model.opsets.get('') ?? OPSET) < OPSET) model = canonicalize(model);
  const b = new Builder(model);
  checkNames(model, b, options);

  const paths = activePaths(model, b, { wrt, output, stop: new Set(stop) });
  for (const node of paths.nodes) ruleFor(node, paths);
  const guarded = nanGuards(model, b);
  const recomputation = pattern === undefined ? keepAll : recompute(b, model, { pattern, wrt });
  const inner = new Set(paths.nodes.flatMap((node) => node.outputs));
  const gradients = new Map<string, Value[]>([[output, [seed(b, output, cotangent)]]]);
  /** All contributions to a value, added up once. */
  const gradientOf = (name: string): Value | null => {
    const parts = gradients.get(name);
    if (parts === undefined) return null;
    const sum = sumAll(b, parts);
    gradients.set(name, [sum]);
    return sum;
  };

  b.within('grad', () => {
    for (const node of paths.nodes.toReversed()) {
      const dys = node.outputs.map((name) => {
        const gradient = name === '' ? null : gradientOf(name);
        // Only elementwise rules know what to do with a gradient that is still to be broadcast.
        return gradient === null || isElementwise(node.op) ? gradient : expandIfSmaller(b, gradient, b.value(name));
      });
      const dy = dys.find((value) => value !== null);
      if (dy === undefined) continue;
      if (node.op !== 'Split' && dys.some((value, index) => index > 0 && value !== null)) {
        throw new OnnxError(`${describeNode(node)}: only its first output can be differentiated, but "${output}" also depends on another one; path: ${paths.path(node)}`);
      }
      const read = recomputation.reader(node, dy);
      b.within(node.name || node.op, () => {
        const inputs = node.inputs.map((name) => (name === '' ? null : b.value(read(name))));
        const thunks = ruleFor(node, paths)({ b, node, inputs, outputs: node.outputs.map((name) => valueOrBlank(b, read(guarded.get(name) ?? name))), dys, path: () => paths.path(node) }, dy);
        node.inputs.forEach((name, index) => {
          if (!paths.active.has(name)) return;
          const thunk = thunks[index];
          if (thunk == null) throw new OnnxError(`${describeNode(node)}: no gradient flows into its input ${index} ("${name}"); path: ${paths.path(node)}`);
          const gradient = sumBroadcast(b, { gradient: thunk(), node, target: inputs[index]! });
          const parts = gradients.get(name);
          if (parts === undefined) gradients.set(name, [gradient]);
          else parts.push(gradient);
          if (!inner.has(name)) recomputation.finished(gradient);
        });
      });
    }
  });

  for (const { name } of model.outputs) b.output(name, b.value(name));
  for (const name of wrt) {
    const gradient = gradientOf(name);
    if (gradient === null) throw new OnnxError(`"${output}" does not depend on "${name}" through anything differentiable`);
    b.output(`${prefix}${name}`, expandIfSmaller(b, gradient, b.value(name)));
  }
  return foldScatters(removeDeadNodes(b.build()));
}

/**
 * Undoes the broadcasting of one input. A gradient may itself be small where all its elements along an axis are equal (from a
 * sum or a mean): it stays small as long as the input has the output's shape, which saves a pass over memory each time.
 */
function sumBroadcast(b: Builder, { gradient, node, target }: { gradient: Value; node: Node; target: Value }): Value {
  if (!isElementwise(node.op)) return fitsInto(gradient, target) ? gradient : sumToShape(b, expandIfSmaller(b, gradient, target), target);
  const output = b.value(node.outputs[0]!);
  // Symbols of other names may turn out to be 1: only the very same dimensions rule out that the input was repeated.
  const repeated = !(fitsInto(output, target) && fitsInto(target, output));
  if (!repeated && fitsInto(gradient, output)) return gradient;
  return sumToShape(b, expandLike(b, gradient, output), target);
}

/** Certainly broadcasts to `like` without making it larger: each axis is 1 or the same. */
function fitsInto(value: Value, like: Value): boolean {
  const a = value.shape, c = like.shape;
  if (a === null || c === null || a.length > c.length) return false;
  return a.every((dim, axis) => dim === 1 || dim === c[axis + c.length - a.length]);
}

/** Does `value` have fewer axes, or an axis of 1 where `like` has another size? */
function isSmaller(value: Value, like: Value): boolean {
  const a = value.shape, c = like.shape;
  return a !== null && c !== null && (a.length < c.length || (a.length === c.length && a.some((dim, axis) => dim === 1 && c[axis] !== 1)));
}

const expandIfSmaller = (b: Builder, value: Value, like: Value): Value => (isSmaller(value, like) ? expandLike(b, value, like) : value);

const valueOrBlank = (b: Builder, name: string): Value => (b.has(name) ? b.value(name) : { name, dataType: 'float32', shape: null });

/**
 * Values that a graph itself cleans of NaN: `y` → the output of Where(IsNaN(y), constant, y), as exporters write after the
 * Softmax of a row that is masked as a whole. No gradient flows where `y` is NaN, but 0 · NaN would still be NaN: rules
 * that read `y` read the clean value instead.
 */
function nanGuards(model: Model, b: Builder): ReadonlyMap<string, string> {
  const tests = new Map(model.nodes.flatMap(({ op, domain, inputs, outputs }) => (op === 'IsNaN' && domain === '' ? [[outputs[0]!, inputs[0]!] as const] : [])));
  return new Map(model.nodes.flatMap(({ op, domain, inputs: [test = '', yes = '', no = ''], outputs }) => {
    if (op !== 'Where' || domain !== '' || tests.get(test) !== no || !b.has(yes)) return [];
    const constant = b.tensor(b.value(yes));
    return constant !== undefined && floatValues(constant).every(Number.isFinite) ? [[no, outputs[0]!] as const] : [];
  }));
}

/** Names that are not there, not float, or taken: each would end in a gradient of something else, or in none. */
function checkNames(model: Model, b: Builder, { output, wrt, stop = [], prefix = 'grad.' }: DifferentiateOptions): void {
  const made = new Set(model.nodes.flatMap((node) => node.outputs));
  const exists = (name: string): boolean => name !== '' && (b.has(name) || made.has(name));
  if (!exists(output)) throw new OnnxError(`there is no value "${output}" to differentiate; the model's outputs are ${model.outputs.map(({ name }) => `"${name}"`).join(', ')}`);
  if (wrt.length === 0) throw new OnnxError('differentiate needs at least one name in wrt');
  const ends = new Set(stop), seen = new Set<string>();
  for (const name of wrt) {
    if (!exists(name)) throw new OnnxError(`there is no value "${name}" to differentiate with respect to`);
    if (!b.has(name)) throw new OnnxError(`the type of "${name}" is not known: its operator has no shape rule`);
    if (!isFloat(b.value(name).dataType)) throw new OnnxError(`"${name}" is ${describeType(b.value(name))}: gradients exist only for float values`);
    if (ends.has(name)) throw new OnnxError(`"${name}" stands in wrt and in stop: it cannot be both a variable and a constant`);
    if (seen.has(name)) throw new OnnxError(`"${name}" stands twice in wrt`);
    if (exists(`${prefix}${name}`)) throw new OnnxError(`the model has a value "${prefix}${name}" already: choose another prefix`);
    seen.add(name);
  }
  for (const name of stop) if (!exists(name)) throw new OnnxError(`there is no value "${name}" to stop at`);
  if (b.has(output) && !isFloat(b.value(output).dataType)) throw new OnnxError(`the output "${output}" is ${describeType(b.value(output))}: only float values have gradients`);
}

function seed(b: Builder, output: string, cotangent: string | undefined): Value {
  const value = b.value(output);
  if (value.shape === null) throw new OnnxError(`the shape of the output "${output}" is not known`);
  if (cotangent !== undefined) return b.input(cotangent, value.dataType, value.shape);
  if (!value.shape.every((dim) => dim === 1)) {
    throw new OnnxError(`the output "${output}" is ${describeType(value)}: differentiate a scalar (reduce it), or name a cotangent`);
  }
  return b.constant(value.dataType, value.shape as number[], [1]);
}
