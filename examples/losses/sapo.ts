/**
 * A loss of your own: SAPO's soft gate (arXiv:2511.20347) instead of PPO's hard clip.
 *
 *   train:
 *     loss: { kind: module, path: ../examples/losses/sapo.ts, reduction: sequence_mean }
 *
 * The function writes one term per drawn token into the training graph, as values of shape (tokens,); rlrun weighs and adds them,
 * derives the gradients and runs all of it in ONNX Runtime. `b` has one method per operator; numbers may stand for tensors.
 */
import type { Loss } from 'rlrun';

/** Temperatures of the gate: a token that should become rarer is let go sooner. */
const forPositive = 1;
const forNegative = 1.05;

/** −A·(4/τ)·σ(τ(r − 1)), r = π/μ: the slope is that of −r·A at r = 1 and fades the further r is from it. */
export default (({ logprobs, samplingLogprobs, advantages }, { b }) => {
  const ratio = b.exp(b.clip(b.sub(logprobs, samplingLogprobs), -20, 20));
  const tau = b.where(b.greater(advantages, 0), forPositive, forNegative);
  const gate = b.sigmoid(b.mul(tau, b.sub(ratio, 1)));
  return b.neg(b.mul(advantages, b.mul(b.div(4, tau), gate)));
}) satisfies Loss;
