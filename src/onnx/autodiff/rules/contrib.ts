/** @file Gradients of ONNX Runtime's own operators (`com.microsoft`) that training graphs keep fused. */
import { MICROSOFT, float, floatAttribute } from '../../ir.ts';
import { x, type GradientRule } from '../context.ts';

/** y = x·σ(αx): dx = dy·σ(αx)·(1 + αx·σ(−αx)), whose last factor has x·σ(−αx), the same operator with −α. */
const quickGelu: GradientRule = (c, dy) => [() => {
  const { b } = c, alpha = floatAttribute(c.node, 'alpha', 1.702);
  const scaled = alpha === 1 ? x(c) : b.mul(x(c), alpha);
  const mirrored = b.op('QuickGelu', [x(c)], { alpha: float(-alpha) }, { domain: MICROSOFT });
  return b.mul(dy, b.mul(b.sigmoid(scaled), b.add(alpha === 1 ? mirrored : b.mul(mirrored, alpha), 1)));
}];

export const contribRules = { QuickGelu: quickGelu } satisfies Record<string, GradientRule>;
