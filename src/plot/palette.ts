/**
 * @file Colours that stay apart for every kind of colour vision, on dark and on light ground. Colour is never the only
 * sign: a shape, a height or a word says the same.
 */

/** Okabe & Ito's set (jfly.uni-koeln.de/color), brightened where it must be read on black. */
export const palette = {
  blue: '#56b4e9',
  orange: '#e69f00',
  green: '#2cb98f',
  vermilion: '#f0743e',
  purple: '#cc79a7',
  yellow: '#e8d64a',
  grey: '#8b949e',
} as const;

/** From low to high reward: hue and lightness rise together, as in viridis (Smith & van der Walt), so it survives in grey. */
export const rewardRamp = ['#8a63c9', '#5f7fd6', '#3a9fd0', '#2fbcae', '#5fd38d', '#b4e56b'] as const;

/** The ramp's colour for a share of the reward range, 0…1. */
export function rewardColor(share: number): string {
  return rewardRamp[Math.max(0, Math.min(rewardRamp.length - 1, Math.floor(share * rewardRamp.length)))]!;
}
