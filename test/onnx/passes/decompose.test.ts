import { readFileSync, readdirSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { canonicalize } from '../../../src/onnx/passes/canonicalize.ts';
import { decompose, type Decomposable } from '../../../src/onnx/passes/decompose/index.ts';
import { readModel } from '../../../src/onnx/proto.ts';
import type { DataType } from '../../../src/onnx/ir.ts';
import type { HostTensor } from '../../../src/onnx/session.ts';
import { difference, ints32, ints64, operators, run } from './graphs.ts';

const FOLDER = 'test/onnx/fixtures/contrib';

interface Fixture { name: string; dtype: DataType; shape: number[]; data: number[]; lengths?: number[] }
interface Case { name: string; file: string; inputs: Fixture[]; outputs: Fixture[] }

function tensor({ dtype, shape, data }: Fixture): HostTensor {
  if (dtype === 'int64') return ints64(shape, data);
  if (dtype === 'int32') return ints32(shape, data);
  return dtype === 'float32' ? { dataType: dtype, dims: shape, data: Float32Array.from(data) } : { dataType: dtype, dims: shape, data: Uint8Array.from(data) };
}

/** What stands behind a row's own length means nothing. */
function within(actual: HostTensor, { lengths, shape }: Fixture): HostTensor {
  if (lengths === undefined) return actual;
  const data = Float32Array.from(actual.data as Float32Array), row = shape[1]! * shape[2]!;
  lengths.forEach((length, index) => data.fill(0, index * row + length * shape[2]!, (index + 1) * row));
  return { ...actual, data };
}

const files = readdirSync(FOLDER).filter((name) => name.endsWith('.json'));

describe.each(files.map((file) => JSON.parse(readFileSync(`${FOLDER}/${file}`, 'utf8')) as { operator: string; domain: string; cases: Case[] }))('decompose $domain.$operator', ({ operator, domain, cases }) => {
  const key = `${domain}.${operator}` as Decomposable;
  it.each(cases)('$name gives what the kernel gives', async ({ file, inputs, outputs }) => {
    const after = decompose(canonicalize(readModel(`${FOLDER}/${file}`)), operator === 'SimplifiedLayerNormalization' ? {} : { only: [key] });
    if (operator !== 'SimplifiedLayerNormalization') expect(after.nodes.filter((node) => node.op === operator && node.domain === domain)).toEqual([]);
    expect(after.nodes.filter((node) => node.domain !== '')).toEqual([]);
    const results = await run(after, Object.fromEntries(inputs.map((each) => [each.name, tensor(each)])));
    for (const output of outputs) expect(difference(within(results[output.name]!, output), tensor(output)), output.name).toBeLessThan(2e-5);
  });
});

describe('decompose', () => {
  it('leaves Gelu, which every device differentiates whole, unless it is named', () => {
    const model = canonicalize(readModel(`${FOLDER}/Gelu.exact.onnx`));
    expect(operators(decompose(model))).toEqual({ Gelu: 1 });
    expect(operators(decompose(model, { only: ['.Gelu'] }))).toHaveProperty('Erf');
  });
});
