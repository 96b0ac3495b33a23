import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { bar, block, braillePlot, downsample, partition, plotCells, smooth, sparkline, type Point } from '../../src/plot/index.ts';

const points = (...ys: (number | null)[]): Point[] => ys.map((y, x) => ({ x, y }));

describe('braillePlot', () => {
  test('a diagonal through one cell sets two dots low on the left and two high on the right', () => {
    expect(braillePlot(points(0, 1), { width: 1, height: 1, xDomain: [0, 1], yDomain: [0, 1] })).toEqual([String.fromCodePoint(0x2800 + 0x04 + 0x40 + 0x08 + 0x10)]);
  });

  test('a rising line goes from the lower left to the upper right', () => {
    expect(braillePlot(points(0, 1), { width: 4, height: 2, xDomain: [0, 1], yDomain: [0, 1] })).toEqual(['  ⡠⠊', '⡠⠊  ']);
  });

  test('a spike of one step among thousands is drawn at full height', () => {
    const noisy = Array.from({ length: 4000 }, (_, x) => ({ x, y: x === 1234 ? 1 : 0 }));
    const rows = braillePlot(noisy, { width: 40, height: 3, xDomain: [0, 3999], yDomain: [0, 1] });
    expect(rows[0]).toMatch(/^ {12}\S {27}$/);
  });

  test('a gap is not bridged', () => {
    const rows = braillePlot(points(0.5, 0.5, null, null, 0.5, 0.5), { width: 12, height: 1, xDomain: [0, 5], yDomain: [0, 1] });
    expect(rows[0]).toMatch(/^\S+ +\S+$/);
  });

  test('ASCII plots use ASCII alone', () => {
    const layers = [{ kind: 'band', points: [{ x: 0, low: 0, high: 1 }, { x: 9, low: 0, high: 1 }] }, { kind: 'line', points: points(0, 0.3, 0.9) }] as const;
    const text = plotCells(layers, { width: 10, height: 4, xDomain: [0, 9], yDomain: [0, 1], ascii: true }).flat().map((cell) => cell.char).join('');
    expect(text).toMatch(/^[\x20-\x7e]+$/);
    expect(text).toContain(':');
  });

  test('later layers win their cells, and values outside the domain are left out', () => {
    const cells = plotCells(
      [{ kind: 'rule', y: 0.5 }, { kind: 'marks', points: [{ x: 1, y: 0.5 }, { x: 1, y: 7 }], mark: 'o' }],
      { width: 3, height: 1, xDomain: [0, 2], yDomain: [0, 1] },
    );
    expect(cells[0]!.map((cell) => cell.layer)).toEqual([0, 1, 0]);
    expect(cells[0]![1]!.char).toBe('o');
  });

  test('any series in any size gives exactly that many rows and columns', () => {
    const y = fc.option(fc.double({ min: -5, max: 5, noNaN: true }));
    fc.assert(
      fc.property(fc.array(y, { maxLength: 80 }), fc.integer({ min: 0, max: 30 }), fc.integer({ min: 0, max: 12 }), (ys, width, height) => {
        const rows = braillePlot(points(...ys), { width, height, xDomain: [0, ys.length], yDomain: [-1, 1] });
        expect(rows.length).toBe(height);
        for (const row of rows) expect([...row].length).toBe(width);
      }),
    );
  });
});

describe('sparkline', () => {
  test('runs from the lowest block to the highest', () => {
    expect(sparkline([0, 1, 2, 3, 4, 5, 6, 7], { width: 8 })).toBe('▁▂▃▄▅▆▇█');
    expect(sparkline([0, 1], { width: 2, ascii: true })).toBe('_#');
  });
  test('keeps a spike when values share a column', () => {
    const values = Array.from({ length: 100 }, (_, i) => (i === 37 ? 9 : 0));
    expect(sparkline(values, { width: 10 })).toBe('▁▁▁█▁▁▁▁▁▁');
  });
  test('is padded on the left, blank at gaps, and level for a constant', () => {
    expect(sparkline([0, null, 1], { width: 5 })).toBe('  ▁ █');
    expect(sparkline([2, 2], { width: 2 })).toBe('▄▄');
    expect(sparkline([], { width: 3 })).toBe('   ');
  });
  test('block clamps its share', () => expect([block(-1), block(0.5), block(2)]).toEqual(['▁', '▅', '█']));
});

describe('bars', () => {
  test('bar is exact to an eighth', () => {
    expect(bar(0.5, { width: 4 })).toBe('██  ');
    expect(bar(1 / 8, { width: 1 })).toBe('▏');
    expect(bar(7, { width: 2 })).toBe('██');
    expect(bar(0.5, { width: 4, ascii: true })).toBe('##  ');
  });
  test('partition fills the width and forgets no part that is there', () => {
    expect(partition([900, 1, 0, 99], 20)).toEqual([17, 1, 0, 2]);
    expect(partition([0, 0], 9)).toEqual([0, 0]);
    fc.assert(
      fc.property(fc.array(fc.double({ min: 0, max: 1e9, noNaN: true }), { minLength: 1, maxLength: 6 }), fc.integer({ min: 0, max: 40 }), (values, width) => {
        const columns = partition(values, width);
        const anything = values.some((value) => value > 0);
        expect(columns.reduce((a, b) => a + b, 0)).toBe(anything ? width : 0);
        expect(columns.every((count) => count >= 0)).toBe(true);
      }),
    );
  });
});

describe('series', () => {
  test('downsample keeps the extremes of every bucket, in order', () => {
    const thinned = downsample(points(0, 9, 1, 2, -7, 3, 3, 3), 2);
    expect(thinned.map((point) => point.y)).toEqual([0, 9, -7, 3]);
  });
  test('downsample keeps whole gaps and leaves short series alone', () => {
    expect(downsample(points(1, 2, null, null, null, null), 2)).toEqual([{ x: 0, y: 1 }, { x: 1, y: 2 }, { x: 3, y: null }]);
    const short = points(1, 2);
    expect(downsample(short, 2)).toBe(short);
  });
  test('smooth starts at the first value and skips gaps', () => {
    const smoothed = smooth(points(4, null, 4, 0), 0.5);
    expect(smoothed[0]!.y).toBe(4);
    expect(smoothed[1]!.y).toBeNull();
    expect(smoothed[2]!.y).toBeCloseTo(4, 12);
    // Weights 1/8, 1/4, 1/2 over their sum 7/8.
    expect(smoothed[3]!.y).toBeCloseTo((4 / 8 + 4 / 4) / (7 / 8), 12);
  });
});
