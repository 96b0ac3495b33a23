/** @file Weights of 4 and 8 bits in blocks: read where they lie, by DequantizeLinear or by arithmetic on the rows that are wanted. */
import type { Builder, Value } from '../../builder.ts';
import { int, intAttribute, type DataType, type Node, type Tensor } from '../../ir.ts';
import { byteLength, elementCount, tensorBytes } from '../../tensor.ts';
import { optional, refuse, required, sizeOf, type Context, type Decomposition } from './context.ts';

const bitsOf = (node: Node): 4 | 8 => {
  const bits = intAttribute(node, 'bits', 4);
  return bits === 4 || bits === 8 ? bits : refuse(node, `${bits} bits are not supported (4 and 8 are)`);
};

/** The same bytes under another type and shape. */
function retyped(context: Context, value: Value, dataType: DataType, dims: readonly number[]): Value {
  const { b, node } = context, tensor = b.tensor(value);
  if (tensor === undefined) refuse(node, `"${value.name}" must be a constant`);
  if (tensor.dataType === dataType && tensor.dims.join() === dims.join()) return value;
  return constant(b, `${value.name}:${dataType}[${dims.join()}]`, { dataType, dims, data: tensor.data });
}

const constant = (b: Builder, name: string, tensor: Tensor): Value => (b.has(name) ? b.value(name) : b.initializer(name, tensor));

/** y = A·Wᵀ (+ bias) with W [N, K] from bytes [N, blocks, bytes], scales [N, blocks] and zero points. */
const matMulNBits: Decomposition = (context) => {
  const { b, node } = context, bits = bitsOf(node), type = bits === 4 ? 'uint4' : 'uint8';
  const rows = intAttribute(node, 'N', 0), columns = intAttribute(node, 'K', 0), block = intAttribute(node, 'block_size', 32), blocks = Math.ceil(columns / block);
  if (optional(context, 4) !== null) refuse(node, 'g_idx is not supported');
  const packed = retyped(context, required(context, 1), type, [rows, blocks * block]);
  const scales = b.reshape(required(context, 2), [rows, blocks]);
  const zeros = optional(context, 3);
  const exact = zeros !== null && zeros.dataType !== 'uint8' ? null : integerZeros(context, zeros, bits, rows, blocks);
  let weight = b.op('DequantizeLinear', exact === null ? [packed, scales] : [packed, scales, exact], { axis: int(1), block_size: int(block) });
  if (exact === null) {
    // Zero points between the steps: taken off after scaling, block by block.
    const shift = b.unsqueeze(b.mul(b.reshape(zeros!, [rows, blocks]), scales), [2]);
    weight = b.reshape(b.sub(b.reshape(weight, [rows, blocks, block]), shift), [rows, blocks * block]);
  }
  if (blocks * block !== columns) weight = b.slice(weight, { axis: 1, start: 0, end: columns });
  const y = b.matmul(required(context, 0), b.transpose(weight, [1, 0])), bias = optional(context, 5);
  return [bias === null ? y : b.add(y, bias)];
};

/** Zero points [N, blocks] as DequantizeLinear wants them; the middle of the range when none are given. */
function integerZeros(context: Context, zeros: Value | null, bits: 4 | 8, rows: number, blocks: number): Value {
  const { b, node } = context, type = bits === 4 ? 'uint4' : 'uint8', dims = [rows, blocks];
  if (zeros === null) return constant(b, `middle:${type}[${dims.join()}]`, { dataType: type, dims, data: new Uint8Array(byteLength(type, dims)).fill(bits === 4 ? 0x88 : 0x80) });
  if (bits === 8 || blocks % 2 === 0) return retyped(context, zeros, type, dims);
  // Every row begins at a byte of its own here, but not in a uint4 tensor.
  const tensor = b.tensor(zeros) ?? refuse(node, `"${zeros.name}" must be a constant`);
  const bytes = tensorBytes(tensor), perRow = Math.ceil(blocks / 2), data = new Uint8Array(byteLength(type, dims));
  for (let at = 0; at < elementCount(dims); at++) {
    const column = at % blocks, nibble = (bytes[Math.floor(at / blocks) * perRow + (column >> 1)]! >> (4 * (column & 1))) & 15;
    data[at >> 1]! |= nibble << (4 * (at & 1));
  }
  return constant(b, `${zeros.name}:uint4`, { dataType: 'uint4', dims, data });
}

/** Rows of a quantized table: only those are read and scaled that the indices name. */
const gatherBlockQuantized: Decomposition = (context) => {
  const { b, node } = context, data = required(context, 0), indices = required(context, 1), scales = required(context, 2), zeros = optional(context, 3);
  const rank = data.shape?.length ?? 0, axis = intAttribute(node, 'quantize_axis', 1), block = intAttribute(node, 'block_size', 128);
  if (rank !== 2 || intAttribute(node, 'gather_axis', 0) !== 0 || (axis !== 1 && axis !== -1)) refuse(node, 'only rows of a matrix, quantized along their length, are supported');
  const bits = data.dataType === 'uint8' ? bitsOf(node) : 4, signed = data.dataType === 'int4';
  const width = sizeOf(context, data, 1) * (data.dataType === 'uint8' ? 8 / bits : 1), blocks = sizeOf(context, scales, 1);
  const type = scales.dataType;
  const numbers = (table: Value, length: number): Value => {
    const bytes = table.dataType === 'uint8' ? table : retyped(context, table, 'uint8', [sizeOf(context, table, 0), Math.ceil(length / 2)]);
    if (table.dataType !== 'uint8' && length % 2 === 1) refuse(node, `rows of ${length} nibbles do not begin at a byte`);
    const rows = b.cast(b.gather(bytes, indices), type);
    return bits === 8 ? rows : nibbles(b, rows, length, signed);
  };
  const values = b.reshape(numbers(data, width), [...front(indices), blocks, -1]);
  // Without a zero point bytes count from the middle of their range, uint4 and int4 from 0: so does the kernel.
  const shifted = zeros !== null ? b.sub(values, b.unsqueeze(numbers(zeros, blocks), [-1])) : data.dataType === 'uint8' ? b.sub(values, 2 ** (bits - 1)) : values;
  if (width % block !== 0) refuse(node, `rows of ${width} are no multiple of the block size ${block}`);
  return [b.reshape(b.mul(shifted, b.unsqueeze(b.gather(scales, indices), [-1])), [...front(indices), width])];
};

/** 0 copies each axis of the indices. */
const front = (indices: Value): number[] => (indices.shape ?? []).map(() => 0);

/** Bytes [.., n] as numbers → their nibbles [.., length], low one first. */
function nibbles(b: Builder, bytes: Value, length: number, signed: boolean): Value {
  const high = b.floor(b.mul(bytes, 1 / 16)), low = b.sub(bytes, b.mul(high, 16));
  const rank = bytes.shape!.length, flat = b.reshape(b.concat([b.unsqueeze(low, [-1]), b.unsqueeze(high, [-1])], rank), [...Array<number>(rank - 1).fill(0), -1]);
  const all = length === (bytes.shape!.at(-1) as number) * 2 ? flat : b.slice(flat, { axis: rank - 1, start: 0, end: length });
  return signed ? b.sub(all, b.mul(b.cast(b.greaterOrEqual(all, 8), all.dataType), 16)) : all;
}

export const quantized = {
  'com.microsoft.MatMulNBits': matMulNBits,
  'com.microsoft.GatherBlockQuantized': gatherBlockQuantized,
} satisfies Record<string, Decomposition>;
