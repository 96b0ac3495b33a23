/** @file The fixtures of fused operators (fixtures/make_contrib.py): what ONNX Runtime's own kernels make of their inputs. */
import { readFileSync, readdirSync } from 'node:fs';
import { canonicalize, decompose, readModel, type DataType, type Decomposable, type HostTensor, type Model } from '../../../src/onnx/index.ts';
import { difference, ints32, ints64, type Feeds } from './graphs.ts';

const FOLDER = 'test/onnx/fixtures/contrib';

interface Fixture { name: string; dtype: DataType; shape: number[]; data: number[]; lengths?: number[] }
export interface ContribCase { name: string; file: string; inputs: Fixture[]; outputs: Fixture[] }
export interface ContribOperator { operator: string; domain: string; cases: ContribCase[] }

export const contribOperators: readonly ContribOperator[] = readdirSync(FOLDER).filter((name) => name.endsWith('.json'))
  .map((file) => JSON.parse(readFileSync(`${FOLDER}/${file}`, 'utf8')) as ContribOperator);

/** The operator as primitives. The spelling of RMS norm that has a gradient rule stays. */
export const decomposed = ({ operator, domain }: ContribOperator, { file }: ContribCase): Model =>
  decompose(canonicalize(readModel(`${FOLDER}/${file}`)), operator === 'SimplifiedLayerNormalization' ? {} : { only: [`${domain}.${operator}` as Decomposable] });

function tensor({ dtype, shape, data }: Fixture): HostTensor {
  if (dtype === 'int64') return ints64(shape, data);
  if (dtype === 'int32') return ints32(shape, data);
  return dtype === 'float32' ? { dataType: dtype, dims: shape, data: Float32Array.from(data) } : { dataType: dtype, dims: shape, data: Uint8Array.from(data) };
}

export const contribFeeds = ({ inputs }: ContribCase): Feeds => Object.fromEntries(inputs.map((each) => [each.name, tensor(each)]));

/** What stands behind a row's own length means nothing. */
function within(actual: HostTensor, { lengths, shape }: Fixture): HostTensor {
  if (lengths === undefined) return actual;
  const data = Float32Array.from(actual.data as Float32Array), row = shape[1]! * shape[2]!;
  lengths.forEach((length, index) => data.fill(0, index * row + length * shape[2]!, (index + 1) * row));
  return { ...actual, data };
}

/** How far each output is from the kernel's. */
export const contribErrors = (results: Feeds, { outputs }: ContribCase): [output: string, error: number][] =>
  outputs.map((output) => [output.name, difference(within(results[output.name]!, output), tensor(output))]);
