/**
 * @file Weights in blocks of 8- or 4-bit integers, each block with one scale.
 *
 * Linear layers become MatMulNBits. Embeddings are gathered as integers and scaled afterwards, with operators that every
 * device has; a head that is tied to the embedding goes on sharing its matrix.
 */
import { canonicalize, floatValues, int, parameterNames, removeDeadNodes, rewriteNodes, tensorFrom, type Builder, type Model, type Node, type Tensor, type Value } from '../../onnx/index.ts';
import { transpose } from '../transpose.ts';

/** Values that share a scale. */
const blockSize = 32;

/**
 * MatMulNBits' accuracy_level 4: the product itself in int8, activations rounded in blocks too. On the CPU 8-bit weights are
 * some 40 times slower without it; for 4 bits the float32 product is as fast.
 */
const int8Activations = 4;

/** A matrix [rows, columns] in blocks along its columns; `columns` is what MatMulNBits calls K. */
interface Quantized {
  rows: number;
  columns: number;
  /** uint8 [rows, blocks, blockSize · bits / 8]; of two 4-bit values in a byte the first has the low bits. */
  packed: Tensor;
  /** float32 [rows, blocks]. The zero point is 2^(bits−1). */
  scales: Tensor;
}

type Bits = 8 | 4;

/** Quantizes the matrices of all linear layers and embeddings. */
export function quantizeWeights(model: Model, { bits }: { bits: Bits }): Model {
  const canonical = canonicalize(model);
  const names = parameterNames(canonical);
  const matrices = new Map<string, { packed: Value; scales: Value } & Pick<Quantized, 'rows' | 'columns'>>();
  const transposes = new Map(canonical.nodes.filter(({ op }) => op === 'Transpose').map((node) => [node.outputs[0]!, node.inputs[0]!]));
  const matrixOf = (name: string): Tensor | null => {
    const tensor = canonical.initializers.get(name);
    return tensor?.dataType === 'float32' && tensor.dims.length === 2 && names.has(name) ? tensor : null;
  };
  const quantized = (b: Builder, name: string, layout: { transposed: boolean }) => {
    const key = `${name} ${layout.transposed}`;
    const known = matrices.get(key);
    if (known !== undefined) return known;
    const { packed, scales, ...size } = quantizeMatrix(matrixOf(name)!, bits, layout);
    const stem = b.has(`${name}_scales`) ? `${name}.rows` : name; // read in both layouts
    const made = { ...size, packed: b.initializer(`${stem}_Q${bits}`, packed), scales: b.initializer(`${stem}_scales`, scales) };
    matrices.set(key, made);
    return made;
  };

  /** Which matrix a product or an embedding reads, and whether it lies as [in, out]. */
  const source = ({ op, inputs }: Node): { name: string; transposed: boolean } | null => {
    const name = op === 'MatMul' ? inputs[1]! : op === 'Gather' ? inputs[0]! : null;
    if (name === null) return null;
    if (matrixOf(name) !== null) return { name, transposed: op === 'MatMul' };
    const beneath = op === 'MatMul' ? transposes.get(name) : undefined;
    return beneath !== undefined && matrixOf(beneath) !== null ? { name: beneath, transposed: false } : null;
  };

  return removeDeadNodes(rewriteNodes(canonical, (node) => {
    const found = source(node);
    if (found === null) return undefined;
    return ({ inputs, b }) => {
      const { packed, scales, rows, columns } = quantized(b, found.name, found);
      if (node.op === 'Gather') return [embed(b, inputs[1]!, { packed, scales, columns, bits })];
      const size = { K: int(columns), N: int(rows), bits: int(bits), block_size: int(blockSize) };
      return b.contrib('MatMulNBits', [inputs[0]!, packed, scales], bits === 8 ? { ...size, accuracy_level: int(int8Activations) } : size);
    };
  }));
}

/** Rows of the matrix for `ids` [batch, sequence], as float32 [batch, sequence, columns]. */
function embed(b: Builder, ids: Value, { packed, scales, columns, bits }: { packed: Value; scales: Value; columns: number; bits: Bits }): Value {
  const bytes = b.cast(b.gather(packed, ids), 'float32');
  const values = bits === 8 ? bytes : nibbles(b, bytes);
  const scaled = b.mul(b.sub(values, 2 ** (bits - 1)), b.unsqueeze(b.gather(scales, ids), [3]));
  const blocks = Math.ceil(columns / blockSize);
  const rows = b.reshape(scaled, [0, 0, blocks * blockSize]);
  return blocks * blockSize === columns ? rows : b.slice(rows, { axis: 2, start: 0, end: columns });
}

/** Bytes [batch, sequence, blocks, 16] → their halves, low one first: [batch, sequence, blocks, 32]. */
function nibbles(b: Builder, bytes: Value): Value {
  const high = b.floor(b.mul(bytes, 1 / 16));
  const low = b.sub(bytes, b.mul(high, 16));
  return b.reshape(b.concat([b.unsqueeze(low, [4]), b.unsqueeze(high, [4])], 4), [0, 0, 0, blockSize]);
}

/**
 * Symmetric blocks: the value of largest magnitude becomes the integer 0, so that its sign costs no precision. `transposed`:
 * the tensor lies as [columns, rows].
 */
export function quantizeMatrix(tensor: Tensor, bits: Bits, { transposed }: { transposed: boolean }): Quantized {
  const [first = 0, second = 0] = tensor.dims;
  const [rows, columns] = transposed ? [second, first] : [first, second];
  const values = transposed ? transpose(floatValues(tensor), [first, second]) : floatValues(tensor);
  const blocks = Math.ceil(columns / blockSize);
  const zero = 2 ** (bits - 1);
  const bytesPerBlock = (blockSize * bits) / 8;
  const packed = new Uint8Array(rows * blocks * bytesPerBlock);
  const scales = new Float32Array(rows * blocks);
  for (let block = 0; block < rows * blocks; block++) {
    const row = Math.floor(block / blocks);
    const begin = row * columns + (block % blocks) * blockSize;
    const end = Math.min(begin + blockSize, (row + 1) * columns);
    let extreme = 0;
    for (let index = begin; index < end; index++) if (Math.abs(values[index]!) > Math.abs(extreme)) extreme = values[index]!;
    const scale = Math.fround(extreme / -zero);
    scales[block] = scale;
    for (let index = 0; index < blockSize; index++) {
      const value = begin + index < end && scale !== 0 ? values[begin + index]! / scale : 0;
      const level = Math.min(2 * zero - 1, Math.max(0, Math.round(value) + zero));
      const at = block * bytesPerBlock;
      if (bits === 8) packed[at + index] = level;
      else packed[at + (index >> 1)]! |= level << (4 * (index & 1));
    }
  }
  return { rows, columns, packed: { dataType: 'uint8', dims: [rows, blocks, bytesPerBlock], data: packed }, scales: tensorFrom('float32', [rows, blocks], scales) };
}
