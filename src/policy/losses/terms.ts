/**
 * @file The losses of the field, as functions over symbolic tensors.
 *
 * Each gives the term of one token, (N,) for N scored tokens; the batch's loss is Σ weight·term, where the weight is the
 * reduction (1, 1/N, 1/(B·|oᵢ|), 1/(B·L)) computed over the whole optimiser batch. They are differentiated like any graph.
 *
 * r = π_θ/μ is the ratio to the policy that drew the token, A the advantage, ℓ = log π_θ, sg the stop-gradient.
 */
import type { Builder, Value } from '../../onnx/index.ts';
import type { Loss } from '../types.ts';

/** What a loss may use. All (N,) float32 unless said otherwise. */
export interface LossTensors {
  /** ℓ: log-probability of the token under the weights being trained, at the sampling temperature. */
  readonly logprobs: Value;
  /** log μ: log-probability under the sampler. */
  readonly samplingLogprobs: Value;
  /** A; for cross_entropy the token's weight. */
  readonly advantages: Value;
  /** −Σ p log p of the whole distribution at that position. */
  readonly entropy: Value;
  /** int64 (N,): which rollout of the micro-batch a token belongs to. */
  readonly sequence: Value;
  /** float32 (B,): 1/|oᵢ|, the inverse number of scored tokens of each rollout of the micro-batch. */
  readonly inverseLengths: Value;
}

/** The graph being written, with the one move that ONNX has no operator for. */
export interface LossContext {
  readonly b: Builder;
  /** The value itself; no gradient flows through it. */
  stopGradient(value: Value): Value;
}

/** One token's loss (N,). A custom loss module exports such a function as its default. */
export type LossFunction = (tensors: LossTensors, context: LossContext) => Value;

type Parametric<K extends Loss['kind']> = (loss: Extract<Loss, { kind: K }>) => LossFunction;

/** Log-ratios are clamped before exp, so that one stale token cannot overflow the batch (verl's bound). */
const LOG_RATIO_BOUND = 20;

/** log r, clamped. */
const logRatio = ({ logprobs, samplingLogprobs }: LossTensors, { b }: LossContext): Value =>
  b.clip(b.sub(logprobs, samplingLogprobs), -LOG_RATIO_BOUND, LOG_RATIO_BOUND);

/** GSPO's sᵢ = exp((1/|oᵢ|) Σ log r), given to each of the rollout's tokens. */
function sequenceRatio(tensors: LossTensors, context: LossContext): Value {
  const { b } = context;
  const parts = b.mul(logRatio(tensors, context), b.gather(tensors.inverseLengths, tensors.sequence));
  const zeros = b.mul(tensors.inverseLengths, 0);
  const means = b.scatterElements(zeros, tensors.sequence, parts, { axis: 0, reduction: 'add' });
  return b.exp(b.gather(means, tensors.sequence));
}

const importanceSampling: LossFunction = (tensors, context) => {
  const { b } = context;
  return b.neg(b.mul(b.exp(logRatio(tensors, context)), tensors.advantages));
};

/** −min(r·A, clip(r)·A), and with a dual clip at most c·|A| where A < 0. `min` is right for both signs. */
const ppo: Parametric<'ppo'> = ({ ratio, clipLowThreshold, clipHighThreshold, dualClip }) => (tensors, context) => {
  const { b } = context;
  const { advantages } = tensors;
  const r = ratio === 'sequence' ? sequenceRatio(tensors, context) : b.exp(logRatio(tensors, context));
  const surrogate = b.min(b.mul(r, advantages), b.mul(b.clip(r, clipLowThreshold, clipHighThreshold), advantages));
  const loss = b.neg(surrogate);
  return dualClip === undefined ? loss : b.where(b.less(advantages, 0), b.min(loss, b.mul(b.abs(advantages), dualClip)), loss);
};

/** −sg(clip(r))·A·ℓ: the ratio only weighs, so no token loses its gradient. */
const cispo: Parametric<'cispo'> = ({ clipLowThreshold, clipHighThreshold }) => (tensors, context) => {
  const { b } = context;
  const weight = context.stopGradient(b.clip(b.exp(logRatio(tensors, context)), clipLowThreshold, clipHighThreshold));
  return b.neg(b.mul(b.mul(weight, tensors.advantages), tensors.logprobs));
};

/** −(ℓ·A − ½β(ℓ − log μ)²) */
const dro: Parametric<'dro'> = ({ beta }) => ({ logprobs, samplingLogprobs, advantages }, { b }) => {
  const pull = b.mul(b.square(b.sub(logprobs, samplingLogprobs)), beta / 2);
  return b.neg(b.sub(b.mul(logprobs, advantages), pull));
};

const crossEntropy: LossFunction = ({ logprobs, advantages }, { b }) => b.neg(b.mul(logprobs, advantages));

/** Loss kind → its term. `module` is loaded from the user's file and handed in. */
export const lossTerms: { [K in Exclude<Loss['kind'], 'module'>]: Parametric<K> } = {
  cross_entropy: () => crossEntropy,
  importance_sampling: () => importanceSampling,
  ppo,
  cispo,
  dro,
};

/**
 * Estimators of KL(π_θ ‖ reference) per token, d = ℓ − ℓ_ref (Schulman, "Approximating KL divergence"). In a loss only k2 has
 * the reverse KL's gradient; k1 has none on average, k3 has the forward KL's.
 */
export const klTerms: Record<'k1' | 'k2' | 'k3', (d: Value, b: Builder) => Value> = {
  k1: (d) => d,
  k2: (d, b) => b.mul(b.square(d), 0.5),
  k3: (d, b) => b.sub(b.add(b.exp(b.neg(b.clip(d, -LOG_RATIO_BOUND, LOG_RATIO_BOUND))), d), 1),
};
