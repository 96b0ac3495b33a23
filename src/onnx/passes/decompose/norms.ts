/** @file Normalisations with a residual inside, and the spellings of RMS norm. */
import type { Builder, Value } from '../../builder.ts';
import { float, floatAttribute, int, intAttribute } from '../../ir.ts';
import { isUsed, optional, required, type Context, type Decomposition } from './context.ts';

/** x + skip (+ bias): what the next layer gets as residual. */
function residual(context: Context, bias: number): Value {
  const { b } = context;
  const sum = b.add(required(context, 0), required(context, 1)), offset = optional(context, bias);
  return offset === null ? sum : b.add(sum, offset);
}

/** 1 / √(mean(x²) + ε) over some axes. */
export const inverseDeviation = (b: Builder, x: Value, epsilon: number, axes: readonly number[] = [-1]): Value =>
  b.reciprocal(b.sqrt(b.add(b.mean(b.square(x), axes, { keepDims: true }), epsilon)));

/** s = x + skip (+ bias); y = RMS(s)·w; outputs y, –, inverse deviation, s. */
const skipSimplified: Decomposition = (context) => {
  const { b, node } = context, epsilon = floatAttribute(node, 'epsilon', 1e-12);
  const sum = residual(context, 3);
  return [b.rmsNorm(sum, required(context, 2), epsilon), null, isUsed(context, 2) ? inverseDeviation(b, sum, epsilon) : null, sum];
};

/** s = x + skip (+ bias); y = LayerNorm(s)·γ + β; outputs y, mean, inverse deviation, s. */
const skipLayer: Decomposition = (context) => {
  const { b, node } = context, beta = optional(context, 3), epsilon = floatAttribute(node, 'epsilon', 1e-12);
  const sum = residual(context, 4);
  const y = b.op('LayerNormalization', [sum, required(context, 2), ...(beta === null ? [] : [beta])], { axis: int(-1), epsilon: float(epsilon) });
  if (!isUsed(context, 1) && !isUsed(context, 2)) return [y, null, null, sum];
  const mean = b.mean(sum, [-1], { keepDims: true });
  return [y, mean, inverseDeviation(b, b.sub(sum, mean), epsilon), sum];
};

/** Contrib spelling → ONNX Runtime's one in the default domain. */
const simplified: Decomposition = (context) => {
  const { b, node } = context, x = required(context, 0), epsilon = floatAttribute(node, 'epsilon', 1e-5);
  const y = b.op('SimplifiedLayerNormalization', [x, required(context, 1)], { axis: int(intAttribute(node, 'axis', -1)), epsilon: float(epsilon), stash_type: int(1) });
  return [y, isUsed(context, 1) ? inverseDeviation(b, x, epsilon) : null];
};

/** ONNX allows a scale that broadcasts; the kernel wants it as large as what is normalised. */
const rms: Decomposition = (context) => {
  const { b, node } = context, x = required(context, 0), scale = required(context, 1);
  const axis = intAttribute(node, 'axis', -1), epsilon = floatAttribute(node, 'epsilon', 1e-5);
  const normalised = x.shape?.slice(axis);
  const whole = normalised !== undefined && scale.shape !== null && normalised.join() === scale.shape.join();
  if (whole) return [b.op('SimplifiedLayerNormalization', [x, scale], { axis: int(axis), epsilon: float(epsilon), stash_type: int(1) })];
  const rank = x.shape?.length ?? 1, first = axis < 0 ? axis + rank : axis;
  const axes = Array.from({ length: rank - first }, (_, index) => first + index);
  return [b.mul(b.div(x, b.sqrt(b.add(b.mean(b.square(x), axes, { keepDims: true }), epsilon))), scale)];
};

export const norms = {
  'com.microsoft.SkipSimplifiedLayerNormalization': skipSimplified,
  'com.microsoft.SkipLayerNormalization': skipLayer,
  'com.microsoft.SimplifiedLayerNormalization': simplified,
  '.RMSNormalization': rms,
} satisfies Record<string, Decomposition>;
