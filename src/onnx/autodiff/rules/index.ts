/** @file The table of gradient rules, one per operator of the ONNX domain. */
import type { GradientRule } from '../context.ts';
import { MICROSOFT, type Node } from '../../ir.ts';
import { contractionRules } from './contraction.ts';
import { contribRules } from './contrib.ts';
import { elementwiseRules } from './elementwise.ts';
import { indexingRules } from './indexing.ts';
import { layoutRules } from './layout.ts';
import { normalizationRules } from './normalization.ts';
import { reductionRules } from './reduction.ts';

/** Operator → its rule. */
export const gradientRules = {
  ...contractionRules, ...contribRules, ...elementwiseRules, ...indexingRules, ...layoutRules, ...normalizationRules, ...reductionRules,
} satisfies Record<string, GradientRule>;

/** Operators with a gradient rule. */
export type Differentiable = keyof typeof gradientRules;

/** Piecewise constant, or about shapes and indices: their derivative is zero wherever it exists, so gradients stop here. */
const stops: ReadonlySet<string> = new Set([
  'Equal', 'Less', 'LessOrEqual', 'Greater', 'GreaterOrEqual', 'And', 'Or', 'Xor', 'Not', 'IsNaN', 'IsInf',
  'ArgMax', 'ArgMin', 'Shape', 'Size', 'Range', 'Round', 'Sign', 'Floor', 'Ceil', 'NonZero', 'EyeLike', 'ConstantOfShape', 'Constant',
]);

/** Rules of these work on a gradient that is still to be broadcast, as NumPy would. */
export const isElementwise = (op: string): boolean => Object.hasOwn(elementwiseRules, op);

export const stopsGradient = (op: string): boolean => stops.has(op);
export const gradientRule = ({ op, domain }: Node): GradientRule | undefined => {
  const known = Object.hasOwn(contribRules, op) ? domain === MICROSOFT : domain === '';
  return known && Object.hasOwn(gradientRules, op) ? gradientRules[op as Differentiable] : undefined;
};
