/** @file Numbers, times and units as the report writes them. */
import { formatDuration, formatNumber, formatTick, niceStep } from '../plot/index.ts';
import type { Domain } from '../plot/index.ts';
import { formatScore } from '../util/words.ts';
import type { Unit } from './sections.ts';

const percent = (share: number, decimals: number): string => `${(share * 100).toFixed(decimals)}%`;

/** A value in its unit, as the charts' captions tell it. */
export const formatValue: { readonly [U in Unit]: (value: number) => string } = {
  number: formatNumber,
  tokens: formatNumber,
  seconds: (value) => formatDuration(value * 1000),
  share: (value) => percent(value, value === 0 || value === 1 ? 0 : 1),
};

/** A tick in its unit, with as many decimals as its neighbours ask for. */
export function tickFormat(unit: Unit, [low, high]: Domain, count: number): (value: number) => string {
  const step = niceStep(high - low, count);
  if (unit === 'share') return (value) => percent(value, step < 0.01 ? 1 : 0);
  if (unit === 'seconds') return step >= 60 ? (value) => `${formatTick(value / 60, step / 60)} min` : step < 0.1 ? (value) => `${formatTick(value * 1000, step * 1000)} ms` : (value) => `${formatTick(value, step)} s`;
  return (value) => formatTick(value, step);
}

/** `+0.170 [+0.078, +0.257]` */
export function formatChange({ value, low, high }: { value: number; low: number | null; high: number | null }): string {
  const signed = (score: number) => `${score < 0 ? '−' : '+'}${formatScore(Math.abs(score))}`;
  return low === null || high === null ? signed(value) : `${signed(value)} [${signed(low)}, ${signed(high)}]`;
}

/** `2026-11-23 09:41:17 UTC` */
export const formatDate = (iso: string): string => `${iso.slice(0, 19).replace('T', ' ')} UTC`;
