/** @file What the trainer knows about a batch, under the field's names, summed over its micro-batches in float64. */
import type { Scored } from './micro-batches.ts';
import type { Loss, LossMetrics } from './types.ts';

interface MicroResult {
  loss: number;
  /** Scored tokens in the order of the micro-batch's feeds. */
  logprobs: Float32Array;
  entropy: Float32Array;
  reference: readonly (readonly number[])[] | null;
}

export class LossMetricsSum {
  readonly #loss: Loss;
  #total = 0;
  #entropy = 0;
  #kl = 0;
  #difference = 0;
  #differenceMax = 0;
  #v1 = 0;
  #v2 = 0;
  #ratio = 0;
  #ratioMin = Infinity;
  #ratioMax = -Infinity;
  #clippedLow = 0;
  #clippedHigh = 0;
  #hasReference = false;
  tokens = 0;
  sequences = 0;

  constructor(loss: Loss) { this.#loss = loss; }

  add(batch: readonly Pick<Scored, 'sequence' | 'index' | 'positions'>[], { loss, logprobs, entropy, reference }: MicroResult): void {
    this.#total += loss;
    this.sequences += batch.length;
    this.#hasReference ||= reference !== null;
    let at = 0;
    for (const { sequence, index, positions } of batch) {
      const differences = positions.map((position, offset) => logprobs[at + offset]! - sequence.samplingLogprobs[position]!);
      const ofSequence = Math.exp(differences.reduce((sum, difference) => sum + difference, 0) / differences.length);
      for (const [offset, position] of positions.entries()) {
        const difference = differences[offset]!;
        this.#token(difference);
        this.#clip({ ratio: this.#loss.kind === 'ppo' && this.#loss.ratio === 'sequence' ? ofSequence : Math.exp(difference), advantage: sequence.advantages[position]! });
        this.#entropy += entropy[at]!;
        if (reference !== null) { const d = logprobs[at]! - reference[index]![position]!; this.#kl += Math.exp(-d) + d - 1; }
        at += 1;
      }
    }
    this.tokens += at;
  }

  #token(difference: number): void {
    const ratio = Math.exp(difference);
    this.#difference += Math.abs(difference);
    this.#differenceMax = Math.max(this.#differenceMax, Math.abs(difference));
    this.#v1 -= difference;
    this.#v2 += (difference * difference) / 2;
    this.#ratio += ratio;
    this.#ratioMin = Math.min(this.#ratioMin, ratio);
    this.#ratioMax = Math.max(this.#ratioMax, ratio);
  }

  #clip({ ratio, advantage }: { ratio: number; advantage: number }): void {
    if (this.#loss.kind !== 'ppo' && this.#loss.kind !== 'cispo') return;
    // The bound acts only where it stops the token from going further in the direction of its advantage.
    if (ratio < this.#loss.clipLowThreshold && advantage < 0) this.#clippedLow += 1;
    if (ratio > this.#loss.clipHighThreshold && advantage > 0) this.#clippedHigh += 1;
  }

  metrics(): LossMetrics['metrics'] {
    const n = Math.max(this.tokens, 1);
    const isRl = this.#loss.kind !== 'cross_entropy';
    return {
      'loss:sum': this.#total,
      policy_loss: this.#total,
      entropy: this.#entropy / n,
      ...(this.#hasReference ? { kl: this.#kl / n } : {}),
      ...(isRl && this.tokens > 0 ? {
        'sampling/logp_difference/mean': this.#difference / n,
        'sampling/logp_difference/max': this.#differenceMax,
        'sampling/importance_ratio/min': this.#ratioMin,
        'sampling/importance_ratio/mean': this.#ratio / n,
        'sampling/importance_ratio/max': this.#ratioMax,
        'kl_sample_train/v1': this.#v1 / n,
        'kl_sample_train/v2': this.#v2 / n,
      } : {}),
      ...(this.#loss.kind === 'ppo' || this.#loss.kind === 'cispo' ? {
        'clip_ratio/low_mean': this.#clippedLow / n,
        'clip_ratio/high_mean': this.#clippedHigh / n,
        'clip_ratio/region_mean': (this.#clippedLow + this.#clippedHigh) / n,
      } : {}),
    };
  }
}
