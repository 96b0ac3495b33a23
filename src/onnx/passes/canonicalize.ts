/** @file One spelling per operator: a graph of any opset, brought to the forms that the Builder and all other passes use. */
import type { FunctionProto } from 'onnx-buf';
import { OPSET, type Builder, type Value } from '../builder.ts';
import { OnnxError, describeNode, floatAttribute, int, intAttribute, intsAttribute, string, type Attributes, type DataType, type Model, type Node, type Tensor } from '../ir.ts';
import { tensorFrom } from '../tensor.ts';
import { foldIf } from './fold-if.ts';
import { removeDeadNodes, rewriteNodes, type Replacement } from './rewrite.ts';

const OLDEST = 7;

/**
 * Brings a graph to opset 21 (a newer one keeps its own): what older opsets gave as attributes becomes inputs, the flattening
 * Softmax of opset < 13 becomes explicit, constants become initializers, Identity and inference-mode Dropout go, `If` with a
 * known condition is replaced by its branch. Weights stay the views they are.
 *
 * @throws OnnxError for opset < 7, and for control flow and functions in a graph that would have to change opset: bodies are not rewritten.
 */
export function canonicalize(model: Model): Model {
  const opset = model.opsets.get('') ?? OPSET;
  if (opset < OLDEST) throw new OnnxError(`the graph is written in opset ${opset}; ${OLDEST} is the oldest that can be read: export the model again`);
  const flat = withoutConstantNodes(foldIf(model));
  const control = opset < OPSET ? flat.nodes.find(({ attributes }) => Object.values(attributes).some(({ kind }) => kind === 'graph')) : undefined;
  if (control !== undefined) throw new OnnxError(`${describeNode(control)}: control flow whose condition is not known cannot be brought from opset ${opset} to ${OPSET}`);
  if (opset < OPSET) refuseFunctions(flat, opset);
  const current: Model = { ...flat, opsets: new Map([...flat.opsets, ['', Math.max(opset, OPSET)]]) };
  return removeDeadNodes(rewriteNodes(current, (node) => {
    if (node.domain !== '') return undefined;
    const upgrade = Object.hasOwn(upgrades, node.op) ? upgrades[node.op]! : undefined;
    return upgrade !== undefined && opset < upgrade.before ? upgrade.replace : undefined;
  }));
}

/** Their bodies are not rewritten either, and would have to be read in the new opset. */
function refuseFunctions({ nodes, functions }: Model, opset: number): void {
  const names = new Set((functions as readonly FunctionProto[]).map(({ domain, name }) => `${domain} ${name}`));
  const call = nodes.find(({ domain, op }) => names.has(`${domain} ${op}`));
  if (call !== undefined) throw new OnnxError(`${describeNode(call)} is a function of the model, whose body cannot be brought from opset ${opset} to ${OPSET}: inline the functions (onnx.inliner) or export in opset ${OPSET}`);
}

/** The same operator with other inputs and attributes. */
function respell(b: Builder, node: Node, inputs: readonly (Value | null)[], { without = [], set = {}, op = node.op }: { without?: readonly string[]; set?: Attributes; op?: string } = {}): Value[] {
  const kept = Object.fromEntries(Object.entries(node.attributes).filter(([name]) => !without.includes(name)));
  return b.ops(op, inputs, { ...kept, ...set }, { outputs: node.outputs.length });
}

/** `axes` and the like: from an attribute to input 1. */
const listAsInput = (attribute: string): Replacement => ({ node, inputs, b }) => {
  const list = intsAttribute(node, attribute);
  return list === undefined ? null : respell(b, node, [inputs[0]!, b.int64(list)], { without: [attribute] });
};

const reduceAxes = { before: 18, replace: listAsInput('axes') };

const requiredInts = (node: Node, attribute: string): readonly number[] => {
  const list = intsAttribute(node, attribute);
  if (list === undefined) throw new OnnxError(`${describeNode(node)} has no ${attribute}`);
  return list;
};

/** Clip's bounds and Pad's value have the type of what they work on. */
const optionalScalar = (b: Builder, node: Node, attribute: string, dataType: DataType): Value | null =>
  node.attributes[attribute] === undefined ? null : b.scalar(floatAttribute(node, attribute, 0), dataType);

const softmax: Replacement = ({ node, inputs, b }) => {
  const [x] = inputs, rank = x!.shape?.length;
  const axis = intAttribute(node, 'axis', 1);
  if (axis === -1 || (rank !== undefined && axis === rank - 1)) return respell(b, node, [x!], { set: { axis: int(-1) } });
  if (rank === undefined) throw new OnnxError(`${describeNode(node)}: before opset 13 axis ${axis} flattens its input, whose rank is not known`);
  // One distribution over all axes from `axis` on.
  const flat = b.op('Flatten', [x!], { axis: int(axis) });
  return [b.reshape(b.op(node.op, [flat], { axis: int(-1) }), b.shape(x!))];
};

/** Without a training flag Dropout hands its input on; where someone reads the mask, the node stays. */
const dropout: Replacement = ({ node, inputs, b }) => {
  if ((node.inputs[2] ?? '') !== '') return null;
  if ((node.outputs[1] ?? '') === '') return [inputs[0]!];
  return node.attributes['ratio'] === undefined ? null : respell(b, node, [inputs[0]!, optionalScalar(b, node, 'ratio', 'float32')], { without: ['ratio'] });
};

/** Constant nodes as initializers of the same name. */
function withoutConstantNodes(model: Model): Model {
  const tensors = new Map(model.nodes.flatMap((node) => {
    const tensor = node.op === 'Constant' && node.domain === '' ? constantTensor(node) : null;
    return tensor === null ? [] : [[node.outputs[0]!, tensor] as const];
  }));
  if (tensors.size === 0) return model;
  return { ...model, nodes: model.nodes.filter((node) => !(node.op === 'Constant' && tensors.has(node.outputs[0]!))), initializers: new Map([...model.initializers, ...tensors]) };
}

function constantTensor({ attributes }: Node): Tensor | null {
  const { value, value_int, value_ints, value_float, value_floats } = attributes;
  if (value?.kind === 'tensor') return value.value;
  if (value_int?.kind === 'int') return tensorFrom('int64', [], [value_int.value]);
  if (value_ints?.kind === 'ints') return tensorFrom('int64', [value_ints.value.length], value_ints.value);
  if (value_float?.kind === 'float') return tensorFrom('float32', [], [value_float.value]);
  if (value_floats?.kind === 'floats') return tensorFrom('float32', [value_floats.value.length], value_floats.value);
  return null;
}

/** Which pixels Upsample and the first Resize read. */
const OLD_PIXELS: Attributes = { coordinate_transformation_mode: string('asymmetric'), nearest_mode: string('floor') };

/** Per operator: the opset that brought the current form, and how to get there. */
const upgrades: Readonly<Record<string, { readonly before: number; readonly replace: Replacement }>> = {
  Identity: { before: Infinity, replace: ({ inputs }) => [inputs[0]!] },
  Dropout: { before: Infinity, replace: dropout },
  Squeeze: { before: 13, replace: listAsInput('axes') },
  Unsqueeze: { before: 13, replace: listAsInput('axes') },
  ReduceSum: { before: 13, replace: listAsInput('axes') },
  ReduceMean: reduceAxes, ReduceMax: reduceAxes, ReduceMin: reduceAxes, ReduceProd: reduceAxes, ReduceL1: reduceAxes, ReduceL2: reduceAxes,
  ReduceLogSum: reduceAxes, ReduceLogSumExp: reduceAxes, ReduceSumSquare: reduceAxes,
  Softmax: { before: 13, replace: softmax }, LogSoftmax: { before: 13, replace: softmax }, Hardmax: { before: 13, replace: softmax },
  Split: {
    before: 18,
    replace: ({ node, inputs, b }) => {
      const sizes = intsAttribute(node, 'split');
      if (sizes !== undefined) return respell(b, node, [inputs[0]!, b.int64(sizes)], { without: ['split'] });
      return inputs[1] == null ? respell(b, node, [inputs[0]!], { set: { num_outputs: int(node.outputs.length) } }) : null;
    },
  },
  Slice: {
    before: 10,
    replace: ({ node, inputs, b }) => {
      const starts = requiredInts(node, 'starts'), axes = intsAttribute(node, 'axes') ?? [...starts.keys()];
      return respell(b, node, [inputs[0]!, b.int64(starts), b.int64(requiredInts(node, 'ends')), b.int64(axes)], { without: ['starts', 'ends', 'axes'] });
    },
  },
  Clip: {
    before: 11,
    replace: ({ node, inputs, b }) => respell(b, node, [inputs[0]!, optionalScalar(b, node, 'min', inputs[0]!.dataType), optionalScalar(b, node, 'max', inputs[0]!.dataType)], { without: ['min', 'max'] }),
  },
  Pad: {
    before: 11,
    replace: ({ node, inputs, b }) => respell(b, node, [inputs[0]!, b.int64(requiredInts(node, 'pads')), optionalScalar(b, node, 'value', inputs[0]!.dataType)], { without: ['pads', 'value'] }),
  },
  TopK: { before: 10, replace: ({ node, inputs, b }) => respell(b, node, [inputs[0]!, b.int64([intAttribute(node, 'k', 1)])], { without: ['k'] }) },
  Scatter: { before: 11, replace: ({ node, inputs, b }) => respell(b, node, inputs, { op: 'ScatterElements' }) },
  BatchNormalization: {
    before: 9,
    replace: ({ node, inputs, b }) => {
      if (intAttribute(node, 'spatial', 1) !== 1) throw new OnnxError(`${describeNode(node)}: statistics per position (spatial 0) cannot be brought to opset ${OPSET}`);
      return respell(b, node, inputs, { without: ['spatial'] });
    },
  },
  GroupNormalization: {
    before: 21,
    replace: ({ node, inputs, b }) => {
      const [x, scale, bias] = inputs as [Value, Value, Value], groups = intAttribute(node, 'num_groups', 1), channels = x.shape?.[1];
      if (typeof channels !== 'number') throw new OnnxError(`${describeNode(node)}: before opset 21 it scales groups, which takes a known number of channels`);
      const each = (value: Value): Value => b.reshape(b.expand(b.unsqueeze(value, [1]), [groups, channels / groups]), [channels]);
      return respell(b, node, [x, each(scale), each(bias)]);
    },
  },
  Resize: {
    before: 11,
    replace: ({ node, inputs, b }) => respell(b, node, [inputs[0]!, null, inputs[1]!], { set: OLD_PIXELS }),
  },
  DFT: {
    before: 20,
    replace: ({ node, inputs, b }) => respell(b, node, [inputs[0]!, inputs[1] ?? null, b.scalar(intAttribute(node, 'axis', 1), 'int64')], { without: ['axis'] }),
  },
  Upsample: {
    before: 10,
    replace: ({ node, inputs, b }) => {
      const scales = node.attributes['scales'];
      return respell(b, node, [inputs[0]!, null, scales?.kind === 'floats' ? b.constant('float32', [scales.value.length], scales.value) : inputs[1]!], { without: ['scales'], op: 'Resize', set: OLD_PIXELS });
    },
  },
};
