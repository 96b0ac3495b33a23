/** @file Rotary position embeddings (arXiv:2104.09864) as tables, computed in float64 on the host. */
import type { DecoderConfig, RopeScaling } from './config.ts';

/** Radians per position of each pair of dimensions, fastest first: headSize / 2 numbers. */
export function inverseFrequencies({ headSize, ropeTheta, ropeScaling }: Pick<DecoderConfig, 'headSize' | 'ropeTheta' | 'ropeScaling'>): number[] {
  const plain = Array.from({ length: headSize / 2 }, (_, pair) => ropeTheta ** ((-2 * pair) / headSize));
  switch (ropeScaling.kind) {
    case 'none':
      return plain;
    case 'linear':
      return plain.map((frequency) => frequency / ropeScaling.factor);
    case 'llama3':
      return plain.map((frequency) => llama3Frequency(frequency, ropeScaling));
    case 'yarn':
      return yarnFrequencies(plain, headSize, ropeTheta, ropeScaling);
  }
}

/** Llama 3.1: long waves are stretched by the factor, short ones stay, those between are blended. */
function llama3Frequency(frequency: number, { factor, lowFreqFactor, highFreqFactor, originalContext }: RopeScaling & { kind: 'llama3' }): number {
  const turns = (originalContext * frequency) / (2 * Math.PI);
  const kept = Math.min(1, Math.max(0, (turns - lowFreqFactor) / (highFreqFactor - lowFreqFactor)));
  return kept * frequency + ((1 - kept) * frequency) / factor;
}

/** YaRN (arXiv:2309.00071, section 3.2): a linear ramp over the dimensions between betaFast and betaSlow turns. */
function yarnFrequencies(plain: readonly number[], headSize: number, theta: number, { factor, betaFast, betaSlow, originalContext, truncate }: RopeScaling & { kind: 'yarn' }): number[] {
  const dimensionOf = (turns: number): number => (headSize * Math.log(originalContext / (turns * 2 * Math.PI))) / (2 * Math.log(theta));
  const [first, last] = [dimensionOf(betaFast), dimensionOf(betaSlow)];
  const low = Math.max(truncate ? Math.floor(first) : first, 0);
  const high = Math.min(truncate ? Math.ceil(last) : last, headSize - 1);
  return plain.map((frequency, pair) => {
    const stretched = Math.min(1, Math.max(0, (pair - low) / (high === low ? 0.001 : high - low)));
    return (stretched * frequency) / factor + (1 - stretched) * frequency;
  });
}

/** cos and sin of every position below the context length: two row-major [contextLength, headSize / 2] arrays. */
export function rotaryTables(config: Pick<DecoderConfig, 'headSize' | 'ropeTheta' | 'ropeScaling' | 'contextLength'>): { cos: Float32Array; sin: Float32Array } {
  const frequencies = inverseFrequencies(config);
  const scale = config.ropeScaling.kind === 'yarn' ? config.ropeScaling.attentionFactor : 1;
  const half = frequencies.length;
  const cos = new Float32Array(config.contextLength * half);
  const sin = new Float32Array(config.contextLength * half);
  for (let position = 0; position < config.contextLength; position++) {
    for (let pair = 0; pair < half; pair++) {
      const angle = position * frequencies[pair]!;
      cos[position * half + pair] = Math.cos(angle) * scale;
      sin[position * half + pair] = Math.sin(angle) * scale;
    }
  }
  return { cos, sin };
}
