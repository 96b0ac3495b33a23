/**
 * @file Gradients of products. Where one side is a matrix (a weight), both gradients are Gemms over flattened rows: GEMM takes
 * its transposes for free on every device, and one large product beats a batch of small ones.
 */
import { rankOf, type Value } from '../../builder.ts';
import { floatAttribute, intAttribute } from '../../ir.ts';
import { parseEinsum } from '../../shapes/einsum.ts';
import { expandLike, refuse, reshapeLike, sumToShape, x, type GradientContext, type GradientRule } from '../context.ts';

const swapLast = (rank: number): number[] => [...Array.from({ length: rank - 2 }, (_, axis) => axis), rank - 1, rank - 2];

/** [.., n] → [rows, n] */
const flatten = ({ b }: GradientContext, value: Value): Value => (rankOf(value) === 2 ? value : b.reshape(value, [-1, lastDim(value)]));
function lastDim(value: Value): number {
  const last = value.shape!.at(-1);
  return typeof last === 'number' ? last : -1;
}

/** Y = A·B: dA = dY·Bᵀ, dB = Aᵀ·dY; vectors are lifted to matrices as NumPy does. */
const matmul: GradientRule = (c, dy) => {
  const { b } = c;
  const left = x(c, 0), right = x(c, 1);
  const a = rankOf(left) === 1 ? b.unsqueeze(left, [0]) : left;
  const w = rankOf(right) === 1 ? b.unsqueeze(right, [1]) : right;
  const d = b.unsqueeze(dy, [...(rankOf(left) === 1 ? [-2] : []), ...(rankOf(right) === 1 ? [-1] : [])].map((axis) => axis + Math.max(rankOf(a), rankOf(w))));
  const isWeight = rankOf(w) === 2 && typeof w.shape![1] === 'number' && typeof a.shape!.at(-1) === 'number';
  return [
    () => {
      const da = isWeight ? reshapeLike(b, b.gemm(flatten(c, d), w, null, { transB: true }), a) : b.matmul(d, b.transpose(w, swapLast(rankOf(w))));
      return rankOf(left) === 1 ? sumLeading(c, da, left) : da;
    },
    () => {
      const dw = isWeight ? b.gemm(flatten(c, a), flatten(c, d), null, { transA: true }) : b.matmul(b.transpose(a, swapLast(rankOf(a))), d);
      return rankOf(right) === 1 ? sumLeading(c, dw, right) : dw;
    },
  ];
};

/** A lifted vector's gradient comes back with extra axes: sum the batch, drop the 1. */
function sumLeading({ b }: GradientContext, gradient: Value, vector: Value): Value {
  const rank = rankOf(gradient);
  const summed = rank > 2 ? b.sum(gradient, Array.from({ length: rank - 2 }, (_, axis) => axis)) : gradient;
  return reshapeLike(b, summed, vector);
}

/** Y = α·op(A)·op(B) + β·C */
const gemm: GradientRule = (c, dy) => {
  const { b } = c;
  const transA = intAttribute(c.node, 'transA', 0) === 1, transB = intAttribute(c.node, 'transB', 0) === 1;
  const alpha = floatAttribute(c.node, 'alpha', 1), beta = floatAttribute(c.node, 'beta', 1);
  return [
    () => (transA ? b.gemm(x(c, 1), dy, null, { transA: transB, transB: true, alpha }) : b.gemm(dy, x(c, 1), null, { transB: !transB, alpha })),
    () => (transB ? b.gemm(dy, x(c, 0), null, { transA: true, transB: transA, alpha }) : b.gemm(x(c, 0), dy, null, { transA: !transA, alpha })),
    () => (beta === 1 ? dy : b.mul(dy, beta)),
  ];
};

/** The gradient of one term is the contraction of the result's gradient with all other terms. */
const einsum: GradientRule = (c, dy) => {
  const { b } = c;
  const { terms, result } = parseEinsum(c.node, c.node.inputs.map((_, index) => rankOf(x(c, index))));
  return terms.map((term, index) => () => {
    if (new Set(term).size < term.length) refuse(c, `the repeated axis in "${term}" (a diagonal) has no rule`);
    const others = terms.flatMap((other, at) => (at === index ? [] : [{ term: other, value: x(c, at) }]));
    const known = new Set([...result, ...others.flatMap((other) => [...other.term])]);
    const kept = [...term].filter((letter) => known.has(letter)).join('');
    const product = b.einsum(`${[result, ...others.map((other) => other.term)].join(',')}->${kept}`, dy, ...others.map(({ value }) => value));
    // A term may be 1 long where the others are longer, under an ellipsis above all.
    if (kept === term) return sumToShape(b, product, x(c, index));
    // An axis that this term alone had was summed away: its gradient is the same all along it.
    const missing = [...term].flatMap((letter, axis) => (known.has(letter) ? [] : [axis]));
    return sumToShape(b, expandLike(b, b.unsqueeze(product, missing), x(c, index)), x(c, index));
  });
};

export const contractionRules = { MatMul: matmul, Gemm: gemm, Einsum: einsum } satisfies Record<string, GradientRule>;
