/**
 * @file Weights of 4 and 8 bits in blocks, as arithmetic on their bytes.
 *
 * Everything about a MatMulNBits weight is constant, so ONNX Runtime computes it once, when it loads the graph, and keeps the
 * float matrix: products then run at float speed. (DequantizeLinear stays in the graph and takes about 10 ns per weight and
 * run on a CPU, several times the product itself when few rows are decoded.) Of a quantized table only the rows that the
 * indices name are read and scaled, run by run.
 */
import type { Builder, Value } from '../../builder.ts';
import { intAttribute, type DataType, type Node } from '../../ir.ts';
import { optional, refuse, required, sizeOf, type Context, type Decomposition } from './context.ts';

const bitsOf = (node: Node): 4 | 8 => {
  const bits = intAttribute(node, 'bits', 4);
  return bits === 4 || bits === 8 ? bits : refuse(node, `${bits} bits are not supported (4 and 8 are)`);
};

/** Bytes [.., n] → the numbers in them [.., n] or [.., 2n], the low nibble first. */
function unpacked(b: Builder, bytes: Value, { bits, dataType, signed = false }: { bits: 4 | 8; dataType: DataType; signed?: boolean }): Value {
  if (bits === 8) return b.cast(bytes, dataType);
  const number = (nibble: number): number => (signed && nibble > 7 ? nibble - 16 : nibble);
  const table = b.constant(dataType, [256, 2], Array.from({ length: 512 }, (_, at) => number(at % 2 === 0 ? (at >> 1) & 15 : at >> 5)));
  return b.reshape(b.gather(table, b.cast(bytes, 'int32')), [...kept(bytes, 1), -1]);
}

/** Reshape's copies of all axes but the last few. */
const kept = (value: Value, last = 0): number[] => (value.shape ?? []).slice(0, (value.shape ?? []).length - last).map(() => 0);

/** Zero points of uint8 type are packed as the weights are; others are numbers, between the steps if they like. [.., blocks] */
function zeroPoints(b: Builder, zeros: Value, { bits, blocks, dataType, signed = false }: { bits: 4 | 8; blocks: number; dataType: DataType; signed?: boolean }): Value {
  if (zeros.dataType !== 'uint8') return b.cast(zeros, dataType);
  const numbers = unpacked(b, zeros, { bits, dataType, signed }), axis = numbers.shape!.length - 1;
  return numbers.shape![axis] === blocks ? numbers : b.slice(numbers, { axis, start: 0, end: blocks });
}

/** y = A·Wᵀ (+ bias) with W [N, K] from bytes [N, blocks, bytes], scales [N, blocks] and zero points. */
const matMulNBits: Decomposition = (context) => {
  const { b, node } = context, bits = bitsOf(node), scales = required(context, 2), { dataType } = scales;
  const rows = intAttribute(node, 'N', 0), columns = intAttribute(node, 'K', 0), block = intAttribute(node, 'block_size', 32), blocks = Math.ceil(columns / block);
  if (optional(context, 4) !== null) refuse(node, 'g_idx is not supported');
  const given = optional(context, 3);
  const perRow = given?.dataType === 'uint8' ? Math.ceil((blocks * bits) / 8) : blocks;
  const zeros = given === null ? 2 ** (bits - 1) : b.unsqueeze(zeroPoints(b, b.reshape(given, [rows, perRow]), { bits, blocks, dataType }), [2]);
  const steps = b.sub(b.reshape(unpacked(b, required(context, 1), { bits, dataType }), [rows, blocks, block]), zeros);
  const padded = b.reshape(b.mul(steps, b.reshape(scales, [rows, blocks, 1])), [rows, blocks * block]);
  const weight = blocks * block === columns ? padded : b.slice(padded, { axis: 1, start: 0, end: columns });
  const x = required(context, 0), y = b.matmul(x, b.cast(b.transpose(weight, [1, 0]), x.dataType)), bias = optional(context, 5);
  return [bias === null ? y : b.add(y, bias)];
};

/** Nibbles of uint4 and int4 tensors as the bytes they are: a row must begin at one. */
function bytesOf(context: Context, value: Value): Value {
  const { b, node } = context;
  if (value.dataType === 'uint8') return value;
  const tensor = b.tensor(value) ?? refuse(node, `"${value.name}" must be a constant`);
  const width = tensor.dims.at(-1)!, name = `${value.name}:bytes`;
  if (width % 2 === 1) refuse(node, `rows of ${width} nibbles do not begin at a byte`);
  return b.has(name) ? b.value(name) : b.initializer(name, { dataType: 'uint8', dims: [...tensor.dims.slice(0, -1), width / 2], data: tensor.data });
}

const gatherBlockQuantized: Decomposition = (context) => {
  const { b, node } = context, data = required(context, 0), indices = required(context, 1), scales = required(context, 2), zeros = optional(context, 3);
  const rank = data.shape?.length ?? 0, axis = intAttribute(node, 'quantize_axis', 1), { dataType } = scales;
  if (rank !== 2 || intAttribute(node, 'gather_axis', 0) !== 0 || (axis !== 1 && axis !== -1)) refuse(node, 'only rows of a matrix, quantized along their length, are supported');
  const packed = data.dataType === 'uint8', bits = packed ? bitsOf(node) : 4, signed = data.dataType === 'int4';
  const width = sizeOf(context, data, 1) * (packed ? 8 / bits : 1), blocks = sizeOf(context, scales, 1), block = intAttribute(node, 'block_size', 128);
  if (width % block !== 0) refuse(node, `rows of ${width} are no multiple of the block size ${block}`);
  const rows = (table: Value): Value => b.gather(bytesOf(context, table), indices);
  const values = b.reshape(unpacked(b, rows(data), { bits, dataType, signed }), [...kept(indices), blocks, block]);
  // Without a zero point bytes count from the middle of their range, uint4 and int4 from 0: so does the kernel.
  const steps = zeros !== null ? b.sub(values, b.unsqueeze(zeroPoints(b, rows(zeros), { bits, blocks, dataType, signed }), [-1])) : packed ? b.sub(values, 2 ** (bits - 1)) : values;
  return [b.reshape(b.mul(steps, b.unsqueeze(b.gather(scales, indices), [-1])), [...kept(indices), width])];
};

export const quantized = {
  'com.microsoft.MatMulNBits': matMulNBits,
  'com.microsoft.GatherBlockQuantized': gatherBlockQuantized,
} satisfies Record<string, Decomposition>;
