/** @file Gradients of the norms. Means and deviations are recomputed: it is cheaper than keeping them, and right on every device. */
import { dimsOf, rankOf, type Value } from '../../builder.ts';
import { floatAttribute } from '../../ir.ts';
import { axisOf, x, type GradientContext, type GradientRule } from '../context.ts';

const normalizedAxes = (c: GradientContext): number[] => {
  const rank = rankOf(x(c)), axis = axisOf(c, -1, rank);
  return Array.from({ length: rank - axis }, (_, index) => axis + index);
};

/** Values that several inputs' gradients share are written once. */
function once<T>(make: () => T): () => T {
  let made: { value: T } | undefined;
  return () => (made ??= { value: make() }).value;
}

/**
 * y = x̂·w + b with x̂ = (x − μ)·r, r = 1/√(σ² + ε).
 * With g = dy·w: dx = r·(g − mean(g) − x̂·mean(g·x̂)), dw = Σ dy·x̂, db = Σ dy.
 */
const layerNorm: GradientRule = (c, dy) => {
  const { b } = c;
  const axes = normalizedAxes(c), epsilon = floatAttribute(c.node, 'epsilon', 1e-5);
  const centred = once(() => b.sub(x(c), b.mean(x(c), axes, { keepDims: true })));
  const r = once(() => b.reciprocal(b.sqrt(b.add(b.mean(b.square(centred()), axes, { keepDims: true }), epsilon))));
  const normal = once(() => b.mul(centred(), r()));
  return [
    () => {
      const g = b.mul(dy, x(c, 1));
      const inner = b.sub(b.sub(g, b.mean(g, axes, { keepDims: true })), b.mul(normal(), b.mean(b.mul(g, normal()), axes, { keepDims: true })));
      return b.mul(r(), inner);
    },
    () => b.mul(dy, normal()),
    () => dy,
  ];
};

/** y = x·r·w with r = 1/√(mean(x²) + ε). With g = dy·w: dx = r·g − x·(r³·mean(g·x)), dw = Σ dy·x·r. */
const rmsNorm: GradientRule = (c, dy) => {
  const { b } = c;
  const axes = normalizedAxes(c), epsilon = floatAttribute(c.node, 'epsilon', 1e-5);
  const r = once(() => b.reciprocal(b.sqrt(b.add(meanSquare(c, axes), epsilon))));
  return [
    () => {
      const g = b.mul(dy, x(c, 1));
      const pull = b.mul(b.mean(b.mul(g, x(c)), axes, { keepDims: true }), b.mul(r(), b.square(r())));
      return b.sub(b.mul(g, r()), b.mul(x(c), pull));
    },
    () => b.mul(dy, b.mul(x(c), r())),
  ];
};

function meanSquare(c: GradientContext, axes: readonly number[]): Value {
  const { b } = c;
  const dims = dimsOf(x(c));
  // One pass over x where the count is known.
  if (!axes.every((axis) => typeof dims[axis] === 'number')) return b.mean(b.square(x(c)), axes, { keepDims: true });
  const count = axes.reduce((product, axis) => product * (dims[axis] as number), 1);
  return b.mul(b.op('ReduceSumSquare', [x(c), b.int64(axes)]), 1 / count);
}

export const normalizationRules = {
  LayerNormalization: layerNorm,
  SimplifiedLayerNormalization: rmsNorm,
  RMSNormalization: rmsNorm,
} satisfies Record<string, GradientRule>;
