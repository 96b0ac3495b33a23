/** @file A float32 graph in half precision: weights, activations and cache; the logits stay float32. */
import { canonicalize, floatValues, int, tensorFrom, type Attribute, type Model, type Node, type Tensor, type ValueInfo } from '../../onnx/index.ts';
import { ModelError } from '../errors.ts';

/** `TensorProto.DataType` */
const protoFloat = 1;
const protoFloat16 = 10;
/** float16 ends at 65504. Masks are added to scores, and the sum must stay finite too. */
const largest = 2 ** 15;

/** Every float32 of the graph becomes float16; `logits` is cast back at the end. */
export function toHalf(model: Model): Model {
  const { initializers, nodes, inputs, outputs, ...rest } = canonicalize(model);
  const logits = 'logits';
  const halfLogits = `${logits}/half`;
  return {
    ...rest,
    valueInfo: new Map(),
    inputs: inputs.map(halfInfo),
    outputs: outputs.map((output) => (output.name === logits ? output : halfInfo(output))),
    initializers: new Map([...initializers].map(([name, tensor]) => [name, halfTensor(tensor)])),
    nodes: [
      ...nodes.map((node) => halfNode({ ...node, outputs: node.outputs.map((name) => (name === logits ? halfLogits : name)) })),
      { name: 'logits/Cast', op: 'Cast', domain: '', inputs: [halfLogits], outputs: [logits], attributes: { to: int(protoFloat) } },
    ],
  };
}

const halfInfo = (info: ValueInfo): ValueInfo => (info.dataType === 'float32' ? { ...info, dataType: 'float16' } : info);

function halfTensor(tensor: Tensor): Tensor {
  if (tensor.dataType !== 'float32') return tensor;
  return tensorFrom('float16', tensor.dims, floatValues(tensor).map((value) => Math.min(largest, Math.max(-largest, value))));
}

function halfNode(node: Node): Node {
  const half = (name: string, attribute: Attribute): Attribute => {
    if (attribute.kind === 'graph') throw new ModelError('invalid', `node "${node.name}" (${node.op}) holds a graph, which cannot be turned to float16`, { fix: 'Export as fp32, q8 or q4.' });
    if (attribute.kind === 'tensor') return { kind: 'tensor', value: halfTensor(attribute.value) };
    return node.op === 'Cast' && name === 'to' && attribute.kind === 'int' && attribute.value === protoFloat ? int(protoFloat16) : attribute;
  };
  return { ...node, attributes: Object.fromEntries(Object.entries(node.attributes).map(([name, attribute]) => [name, half(name, attribute)])) };
}
