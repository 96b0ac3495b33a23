import { downsample, type Point } from '../plot/index.ts';

/** Points kept in full; beyond that the series is thinned to half, extremes first to stay. */
const CAPACITY = 2048;

/** One metric over the steps, in bounded memory however long the job is. */
export class History {
  points: readonly Point[] = [];
  private numbers: number[] | null = null;

  /** A second value at the same step replaces the first. */
  push(x: number, y: number): void {
    const points = this.points as Point[];
    if (points.at(-1)?.x === x) points.pop();
    points.push({ x, y });
    if (points.length > CAPACITY) this.points = [points[0]!, ...downsample(points.slice(1), CAPACITY / 4)];
    this.numbers = null;
  }

  get values(): readonly number[] {
    return (this.numbers ??= this.points.flatMap((point) => point.y ?? []));
  }

  get last(): number | undefined {
    return this.points.at(-1)?.y ?? undefined;
  }
}
