/** Small statistics over arrays of numbers, summed in float64. */
import { type StreamKey, randomWords } from './random.ts';

export const sum = (values: readonly number[]): number => values.reduce((total, value) => total + value, 0);

/** NaN of nothing. */
export const mean = (values: readonly number[]): number => sum(values) / values.length;

export const finiteOrNull = (value: number | undefined): number | null => (value !== undefined && Number.isFinite(value) ? value : null);

/** √(Σ(x − mean)²/(n − ddof)); 0 when there are no degrees of freedom left. */
export function standardDeviation(values: readonly number[], ddof: 0 | 1 = 0): number {
  if (values.length <= ddof) return 0;
  const center = mean(values);
  return Math.sqrt(sum(values.map((value) => (value - center) ** 2)) / (values.length - ddof));
}

/** The mean over groups of what spreads the values within one; NaN of nothing. Groups of missing values do not count. */
export const withinGroups = (groups: readonly (readonly (number | null)[])[]): number =>
  mean(groups.map((group) => group.filter((value) => value !== null)).filter((group) => group.length > 0).map((group) => standardDeviation(group)));

export type Interval = [low: number, high: number];

/**
 * Wilson's score interval of a proportion: honest near 0 and 1, where the normal approximation is not
 * (E. B. Wilson, JASA 22, 1927).
 */
export function wilsonInterval(successes: number, trials: number, confidence = 0.95): Interval {
  if (trials === 0) return [0, 1];
  const z = normalQuantile(0.5 + confidence / 2);
  const share = successes / trials;
  const scale = 1 + z ** 2 / trials;
  const center = (share + z ** 2 / (2 * trials)) / scale;
  const half = (z / scale) * Math.sqrt((share * (1 - share)) / trials + z ** 2 / (4 * trials ** 2));
  return [Math.max(0, Math.min(share, center - half)), Math.min(1, Math.max(share, center + half))];
}

export interface BootstrapOptions {
  confidence?: number;
  resamples?: number;
  key: StreamKey;
}

/** Percentile bootstrap interval of a mean (Efron 1979), for scores that are not just right or wrong. */
export function bootstrapInterval(values: readonly number[], { confidence = 0.95, resamples = 1000, key }: BootstrapOptions): Interval {
  if (values.length === 0) return [0, 0];
  const blocks = Math.ceil(values.length / 4);
  const means = Array.from({ length: resamples }, (_, resample) => {
    let total = 0;
    for (let block = 0; block < blocks; block++) {
      const words = randomWords(key, resample * blocks + block);
      for (let draw = 4 * block; draw < Math.min(values.length, 4 * block + 4); draw++) {
        total += values[Math.floor((words[draw % 4]! / 2 ** 32) * values.length)]!;
      }
    }
    return total / values.length;
  }).sort((a, b) => a - b);
  const at = (quantile: number) => means[Math.min(resamples - 1, Math.max(0, Math.round(quantile * (resamples - 1))))]!;
  return [at((1 - confidence) / 2), at((1 + confidence) / 2)];
}

/** Is every value 0 or 1? Then the mean is a proportion. */
export const isBinary = (values: readonly number[]): boolean => values.every((value) => value === 0 || value === 1);

/** The interval of a mean by the method that fits the values. */
export function meanInterval(values: readonly number[], options: BootstrapOptions): Interval {
  return isBinary(values) ? wilsonInterval(sum(values), values.length, options.confidence) : bootstrapInterval(values, options);
}

/**
 * Unbiased estimate of pass@k from `attempts` samples of which `passed` were right: 1 − C(n−c, k)/C(n, k), as a product so that
 * nothing overflows (Chen et al., "Evaluating large language models trained on code", arXiv 2107.03374).
 */
export function passAtK(attempts: number, passed: number, k: number): number {
  if (attempts - passed < k) return 1;
  let allFail = 1;
  for (let n = attempts - passed + 1; n <= attempts; n++) allFail *= 1 - k / n;
  return 1 - allFail;
}

/** Inverse of the standard normal distribution (P. J. Acklam's rational approximation, relative error below 1.2e-9). */
export function normalQuantile(p: number): number {
  if (p <= 0 || p >= 1) throw new RangeError(`A quantile needs a probability strictly between 0 and 1; got ${p}.`);
  if (p > 0.97575) return -normalQuantile(1 - p);
  if (p < 0.02425) {
    const q = Math.sqrt(-2 * Math.log(p));
    return (
      (((((-7.784894002430293e-3 * q - 0.3223964580411365) * q - 2.400758277161838) * q - 2.549732539343734) * q + 4.374664141464968) * q +
        2.938163982698783) /
      ((((7.784695709041462e-3 * q + 0.3224671290700398) * q + 2.445134137142996) * q + 3.754408661907416) * q + 1)
    );
  }
  const q = p - 0.5;
  const r = q * q;
  return (
    ((((((-39.69683028665376 * r + 220.9460984245205) * r - 275.9285104469687) * r + 138.357751867269) * r - 30.66479806614716) * r +
      2.506628277459239) *
      q) /
    (((((-54.47609879822406 * r + 161.5858368580409) * r - 155.6989798598866) * r + 66.80131188771972) * r - 13.28068155288572) * r + 1)
  );
}

/** Is there neither NaN nor an infinity? Looks at every value in one pass, at the pace of the memory. */
export function allFinite(values: Float32Array): boolean {
  // Any NaN or infinity makes the sum of v − v something other than 0.
  let poison = 0;
  for (let index = 0; index < values.length; index++) poison += values[index]! - values[index]!;
  return poison === 0;
}
