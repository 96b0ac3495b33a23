/** @file What is known of values before a graph runs: of legal graphs never something wrong, and an error only where inputs contradict each other. */
import { describe, expect, test } from 'vitest';
import { Builder, inferTypes, int, string, type Model, type Types, type Value } from '../../src/onnx/index.ts';
import { hostTensor, numbersOf, runOnce } from './support.ts';

/** What is inferred of the one value that `make` makes. */
function inferred(make: (b: Builder) => Value): ReturnType<Types['get']> {
  const b = new Builder(), { name } = make(b);
  return inferTypes(b.build()).get(name);
}

describe('nothing is said', () => {
  test('behind an operator without a shape rule, whichever input it is', () => {
    const celu = (b: Builder): Value => b.op('Celu', [b.input('x', 'float32', [2, 3])]);
    expect(inferred(celu)).toBeUndefined();
    expect(inferred((b) => b.op('CastLike', [b.int64([1, 2]), celu(b)]))).toBeUndefined();
    expect(inferred((b) => b.op('OneHot', [b.int64([1, 2]), b.int64([3]), celu(b)]))).toBeUndefined();
  });

  test('of constants that are no numbers', () => {
    expect(inferred((b) => b.op('Constant', [], { value_string: string('text') }))).toBeUndefined();
  });

  test('where a rank is not known', () => {
    const model = (b: Builder): Model => ({ ...b.build(), inputs: [{ name: 'x', dataType: 'float32', shape: null }] });
    const b = new Builder(), x = b.input('x', 'float32', [4]);
    b.output('y', b.op('Concat', b.ops('Split', [x], { axis: int(0), num_outputs: int(2) }, { outputs: 2 }).toReversed(), { axis: int(0) }));
    expect(inferTypes(model(b)).get('y')).toBeUndefined();
  });

  test('of the axes that Squeeze removes where any may be 1, or where they are fed', () => {
    expect(inferred((b) => b.op('Squeeze', [b.input('x', 'float32', ['batch', 1, 3])]))).toMatchObject({ dataType: 'float32', shape: null });
    expect(inferred((b) => b.op('Squeeze', [b.input('x', 'float32', [1, 1, 3]), b.input('axes', 'int64', [1])]))).toMatchObject({ dataType: 'float32', shape: null });
    expect(inferred((b) => b.op('Squeeze', [b.input('x', 'float32', [2, 1, 3])]))).toMatchObject({ shape: [2, 3] });
  });

  test('of how much a slice takes that may end beyond the axis', () => {
    const taken = (start: number, end: number) => inferred((b) => b.slice(b.input('x', 'float32', ['rows']), { axis: 0, start, end }))!.shape![0];
    expect([taken(1, 1000), taken(0, 1000), taken(-2, 3)].map((dim) => typeof dim)).toEqual(['string', 'string', 'string']);
    expect([taken(0, -1), taken(2, -1), taken(1, 2 ** 40)]).toEqual(['rows + -1', 'rows + -3', 'rows + -1']);
    expect(inferred((b) => b.slice(b.input('x', 'float32', [10]), { axis: 0, start: 1, end: 1000 }))!.shape).toEqual([9]);
  });

  test('of the sizes that Pad makes along axes that are fed', () => {
    const shape = inferred((b) => b.op('Pad', [b.input('x', 'float32', [2, 3]), b.int64([1, 1]), null, b.input('axes', 'int64', [1])]))!.shape!;
    expect(shape.map((dim) => typeof dim)).toEqual(['string', 'string']);
  });
});

test('a graph with such operators runs', async () => {
  const b = new Builder(), x = b.op('Celu', [b.input('x', 'float32', [2, 3])]);
  const w = b.input('w', 'float32', [3, 2]);
  b.op('CastLike', [b.int64([1]), x]);
  const y = b.add(b.matmul(x, w), b.matmul(b.op('Celu', [x]), w));
  const model: Model = { ...b.build(), outputs: [{ name: y.name, dataType: 'float32', shape: [2, 2] }] };
  const results = await runOnce(model, { x: hostTensor('float32', [2, 3], [1, 2, 3, 4, 5, 6]), w: hostTensor('float32', [3, 2], [1, 0, 0, 1, 1, 1]) });
  expect(numbersOf(results[y.name]!)).toEqual([8, 10, 20, 22]);
});

test('EyeLike has the type that it is given', () => {
  expect(inferred((b) => b.op('EyeLike', [b.input('x', 'int32', [2, 3])], { dtype: int(1) }))).toEqual({ dataType: 'float32', shape: [2, 3] });
  expect(inferred((b) => b.op('EyeLike', [b.input('x', 'int32', [2, 3])]))).toEqual({ dataType: 'int32', shape: [2, 3] });
});

test('fused products repeat batches as others do', () => {
  expect(inferred((b) => b.contrib('FusedMatMul', [b.input('x', 'float32', [1, 2, 3]), b.input('y', 'float32', [4, 5, 3])], { transB: int(1) })[0]!)).toMatchObject({ shape: [4, 2, 5] });
});
