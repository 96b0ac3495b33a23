/** @file Block-quantized weights as numbers: only where a graph must hold them as floats. */
import { OnnxError, describeNode, intAttribute, type Model, type Node, type Tensor } from '../ir.ts';
import { float32Tensor, floatValues, tensorBytes } from '../tensor.ts';

/** The weight of a MatMulNBits as float32 [K, N], as MatMul wants it. */
export function dequantized(model: Model, node: Node): Tensor {
  const constant = (index: number): Tensor | undefined => {
    const name = node.inputs[index] ?? '', tensor = model.initializers.get(name);
    if (name !== '' && tensor === undefined) throw new OnnxError(`${describeNode(node)}: "${name}" must be a constant`);
    return tensor;
  };
  const bits = intAttribute(node, 'bits', 4);
  if ((bits !== 4 && bits !== 8) || constant(4) !== undefined) throw new OnnxError(`${describeNode(node)}: only 4 and 8 bits without g_idx can be read`);
  const rows = intAttribute(node, 'N', 0), columns = intAttribute(node, 'K', 0), block = intAttribute(node, 'block_size', 32), blocks = Math.ceil(columns / block);
  const bytes = tensorBytes(constant(1)!), scales = floatValues(constant(2)!), zeros = constant(3);
  // Rows of nibbles begin at a byte: blocks of weights always end at one, rows of zero points are padded.
  const at = (packed: Uint8Array, row: number, column: number, length: number): number =>
    bits === 8 ? packed[row * length + column]! : (packed[row * Math.ceil(length / 2) + (column >> 1)]! >> (4 * (column & 1))) & 15;
  const zeroBytes = zeros?.dataType === 'uint8' ? tensorBytes(zeros) : undefined, zeroFloats = zeros !== undefined && zeroBytes === undefined ? floatValues(zeros) : undefined;
  const values = new Float32Array(columns * rows);
  for (let row = 0; row < rows; row++) {
    for (let column = 0; column < columns; column++) {
      const group = Math.floor(column / block), index = row * blocks + group;
      const zero = zeroBytes !== undefined ? at(zeroBytes, row, group, blocks) : zeroFloats?.[index] ?? 2 ** (bits - 1);
      values[column * rows + row] = (at(bytes, row, column, blocks * block) - zero) * scales[index]!;
    }
  }
  return float32Tensor([columns, rows], values);
}
