/** @file `500ms`, `10s`, `2m`, `1h`. */

const units = { ms: 1, s: 1000, m: 60_000, h: 3_600_000 } as const;

/** Milliseconds. The form is checked by the schema. */
export function parseDuration(text: string): number {
  const match = /^([0-9.]+)(ms|s|m|h)$/.exec(text);
  if (match === null) throw new Error(`not a duration: ${text}`);
  return Number(match[1]) * units[match[2] as keyof typeof units];
}

/** In the largest unit that keeps the number whole. */
export function formatDuration(ms: number): string {
  const [name, size] = (Object.entries(units).toReversed().find(([, unit]) => ms >= unit && ms % unit === 0) ?? ['ms', 1]) as [string, number];
  return `${ms / size}${name}`;
}
