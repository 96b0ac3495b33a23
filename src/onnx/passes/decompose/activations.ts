/** @file Activations of the contrib domain, and products with a transposition inside. */
import type { Builder, Value } from '../../builder.ts';
import { floatAttribute, intAttribute, string, stringAttribute } from '../../ir.ts';
import { optional, refuse, required, type Decomposition } from './context.ts';

/** Φ(x)·x by the error function, or by Hendrycks' tanh (arXiv:1606.08415). */
const gelu = (b: Builder, x: Value, approximate: 'none' | 'tanh'): Value => b.op('Gelu', [x], approximate === 'tanh' ? { approximate: string('tanh') } : {});

/** The same from elementary functions. */
function primitiveGelu(b: Builder, x: Value, approximate: string): Value {
  const inner = approximate === 'tanh'
    ? b.tanh(b.mul(b.add(x, b.mul(b.mul(b.square(x), x), 0.044715)), Math.sqrt(2 / Math.PI)))
    : b.erf(b.mul(x, Math.SQRT1_2));
  return b.mul(b.mul(x, 0.5), b.add(inner, 1));
}

/** x·σ(αx) */
const quickGelu: Decomposition = (context) => {
  const { b, node } = context, x = required(context, 0), alpha = floatAttribute(node, 'alpha', 1.702);
  return [b.mul(x, b.sigmoid(alpha === 1 ? x : b.mul(x, alpha)))];
};

const fastGelu: Decomposition = (context) => {
  const { b } = context, x = required(context, 0), bias = optional(context, 1);
  return [gelu(b, bias === null ? x : b.add(x, bias), 'tanh')];
};

const fusedMatMul: Decomposition = (context) => {
  const { b, node } = context, alpha = floatAttribute(node, 'alpha', 1);
  if (intAttribute(node, 'transBatchA', 0) === 1 || intAttribute(node, 'transBatchB', 0) === 1) refuse(node, 'transBatchA and transBatchB are not supported');
  const side = (index: number, attribute: string): Value => {
    const value = required(context, index), rank = value.shape?.length;
    if (intAttribute(node, attribute, 0) === 0) return value;
    if (rank === undefined) refuse(node, `the rank of input ${index} is not known`);
    return b.transpose(value, [...Array(rank - 2).keys(), rank - 1, rank - 2]);
  };
  const y = b.matmul(side(0, 'transA'), side(1, 'transB'));
  return [alpha === 1 ? y : b.mul(y, alpha)];
};

export const activations = {
  'com.microsoft.QuickGelu': quickGelu,
  'com.microsoft.Gelu': (context) => [gelu(context.b, required(context, 0), 'none')],
  'com.microsoft.BiasGelu': (context) => [gelu(context.b, context.b.add(required(context, 0), required(context, 1)), 'none')],
  'com.microsoft.FastGelu': fastGelu,
  'com.microsoft.FusedMatMul': fusedMatMul,
  '.Gelu': (context) => [primitiveGelu(context.b, required(context, 0), stringAttribute(context.node, 'approximate', 'none'))],
} satisfies Record<string, Decomposition>;
