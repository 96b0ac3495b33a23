/** @file Running graphs in tests: fixtures in, arrays out, and how far they are from where they should be. */
import type { Attribute, DataType, HostTensor, Model, Node } from '../../src/onnx/index.ts';
import { OPSET, createSession, tensorFrom, type Device } from '../../src/onnx/index.ts';

export interface FixtureTensor { name: string; dtype: DataType; shape: number[]; data: number[]; grad?: number[]; dy?: number[]; constant?: boolean }
export interface FixtureNode { op: string; domain: string; inputs: string[]; outputs: string[]; attributes: Record<string, unknown> }
export interface FixtureCase {
  name: string; op?: string; domain?: string; opset: number; attributes?: Record<string, unknown>;
  node_inputs?: string[]; nodes?: FixtureNode[]; may_refuse?: boolean; inputs: FixtureTensor[]; outputs: FixtureTensor[];
}

export function attribute(value: unknown): Attribute {
  if (typeof value === 'string') return { kind: 'string', value };
  if (typeof value === 'number') return Number.isInteger(value) ? { kind: 'int', value } : { kind: 'float', value };
  if (Array.isArray(value)) return { kind: 'ints', value: value as number[] };
  const { type, value: inner } = value as { type: string; value: unknown };
  return { kind: type, value: inner } as Attribute;
}

export const hostTensor = (dataType: DataType, dims: readonly number[], values: readonly number[]): HostTensor => {
  const { data } = tensorFrom(dataType, dims, values);
  const { buffer } = (data as Uint8Array);
  const array = dataType === 'float32' ? new Float32Array(buffer) : dataType === 'float64' ? new Float64Array(buffer) : dataType === 'int64' ? new BigInt64Array(buffer)
    : dataType === 'int32' ? new Int32Array(buffer) : dataType === 'float16' ? new Uint16Array(buffer) : dataType === 'int8' ? new Int8Array(buffer) : new Uint8Array(buffer);
  return { dataType, dims, data: array };
};

/** The one-operator (or few-operator) graph of a fixture: float inputs are graph inputs, the others constants. */
export function caseModel(fixture: FixtureCase): Model {
  const nodes: Node[] = (fixture.nodes ?? [{ op: fixture.op!, domain: fixture.domain ?? '', inputs: fixture.node_inputs!, outputs: fixture.outputs.map(({ name }) => name), attributes: fixture.attributes ?? {} }])
    .map((node, index) => ({ ...node, name: `${node.op}_${index}`, attributes: Object.fromEntries(Object.entries(node.attributes).map(([name, value]) => [name, attribute(value)])) }));
  const isInput = ({ dtype, constant }: FixtureTensor): boolean => dtype.startsWith('float') && constant !== true;
  return {
    irVersion: 10, opsets: new Map([['', fixture.opset ?? OPSET], ['com.microsoft', 1]]), name: fixture.name, producer: 'test',
    inputs: fixture.inputs.filter(isInput).map(({ name, dtype, shape }) => ({ name, dataType: dtype, shape })),
    outputs: fixture.outputs.map(({ name, dtype, shape }) => ({ name, dataType: dtype, shape })),
    nodes,
    initializers: new Map(fixture.inputs.filter((input) => !isInput(input)).map(({ name, dtype, shape, data }) => [name, tensorFrom(dtype, shape, data)])),
    valueInfo: new Map(), metadata: new Map(), functions: [],
  };
}

export const numbersOf = ({ data, dataType }: HostTensor): number[] =>
  dataType === 'float16' ? Array.from(new Float16Array(data.buffer as ArrayBuffer, data.byteOffset, data.length)) : Array.from(data as ArrayLike<number | bigint>, Number);

/** max |a − b| / (max |b| + 1e-6) */
export function relativeError(actual: ArrayLike<number>, expected: ArrayLike<number>): number {
  if (actual.length !== expected.length) return Infinity;
  let worst = 0, scale = 0;
  for (let index = 0; index < expected.length; index++) {
    const difference = Math.abs(actual[index]! - expected[index]!);
    if (Number.isNaN(difference) && !(Number.isNaN(actual[index]!) && Number.isNaN(expected[index]!)) && actual[index] !== expected[index]) return Infinity;
    if (difference > worst) worst = difference;
    scale = Math.max(scale, Math.abs(expected[index]!));
  }
  return worst / (scale + 1e-6);
}

/** Compiles, runs once, and lets go. */
export async function runOnce(model: Model, feeds: Record<string, HostTensor>, device: Device = 'cpu'): Promise<Record<string, HostTensor>> {
  const session = await createSession(model, { device, threads: 1 });
  try { return await session.run(feeds); } finally { await session.dispose(); }
}

/** The device of this run: `RLRUN_TEST_DEVICE=webgpu` runs the same cases on the GPU provider. */
export const testDevice = (process.env['RLRUN_TEST_DEVICE'] ?? 'cpu') as Device;
export const tolerance = testDevice === 'cpu' ? 1e-4 : 1e-3;
