/** @file Gradients of single operators over random shapes and broadcasting patterns, and of small graphs, against central differences. */
import { describe, expect, test } from 'vitest';
import { float, gradientRules, int, rankOf, string, type Value } from '../../src/onnx/index.ts';
import { property, tried } from './trial.ts';

describe('gradients of random graphs equal central differences', () => {
  const positive = { low: 0.3, high: 2 };

  for (const op of ['Add', 'Sub', 'Mul', 'Div', 'Pow', 'Min', 'Max'] as const) property(`${op}, broadcast in any direction, sizes known or not`, (t) => {
    const target = t.shape(0, 4);
    const range = op === 'Div' || op === 'Pow' ? positive : {};
    const [a, c] = [t.narrower(target), t.narrower(target)].map((shape) => t.variable(shape, { ...range, declared: t.symbolic(shape) }));
    const result = t.b.op(op, [a!, c!]);
    // What comes back from a mean is still to be broadcast itself.
    return [t.chance() ? result : t.b.mean(result, target.map((_, axis) => axis).filter(() => t.chance()).map((axis) => axis - target.length).filter((axis) => axis >= -rankOf(result)), { keepDims: t.chance() })];
  }, { runs: 40 });

  for (const op of ['Sum', 'Min', 'Max']) property(`${op} of many`, (t) => {
    const target = t.shape(0, 3);
    return [t.b.op(op, Array.from({ length: t.between(1, 4) }, () => t.variable(t.narrower(target))))];
  });

  property('Where with three shapes', (t) => {
    const target = t.shape(0, 3);
    const condition = t.narrower(target);
    const count = condition.reduce((product, size) => product * size, 1);
    const flags = t.b.cast(t.b.constant('int32', condition, Array.from({ length: count }, () => t.between(0, 1))), 'bool');
    const [yes, no] = [t.narrower(target), t.narrower(target)];
    return [t.b.where(flags, t.variable(yes, { declared: t.symbolic(yes) }), t.variable(no, { declared: t.symbolic(no) }))];
  }, { runs: 60 });

  for (const op of ['Sqrt', 'Exp', 'Log', 'Neg', 'Reciprocal', 'Abs', 'Tanh', 'Sigmoid', 'Cos', 'Sin', 'Relu', 'Identity', 'Dropout']) property(`${op} of any shape`, (t) => {
    return [t.b.op(op, [t.variable(t.shape(0, 4), ['Sqrt', 'Log', 'Reciprocal'].includes(op) ? positive : {})])];
  });

  for (const op of ['Erf', 'Softplus', 'LeakyRelu', 'Elu', 'Gelu', 'QuickGelu', 'CastLike', 'Mean']) property(`${op}, which ONNX Runtime computes in float32 only, between casts`, (t) => {
    const { b } = t;
    // Steps are larger than in float64 and must not cross a kink at 0.
    const value = b.cast(t.variable(t.shape(1, 4), t.chance() ? { low: 0.1 } : { high: -0.1 }), 'float32');
    if (op === 'CastLike') return [b.op('CastLike', [value, b.scalar(0, 'float64')])];
    if (op === 'Mean') return [b.cast(b.op('Mean', [value, b.tanh(value), b.cast(t.variable(t.narrower(value.shape as number[])), 'float32')]), 'float64')];
    if (op === 'QuickGelu') return [b.cast(b.contrib('QuickGelu', [value], { alpha: float(t.pick([1, 1.702, -1])) })[0]!, 'float64')];
    const attributes = op === 'LeakyRelu' || op === 'Elu' ? { alpha: float(t.pick([0.2, 0.7])) } : op === 'Gelu' ? { approximate: string(t.pick(['none', 'tanh'])) } : {};
    return [b.cast(b.op(op, [value], attributes), 'float64')];
  }, { runs: 25, step: 1e-2, allowed: 1e-3 });

  property('Clip with bounds that are variables, constants or absent', (t) => {
    const bound = (low: number, high: number): Value | null => t.pick<() => Value | null>([() => null, () => t.variable([], { low, high }), () => t.b.scalar((low + high) / 2, 'float64')])();
    return [t.b.op('Clip', [t.variable(t.shape(0, 3)), bound(-1.2, -0.4), bound(0.4, 1.2)])];
  });

  property('Trilu with any diagonal, TopK along any axis', (t) => {
    const shape = t.shape(2, 4), axis = t.between(-shape.length, shape.length - 1);
    const value = t.variable(shape);
    if (t.chance()) return [t.b.op('Trilu', [value, t.b.scalar(t.between(-3, 3), 'int64')], { upper: int(t.between(0, 1)) })];
    const [values] = t.b.ops('TopK', [value, t.b.int64([t.between(1, shape.at(axis)!)])], { axis: int(axis), largest: int(t.between(0, 1)), sorted: int(1) }, { outputs: 2 });
    return [values!];
  });

  property('MatMul with batches that broadcast, and vectors', (t) => {
    const [m, k, n] = [t.between(1, 3), t.between(1, 4), t.between(1, 3)];
    const batch = t.shape(0, 2);
    const a = t.chance() || t.chance() ? [...t.narrower(batch), m, k] : [k];
    const c = t.chance() || t.chance() ? [...t.narrower(batch), k, n] : [k];
    const symbols = t.chance();
    return [t.b.matmul(t.variable(a, symbols ? { declared: t.symbolic(a) } : {}), t.variable(c, symbols ? { declared: t.symbolic(c) } : {}))];
  }, { runs: 60 });

  property('Gemm', (t) => {
    const [m, k, n] = [t.between(1, 4), t.between(1, 4), t.between(1, 4)];
    const transA = t.chance(), transB = t.chance();
    const c = t.pick([null, [], [1], [n], [m, 1], [1, n], [m, n]]);
    return [t.b.gemm(t.variable(transA ? [k, m] : [m, k]), t.variable(transB ? [n, k] : [k, n]), c === null ? null : t.variable(c), { transA, transB, alpha: t.pick([1, 0.5, -2]), beta: t.pick([1, 0.25]) })];
  });

  property('Einsum of one to three operands', (t) => {
    const letters = ['i', 'j', 'k', 'l'], size = new Map(letters.map((letter) => [letter, t.between(1, 3)]));
    const terms = Array.from({ length: t.between(1, 3) }, () => letters.filter(() => t.chance()).toSorted(() => (t.chance() ? 1 : -1)));
    const output = letters.filter((letter) => terms.some((term) => term.includes(letter)) && t.chance());
    return [t.b.einsum(`${terms.map((term) => term.join('')).join(',')}->${output.join('')}`, ...terms.map((term) => t.variable(term.map((letter) => size.get(letter)!))))];
  });

  property('Einsum with an ellipsis, whose axes broadcast', (t) => {
    const letters = ['i', 'j'], size = new Map(letters.map((letter) => [letter, t.between(1, 3)]));
    const shape = t.shape(0, 3);
    const terms = Array.from({ length: t.between(1, 2) }, () => letters.filter(() => t.chance()));
    // ONNX Runtime wants an ellipsis to stand for as many axes everywhere.
    const shapes = terms.map((term, index) => [...(index === 0 ? shape : shape.map((dim) => (t.chance() ? dim : 1))), ...term.map((letter) => size.get(letter)!)]);
    const output = letters.filter((letter) => terms.some((term) => term.includes(letter)) && t.chance());
    return [t.b.einsum(`${terms.map((term) => `...${term.join('')}`).join(',')}->...${output.join('')}`, ...shapes.map((each) => t.variable(each)))];
  });

  for (const op of ['ReduceSum', 'ReduceMean', 'ReduceMax', 'ReduceMin', 'ReduceLogSumExp', 'ReduceLogSum', 'ReduceL2', 'ReduceL1', 'ReduceSumSquare']) property(`${op} over any axes`, (t) => {
    const shape = t.shape(1, 4);
    const axes = shape.map((_, axis) => axis).filter(() => t.chance()).map((axis) => (t.chance() ? axis : axis - shape.length));
    const value = t.variable(shape, { declared: t.symbolic(shape), ...(op === 'ReduceLogSum' ? positive : {}) });
    return [t.b.op(op, axes.length === 0 ? [value] : [value, t.b.int64(axes)], { keepdims: int(t.between(0, 1)) })];
  }, { runs: 30 });

  for (const op of ['Softmax', 'LogSoftmax', 'CumSum']) property(`${op} along any axis`, (t) => {
    const shape = t.shape(1, 4);
    const axis = t.between(-shape.length, shape.length - 1);
    const value = t.variable(shape, { declared: t.symbolic(shape) });
    return [op === 'CumSum' ? t.b.op(op, [value, t.b.scalar(axis, 'int64')], { exclusive: int(t.between(0, 1)), reverse: int(t.between(0, 1)) }) : t.b.op(op, [value], { axis: int(axis) })];
  });

  property('norms over trailing axes', (t) => {
    const shape = t.shape(1, 4, 4);
    const axis = t.between(0, shape.length - 1);
    const weight = shape.slice(axis);
    const attributes = { axis: int(t.chance() ? axis : axis - shape.length), epsilon: float(0.01) };
    const inputs = [t.variable(shape), t.variable(weight)];
    return t.chance() ? [t.b.op('SimplifiedLayerNormalization', inputs, { ...attributes, stash_type: int(1) })] : [t.b.op('LayerNormalization', t.chance() ? [...inputs, t.variable(weight)] : inputs, attributes)];
  });

  property('RMSNormalization over trailing axes, with scales that broadcast', (t) => {
    const shape = t.shape(1, 4, 4), axis = t.between(0, shape.length - 1);
    const declared = t.symbolic(shape);
    return [t.b.op('RMSNormalization', [t.variable(shape, { declared }), t.variable(t.narrower(shape.slice(axis)))], { axis: int(t.chance() ? axis : axis - shape.length), epsilon: float(0.01) })];
  }, { opset: 23, runs: 60 });

  property('layout: one operator after another', (t) => {
    const { b } = t;
    let value = t.variable(t.shape(1, 3));
    for (let steps = t.between(1, 4); steps > 0; steps--) {
      const dims = value.shape as readonly number[], rank = rankOf(value);
      const axes = dims.map((_, axis) => axis);
      const axis = t.between(0, Math.max(rank - 1, 0));
      const moves: (() => Value)[] = [
        () => b.reshape(value, [-1]),
        () => b.reshape(value, [...dims.slice(1), dims[0] ?? 1]),
        () => b.transpose(value, axes.toSorted(() => (t.chance() ? 1 : -1))),
        () => b.unsqueeze(value, [t.between(-rank - 1, rank)]),
        () => b.squeeze(value, axes.filter((at) => dims[at] === 1)),
        () => b.expand(value, [t.between(1, 2), ...dims.map((size) => (size === 1 ? t.between(1, 3) : size))]),
        () => b.op('Tile', [value, b.int64(dims.map(() => t.between(1, 2)))]),
        () => b.op('Flatten', [value], { axis: int(t.between(-rank, rank)) }),
      ];
      if (rank > 0) {
        moves.push(
          () => b.concat([value, t.variable(dims.map((size, at) => (at === axis ? t.between(1, 2) : size))), value], axis),
          () => b.slice(value, { axis, start: t.between(-4, 4), end: t.between(-4, 4), step: t.pick([1, 2, -1, -2]) }),
          () => b.op('Pad', [value, b.int64([...dims, ...dims].map(() => t.between(0, 2)))], { mode: string('constant') }),
          () => b.op('Pad', [value, b.int64([...dims, ...dims].map((size) => t.between(0, size - 1)))], { mode: string(t.pick(['reflect', 'edge'])) }),
          () => { const first = t.between(0, dims[axis]!); return b.concat(b.split(value, [first, dims[axis]! - first], axis).toReversed(), axis); },
        );
      }
      const next = t.pick(moves)();
      if (next.shape!.includes(0) || (next.shape as number[]).reduce((product, size) => product * size, 1) > 400) continue;
      value = next;
    }
    return [value];
  }, { runs: 80 });

  property('gathers and scatters, with repeated and negative indices', (t) => {
    const { b } = t;
    const shape = t.shape(1, 3);
    const axis = t.between(0, shape.length - 1), size = shape[axis]!;
    const data = t.variable(shape);
    const smaller = shape.map((each, at) => (at === axis ? t.between(1, 4) : t.between(1, each)));
    const depth = t.between(1, shape.length);
    const rows = t.between(1, 4);
    const points = b.constant('int64', [rows, depth], Array.from({ length: rows * depth }, (_, at) => t.between(-shape[at % depth]!, shape[at % depth]! - 1)));
    return t.pick<() => Value[]>([
      () => [b.gather(data, t.indices(t.shape(0, 2), size), t.chance() ? axis : axis - shape.length)],
      () => [b.gatherElements(data, t.indices(smaller, size), axis)],
      () => [b.op('GatherND', [data, points])],
      () => { const [batch, length] = [t.between(1, 3), t.between(1, 3)]; return [b.op('GatherND', [t.variable([batch, length, ...t.shape(0, 1)]), t.indices([batch, rows, 1], length)], { batch_dims: int(1) }), data]; },
      () => [b.scatterElements(data, t.indices(smaller, size), t.variable(smaller), { axis, reduction: 'add' })],
      () => [b.scatterND(data, points, t.variable([rows, ...shape.slice(depth)]), { reduction: 'add' })],
      // Without a reduction every place may be written once.
      () => { const places = t.between(1, size); return [b.scatterElements(data, b.reshape(b.int64(Array.from({ length: places }, (_, at) => (at % 2 === 0 ? at : at - size))), shape.map((_, at) => (at === axis ? places : 1))), t.variable(shape.map((_, at) => (at === axis ? places : 1))), { axis })]; },
      () => [b.scatterND(data, b.constant('int64', [1, 1], [t.between(-shape[0]!, shape[0]! - 1)]), t.variable([1, ...shape.slice(1)]))],
    ])();
  }, { runs: 60 });

  property('whole graphs whose values have several consumers', (t) => {
    const { b } = t;
    const size = t.between(1, 3);
    const pool = [t.variable([size, size]), t.variable([size]), t.variable([size, 1])];
    for (let steps = t.between(2, 10); steps > 0; steps--) {
      const [a, c] = [t.pick(pool), t.pick(pool)];
      pool.push(t.pick<() => Value>([
        () => b.tanh(a), () => b.mul(a, c), () => b.add(a, c), () => b.sub(a, c), () => b.div(a, b.add(b.exp(b.tanh(c)), 1)),
        () => b.mean(a, [-1], { keepDims: true }), () => b.softmax(b.tanh(a)), () => (rankOf(c) === 2 && c.shape![0] === size ? b.matmul(pool[0]!, b.tanh(c)) : b.tanh(c)), () => b.where(b.less(a, c), a, c),
        () => b.sigmoid(b.mul(a, b.floor(c))),
      ])());
    }
    // The variables themselves, so that every one of them matters.
    return [pool.at(-1)!, ...pool.slice(0, 3).map((value) => b.tanh(value))];
  }, { runs: 80 });

  test('every operator with a rule was among them', () => {
    expect(Object.keys(gradientRules).filter((op) => !tried.has(op))).toEqual([]);
  });
});
