/** @file Gradients of elementwise operators. Broadcasting is undone by the driver. */
import type { Value } from '../../builder.ts';
import { floatAttribute, isFloat, stringAttribute } from '../../ir.ts';
import { numberValues } from '../../tensor.ts';
import { refuse, x, y, type GradientContext, type GradientRule } from '../context.ts';

/** dx = dy · f′, with f′ from the input and the output. */
const unary = (derivative: (c: GradientContext, x: Value, y: Value) => Value): GradientRule => (c, dy) => [() => c.b.mul(dy, derivative(c, x(c), y(c)))];

/** The constant exponent of a Pow, if it has one. */
function constantScalar(c: GradientContext, index: number): number | undefined {
  const tensor = c.b.tensor(x(c, index));
  const values = tensor === undefined ? [] : numberValues(tensor);
  return values.length === 1 ? values[0] : undefined;
}

/** dx = dy·p·x^(p−1); dp = dy·y·ln x, 0 where x is 0. */
const pow: GradientRule = (c, dy) => {
  const { b } = c;
  const base = (): Value => {
    const p = constantScalar(c, 1);
    // 0·x^(−1) is NaN at x = 0; the derivative of x⁰ is 0.
    if (p === 0) return b.mul(dy, 0);
    if (p === 2) return b.mul(dy, b.mul(x(c), 2));
    if (p === 3) return b.mul(dy, b.mul(b.square(x(c)), 3));
    if (p === 0.5) return b.div(b.mul(dy, 0.5), y(c));
    if (p !== undefined) return b.mul(dy, b.mul(b.pow(x(c), p - 1), p));
    const exponent = b.cast(x(c, 1), x(c).dataType);
    return b.mul(dy, b.where(b.equal(exponent, 0), 0, b.mul(exponent, b.pow(x(c), b.sub(exponent, 1)))));
  };
  const exponent = (): Value => {
    if (!isFloat(x(c, 1).dataType)) refuse(c, 'the exponent is an integer');
    const safe = b.where(b.equal(x(c), 0), b.scalar(1, x(c).dataType), x(c));
    return b.cast(b.mul(dy, b.mul(y(c), b.log(safe))), x(c, 1).dataType);
  };
  return [base, exponent];
};

/** The larger (smaller) one gets the gradient; equal ones share it, as in PyTorch. */
const extremum: GradientRule = (c, dy) => {
  const { b } = c;
  if (c.inputs.length === 1) return [() => dy];
  const hits = (): Value[] => c.inputs.map((_, index) => b.indicator(b.equal(x(c, index), y(c)), dy));
  return c.inputs.map((_, index) => () => {
    const all = hits();
    const shared = all.reduce((sum, hit) => b.add(sum, hit));
    return b.div(b.mul(dy, all[index]!), shared);
  });
};

/** Inside the bounds (inclusive) the gradient passes; outside it goes to the bound. */
const clip: GradientRule = (c, dy) => {
  const { b } = c;
  const [low, high] = [c.inputs[1] ?? null, c.inputs[2] ?? null];
  return [
    () => {
      const inside = [...(low === null ? [] : [b.greaterOrEqual(x(c), low)]), ...(high === null ? [] : [b.lessOrEqual(x(c), high)])];
      if (inside.length === 0) return dy;
      return b.mul(dy, b.indicator(inside.reduce((both, one) => b.and(both, one)), dy));
    },
    low && (() => {
      const below = b.less(x(c), low);
      return b.mul(dy, b.indicator(high === null ? below : b.and(below, b.less(low, high)), dy));
    }),
    high && (() => {
      const above = b.greater(x(c), high);
      return b.mul(dy, b.indicator(low === null ? above : b.op('Or', [above, b.greaterOrEqual(low, high)]), dy));
    }),
  ];
};

/** Φ(x) + x·φ(x), or the derivative of the tanh form 0.5·x·(1 + tanh u), u = √(2/π)(x + 0.044715·x³). */
function geluSlope(c: GradientContext, v: Value): Value {
  const { b } = c;
  if (stringAttribute(c.node, 'approximate', 'none') === 'tanh') {
    const k = Math.sqrt(2 / Math.PI), square = b.square(v);
    const t = b.tanh(b.mul(v, b.add(b.mul(square, k * 0.044715), k)));
    const slope = b.add(b.mul(square, 3 * 0.044715 * k), k);
    return b.add(b.mul(b.add(t, 1), 0.5), b.mul(b.mul(b.mul(v, 0.5), b.sub(1, b.square(t))), slope));
  }
  const cdf = b.mul(b.add(b.erf(b.mul(v, Math.SQRT1_2)), 1), 0.5);
  const pdf = b.mul(b.exp(b.mul(b.square(v), -0.5)), 1 / Math.sqrt(2 * Math.PI));
  return b.add(cdf, b.mul(v, pdf));
}

/** Nothing is dropped but in training, where the mask is drawn anew in each run: what the rule saw would not be what was dropped. */
const dropout: GradientRule = (c, dy) => {
  const training = c.inputs[2];
  if (training != null && training.content?.[0] !== 0) refuse(c, 'its training mode is on, or not known to be off; only inference has a rule');
  return [() => dy, null, null];
};

const sign = (c: GradientContext, v: Value): Value => c.b.where(c.b.greater(v, 0), c.b.scalar(1, v.dataType), c.b.where(c.b.less(v, 0), c.b.scalar(-1, v.dataType), c.b.scalar(0, v.dataType)));

export const elementwiseRules = {
  Add: (_, dy) => [() => dy, () => dy],
  Sub: ({ b }, dy) => [() => dy, () => b.neg(dy)],
  Mul: (c, dy) => [() => c.b.mul(dy, x(c, 1)), () => c.b.mul(dy, x(c, 0))],
  Div: (c, dy) => [() => c.b.div(dy, x(c, 1)), () => c.b.neg(c.b.mul(c.b.div(dy, x(c, 1)), y(c)))],
  Pow: pow,
  Sum: (c, dy) => c.inputs.map(() => () => dy),
  Mean: (c, dy) => c.inputs.map(() => () => c.b.div(dy, c.inputs.length)),
  Min: extremum,
  Max: extremum,
  Where: ({ b, inputs }, dy) => [null, () => b.where(inputs[0]!, dy, 0), () => b.where(inputs[0]!, 0, dy)],
  Neg: ({ b }, dy) => [() => b.neg(dy)],
  Abs: unary((c, v) => sign(c, v)),
  Sqrt: (c, dy) => [() => c.b.div(c.b.mul(dy, 0.5), y(c))],
  Reciprocal: (c, dy) => [() => c.b.neg(c.b.mul(dy, c.b.square(y(c))))],
  Exp: unary((_, __, out) => out),
  Log: (c, dy) => [() => c.b.div(dy, x(c))],
  Tanh: unary(({ b }, _, out) => b.sub(1, b.square(out))),
  Sigmoid: unary(({ b }, _, out) => b.mul(out, b.sub(1, out))),
  Erf: unary(({ b }, v) => b.mul(b.exp(b.neg(b.square(v))), 2 / Math.sqrt(Math.PI))),
  Cos: unary(({ b }, v) => b.neg(b.sin(v))),
  Sin: unary(({ b }, v) => b.cos(v)),
  Softplus: unary(({ b }, v) => b.sigmoid(v)),
  Relu: unary((c, v) => c.b.indicator(c.b.greater(v, 0), v)),
  LeakyRelu: unary((c, v) => c.b.where(c.b.greater(v, 0), c.b.scalar(1, v.dataType), c.b.scalar(floatAttribute(c.node, 'alpha', 0.01), v.dataType))),
  Elu: unary((c, v, out) => c.b.where(c.b.greater(v, 0), c.b.scalar(1, v.dataType), c.b.add(out, floatAttribute(c.node, 'alpha', 1)))),
  Gelu: unary((c, v) => geluSlope(c, v)),
  Clip: clip,
  Cast: (c, dy) => [() => c.b.cast(dy, x(c).dataType)],
  // Of its second input only the type counts.
  CastLike: (c, dy) => [() => c.b.cast(dy, x(c).dataType), () => c.b.zerosLike(x(c, 1))],
  Identity: (_, dy) => [() => dy],
  Dropout: dropout,
} satisfies Record<string, GradientRule>;
