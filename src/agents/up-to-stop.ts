/** The text before the first of the stop texts that it contains. */
export function upToStop(text: string, stops: readonly string[]): string {
  const cuts = stops.map((stop) => text.indexOf(stop)).filter((index) => index >= 0);
  return cuts.length === 0 ? text : text.slice(0, Math.min(...cuts));
}
