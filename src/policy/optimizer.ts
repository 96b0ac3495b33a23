/**
 * @file AdamW (Loshchilov & Hutter, "Decoupled weight decay regularization", 2019), as torch.optim.AdamW computes it.
 *
 * Buffers are large, so updates happen in place; the signatures say so.
 */
import { allFinite } from '../util/statistics.ts';
import type { AdamParams } from './types.ts';

/** Moments, one pair per parameter, and the number of updates made. */
export interface AdamState {
  step: number;
  readonly first: ReadonlyMap<string, Float32Array>;
  readonly second: ReadonlyMap<string, Float32Array>;
}

export const initAdam = (parameters: ReadonlyMap<string, Float32Array>): AdamState => ({
  step: 0,
  first: new Map([...parameters].map(([name, { length }]) => [name, new Float32Array(length)])),
  second: new Map([...parameters].map(([name, { length }]) => [name, new Float32Array(length)])),
});

/** √Σ g² over all parameters, summed in float64. Not finite if any gradient is not. */
export function globalNorm(gradients: ReadonlyMap<string, Float32Array>): number {
  let sum = 0;
  for (const gradient of gradients.values()) {
    for (let index = 0; index < gradient.length; index++) sum += gradient[index]! * gradient[index]!;
  }
  return Math.sqrt(sum);
}

/** The first parameter whose values (its gradient's, mostly) hold NaN or an infinity. */
export function nonFinite(tensors: Iterable<readonly [name: string, values: Float32Array]>): string | undefined {
  for (const [name, values] of tensors) if (!allFinite(values)) return name;
  return undefined;
}

export interface AdamUpdate {
  /** Updated in place. */
  readonly into: ReadonlyMap<string, Float32Array>;
  readonly gradients: ReadonlyMap<string, Float32Array>;
  /** Updated in place. */
  readonly state: AdamState;
  readonly params: AdamParams;
  /** Every gradient is multiplied by this first (clipping). */
  readonly gradientScale: number;
}

/** One step: decay, moments, bias-corrected update. Returns √Σ Δ² of the update, weight decay left out. */
export function applyAdam({ into, gradients, state, params, gradientScale }: AdamUpdate): { updateNorm: number } {
  const { learningRate, beta1, beta2, eps, weightDecay } = params;
  state.step += 1;
  const correction1 = 1 - beta1 ** state.step, correction2 = 1 / Math.sqrt(1 - beta2 ** state.step);
  const stepSize = learningRate / correction1, decay = 1 - learningRate * weightDecay;
  let squared = 0;
  for (const [name, gradient] of gradients) {
    const weights = into.get(name)!, first = state.first.get(name)!, second = state.second.get(name)!;
    for (let index = 0; index < gradient.length; index++) {
      const g = gradient[index]! * gradientScale;
      const m = (first[index] = beta1 * first[index]! + (1 - beta1) * g);
      const v = (second[index] = beta2 * second[index]! + (1 - beta2) * g * g);
      const change = (stepSize * m) / (Math.sqrt(v) * correction2 + eps);
      weights[index] = weights[index]! * decay - change;
      squared += change * change;
    }
  }
  return { updateNorm: Math.sqrt(squared) };
}
