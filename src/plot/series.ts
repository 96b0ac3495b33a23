/** One value of a curve. `y: null` is a gap: a step that has no value. `x` rises along a series. */
export interface Point {
  readonly x: number;
  readonly y: number | null;
}

/** One slice of a band; null ends leave a gap. */
export interface BandPoint {
  readonly x: number;
  readonly low: number | null;
  readonly high: number | null;
}

/**
 * Thins a series to at most two points per bucket, its minimum and its maximum in their order, so that a spike of one
 * step survives. A bucket with gaps and no value stays a gap. Short series come back as they are.
 */
export function downsample(points: readonly Point[], buckets: number): readonly Point[] {
  if (points.length <= 2 * buckets) return points;
  const thinned: Point[] = [];
  for (let bucket = 0; bucket < buckets; bucket++) {
    const start = Math.floor((bucket * points.length) / buckets);
    const end = Math.floor(((bucket + 1) * points.length) / buckets);
    let low: Point | undefined;
    let high: Point | undefined;
    for (let i = start; i < end; i++) {
      const point = points[i]!;
      if (point.y === null) continue;
      if (low === undefined || point.y < low.y!) low = point;
      if (high === undefined || point.y > high.y!) high = point;
    }
    if (low === undefined || high === undefined) thinned.push({ x: points[start]!.x, y: null });
    else if (low === high) thinned.push(low);
    else if (low.x < high.x) thinned.push(low, high);
    else thinned.push(high, low);
  }
  return thinned;
}

/**
 * Exponential moving average, corrected for its start as Adam corrects its moments, so that the first values are not
 * pulled to zero. `weight` in [0, 1) is the share of the past; gaps stay gaps and do not reset it.
 */
export function smooth(points: readonly Point[], weight: number): Point[] {
  let average = 0;
  let correction = 0;
  return points.map(({ x, y }) => {
    if (y === null) return { x, y: null };
    average = weight * average + (1 - weight) * y;
    correction = weight * correction + (1 - weight);
    return { x, y: average / correction };
  });
}
