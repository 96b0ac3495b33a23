/** An interval of values, low end first. */
export type Domain = readonly [low: number, high: number];

/** Maps a value to a position, linearly; values outside the domain fall outside the range. */
export interface Scale {
  (value: number): number;
  readonly domain: Domain;
  readonly range: readonly [from: number, to: number];
}

/** The smallest domain that holds every finite value, or null when there is none. */
export function extent(values: Iterable<number | null | undefined>): Domain | null {
  let low = Infinity;
  let high = -Infinity;
  for (const value of values) {
    if (value === null || value === undefined || !Number.isFinite(value)) continue;
    if (value < low) low = value;
    if (value > high) high = value;
  }
  return low <= high ? [low, high] : null;
}

/** A domain of no width maps everything to the middle of the range, so that a constant series is a line and not a NaN. */
export function linearScale(domain: Domain, range: readonly [from: number, to: number]): Scale {
  const [low, high] = domain;
  const [from, to] = range;
  const span = high - low;
  const scale = (value: number): number => (span === 0 ? (from + to) / 2 : from + ((value - low) / span) * (to - from));
  return Object.assign(scale, { domain, range });
}

/** 1, 2 or 5 times a power of ten: the step that divides a span into about `count` parts. */
export function niceStep(span: number, count: number): number {
  const rough = span / Math.max(1, count);
  const power = 10 ** Math.floor(Math.log10(rough));
  const ratio = rough / power;
  return power * (ratio >= 7.5 ? 10 : ratio >= 3.5 ? 5 : ratio >= 1.5 ? 2 : 1);
}

/** Round values inside the domain, about `count` of them. A constant domain has the one tick. */
export function niceTicks(domain: Domain, count: number): number[] {
  const [low, high] = domain;
  if (!(high > low)) return [low];
  const step = niceStep(high - low, count);
  const first = Math.ceil(low / step - 1e-9);
  const last = Math.floor(high / step + 1e-9);
  return Array.from({ length: Math.max(0, last - first + 1) }, (_, i) => multiple(first + i, step));
}

/** The domain widened to round ends; a constant one gets room on both sides. */
export function niceDomain(domain: Domain, count = 4): Domain {
  const [low, high] = domain;
  if (high === low) {
    const room = low === 0 ? 1 : Math.abs(low) / 2;
    return [low - room, high + room];
  }
  const step = niceStep(high - low, count);
  return [multiple(Math.floor(low / step + 1e-9), step), multiple(Math.ceil(high / step - 1e-9), step)];
}

/** n steps, rounded to the step's own decimals: 0.3 and never 0.30000000000000004. */
function multiple(n: number, step: number): number {
  const decimals = Math.max(0, Math.min(100, -Math.floor(Math.log10(step) + 1e-9)));
  return Number((n * step).toFixed(decimals));
}

/** A tick's label with the decimals that the distance to its neighbours needs. */
export function formatTick(value: number, step: number): string {
  if (value === 0) return '0';
  const size = Math.abs(value);
  if (size >= 1e6 || step < 1e-4) return trimExponent(value.toExponential(1));
  if (size >= 1e4) return `${trimZeros((value / 1000).toFixed(step >= 1000 ? 0 : 1))}k`;
  const decimals = step > 0 ? Math.max(0, -Math.floor(Math.log10(step) + 1e-9)) : 2;
  return value.toFixed(Math.min(decimals, 6));
}

const trimZeros = (text: string): string => (text.includes('.') ? text.replace(/\.?0+$/, '') : text);
const trimExponent = (text: string): string => text.replace(/\.0(?=e)/, '').replace('e+', 'e');
